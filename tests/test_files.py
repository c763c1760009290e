from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import files
from errors import OutputError, VideoReadError

ROOT = Path(__file__).parents[1]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clip.mp4"
    with files.whole_file(path) as temporary:
        temporary.write_bytes(b"video")
        assert temporary.parent == path.parent
        assert not path.exists()
    assert path.read_bytes() == b"video"
    assert list(path.parent.iterdir()) == [path]


def test_an_older_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="bug"), files.whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise ValueError("bug")
    assert path.read_bytes() == b"old"
    with files.whole_file(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), SystemExit(1)])
def test_failure_removes_the_temporary_file(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)), files.whole_file(tmp_path / "clip.mp4") as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import files
with getattr(files, sys.argv[2])(Path(sys.argv[1])) as temporary:
    (temporary / "frame.jpg" if temporary.is_dir() else temporary).write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("function", ["whole_file", "whole_folder"])
def test_a_killed_process_leaves_no_result_and_the_next_one_cleans_up(
    function: str, tmp_path: Path
) -> None:
    path = tmp_path / "result"
    assert run(KILLED, path, function).returncode == -signal.SIGKILL
    (debris,) = tmp_path.iterdir()
    assert debris.name.startswith(".result.")
    assert debris.name.endswith(".partial")
    with files.whole_file(path) as temporary:
        assert not debris.exists()
        temporary.write_bytes(b"whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_debris_of_other_results_and_of_running_processes_stays(tmp_path: Path) -> None:
    host = files._host()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [
        tmp_path / f".clip.mp4.{host}-{os.getppid()}.partial",
        tmp_path / f".other.mp4.{host}-{gone.pid}.partial",
        tmp_path / f".clip.mp4.elsewhere-{gone.pid}.partial",
        tmp_path / f".clip.mp4.{host}-x.partial",
        tmp_path / "clip.mp4.partial",
    ]
    debris = tmp_path / f".clip.mp4.{host}-{gone.pid}.partial"
    for path in (*kept, debris):
        path.write_bytes(b"half")
    with files.whole_file(tmp_path / "clip.mp4") as temporary:
        temporary.write_bytes(b"whole")
    assert set(tmp_path.iterdir()) == {*kept, tmp_path / "clip.mp4"}


def test_debris_of_a_process_with_our_own_number_does_no_harm(tmp_path: Path) -> None:
    """Processes in containers are often all number 1."""
    debris = tmp_path / f".frames.{files._host()}-{os.getpid()}.partial"
    debris.mkdir()
    (debris / "old.jpg").write_bytes(b"old")
    with files.whole_folder(tmp_path / "frames") as temporary:
        (temporary / "new.jpg").write_bytes(b"new")
    assert [entry.name for entry in (tmp_path / "frames").iterdir()] == ["new.jpg"]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    for name in ("1.jpg", "2.jpg"):
        with files.whole_folder(path) as temporary:
            (temporary / name).write_bytes(b"picture")
        assert [entry.name for entry in path.iterdir()] == [name]
    with pytest.raises(ValueError, match="bug"), files.whole_folder(path) as temporary:
        (temporary / "3.jpg").write_bytes(b"picture")
        raise ValueError("bug")
    assert [entry.name for entry in path.iterdir()] == ["2.jpg"]
    assert list(tmp_path.iterdir()) == [path]


FULL_DISK = """
import resource, sys
from pathlib import Path
import errors, files
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with files.whole_file(Path(sys.argv[1])) as temporary:
        temporary.write_bytes(b"x" * 10_000)
except errors.OutputError as error:
    print(error)
"""


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    done = run(FULL_DISK, path)
    assert done.stdout == (
        f"{path}: cannot be written: File too large; "
        "give a folder with space and write permission with --output_dir\n"
    ), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "results"
    for write in (files.whole_file, files.whole_folder):
        with (
            pytest.raises(OutputError, match=r"results: cannot be written: Not a directory"),
            write(folder / "clip"),
        ):
            raise AssertionError("there is nowhere to write")
    with pytest.raises(OutputError, match="--output_dir"):
        files.make_folder(folder)


def test_a_folder_in_the_place_of_the_file_is_an_output_error(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.mkdir()
    with (
        pytest.raises(OutputError, match=r"clip\.mp4: cannot be written: Is a directory"),
        files.whole_file(path) as temporary,
    ):
        temporary.write_bytes(b"video")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_the_folder_is_an_output_error(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_bytes(b"somebody's")
    with (
        pytest.raises(OutputError, match="frames: cannot be written: Not a directory"),
        files.whole_folder(path),
    ):
        pass
    assert path.read_bytes() == b"somebody's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_inside_a_folder_is_an_output_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="frames: cannot be written"),
        files.whole_folder(tmp_path / "frames") as temporary,
    ):
        (temporary / "no" / "such" / "1.jpg").write_bytes(b"picture")


@pytest.mark.parametrize(
    "error",
    [
        VideoReadError("clip.mp4: is empty"),
        TimeoutError("the server does not answer"),
        FileNotFoundError(2, "No such file or directory", "/elsewhere/input.mp4"),
    ],
)
def test_errors_about_other_things_are_left_alone(error: OSError, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, files.whole_file(tmp_path / "clip.mp4") as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []
