"""Finds a clip's video among the files that are already there.

    search = find_local_video(clip, Path("pickles"), [Path("kinetics400")])
    search.video     # LocalVideo(path=…/KV4jIAq3WJo_000155_000165.mp4, start_sec=None, …) or None

Covered by tests/test_local_videos.py.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av

from clip_names import ClipName
from errors import VideoNotFoundError, VideoReadError

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm")
REPLACEMENTS = "replacement_for_corrupted_k400"
_MACOS_JUNK = "._"


@dataclass(frozen=True)
class LocalVideo:
    """A video file that holds the clip.

    Attributes:
        path: the file.
        start_sec: where the clip starts, in seconds from the file's beginning; None where the
          file is the clip itself.
        end_sec: where the clip ends; None where the file is the clip itself.
        source: how the file came here, for the report: `beside the pickle`, `video_dir`,
          `cache`, or the downloader's name.
        warnings: what the user should know about it, one line each.
    """

    path: Path
    start_sec: float | None
    end_sec: float | None
    source: str
    warnings: tuple[str, ...] = ()


class LocalSearch(NamedTuple):
    """What a search found, what it passed over and why, and the places it looked in."""

    video: LocalVideo | None
    warnings: list[str]
    places: list[str]


def find_local_video(
    clip: ClipName, pickle_folder: Path | None, video_dirs: Sequence[Path]
) -> LocalSearch:
    """Looks beside the pickle, then below each of `video_dirs`.

    In each place `<id>_<start:06d>_<end:06d>.*` comes first, then `<id>_<start>_<end>.*`, then
    the untrimmed `<id>.*`; mp4, mkv and webm. Files below a folder named
    `replacement_for_corrupted_k400` come before all others of `video_dirs`. Files that are
    empty, cannot be decoded, are macOS `._*` junk or end before the clip starts are passed over
    with a warning. Each of `video_dirs` is listed once per process.
    """
    warnings: list[str] = []
    places: list[str] = []
    candidates: list[tuple[Path, str]] = []
    if pickle_folder is not None:
        places.append(f"{pickle_folder} (beside the pickle)")
        candidates += [(path, "beside the pickle") for path in _beside(clip, pickle_folder)]
    below: list[Path] = []
    for folder in video_dirs:
        places.append(f"{folder} and below")
        index = _index(folder.absolute())
        warnings += index.warnings
        below += _in_order(clip, index.files)
    below.sort(key=lambda path: REPLACEMENTS not in path.parent.parts)  # stable: only that moves
    candidates += [(path, "video_dir") for path in below]

    for path, source in candidates:
        try:
            return LocalSearch(_open(clip, path, source), warnings, places)
        except VideoReadError as error:  # noqa: PERF203 each file fails or not by itself
            warnings.append(f"passed over {error}")
    return LocalSearch(None, warnings, places)


def video_not_found(clip: ClipName, search: LocalSearch) -> VideoNotFoundError:
    """The error that tells where a search looked, what it passed over, and what to do."""
    looked = "; ".join(search.places) or "no place at all"
    passed_over = "".join(f"; {warning}" for warning in search.warnings)
    return VideoNotFoundError(
        f"{clip.stem}: no video file: looked for {clip.padded_stem}.*, {clip.stem}.* and "
        f"{clip.video_id}.* (mp4, mkv, webm) in: {looked}{passed_over}. Give the file with "
        "--video, or a folder of clips with --video_dir"
    )


def probe_video(path: Path) -> float | None:
    """Opens a video and decodes its first picture; returns its length in seconds, if it says.

    Raises:
        VideoReadError: the file is empty, is not a video, or its first picture is damaged.
    """
    try:
        if path.stat().st_size == 0:
            raise VideoReadError(f"{path}: the file is empty")
        return _probe(path)
    except VideoReadError:
        raise
    except (av.FFmpegError, OSError) as error:
        reason = error.strerror or type(error).__name__
        raise VideoReadError(f"{path}: cannot be read as a video: {reason}") from error


def _probe(path: Path) -> float | None:
    # An absolute path is never taken for a protocol, as `pipe:1.mp4` would be.
    with av.open(str(path.absolute()), metadata_errors="replace") as container:
        if not container.streams.video:
            raise VideoReadError(f"{path}: it has no video stream")
        if next(container.decode(video=0), None) is None:
            raise VideoReadError(f"{path}: it holds no picture")
        return None if container.duration is None else container.duration / av.time_base


def _open(clip: ClipName, path: Path, source: str) -> LocalVideo:
    if path.name.startswith(_MACOS_JUNK):
        raise VideoReadError(f"{path}: a macOS resource file, not a video")
    duration = probe_video(path)
    if path.stem != clip.video_id:
        return LocalVideo(path, None, None, source)
    if duration is not None and duration <= clip.start_sec:
        raise VideoReadError(
            f"{path}: it is {duration:.1f} s long and the clip starts at {clip.start_sec} s; "
            f"if it is the trimmed clip, name it {clip.stem}{path.suffix}"
        )
    return LocalVideo(path, float(clip.start_sec), float(clip.end_sec), source)


def _beside(clip: ClipName, folder: Path) -> Iterator[Path]:
    """Asks for names rather than list a folder that may hold 10^5 pickles."""
    for stem in _stems(clip):
        for suffix in VIDEO_SUFFIXES:
            for spelling in (suffix, suffix.upper()):
                path = folder / f"{stem}{spelling}"
                if path.is_file():
                    yield path


def _in_order(clip: ClipName, files: Mapping[str, Sequence[Path]]) -> Iterator[Path]:
    for stem in _stems(clip):
        yield from sorted(files.get(stem, ()), key=_suffix_order)


def _stems(clip: ClipName) -> Iterator[str]:
    for stem in dict.fromkeys((clip.padded_stem, clip.stem, clip.video_id)):
        yield stem
        yield _MACOS_JUNK + stem


def _suffix_order(path: Path) -> tuple[int, Path]:
    return VIDEO_SUFFIXES.index(path.suffix.lower()), path


@dataclass(frozen=True)
class _Index:
    files: Mapping[str, Sequence[Path]]
    warnings: Sequence[str]


_index_lock = threading.Lock()


def _index(folder: Path) -> _Index:
    with _index_lock:
        return _build_index(folder)


@functools.cache
def _build_index(folder: Path) -> _Index:
    """Every video file below `folder` by its stem; links to folders are followed once."""
    files: dict[str, list[Path]] = {}
    warnings: list[str] = []
    seen: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                for entry in entries:
                    stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 a Path is 20 times slower
                    if _is_folder(entry):
                        pending.append(Path(entry.path))
                    elif suffix.lower() in VIDEO_SUFFIXES:
                        files.setdefault(stem, []).append(Path(entry.path))
        except OSError as error:
            warnings.append(f"passed over {current}: {error.strerror or error}")
    return _Index(files, warnings)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into a place that we may not look into
        return False
