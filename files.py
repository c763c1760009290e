"""Files that appear whole or not at all.

    with whole_file(Path("results/clip.mp4")) as temporary:
        write_video(temporary)          # renamed to clip.mp4 only if this returns

Covered by tests/test_files.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from errors import OutputError, PoseKineticsError

_SUFFIX = ".partial"
# What a full or failing disk says without naming the file.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it there when the block succeeds.

    The temporary file is removed when the block fails. One that a killed process of this host
    left behind for the same `path` is removed first.

    Raises:
        OutputError: the folder cannot be made or written, or the disk is full.
    """
    with _partial(path) as temporary:
        yield temporary
        temporary.replace(path)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Like `whole_file`, for a folder: an older folder at `path` is replaced as one."""
    with _partial(path) as temporary:
        temporary.mkdir()
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)


def make_folder(path: Path) -> None:
    """Makes a folder and its parents.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def is_partial(path: Path) -> bool:
    """Whether this is one of the temporary files or folders of this module."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


def remove_left_behind(folder: Path) -> None:
    """Removes what killed processes of this host left in `folder`, whatever it was to become."""
    for entry in folder.glob(f".*{_SUFFIX}"):
        pid = entry.name.removesuffix(_SUFFIX).rpartition(f".{_host()}-")[2]
        if pid.isdecimal() and not _is_running(int(pid)):
            _remove(entry)


def output_error(path: Path, error: OSError) -> OutputError:
    """What to tell the user about an `OSError` met while writing `path`."""
    reason = error.strerror or str(error) or type(error).__name__
    return OutputError(
        f"{path}: cannot be written: {reason}; give a folder with space and write "
        "permission with --output_dir"
    )


@contextlib.contextmanager
def _partial(path: Path) -> Iterator[Path]:
    make_folder(path.parent)
    _remove_left_behind(path)
    temporary = path.with_name(f".{path.name}.{_host()}-{os.getpid()}{_SUFFIX}")
    _remove(temporary)  # in a container, a killed process had the same number
    try:
        yield temporary
    except OSError as error:
        _remove(temporary)
        if isinstance(error, PoseKineticsError) or not _is_about(error, path, temporary):
            raise
        raise output_error(path, error) from error
    except BaseException:
        _remove(temporary)
        raise


def _is_about(error: OSError, *places: Path) -> bool:
    """Whether the error names a place being written or what is in it, or is a full disk."""
    if error.filename is None:
        return error.errno in _DISK_ERRORS
    name = Path(os.fsdecode(error.filename))
    return any(place == name or place in name.parents for place in places)


def _remove_left_behind(path: Path) -> None:
    prefix = f".{path.name}.{_host()}-"
    for entry in path.parent.glob(f".*{_SUFFIX}"):
        if entry.name.startswith(prefix):
            pid = entry.name[len(prefix) : -len(_SUFFIX)]
            if pid.isdecimal() and not _is_running(int(pid)):
                _remove(entry)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _host() -> str:
    return socket.gethostname().split(".")[0] or "localhost"
