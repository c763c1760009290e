from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faces
from errors import FacesError
from faces import fetch_faces, load_faces

TRIANGLES = np.array([[0, 1, 2], [2, 1, 3], [4, 0, 9]], np.uint32)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


CONTENT = npy(TRIANGLES)
DIGEST = hashlib.sha256(CONTENT).hexdigest()

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server:
    def __init__(self, url: str) -> None:
        self.url = url
        self.requests = 0


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests += 1
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        server = Server(f"http://127.0.0.1:{httpd.server_port}/smpl_faces.npy")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join()


def sending(content: bytes, status: int = 200, length: int | None = None) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


# Loading.


@pytest.mark.parametrize("dtype", ["uint32", "int32", "int64", "uint8", ">i4"])
def test_faces_of_any_integer_type(dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", np.asfortranarray(TRIANGLES.astype(dtype)))
    got = load_faces(tmp_path / "faces.npy", vertex_count=10)
    assert got.dtype == np.int32
    assert got.flags.c_contiguous
    assert np.array_equal(got, TRIANGLES)


def test_faces_of_another_body_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "faces.npy"
    np.save(path, TRIANGLES)
    with pytest.raises(
        FacesError, match=r"faces\.npy: has vertex indices 0…9; the mesh has 9 vert"
    ):
        load_faces(path, vertex_count=9)
    np.save(path, TRIANGLES.astype(int) - 1)
    with pytest.raises(FacesError, match=r"has vertex indices -1…8; the mesh has 10 vertices"):
        load_faces(path, vertex_count=10)
    np.save(path, np.full((1, 3), 2**64 - 1, np.uint64))
    with pytest.raises(
        FacesError, match=f"{2**64 - 1}; the mesh has 10 vertices.*--smpl_face_path"
    ):
        load_faces(path, vertex_count=10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(TRIANGLES.ravel()), r"shape \(9,\) and dtype uint32; expected \(F, 3\) integers"),
        (npy(TRIANGLES[None]), r"shape \(1, 3, 3\)"),
        (npy(TRIANGLES[:, :2]), r"shape \(3, 2\)"),
        (npy(TRIANGLES[:0]), r"shape \(0, 3\)"),
        (npy(TRIANGLES * 1.0), "dtype float64"),
        (npy(np.array(["a", "b", "c"])), "dtype <U1"),
        (CONTENT[:-1], "cannot be read: "),
        (CONTENT[:20], "cannot be read: "),
        (CONTENT[:6], "cannot be read: "),
        (b"", "is not an .npy file"),
        (b"<html>not found</html>", "is not an .npy file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not an .npy file"),
        (b"PK\x03\x04", "is not an .npy file"),
        (CONTENT.replace(b"(3, 3)", b"(3,9**"), "cannot be read: "),
    ],
)
def test_files_that_are_no_faces(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "faces.npy"
    path.write_bytes(content)
    with pytest.raises(FacesError, match=message) as caught:
        load_faces(path, vertex_count=10)
    assert str(caught.value).startswith(f"{path}: ")
    assert "--smpl_face_path" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_faces_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        FacesError, match=r"absent\.npy: cannot be read: No such file or directory;"
    ):
        load_faces(tmp_path / "absent.npy", vertex_count=10)
    with pytest.raises(FacesError, match="cannot be read: Is a directory"):
        load_faces(tmp_path, vertex_count=10)


def test_pickled_faces_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FacesError, match="Object arrays cannot be loaded"):
        load_faces(tmp_path / "faces.npy", vertex_count=10)


# Fetching.


def test_faces_are_fetched_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    with serving(sending(CONTENT)) as server:
        for _ in range(2):
            path = fetch_faces(folder, server.url, DIGEST)
            assert path == folder / "smpl_faces.npy"
            assert np.array_equal(load_faces(path, vertex_count=10), TRIANGLES)
        assert server.requests == 1
    assert fetch_faces(folder, server.url, DIGEST) == path
    assert list(folder.iterdir()) == [path]


def test_a_redirection_is_followed(tmp_path: Path) -> None:
    def redirecting(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.path == "/elsewhere":
            sending(CONTENT)(handler)
        else:
            handler.send_response(302)
            handler.send_header("Location", "/elsewhere")
            handler.end_headers()

    with serving(redirecting) as server:
        assert fetch_faces(tmp_path, server.url, DIGEST).read_bytes() == CONTENT


def test_a_damaged_cache_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "smpl_faces.npy").write_bytes(CONTENT[:-1])
    with serving(sending(CONTENT)) as server:
        assert fetch_faces(tmp_path, server.url, DIGEST).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\0", b"<html>", b""])
def test_a_wrong_digest_is_refused_and_nothing_kept(content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    digest = hashlib.sha256(content).hexdigest()
    with (
        serving(sending(content)) as server,
        pytest.raises(
            FacesError, match=f"sha256 {digest} and {len(content)} bytes; expected {DIGEST}"
        ),
    ):
        fetch_faces(folder, server.url, DIGEST)
    assert not folder.exists()


def test_too_much_content_is_not_read_to_its_end(tmp_path: Path) -> None:
    sent = 0

    def flooding(handler: http.server.BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        while sent < 10**9:
            sent += handler.wfile.write(b"x" * 100_000)

    with (
        serving(flooding) as server,
        pytest.raises(FacesError, match="it has more than 1000000 bytes"),
    ):
        fetch_faces(tmp_path, server.url, DIGEST)
    assert sent < 10**8
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_trickles_is_given_up(tmp_path: Path) -> None:
    stop = threading.Event()

    def trickling(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.02):
            handler.wfile.write(b"x")

    with serving(trickling) as server:
        start = time.monotonic()
        with pytest.raises(FacesError, match="could not be fetched: it takes too long"):
            fetch_faces(tmp_path, server.url, DIGEST, seconds=0.2)
        assert time.monotonic() - start < 5
        stop.set()


def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/smpl_faces.npy"
        with pytest.raises(FacesError, match="could not be fetched: timed out"):
            fetch_faces(tmp_path, url, DIGEST)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sending(b"", status=404), "Not Found"),
        (sending(b"", status=503), "Service Unavailable"),
        (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), "nonsense"),
        (lambda handler: None, "closed connection"),
    ],
)
def test_servers_that_fail(answer: Answer, reason: str, tmp_path: Path) -> None:
    with serving(answer) as server, pytest.raises(FacesError, match=reason) as caught:
        fetch_faces(tmp_path, server.url, DIGEST)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_offline_the_error_gives_the_command_to_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/smpl_faces.npy"
    folder = tmp_path / "my cache"
    path = folder / "smpl_faces.npy"
    with pytest.raises(FacesError, match=r"could not be fetched: .*Connection refused") as caught:
        fetch_faces(folder, url, DIGEST)
    command = f"fetch them once with: curl --create-dirs -L -o '{path}' {url}"
    assert str(caught.value).endswith(command)
    assert str(caught.value).startswith(f"{path}: SMPL's faces are not there yet")
    folder.mkdir()
    path.write_bytes(CONTENT)  # what the command does
    assert fetch_faces(folder, url, DIGEST) == path


def test_only_web_addresses_are_fetched(tmp_path: Path) -> None:
    (tmp_path / "mine.npy").write_bytes(CONTENT)
    with pytest.raises(FacesError, match="is not a web address"):
        fetch_faces(tmp_path, (tmp_path / "mine.npy").as_uri(), DIGEST)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        serving(sending(CONTENT)) as server,
        pytest.raises(
            FacesError, match=r"smpl_faces\.npy: cannot be written: Not a directory; fet"
        ),
    ):
        fetch_faces(tmp_path / "file" / "cache", server.url, DIGEST)


def test_the_published_faces_are_the_default() -> None:
    assert faces.FACES_URL.startswith("https://github.com/akanazawa/hmr/")
    assert faces.FACES_URL.endswith("/smpl_faces.npy")
    assert len(bytes.fromhex(faces.FACES_SHA256)) == 32
