from __future__ import annotations

import contextlib
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import CLIP
from viewing import ROOT, Served, served

import viewer
from downloaders import DownloadOptions
from errors import MissingDependencyError, ViewerError
from options import VisualiseOptions
from processes import Finished
from run_visualise import main
from visualise import visualise_clip

MakeClip = Callable[..., Path]


def without_rerun(monkeypatch: pytest.MonkeyPatch, installed: str | None = None) -> None:
    def version(package: str) -> str:
        assert package == "rerun-sdk"
        if installed is None:
            raise importlib.metadata.PackageNotFoundError(package)
        return installed

    monkeypatch.setattr(importlib.metadata, "version", version)


# What must be there


def test_without_rerun_the_error_gives_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_rerun(monkeypatch)
    options = VisualiseOptions(output_dir=tmp_path, outputs=frozenset({"video", "rrd"}))
    with pytest.raises(MissingDependencyError, match=r"pip install -r requirements-viewer\.txt$"):
        visualise_clip(tmp_path / "no_such_pickle_0_10.pkl", options)  # it has not been looked for


@pytest.mark.parametrize("flag", ["--view", "--view=web", "--outputs=rrd"])
def test_the_command_line_says_so_before_work_begins(
    monkeypatch: pytest.MonkeyPatch,
    make_clip: MakeClip,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    flag: str,
) -> None:
    without_rerun(monkeypatch)
    out = tmp_path / "results"
    code = main(["", "--filename", str(make_clip()), "--output_dir", str(out), flag])
    assert code == 1
    said = capfd.readouterr().err
    assert said.startswith("run_visualise: --view and --outputs=rrd need the rerun viewer: ")
    assert said.endswith(f"{viewer.INSTALL_COMMAND}\n")
    assert not list(out.rglob("*.mp4"))


@pytest.mark.parametrize("version", ["0.22.1", "0.38.1", "strange"])
def test_a_rerun_that_is_too_old(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    without_rerun(monkeypatch, version)
    with pytest.raises(MissingDependencyError, match=rf"{version} is .* 0\.39 or later: pip"):
        viewer.check_viewer()


@pytest.mark.parametrize("version", ["0.39.0", "0.41.0", "0.41.0a1", "1.0.0"])
def test_a_rerun_that_is_new_enough(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    without_rerun(monkeypatch, version)
    viewer.check_viewer()


def test_a_rerun_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingDependencyError, match=r"cannot be loaded .*--force-reinstall"):
        viewer.load_rerun()


# The window


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others always have a display")
def test_no_display_is_told_before_work_begins(
    monkeypatch: pytest.MonkeyPatch,
    make_clip: MakeClip,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    out = tmp_path / "results"
    code = main(["", "--filename", str(make_clip()), "--output_dir", str(out), "--view"])
    assert code == 1
    assert "no display; give --view=web" in capfd.readouterr().err
    assert not out.exists()


def test_a_window_that_does_not_open(
    monkeypatch: pytest.MonkeyPatch, make_clip: MakeClip, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    options = VisualiseOptions(
        output_dir=tmp_path,
        outputs=frozenset({"rrd"}),
        download=DownloadOptions(downloader="none"),
    )
    visualise_clip(make_clip(), options)
    with pytest.raises(ViewerError, match=r"CLIP\.rrd: the rerun viewer failed: .*X server"):
        (tmp_path / CLIP / f"{CLIP}.rrd").rename(tmp_path / "CLIP.rrd")
        viewer.view(tmp_path / "CLIP.rrd", "native")


def test_the_window_finds_an_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, str] = {}

    def run(argv: list[str], *, env: dict[str, str], **_: object) -> Finished:
        assert argv[3:6] == [str(tmp_path / "clip.rrd"), "--bind", "127.0.0.1"]
        folder = Path(env["PATH"].split(os.pathsep)[0])
        asked["version"] = subprocess.check_output([folder / "ffmpeg", "-version"], text=True)
        return Finished(0, False, [])

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("viewer.processes.run", run)
    viewer.view(tmp_path / "clip.rrd", "native")
    assert asked["version"].startswith("ffmpeg version")


# The page


@pytest.fixture
def page(make_clip: MakeClip, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, "--filename", make_clip()) as running:
        yield running


def test_the_page_is_served_to_this_machine_alone(page: Served) -> None:
    assert urlsplit(page.page).hostname == urlsplit(page.data).hostname == "127.0.0.1"
    assert b"rerun" in _fetched(page.page)
    for port in page.ports:
        _wait_for(port)
        for other in ("127.0.0.2", _address_of_this_machine()):
            with socket.socket() as client, pytest.raises(OSError):
                client.settimeout(2)
                client.connect((other, port))


def _fetched(address: str) -> bytes:
    _wait_for(urlsplit(address).port or 0)
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 our own server
        content = answer.read()
    assert isinstance(content, bytes)
    return content


def _wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


def _address_of_this_machine() -> str:
    """The address that others reach it at, or another of its own where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    return "127.0.0.3"


def test_a_second_page_takes_other_ports(page: Served, make_clip: MakeClip, tmp_path: Path) -> None:
    for port in page.ports:
        _wait_for(port)
    with served(tmp_path, "--filename", make_clip()) as second:
        assert not set(page.ports) & set(second.ports)
        assert b"rerun" in _fetched(second.page)


def test_ctrl_c_ends_it_well(page: Served) -> None:
    for port in page.ports:
        _wait_for(port)
    page.process.send_signal(signal.SIGINT)
    assert page.process.wait(timeout=20) == 0
    for port in page.ports:
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0


def test_it_ends_with_its_user(page: Served) -> None:
    for port in page.ports:
        _wait_for(port)
    page.process.kill()
    for _ in range(100):
        if all(socket.socket().connect_ex(("127.0.0.1", port)) for port in page.ports):
            return
        time.sleep(0.1)
    raise AssertionError("it still serves")


# The flag


@pytest.mark.parametrize(
    ("given", "shown"),
    [(["--view"], ["native"]), (["--view=web"], ["web"]), (["--view", "--noview"], []), ([], [])],
)
def test_the_flag_may_be_bare(
    monkeypatch: pytest.MonkeyPatch,
    make_clip: MakeClip,
    tmp_path: Path,
    given: list[str],
    shown: list[str],
) -> None:
    views: list[tuple[Path, str]] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("run_visualise.view", lambda path, where: views.append((path, where)))
    code = main(["", "--filename", str(make_clip()), "--output_dir", str(tmp_path), *given])
    assert code == 0
    recording = tmp_path / CLIP / f"{CLIP}.rrd"
    assert views == [(recording, where) for where in shown]
    assert recording.is_file() == bool(shown)


@pytest.mark.parametrize("given", ["--view=paper", "--view="])
def test_other_ways_to_look_are_refused(
    given: str, make_clip: MakeClip, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["", "--filename", str(make_clip()), given]) == 2
    assert capfd.readouterr().err.startswith("run_visualise: ")


def test_help_speaks_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["", "--help"]) == 0
    assert "--[no]view" in capfd.readouterr().out


def test_the_command_is_the_readmes() -> None:
    assert viewer.INSTALL_COMMAND in (ROOT / "README.md").read_text()
