"""Opens a recording in the rerun viewer: a window of its own, or a page for the browser.

    check_viewer("web")                            # before work begins
    view(Path("results/clip/clip.rrd"), "web")     # until Ctrl-C

Covered by tests/test_viewer.py and tests/test_viewer_in_browser.py.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import processes
from errors import MissingDependencyError, ViewerError
from messages import one_line
from trimming import find_ffmpeg

Where = Literal["native", "web"]

INSTALL_COMMAND = "pip install -r requirements-viewer.txt"
OLDEST = (0, 39)

# As its own script does; `python -m rerun_cli` would not tell whether it failed.
_RERUN = "import sys; from rerun_cli.__main__ import main; sys.exit(main())"
_HOST = "127.0.0.1"
_WEB_PORT, _DATA_PORT = 9090, 9876  # rerun's own, where they are free


def load_rerun() -> Any:
    """Imports rerun.

    Raises:
        MissingDependencyError: it is not installed, too old, or cannot be loaded.
    """
    _check_installed()
    try:
        return importlib.import_module("rerun")
    except ImportError as error:
        raise MissingDependencyError(
            f"rerun-sdk is installed and cannot be loaded ({one_line(str(error))}); this installs "
            f"it anew: pip install --force-reinstall -r requirements-viewer.txt"
        ) from error


def check_viewer(where: Where | None = None) -> None:
    """Finds out before work begins whether recordings can be made, and shown.

    Args:
        where: how they are to be shown, if at all.

    Raises:
        MissingDependencyError: rerun is not installed or too old.
        ViewerError: a window is asked for where there is no display.
    """
    _check_installed()
    if where == "native" and sys.platform.startswith("linux"):
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ViewerError(
                "--view opens a window, and this machine has no display; give --view=web and open "
                "the address that it prints in a browser"
            )


def view(recording: Path, where: Where) -> None:
    """Shows a recording until its window is closed, or until Ctrl-C.

    For `web` the address is printed. Both the page and the data are served to this machine alone.

    Args:
        recording: an `.rrd` file.
        where: in a window, or as a page for the browser.

    Raises:
        MissingDependencyError: rerun is not installed or too old.
        ViewerError: it could not be shown.
    """
    check_viewer(where)
    data_port = _free_port(_DATA_PORT)
    arguments = ["--bind", _HOST, "--port", str(data_port)]
    if where == "web":
        web_port = _free_port(_WEB_PORT)
        arguments += ["--serve-web", "--web-viewer-port", str(web_port)]
        data = f"rerun+http://{_HOST}:{data_port}/proxy"
        address = f"http://{_HOST}:{web_port}/?hide_welcome_screen=1&url={quote(data, safe='')}"
        print(f"{recording.name}: {address} (Ctrl-C stops)", flush=True)
    with _with_ffmpeg() as environment, contextlib.suppress(KeyboardInterrupt):
        finished = processes.run(
            [sys.executable, "-c", _RERUN, str(recording.absolute()), *arguments],
            timeout_sec=threading.TIMEOUT_MAX,
            env=environment,
        )
        if finished.exit_code:
            raise ViewerError(
                f"{recording}: the rerun viewer failed: {_reason(finished.lines)}; --view=web "
                "needs no display and no graphics driver"
            )


def _check_installed() -> None:
    try:
        version = importlib.metadata.version("rerun-sdk")
    except importlib.metadata.PackageNotFoundError:
        raise MissingDependencyError(
            f"--view and --outputs=rrd need the rerun viewer: {INSTALL_COMMAND}"
        ) from None
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise MissingDependencyError(
            f"rerun-sdk {version} is installed; expected {oldest} or later: {INSTALL_COMMAND}"
        )


def _free_port(preferred: int) -> int:
    """The preferred one, or another where something listens there."""
    for port in (preferred, 0):
        with socket.socket() as test, contextlib.suppress(OSError):
            test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            test.bind((_HOST, port))
            return int(test.getsockname()[1])
    raise ViewerError(f"no free port on {_HOST}; close some programs that listen there")


def _reason(lines: Sequence[str]) -> str:
    """What it said went wrong; a crash says more after that."""
    errors = [line for line in lines if "error" in line.lower()]
    said = errors or lines
    return one_line(said[0]) if said else "it did not say why"


@contextlib.contextmanager
def _with_ffmpeg() -> Iterator[dict[str, str]]:
    """An environment with an `ffmpeg` on its PATH: the window decodes H.264 with it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ffmpeg").symlink_to(find_ffmpeg())
        path = os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])
        yield {"RUST_LOG": "warn", **os.environ, "PATH": path}
