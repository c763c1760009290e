"""A film as a small animation that loops: GIF or WebP.

    preview = Preview(properties)
    preview.take(frame)                            # each frame of the film
    path.write_bytes(preview.encoded("gif"))

Covered by tests/test_preview.py.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal

import av
import cv2
import numpy as np
import numpy.typing as npt

from video_io import VideoFrame, VideoProperties

Array = npt.NDArray[Any]
PreviewFormat = Literal["gif", "webp"]
PREVIEW_FORMATS: tuple[PreviewFormat, ...] = ("gif", "webp")

_MOST_BYTES = 500_000
_PIXELS = 320 * 180  # of the largest preview, whatever its shape
_SMALLER = 0.8  # each next attempt's sides, until it has few enough bytes …
_ATTEMPTS = 6  # … or is as small as one wants to look at
_LEAST_STEP = Fraction(1, 8)  # seconds from one picture to the next
_MOST_PICTURES = 128
_STILL = 16  # of 255; a GIF stores again what changes by more
_WEBP_QUALITY = "75"
_ENCODERS: dict[PreviewFormat, str] = {"gif": "gif", "webp": "libwebp_anim"}
_TIME_BASES: dict[PreviewFormat, Fraction] = {"gif": Fraction(1, 100), "webp": Fraction(1, 1000)}
"""Seconds in which each counts time."""


class Preview:
    """Keeps pictures of a film, small and at most eight a second, until they are written.

    Of a long film every second one is dropped again whenever there are too many.
    """

    def __init__(self, properties: VideoProperties) -> None:
        """Settles the size, with square pixels.

        Args:
            properties: of the film.
        """
        aspect = float(properties.sample_aspect_ratio or 1)
        width, height = properties.width * aspect, properties.height
        factor = min(1.0, (_PIXELS / (width * height)) ** 0.5)
        self._size = _even(width * factor), _even(height * factor)
        self._step = _LEAST_STEP
        self._due: Fraction | None = None
        self._times: list[Fraction] = []
        self._pictures: list[Array] = []

    def take(self, frame: VideoFrame) -> None:
        """Keeps a frame's picture where it is time for one."""
        if self._due is not None and frame.time < self._due:
            return
        # A frame that comes late does not make the next ones late, unless all of them are.
        self._due = max((self._due or frame.time) + self._step, frame.time)
        self._times.append(frame.time)
        self._pictures.append(frame.scaled(*self._size).picture())
        if len(self._times) > _MOST_PICTURES:
            self._step *= 2
            del self._times[1::2], self._pictures[1::2]

    def encoded(self, kind: PreviewFormat) -> bytes:
        """The animation's file, which loops for ever; of fewer pixels where it would be large."""
        data = b""
        for attempt in range(_ATTEMPTS):
            data = self._encode(kind, _SMALLER**attempt)
            if len(data) <= _MOST_BYTES:
                break
        return data

    def _encode(self, kind: PreviewFormat, factor: float) -> bytes:
        size = _even(self._size[0] * factor), _even(self._size[1] * factor)
        pictures: Iterable[Array] = (
            cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in self._pictures
        )
        if kind == "gif":
            pictures = _steadied(pictures)
        base = _TIME_BASES[kind]
        frames = self._frames(pictures, base)
        file = io.BytesIO()
        last = round(self._step / base)
        options = {"loop": "0", **({"final_delay": str(last)} if kind == "gif" else {})}
        with av.open(file, "w", format=kind, options=options) as container:
            stream: Any = container.add_stream(_ENCODERS[kind], rate=1 / base)
            stream.width, stream.height = size
            stream.pix_fmt = "pal8" if kind == "gif" else "bgra"
            stream.codec_context.time_base = stream.time_base = base
            if kind == "gif":
                frames = _in_one_palette(frames, size, base)
            else:
                stream.codec_context.options = {"quality": _WEBP_QUALITY}
            for frame in frames:
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.getvalue()

    def _frames(self, pictures: Iterable[Array], base: Fraction) -> Iterator[av.VideoFrame]:
        for time, picture in zip(self._times, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round((time - self._times[0]) / base), base
            frame.duration = round(self._step / base)
            yield frame


def _steadied(pictures: Iterable[Array]) -> Iterator[Array]:
    """Leaves what hardly changes as it was: a GIF stores only what changes."""
    shown: Array | None = None
    for picture in pictures:
        if shown is None:
            shown = picture
        changed = cv2.absdiff(picture, shown).max(-1, keepdims=True) > _STILL
        shown = np.where(changed, picture, shown)
        yield shown


def _in_one_palette(
    frames: Iterable[av.VideoFrame], size: tuple[int, int], base: Fraction
) -> Iterator[av.VideoFrame]:
    """The frames in the 256 colours that suit them all best."""
    graph = av.filter.Graph()
    rgb = av.VideoFormat("rgb24", *size)
    source = graph.add_buffer(width=size[0], height=size[1], format=rgb, time_base=base)
    split, palette = graph.add("split"), graph.add("palettegen")
    painted = graph.add("paletteuse", "dither=none:diff_mode=rectangle")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(painted, 1, 0)
    palette.link_to(painted, 0, 1)
    painted.link_to(sink)
    graph.configure()
    for frame in frames:
        graph.vpush(frame)
    graph.vpush(None)
    with contextlib.suppress(EOFError):  # how the graph says that there is no more
        while True:
            yield graph.vpull()


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)
