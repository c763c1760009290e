"""Small videos in which every picture carries its own number, so a test can tell them apart."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, RATE, BITS = 160, 120, 25, 10
_SAMPLE_RATE = 16000


def write_coded_video(
    path: Path, seconds: float, *, sound_seconds: float | None = None, index_first: bool = True
) -> Path:
    """H.264 and AAC at 25 pictures a second; picture i shows the number i as black/white bars.

    The sound is as long as the picture unless `sound_seconds` says otherwise. With
    `index_first=False` the file's index is at its end.
    """
    options = {"movflags": "faststart"} if index_first and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = 60
        audio = container.add_stream("aac", rate=_SAMPLE_RATE, layout="mono")
        for number in range(round(seconds * RATE)):
            frame = av.VideoFrame.from_ndarray(picture(number), format="gray").reformat(
                format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        samples = np.arange(round((sound_seconds or seconds) * _SAMPLE_RATE))
        tone = (8000 * np.sin(samples * 2 * np.pi * 440 / _SAMPLE_RATE)).astype(np.int16)
        for begin in range(0, len(tone), 1024):
            part = av.AudioFrame.from_ndarray(
                tone[None, begin : begin + 1024], format="s16", layout="mono"
            )
            part.sample_rate, part.pts = _SAMPLE_RATE, begin
            part.time_base = Fraction(1, _SAMPLE_RATE)
            container.mux(audio.encode(part))
        container.mux(audio.encode(None))
    return path


def read_numbers(path: Path) -> list[int]:
    """The number that each picture of a video shows, in order."""
    with av.open(str(path)) as container:
        return [
            _number(np.asarray(frame.to_ndarray(format="gray"), np.uint8))
            for frame in container.decode(video=0)
        ]


def picture(number: int) -> npt.NDArray[np.uint8]:
    bars = [255 * (number >> bit & 1) for bit in range(BITS)]
    return np.tile(np.repeat(np.array(bars, np.uint8), WIDTH // BITS), (HEIGHT, 1))


def _number(picture: npt.NDArray[np.uint8]) -> int:
    bars = np.array_split(picture, BITS, axis=1)
    return sum(int(bar.mean() > 127) << bit for bit, bar in enumerate(bars))
