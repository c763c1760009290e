"""Video in and out, one frame at a time, with the stream's own exact times.

    with VideoReader(path) as reader, VideoWriter(out, reader.properties) as writer:
        for frame in reader.frames():
            with frame.region((10, 10, 50, 30)) as (picture, left, top):
                picture[:] = 255 - picture
            writer.write(frame)

Covered by tests/test_video_io.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.codec.context import ThreadType
from av.video.frame import PictureType
from av.video.reformatter import Interpolation

from colour import (
    Bounds,
    Box,
    Planes,
    box_around,
    colour_matrix,
    matrix_number,
    planes_from_rgb,
    rgb_from_planes,
)
from errors import OutputError, VideoReadError, VideoTruncatedError

Array = npt.NDArray[Any]

# Audio that an mp4 may hold and browsers play; anything else is encoded again as AAC.
_MP4_AUDIO = frozenset({"aac", "mp3", "opus", "ac3", "eac3", "flac", "alac"})
# What FFmpeg's AAC encoder takes. Other numbers of channels are mixed down to two.
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_AAC_RATES = frozenset(
    {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
)
_AAC_RATE_ELSE = 48000
_MISSING_TAIL_SEC = 0.5  # headers round their durations; more than this is missing content
_X264_PRESET = "veryfast"
# Pixels up to which one thread decodes: it only has to keep up with the encoder, which has more to
# do, and sharing out the work takes time too.
_DECODED_BY_ONE = 1280 * 720
# Enough to keep up with one thread that draws; each holds pictures of its own, so where these are
# large there is one less. What comes out does not depend on the number of cores.
_LARGE = 1280 * 720
_ENCODING_THREADS, _ENCODING_THREADS_LARGE = 4, 3
_BLANK_GREY = 222
_REASON_LINES = 4

# ISO/IEC 23091-2 numbers, as FFmpeg uses them.
_MATRIX_RGB, _MATRIX_BT709, _MATRIX_UNKNOWN = 0, 1, 2
_CONVERTIBLE_MATRICES = frozenset({_MATRIX_RGB, _MATRIX_BT709, _MATRIX_UNKNOWN, 4, 5, 6, 7, 9})
_LIMITED_RANGE, _FULL_RANGE = 1, 2


@dataclasses.dataclass(frozen=True)
class VideoProperties:
    """What a writer needs to know of the clip that it writes anew.

    Attributes:
        path: the file it comes from, whose audio is copied; None where there is no file.
        width: columns of the upright picture.
        height: rows of the upright picture.
        frame_rate: average frames per second, exact.
        time_base: seconds per tick of `VideoFrame.ticks`, exact.
        duration: seconds, as the file says; 0 where it does not.
        start_sec: where the clip starts in the file, seconds from the file's first picture.
        end_sec: where the clip ends in the file; None for the file's own end.
        origin: seconds in the file's own time that become 0 in a copy.
        colour: marks for matrix, range, primaries and transfer, as ITU-T H.273 numbers them: the
          stream's own, but for those of RGB, which a copy cannot have.
        sample_aspect_ratio: width over height of one pixel; None where unknown.
    """

    path: Path | None
    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    duration: float
    start_sec: Fraction
    end_sec: Fraction | None
    origin: Fraction
    colour: tuple[int, int, int, int]
    sample_aspect_ratio: Fraction | None

    @property
    def frame_bytes(self) -> int:
        """Of one frame's planes, but for a column or row more where the size is odd."""
        return self.width * self.height * 3 // 2

    def resized(self, width: int, height: int) -> VideoProperties:
        """The same clip in pictures of another size.

        Where the stream does not say which matrix it has, its number of rows decides, and might
        now decide differently: then the matrix is marked.
        """
        if (width, height) == (self.width, self.height):
            return self
        matrix = matrix_number(self.colour[0], self.height)
        colour = (matrix, *self.colour[1:])
        return dataclasses.replace(self, width=width, height=height, colour=colour)


class PlanarPicture:
    """A picture, or a part of one, to be drawn into.

    It stays as the video has it, in planes of luma and colour: what is not drawn on comes out as
    it came in, and only what is drawn on costs a conversion.

    Attributes:
        width: columns.
        height: rows.
        planes: yuv420p; one column or row larger where the size is odd.
        matrix: see `colour.colour_matrix`.
    """

    def __init__(self, planes: Planes, size: tuple[int, int], matrix: Array) -> None:
        """Wraps planes that nobody else writes to."""
        self.planes = planes
        self.width, self.height = size
        self.matrix = matrix

    @classmethod
    def empty(cls, width: int, height: int, matrix: Array) -> PlanarPicture:
        """A picture of even size with all its planes 0, which is not quite black."""
        sizes = (height, width), (height // 2, width // 2), (height // 2, width // 2)
        luma, u, v = (np.zeros(size, np.uint8) for size in sizes)
        return cls((luma, u, v), (width, height), matrix)

    def part(self, box: Box) -> PlanarPicture:
        """What lies within the box, as a picture of its own over the same planes."""
        luma, u, v = self.planes
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        half_rows, half_columns = (
            slice(whole.start // 2, whole.stop // 2) for whole in (rows, columns)
        )
        planes = luma[rows, columns], u[half_rows, half_columns], v[half_rows, half_columns]
        return PlanarPicture(planes, (box.right - box.left, box.bottom - box.top), self.matrix)

    def copy_from(self, other: PlanarPicture) -> None:
        """Takes over the planes of a picture of the same size, byte by byte."""
        for plane, source in zip(self.planes, other.planes, strict=True):
            plane[:] = source

    @contextlib.contextmanager
    def region(self, bounds: Bounds) -> Iterator[tuple[Array, int, int]]:
        """Lends the part of the picture that holds these pixel coordinates, as RGB.

        What the block draws into it is brought back into the frame. Columns and rows past the
        picture's edge are left out; the lent part may be empty.

        Yields:
            (h, w, 3) uint8 RGB, C-contiguous, and the column and row of its first pixel.
        """
        rows, columns = self.planes[0].shape
        box = box_around(bounds, columns, rows)
        rgb = rgb_from_planes(self.planes, box, self.matrix)
        before = rgb.copy()
        yield rgb, box.left, box.top
        planes_from_rgb(before, rgb, self.planes, box, self.matrix)

    def picture(self) -> Array:
        """A copy of the whole picture: (H, W, 3) uint8 RGB, C-contiguous."""
        rows, columns = self.planes[0].shape
        rgb = rgb_from_planes(self.planes, Box(0, 0, columns, rows), self.matrix)
        return np.ascontiguousarray(rgb[: self.height, : self.width])


class VideoFrame(PlanarPicture):
    """One frame of a clip, to be drawn into.

    Attributes:
        image: what holds the planes.
        time: seconds since the start of the clip, exact.
        ticks: time since the origin of the copy, in `VideoProperties.time_base`.
        number: how many frames of the clip come before it.
    """

    def __init__(
        self,
        image: av.VideoFrame,
        size: tuple[int, int],
        matrix: Array,
        time: Fraction,
        ticks: int,
        number: int,
    ) -> None:
        """Wraps an image that nobody else writes to."""
        super().__init__(_planes(image), size, matrix)
        self.image = image
        self.time = time
        self.ticks = ticks
        self.number = number

    def with_picture(self, picture: PlanarPicture) -> VideoFrame:
        """A frame of the same time that shows a copy of another picture, of even size."""
        size = picture.width, picture.height
        copy = self._with_image(av.VideoFrame(*size, "yuv420p"), size)
        copy.copy_from(picture)
        return copy

    def scaled(self, width: int, height: int) -> VideoFrame:
        """The same frame in planes of another, even size; itself where they have that size."""
        if (width, height) == (self.image.width, self.image.height):
            return self
        smoothly = Interpolation.AREA if width < self.image.width else Interpolation.BICUBIC
        image = self.image.reformat(width, height, interpolation=smoothly)
        return self._with_image(image, (width, height))

    def _with_image(self, image: av.VideoFrame, size: tuple[int, int]) -> VideoFrame:
        return VideoFrame(image, size, self.matrix, self.time, self.ticks, self.number)


class VideoReader:
    """Decodes a clip, or a part of a longer video, frame by frame."""

    def __init__(
        self,
        path: Path,
        start_sec: float | None = None,
        end_sec: float | None = None,
        threads: int = 0,
    ) -> None:
        """Opens the file and reads its first picture.

        Args:
            path: the video file.
            start_sec: where the clip starts, in seconds from the file's first picture.
            end_sec: where it ends; frames at or after it are not part of the clip.
            threads: the decoder's threads; 0 for as many as serve best.

        Raises:
            VideoReadError: the file is empty, is not a video, or its first picture is damaged.
        """
        self.path = path
        self.undecodable_packets = 0
        self.frames_read = 0
        # Through text: 0.08 is 2/25 here, where frames stand, not the float a little after it.
        self._start = Fraction(str(start_sec or 0))
        self._end = None if end_sec is None else Fraction(str(end_sec))
        self._container = _open(path)
        try:
            self._prepare(threads)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> VideoReader:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self._container.close()

    def _prepare(self, threads: int) -> None:
        if not self._container.streams.video:
            raise VideoReadError(f"{self.path}: has no video stream; expected a video")
        stream = self._container.streams.video[0]
        if not _can_be_decoded(stream):
            raise VideoReadError(
                f"{self.path}: its video codec is unknown; convert it, for instance to H.264"
            )
        stream.thread_type = "AUTO"
        is_small = stream.width * stream.height <= _DECODED_BY_ONE
        stream.codec_context.thread_count = threads or int(is_small)
        self._stream = stream
        with _reading(self.path):
            first = next(self._decode(), None)
        if first is None or stream.time_base is None:
            raise VideoReadError(f"{self.path}: holds no picture that can be decoded")
        self._time_base = stream.time_base
        first_ticks = first.pts if first.pts is not None else stream.start_time or 0
        self._first_ticks = first_ticks
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self._frame_rate = Fraction(rate)
        turns = round(first.rotation / 90) % 4
        self._turns = turns
        self._size = (first.width, first.height)
        width, height = self._size if turns % 2 == 0 else self._size[::-1]
        aspect = stream.sample_aspect_ratio
        if aspect and turns % 2:
            aspect = 1 / aspect
        clip_start = first_ticks * self._time_base + self._start
        self.properties = VideoProperties(
            path=self.path,
            width=width,
            height=height,
            frame_rate=self._frame_rate,
            time_base=self._time_base,
            duration=self._expected_duration(),
            start_sec=self._start,
            end_sec=self._end,
            origin=clip_start if self._start else self._earliest(clip_start),
            colour=_colour_in_yuv(
                (
                    stream.codec_context.colorspace,
                    stream.codec_context.color_range,
                    stream.codec_context.color_primaries,
                    stream.codec_context.color_trc,
                )
            ),
            sample_aspect_ratio=aspect or None,
        )
        self._seek()

    def _earliest(self, video_start: Fraction) -> Fraction:
        """The start of whichever comes first, so that sound and picture keep their distance."""
        audio_starts = (
            stream.start_time * stream.time_base
            for stream in self._container.streams.audio[:1]
            if stream.start_time is not None and stream.time_base is not None
        )
        return min([video_start, *audio_starts])

    def _expected_duration(self) -> float:
        declared = self._declared_end()
        if declared is None and self._container.duration is not None:
            declared = Fraction(self._container.duration, av.time_base)  # of picture or sound
        ends = [end for end in (declared, self._end) if end is not None]
        return float(max(Fraction(0), min(ends) - self._start)) if ends else 0.0

    def _declared_end(self) -> Fraction | None:
        """Seconds from the first picture to the end of the video, if the file says."""
        stream = self._stream
        if stream.duration is not None:
            return Fraction(stream.duration) * self._time_base
        if "DURATION" in stream.metadata:  # Matroska: hours:minutes:seconds
            with contextlib.suppress(ValueError):
                hours, minutes, seconds = stream.metadata["DURATION"].split(":")
                length = 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
                return length - self._first_ticks * self._time_base
        only_stream = len(self._container.streams) == 1
        if self._container.duration is not None and only_stream:
            return Fraction(self._container.duration, av.time_base)
        return None

    def _seek(self) -> None:
        self.undecodable_packets = 0
        target = self._first_ticks + int(self._start / self._time_base)
        if not self._start and self._stream.start_time is not None:
            target = min(target, self._stream.start_time)  # damaged packets may come first
        with _reading(self.path):
            self._container.seek(target, stream=self._stream, backward=True)

    def frames(self) -> Iterator[VideoFrame]:
        """Yields every frame of the clip, once, in order of time.

        Raises:
            VideoTruncatedError: the file ends long before its header says that it does.
            VideoReadError: the file cannot be read on.
        """
        last_ticks: int | None = None
        step = max(1, round(1 / (self._frame_rate * self._time_base)))
        first_wanted = self._first_ticks + math.ceil(self._start / self._time_base)
        origin = round(self.properties.origin / self._time_base)
        size = self.properties.width, self.properties.height
        matrix = colour_matrix(*self.properties.colour[:2], size[1])
        with _reading(self.path):
            for decoded in self._decode():
                ticks = decoded.pts
                if ticks is None or (last_ticks is not None and ticks <= last_ticks):
                    # A stream without times, or with two pictures at one time.
                    ticks = self._first_ticks if last_ticks is None else last_ticks + step
                last_ticks = ticks
                if ticks < first_wanted:
                    continue
                time = (ticks - self._first_ticks) * self._time_base - self._start
                if self._end is not None and time >= self._end - self._start:
                    return
                self.frames_read += 1
                image, number = self._upright(decoded), self.frames_read - 1
                yield VideoFrame(image, size, matrix, time, ticks - origin, number)
        self._check_end(0 if last_ticks is None else last_ticks + step - self._first_ticks)

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:  # noqa: PERF203 one damaged packet does not end the clip
                self.undecodable_packets += 1

    def _upright(self, decoded: av.VideoFrame) -> av.VideoFrame:
        """8-bit planes, turned upright, of even size, that may be written to."""
        decoded = self._in_yuv420(decoded)
        if (
            decoded.format.name == "yuv420p"
            and self._turns == 0
            and _even(*self._size) == self._size
        ):
            decoded.make_writable()
            return decoded
        upright = av.VideoFrame(*_even(self.properties.width, self.properties.height), "yuv420p")
        for plane, source in zip(_planes(upright), _planes(decoded), strict=True):
            turned = np.rot90(source, self._turns)
            more = [(0, want - met) for want, met in zip(plane.shape, turned.shape, strict=True)]
            plane[:] = np.pad(turned, more, mode="edge")
        return upright

    def _in_yuv420(self, decoded: av.VideoFrame) -> av.VideoFrame:
        """8-bit planes in the clip's own matrix and range (yuvj420p is FFmpeg's full range)."""
        width, height = self._size
        wanted = "yuvj420p" if self.properties.colour[1] == _FULL_RANGE else "yuv420p"
        is_like = decoded.format.name in {"yuv420p", "yuvj420p"}
        if is_like and (decoded.width, decoded.height) == self._size:
            return decoded
        if decoded.colorspace == _MATRIX_RGB:
            unmarked = av.VideoFrame.from_ndarray(decoded.to_ndarray(format="rgb24"), "rgb24")
            return unmarked.reformat(width, height, wanted, dst_colorspace=_MATRIX_BT709)
        if decoded.colorspace not in _CONVERTIBLE_MATRICES:
            decoded.colorspace = _MATRIX_UNKNOWN  # the same on both sides: nothing changes
        return decoded.reformat(width, height, wanted)

    def _check_end(self, ticks: int) -> None:
        declared, met = self._declared_end(), ticks * self._time_base
        expected = min((end for end in (declared, self._end) if end is not None), default=met)
        if declared is not None and met < expected - Fraction(_MISSING_TAIL_SEC):
            raise VideoTruncatedError(
                f"{self.path}: decodes to {float(met):.2f} s; its header says {float(declared):.2f}"
                " s: the file was cut short; fetch it again"
            )


class BlankVideo:
    """A plain background where a clip's video is missing, with the reason written into it.

    It is read like a `VideoReader`.
    """

    undecodable_packets = 0

    def __init__(
        self, width: int, height: int, frame_rate: Fraction, duration: float, reason: str
    ) -> None:
        """Paints the background.

        Args:
            width: columns.
            height: rows.
            frame_rate: frames per second.
            duration: seconds.
            reason: why there is no video.
        """
        self._count = math.ceil(duration * frame_rate)
        self._picture = _blank_picture(width, height, reason)
        self.path = Path("(no video)")
        self.properties = VideoProperties(
            path=None,
            width=width,
            height=height,
            frame_rate=frame_rate,
            time_base=1 / frame_rate,
            duration=duration,
            start_sec=Fraction(0),
            end_sec=None,
            origin=Fraction(0),
            colour=(_MATRIX_BT709, _LIMITED_RANGE, _MATRIX_BT709, _MATRIX_BT709),
            sample_aspect_ratio=None,
        )

    def __enter__(self) -> BlankVideo:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def frames(self) -> Iterator[VideoFrame]:
        """Yields the background for every frame."""
        size = self.properties.width, self.properties.height
        matrix = colour_matrix(_MATRIX_BT709, _LIMITED_RANGE, size[1])
        for number in range(self._count):
            painted = av.VideoFrame.from_ndarray(self._picture, "rgb24")
            image = painted.reformat(format="yuv420p", dst_colorspace=_MATRIX_BT709)
            time = number * self.properties.time_base
            yield VideoFrame(image, size, matrix, time, number, number)


def _blank_picture(width: int, height: int, reason: str) -> Array:
    even_width, even_height = _even(width, height)
    picture = np.full((even_height, even_width, 3), _BLANK_GREY, np.uint8)
    scale = max(0.3, min(width, height) / 900)
    columns = max(16, int(width / (21 * scale)))
    for row, line in enumerate(textwrap.wrap(reason, columns)[:_REASON_LINES]):
        base = int((row + 2) * 30 * scale) + 18  # numbers may be written above
        place = (int(10 * scale) + 4, base)
        ascii_line = line.encode("ascii", "replace").decode()
        cv2.putText(
            picture,
            ascii_line,
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            scale,
            (95, 95, 95),
            1,
            cv2.LINE_AA,
        )
    return picture


class VideoWriter:
    """Writes H.264 (yuv420p, mp4, faststart) with the times and the audio of the clip."""

    def __init__(self, path: Path, source: VideoProperties, crf: int, threads: int = 0) -> None:
        """Opens the output.

        Args:
            path: the file to write; its suffix does not matter.
            source: the clip that the frames and the audio come from.
            crf: x264's constant rate factor: 0 is lossless, 51 the worst.
            threads: x264's threads; 0 for as many as serve best.

        Raises:
            OutputError: the file cannot be opened; a missing folder shows only in `write`.
        """
        self._path = path
        with self._writing():
            self._container = av.open(
                str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
            )
        self._stream = self._video_stream(source, crf, threads)
        self._source = source
        self._audio: _AudioCopy | None = None

    def _video_stream(self, source: VideoProperties, crf: int, threads: int) -> av.VideoStream:
        stream = self._container.add_stream(
            "libx264",
            rate=source.frame_rate,
            options={"crf": str(crf), "preset": _X264_PRESET},
        )
        context = stream.codec_context
        is_large = source.width * source.height >= _LARGE
        context.thread_count = threads or (
            _ENCODING_THREADS_LARGE if is_large else _ENCODING_THREADS
        )
        context.thread_type = ThreadType.FRAME  # slices, PyAV's default, take longer and more bytes
        stream.width, stream.height = _even(source.width, source.height)
        stream.pix_fmt = "yuv420p"
        context.time_base = stream.time_base = source.time_base
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        context.colorspace, context.color_range = source.colour[0], source.colour[1]
        context.color_primaries, context.color_trc = source.colour[2], source.colour[3]
        return stream

    def __enter__(self) -> VideoWriter:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Writes what is still to be written, unless the block failed, and closes the file."""
        try:
            if kind is None:
                with self._writing():
                    audio = self._opened_audio()
                    self._container.mux(self._stream.encode(None))
                    audio.copy_until(None)
                    self._container.close()
        finally:
            if self._audio is not None:
                self._audio.close()
            with contextlib.suppress(av.FFmpegError, OSError):
                self._container.close()

    def write(self, frame: VideoFrame) -> None:
        """Encodes one frame, and the audio up to it.

        Raises:
            OutputError: the file cannot be written, for instance because the disk is full.
            VideoReadError: the source cannot be read again for its audio.
        """
        image = frame.image
        time_base = self._source.time_base
        image.pts, image.time_base = frame.ticks, time_base
        image.pict_type = PictureType.NONE  # the encoder's to choose
        with self._writing():
            audio = self._opened_audio()
            self._container.mux(self._stream.encode(image))
            audio.copy_until(frame.ticks * time_base)

    def _opened_audio(self) -> _AudioCopy:
        """Opened no sooner than it is needed: that takes time, and this thread has more of it."""
        if self._audio is None:
            self._audio = _AudioCopy(self._source, self._container)
        return self._audio

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except VideoReadError:
            raise
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"{self._path}: cannot be written: {reason}; give a folder with space and write "
                "permission with --output_dir"
            ) from error


def _colour_in_yuv(colour: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The marks of a source, but those of RGB replaced: the output is always YUV."""
    matrix, _, primaries, transfer = colour
    return (_MATRIX_BT709, _LIMITED_RANGE, primaries, transfer) if matrix == _MATRIX_RGB else colour


class _AudioCopy:
    """Brings the first audio stream of the source over, packet by packet."""

    def __init__(self, source: VideoProperties, output: av.container.OutputContainer) -> None:
        self._output = output
        self._source = source
        self._packets: Iterator[Any] = iter(())
        self._pending: Any = None
        if source.path is None:
            return
        self._path = source.path
        self._container = _open(source.path)
        for stream in self._container.streams.audio[:1]:
            if _can_be_decoded(stream):
                self._open(stream)

    def _open(self, stream: av.AudioStream) -> None:
        if stream.codec.canonical_name in _MP4_AUDIO:
            copy = self._output.add_stream_from_template(stream)
            self._packets = self._copied(stream, copy)
        else:
            rate = stream.codec_context.sample_rate
            encoder = self._output.add_stream(
                "aac", rate=rate if rate in _AAC_RATES else _AAC_RATE_ELSE
            )
            encoder.layout = _AAC_LAYOUTS.get(stream.codec_context.layout.nb_channels, "stereo")
            self._packets = self._encoded_again(stream, encoder)

    def copy_until(self, seconds: Fraction | None) -> None:
        """Muxes the audio packets up to `seconds` since the origin; all of them for None."""
        while True:
            if self._pending is None:
                self._pending = next(self._packets, None)
                if self._pending is None:
                    return
            if seconds is not None and self._pending.pts * self._pending.time_base > seconds:
                return
            self._output.mux(self._pending)
            self._pending = None

    def close(self) -> None:
        if self._source.path is not None:
            self._container.close()

    def _source_packets(self, stream: av.AudioStream) -> Iterator[av.Packet[av.AudioStream]]:
        """The packets that overlap the clip, with their times counted from the origin."""
        base, origin = stream.time_base or Fraction(1, av.time_base), self._source.origin
        offset = round(origin / base)
        length = None
        if self._source.end_sec is not None:
            length = (self._source.end_sec - self._source.start_sec) / base
        if self._source.start_sec:
            self._container.seek(offset, stream=stream, backward=True)
        for packet in self._demuxed(stream):
            if packet.pts is None or packet.size == 0:
                continue
            ticks = packet.pts - offset
            if self._source.start_sec and ticks + (packet.duration or 0) <= 0:
                continue
            if length is not None and ticks >= length:
                return
            packet.pts = ticks
            packet.dts = ticks if packet.dts is None else packet.dts - offset
            yield packet

    def _demuxed(self, stream: av.AudioStream) -> Iterator[av.Packet[av.AudioStream]]:
        with _reading(self._path):  # what cannot be read is not the output's fault
            yield from self._container.demux(stream)

    def _copied(self, stream: av.AudioStream, copy: av.AudioStream) -> Iterator[Any]:
        for packet in self._source_packets(stream):
            packet.stream = copy
            yield packet

    def _encoded_again(self, stream: av.AudioStream, encoder: av.AudioStream) -> Iterator[Any]:
        for packet in self._source_packets(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # a damaged packet is left out
                continue
            for frame in frames:
                yield from encoder.encode(frame)
        yield from encoder.encode(None)


def _planes(image: av.VideoFrame) -> Planes:
    """Views of the three planes, without the padding of their lines."""
    luma, u, v = (
        np.ndarray((plane.height, plane.width), np.uint8, plane, strides=(plane.line_size, 1))  # type: ignore[arg-type]  # planes are buffers
        for plane in image.planes
    )
    return luma, u, v


def _even(width: int, height: int) -> tuple[int, int]:
    """The size in planes: yuv420p halves the colour, so odd sizes gain a column or a row."""
    return width + width % 2, height + height % 2


def _can_be_decoded(stream: av.stream.Stream) -> bool:
    """Streams of a codec that FFmpeg does not know have no context, against their annotation."""
    return getattr(stream, "codec_context", None) is not None


def _open(path: Path) -> av.container.InputContainer:
    with _reading(path):
        # An absolute path is never taken for a protocol.
        return av.open(str(path.absolute()), metadata_errors="replace")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise VideoReadError(f"{path}: is empty; expected a video: fetch it again")
        yield
    except (OutputError, VideoReadError):
        raise
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoReadError(f"{path}: cannot be read as a video: {reason}") from error
