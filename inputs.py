"""What is given to draw: files, folders, globs and tar archives, as a stream of clips.

    for clip in ClipInputs(["annotations/", "more/*.pkl", "large.tar.gz"]):
        print(clip.name)                    # large.tar.gz/KV4jIAq3WJo_155_165.pkl

Archives are read once from front to back and never unpacked to disk; one clip at a time is held.
Covered by tests/test_inputs.py.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from errors import AnnotationError, InputError

PICKLE_SUFFIX = ".pkl"
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MACOS_JUNK = "._"
_LARGEST_MEMBER = 2**29  # bytes; the dataset's largest pickles hold a tenth of that
_BLOCK_BYTES = 2**20
_DASHED_PICKLE = re.compile(r"-[A-Za-z0-9_-]{10}_\d+_\d+\.pkl")
_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class ClipSource:
    """One clip's pickle: a file, or a member of an archive with its bytes.

    Attributes:
        path: the pickle's file, or the archive's.
        member: the pickle's name in the archive; None for a file.
        data: the pickle's bytes; None for a file.
    """

    path: Path
    member: str | None = None
    data: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    @property
    def clip(self) -> str:
        """The file name without `.pkl`."""
        return PurePosixPath(self.member or self.path.name).name.removesuffix(PICKLE_SUFFIX)

    @property
    def folder(self) -> Path:
        """Where videos and faces "beside the pickle" are: the pickle's or the archive's folder."""
        return self.path.parent

    def read(self) -> bytes | memoryview:
        """The pickle's bytes.

        Raises:
            AnnotationError: the file cannot be read.
        """
        if self.data is not None:
            return self.data
        try:
            with self.path.open("rb", buffering=0) as file:
                # numpy asks for memory in large pages, which takes less time than reading into it.
                room = np.empty(os.fstat(file.fileno()).st_size, np.uint8).data
                met = room[: file.readinto(room)]
                return b"".join([met, rest]) if (rest := file.read()) else met
        except OSError as error:
            raise AnnotationError(
                f"{self.path}: cannot be read: {error.strerror or error}"
            ) from error


@dataclass(frozen=True)
class Refused:
    """Something given that is not drawn, and why."""

    name: str
    error: InputError


def file_stamp(path: Path) -> dict[str, Any] | None:
    """What tells whether a file is still the same: its absolute path, size, time and digest.

    None where it cannot be read.
    """
    try:
        status = _status(path)
        return {**status, "sha256": _digest(**status)}
    except OSError:
        return None


def pickle_stamp(source: ClipSource, data: bytes | memoryview | None) -> dict[str, Any]:
    """The same for a pickle that holds `data`; without a digest where that is not known."""
    stamp = {"path": source.name, "size": None if data is None else len(data), "mtime_ns": None}
    if source.data is None:
        with contextlib.suppress(OSError):
            stamp.update(_status(source.path), path=source.name)
    return {**stamp, "sha256": None if data is None else hashlib.sha256(data).hexdigest()}


def is_same_file(stamp: object) -> bool:
    """Whether the file of a stamp is as it was: in size, and in time or else in content."""
    path = stamp.get("path") if isinstance(stamp, dict) else None
    if not isinstance(stamp, dict) or not isinstance(path, str):
        return False
    with contextlib.suppress(OSError):
        now = _status(Path(path))
        return now["size"] == stamp.get("size") and (
            now["mtime_ns"] == stamp.get("mtime_ns")
            or (file_stamp(Path(path)) or {}).get("sha256") == stamp.get("sha256")
        )
    return False


def _status(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"path": str(path.absolute()), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


@functools.lru_cache(maxsize=16)  # clips share a model, and clips of one video the video
def _digest(path: str, size: int, mtime_ns: int) -> str:
    """The file's SHA-256; size and time only say when to take it anew."""
    del size, mtime_ns
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def without_leading_dashes(arguments: Sequence[str]) -> list[str]:
    """A command line on which no pickle looks like a flag.

    Every fiftieth video id begins with a dash, and so does what a shell makes of `*.pkl`.
    """
    return [f"./{text}" if _DASHED_PICKLE.fullmatch(text) else text for text in arguments]


def is_batch(names: Sequence[str]) -> bool:
    """Whether the inputs may be more than one clip: anything but one plain file."""
    return len(names) != 1 or not _is_plain(names[0])


def find_clip(names: Sequence[str], stem: str) -> ClipSource:
    """The first input whose clip is called `stem`.

    Raises:
        InputError: there is none; the message tells what else was odd.
    """
    refused = []
    for item in ClipInputs(names):
        if isinstance(item, Refused):
            refused.append(str(item.error))
        elif item.clip == stem:
            return item
    also = "".join(f"; {reason}" for reason in refused[:3])
    raise InputError(f"{', '.join(names)}: holds no {stem}{PICKLE_SUFFIX}{also}")


class ClipInputs:
    """The clips of several inputs, in order, each time that they are iterated over.

    What must not be touched or holds no clip comes as `Refused`: an archive's members with
    absolute paths, `..` or links, an archive that ends early, a folder without pickles. The same
    file given twice counts once.
    """

    def __init__(self, names: Sequence[str], *, one_of_a_name: bool = True) -> None:
        """Takes paths and globs, and counts what they stand for; nothing is read yet.

        Args:
            names: files, folders, globs and archives.
            one_of_a_name: whether a second, different pickle of a clip's name is refused, as it
              must be where results are named after clips.
        """
        self._names = names
        self._one_of_a_name = one_of_a_name
        self._files = 0
        self._met_in_archives = 0
        self._share_read: dict[Path, float] = {}  # of each archive
        for name in names:
            for path in _paths(name):
                if _is_archive(path):
                    self._share_read[path] = 0.0
                else:
                    self._files += 1

    @property
    def expected(self) -> int | None:
        """The number of clips; None as long as an archive's cannot be guessed.

        What archives hold is guessed from how far they are read.
        """
        if not self._share_read:
            return self._files
        read = sum(self._share_read.values()) / len(self._share_read)
        return self._files + round(self._met_in_archives / read) if read else None

    def __iter__(self) -> Iterator[ClipSource | Refused]:
        """Yields every clip."""
        seen: dict[str, str] = {}
        for name in self._names:
            for item in self._of(name):
                if isinstance(item, ClipSource):
                    place = str(item.path.absolute()) + "/" + (item.member or "")
                    first = seen.setdefault(item.clip if self._one_of_a_name else place, place)
                    if first != place:
                        yield _refused(
                            item.name, f"has the name of {first.rstrip('/')}, which is drawn"
                        )
                        continue
                    if first is not place:
                        continue
                yield item

    def _of(self, name: str) -> Iterator[ClipSource | Refused]:
        met = False
        for path in _paths(name):
            met = True
            if _is_archive(path):
                yield from self._archive(path)
            else:
                yield ClipSource(path)
        if not met:
            kind = "folder" if Path(name).is_dir() else "pattern"
            yield _refused(name, f"this {kind} holds no {PICKLE_SUFFIX} file")

    def _archive(self, path: Path) -> Iterator[ClipSource | Refused]:
        met = 0
        try:
            with path.open("rb") as file:
                size = max(1, os.fstat(file.fileno()).st_size)
                for item in _members(path, file):
                    met += 1
                    self._met_in_archives += 1
                    self._share_read[path] = min(1.0, file.tell() / size)
                    yield item
        except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            after = f" on after {met} clips" if met else ""
            yield _refused(str(path), f"cannot be read{after}: {reason}; fetch it again")
        self._share_read[path] = 1.0


def _members(path: Path, file: BinaryIO) -> Iterator[ClipSource | Refused]:
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # it remembers them all
            reason = _reason_against(member)
            name = PurePosixPath(member.name).name
            if reason is not None:
                yield _refused(f"{path}/{member.name}", reason)
            elif name.endswith(PICKLE_SUFFIX) and not name.startswith(_MACOS_JUNK):
                content = archive.extractfile(member)
                data = b"" if content is None else content.read()
                yield ClipSource(path, member.name, data)


def _reason_against(member: tarfile.TarInfo) -> str | None:
    """Why a member is not read, though nothing of an archive is ever written to its path."""
    path = PurePosixPath(member.name)
    reason = None
    if path.is_absolute() or ".." in path.parts:
        reason = "a member with an absolute path or `..` in it"
    elif member.issym() or member.islnk():
        reason = f"a member that is a link, to {member.linkname}"
    elif not (member.isdir() or member.isreg()) or member.issparse():
        reason = "a member that is not a plain file"
    elif path.suffix == PICKLE_SUFFIX and member.size > _LARGEST_MEMBER:
        reason = f"{member.size} bytes; expected at most {_LARGEST_MEMBER}"
    return None if reason is None else f"refused: {reason}"


def _refused(name: str, reason: str) -> Refused:
    return Refused(name, InputError(f"{name}: {reason}"))


def _is_plain(name: str) -> bool:
    path = Path(name)
    return not (path.is_dir() or _is_archive(path) or _is_pattern(name))


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVE_SUFFIXES) and not path.is_dir()


def _is_pattern(name: str) -> bool:
    return not _GLOB.isdisjoint(name) and not os.path.lexists(name)


def _paths(name: str) -> Iterator[Path]:
    """The files that an input stands for."""
    if _is_pattern(name):
        for path in sorted(glob.glob(name, recursive=True)):  # noqa: PTH207 patterns may be absolute
            yield from _paths(path)
    elif Path(name).is_dir():
        yield from _below(Path(name))
    else:
        yield Path(name)


def _below(folder: Path) -> Iterator[Path]:
    """The pickles below a folder, in order; links to folders are followed once."""
    seen = set()
    for current, folders, files in os.walk(folder, followlinks=True):
        with contextlib.suppress(OSError):
            status = Path(current).stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
        folders.sort()
        for file in sorted(files):
            if file.endswith(PICKLE_SUFFIX) and not file.startswith(_MACOS_JUNK):
                yield Path(current, file)
