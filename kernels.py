"""Compiled functions, kept between runs wherever a place for them can be written.

    @kernel
    def _add(a, b): ...

    with while_compiling(lambda: print("compiling")):
        _add(1, 2)                                 # prints it if nothing was kept

Covered by tests/test_kernels.py.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core import event

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compiles `function` when it is first called, without Python's lock.

    Dividing by zero gives an infinity or NaN, as in numpy: raising would cost a branch each time.

    numba keeps what it compiles beside the source or in the user's cache folder. Where neither
    can be written, as in a shared install without a home folder, a folder in the temporary
    directory serves, and where even that is not ours alone nothing is kept.
    """
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError as error:
        if "no locator" not in str(error):
            raise
    folder = _private_temporary_folder()
    if folder is None:
        return numba.njit(**_OPTIONS)(function)
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]  # made at run time
    return numba.njit(cache=True, **_OPTIONS)(function)


@contextlib.contextmanager
def while_compiling(tell: Callable[[], None]) -> Iterator[None]:
    """Calls `tell` whenever something is compiled in the block, which takes seconds, not loaded."""
    with event.install_listener("numba:compile", _Listener(tell)):
        yield


class _Listener(event.Listener):
    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def on_start(self, _: Any) -> None:
        self._tell()

    def on_end(self, _: Any) -> None:
        pass


def _private_temporary_folder() -> Path | None:
    """A folder that nobody else can write to: numba runs what it finds there."""
    folder = Path(tempfile.gettempdir()) / f"temporal-3d-pose-kinetics-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_private = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if stat.S_ISDIR(found.st_mode) and is_private else None
