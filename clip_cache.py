"""A folder of downloaded clips that many processes may fill at once.

    cache = ClipCache(Path("~/.cache/temporal-3d-pose-kinetics").expanduser())
    with cache.lock(clip):
        with cache.work_folder(clip) as folder:
            cache.keep(clip, make_the_clip_in(folder))
    cache.find(clip)                    # …/clips/KV4jIAq3WJo_000155_000165.mp4

    clips/   the clips: a file is here only when it is whole
    failed/  one JSON file for each clip that cannot be had, so that nobody asks again
    work/    what is being made; left behind only by a killed process, and removed by the next
    locks/   at most 4096 empty files; clips share them, so a lock is never deleted in use

Covered by tests/test_clip_cache.py.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

import errors
from clip_names import ClipName, parse_clip_name
from errors import ClipNameError, OutputError, VideoReadError, VideoUnavailableError
from files import whole_file
from local_videos import LocalVideo, probe_video
from trimming import LENGTH_TOLERANCE_SEC

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class ClipCache:
    """The clips below one folder, which is made when the first clip is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clips = folder / "clips"
        self._failed = folder / "failed"
        self._work = folder / "work"
        self._locks = folder / "locks"

    def find(self, clip: ClipName) -> LocalVideo | None:
        """The clip, if it is here and can be read."""
        path = self._path(clip)
        try:
            seconds = probe_video(path)
        except VideoReadError:
            return None
        return LocalVideo(path, None, None, "cache", length_warnings(clip, seconds))

    @contextlib.contextmanager
    def lock(self, clip: ClipName) -> Iterator[None]:
        """Held by whoever makes the clip; others wait. It ends with the process that holds it.

        Raises:
            OutputError: the cache folder cannot be written.
        """
        with self._written(), self._lock(clip):
            yield

    @contextlib.contextmanager
    def work_folder(self, clip: ClipName) -> Iterator[Path]:
        """An empty folder to make the clip in, removed afterwards. The lock must be held."""
        folder = self._work / clip.padded_stem
        with self._written():
            self._remove_debris(clip)
            folder.mkdir(parents=True)
            try:
                yield folder
            finally:
                _remove(folder)

    def keep(self, clip: ClipName, path: Path) -> LocalVideo:
        """Moves a finished clip from the work folder into the cache."""
        self._clips.mkdir(parents=True, exist_ok=True)
        path.replace(self._path(clip))
        self._failure_path(clip).unlink(missing_ok=True)
        return LocalVideo(self._path(clip), None, None, "cache")

    def remember_failure(self, clip: ClipName, error: VideoUnavailableError, asked: str) -> None:
        """Notes that the clip cannot be had by asking in the way that `asked` stands for."""
        record = {
            "clip": clip.stem,
            "error": {"type": type(error).__name__, "message": str(error)},
            "asked": _digest(asked),  # may hold passwords
            "date": time.strftime("%Y-%m-%d"),
        }
        with whole_file(self._failure_path(clip)) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def failure(self, clip: ClipName, asked: str) -> VideoUnavailableError | None:
        """The error that was remembered for the same way of asking."""
        try:
            record = json.loads(self._failure_path(clip).read_text(encoding="utf-8"))
            kind = getattr(errors, record["error"]["type"])
            if record["asked"] != _digest(asked) or not issubclass(kind, VideoUnavailableError):
                return None
            error: VideoUnavailableError = kind(
                f"{record['error']['message']} (remembered from {record['date']}; "
                "--retry_failed asks again)"
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # none, or not as we write it
        return error

    def _path(self, clip: ClipName) -> Path:
        return self._clips / f"{clip.padded_stem}.mp4"

    def _failure_path(self, clip: ClipName) -> Path:
        return self._failed / f"{clip.padded_stem}.json"

    def _lock(self, clip: ClipName, timeout_sec: float = -1) -> FileLock:
        self._locks.mkdir(parents=True, exist_ok=True)
        path = self._locks / f"{_lock_name(clip)}.lock"
        return FileLock(path, timeout=timeout_sec)

    def _remove_debris(self, own: ClipName) -> None:
        """Removes work that nobody holds the lock of: whoever did it was killed."""
        for folder in self._work.glob("*"):
            with contextlib.suppress(ClipNameError, Timeout):
                clip = parse_clip_name(folder.name)
                if _lock_name(clip) == _lock_name(own):  # which is ours
                    _remove(folder)
                else:
                    with self._lock(clip, timeout_sec=0):
                        _remove(folder)

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, errors.PoseKineticsError) or not self._is_about(error):
                raise
            raise OutputError(
                f"{self.folder}: cannot be written: {error.strerror}; give a folder with space "
                "and write permission with --cache_dir"
            ) from error

    def _is_about(self, error: OSError) -> bool:
        if error.filename is None:
            return error.errno in _FULL_DISK
        path = Path(os.fsdecode(error.filename))
        return path.is_relative_to(self.folder) or self.folder.is_relative_to(path)


def length_warnings(clip: ClipName, seconds: float | None) -> tuple[str, ...]:
    """What to tell about a clip's video that is shorter than the clip's name says."""
    if seconds is None or seconds >= clip.duration_sec - LENGTH_TOLERANCE_SEC:
        return ()
    return (f"{clip.stem}: the video is {seconds:.1f} s long instead of {clip.duration_sec} s",)


def _lock_name(clip: ClipName) -> str:
    return _digest(clip.padded_stem)[:3]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
