"""Cuts a clip out of a video, exact to the frame, and checks that a video is whole.

    trim(Path("KV4jIAq3WJo.webm"), clip, Path("clip.mp4"), timeout_sec=600)
    check_video(Path("clip.mp4"))    # 10.0, or VideoReadError

Covered by tests/test_trimming.py.
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import imageio_ffmpeg

import processes
from clip_names import ClipName
from errors import (
    MissingDependencyError,
    VideoReadError,
    VideoTruncatedError,
)

# By how much a clip may be longer or shorter than its name says.
LENGTH_TOLERANCE_SEC = 0.5

# A copied stream can only start at a key frame, so the picture is encoded anew. Times are given
# in units that hold every usual frame rate exactly; by default a variable rate would become fixed.
_TICKS_PER_SEC = 360_000
_CODECS = (
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"),
    *("-fps_mode", "passthrough", "-enc_time_base", f"1:{_TICKS_PER_SEC}"),
    *("-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2"),  # yuv420p has no odd sizes
    *("-c:a", "aac", "-sn", "-dn"),
)
ENCODING = (
    *_CODECS,
    *("-movflags", "+faststart", "-movie_timescale", str(_TICKS_PER_SEC), "-f", "mp4"),
)


@functools.cache
def find_ffmpeg() -> Path:
    """The system's ffmpeg if it is able to do what is asked here, else that of `imageio-ffmpeg`.

    Raises:
        MissingDependencyError: neither is there and able.
    """
    for candidate in (shutil.which("ffmpeg"), _bundled_ffmpeg()):
        if candidate is not None and _is_able(candidate):
            return Path(candidate).absolute()
    raise MissingDependencyError(
        "no ffmpeg of version 5.1 or later that encodes H.264; run: "
        "pip install -r requirements.txt, which brings one, or install ffmpeg"
    )


def trim(source: Path, clip: ClipName, target: Path, timeout_sec: float) -> None:
    """Writes seconds `clip.start_sec` to `clip.end_sec` of `source`, with its sound, as mp4.

    Kept are the pictures whose time t, from the beginning of `source`, has start <= t < end.

    Raises:
        VideoReadError: ffmpeg could not read the source, or did not end in time.
        OSError: the disk is full.
    """
    finished = processes.run(
        [
            *(str(find_ffmpeg()), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
            *("-ss", str(clip.start_sec), "-i", f"file:{source.absolute()}"),
            # Before `-i` the length would count from the first picture, not from the start.
            *("-t", str(clip.duration_sec), "-map", "0:v:0", "-map", "0:a:0?"),
            *(*ENCODING, f"file:{target.absolute()}"),
        ],
        timeout_sec=timeout_sec,
    )
    if finished.timed_out:
        raise VideoReadError(f"{source}: could not be cut within {timeout_sec:g} s")
    raise_if_disk_full(finished.lines, target)
    if finished.exit_code != 0:
        reason = finished.lines[-1] if finished.lines else f"exit code {finished.exit_code}"
        raise VideoReadError(f"{source}: ffmpeg could not cut it: {reason}")


def check_video(path: Path) -> float:
    """Decodes a video to its end.

    Returns:
        Seconds from the start of the first picture to the end of the last.

    Raises:
        VideoReadError: it is empty, is not a video, or holds a damaged picture.
        VideoTruncatedError: it ends before its own header says that it does.
    """
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            if not container.streams.video:
                raise VideoReadError(f"{path}: it has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            times = [frame.pts for frame in container.decode(stream) if frame.pts is not None]
            if not times or stream.time_base is None:
                raise VideoReadError(f"{path}: it holds no picture")
            seconds = float((max(times) - min(times)) * stream.time_base)
            if stream.average_rate:
                seconds += float(1 / stream.average_rate)  # for which the last picture is shown
            declared = float((stream.duration or 0) * stream.time_base)
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, VideoReadError):
            raise
        reason = error.strerror or type(error).__name__
        raise VideoReadError(f"{path}: cannot be decoded to its end: {reason}") from error
    if seconds < declared - LENGTH_TOLERANCE_SEC:
        raise VideoTruncatedError(
            f"{path}: it ends after {seconds:.2f} s; its header says {declared:.2f} s"
        )
    return seconds


def ends_early(path: Path) -> bool:
    """Whether all streams of a video end before its header says, as where a download broke off.

    Nothing is decoded. Sound that goes on after the last picture does not count as an early end.
    """
    end_sec = 0.0
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            for packet in container.demux():
                if packet.pts is not None:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base
                    end_sec = max(end_sec, float(end))
            declared_sec = (container.duration or 0) / av.time_base
            start_sec = (container.start_time or 0) / av.time_base
    except (av.FFmpegError, OSError):
        return True
    return end_sec - start_sec < declared_sec - LENGTH_TOLERANCE_SEC


def raise_if_disk_full(lines: Sequence[str], path: Path) -> None:
    """Raises the `OSError` that a program only wrote about."""
    for code in (errno.ENOSPC, errno.EDQUOT):
        if any(os.strerror(code) in line for line in lines):
            raise OSError(code, os.strerror(code), str(path))


def _bundled_ffmpeg() -> str | None:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:  # a platform that its wheel has no program for
        return None


def _is_able(ffmpeg: str) -> bool:
    """Tries it: some distributions leave libx264 out, and old versions know other options."""
    try:
        subprocess.run(  # noqa: S603 a list of arguments and no shell
            [
                *(ffmpeg, "-nostdin", "-loglevel", "quiet"),
                *("-f", "lavfi", "-i", "color=size=16x16:duration=0.04"),
                *(*_CODECS, "-f", "null", "-"),
            ],
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
