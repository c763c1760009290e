"""The files that frames go to: the video, the single pictures and the recording.

    with open_outputs(folder, scene, source, composed, options) as outputs:
        outputs.write_source(frame, row)           # before it is drawn on
        outputs.write_still(frame, row)            # a labelled frame, without its timeline
        outputs.write_film(frame)

Files appear whole when the block ends well, and not at all otherwise. Covered by
tests/test_visualise.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy.typing as npt

from files import whole_file, whole_folder
from options import VisualiseOptions
from pipeline import BackgroundCalls
from preview import PREVIEW_FORMATS, Preview, PreviewFormat
from recording import open_recording
from scene import ClipScene
from timelapse import Timelapse
from video_io import VideoFrame, VideoProperties, VideoWriter

Array = npt.NDArray[Any]

POSTER_FILE = "poster.jpg"
_JPEG_QUALITY = 95
_POSTER_QUALITY = 80
_POSTER_SIDE = 384  # pixels of the longer side
_BEST_RANK = 2


@dataclasses.dataclass
class Outputs:
    """Where frames go; every function takes a frame and the row of its label.

    Attributes:
        source: take each frame of the clip, before anything is drawn into it.
        stills: take each labelled frame, before its timeline is drawn.
        film: take each frame of the video.
        paths: the files and folders that they become.
    """

    source: list[Callable[[VideoFrame, int | None], None]]
    stills: list[Callable[[VideoFrame, int], None]]
    film: list[Callable[[VideoFrame, int | None], None]]
    paths: list[Path]

    def write_source(self, frame: VideoFrame, row: int | None) -> None:
        """Hands a frame of the clip to all that want it as it came."""
        for write in self.source:
            write(frame, row)

    def write_still(self, frame: VideoFrame, row: int) -> None:
        """Hands a labelled frame to all that want it."""
        for write in self.stills:
            write(frame, row)

    def write_film(self, frame: VideoFrame, row: int | None) -> None:
        """Hands a frame of the video to all that want it."""
        for write in self.film:
            write(frame, row)

    def sizes(self) -> dict[str, int]:
        """What was written, once the block has ended: see `output_size`."""
        return {path.name: size for path in self.paths if (size := output_size(path)) is not None}


def output_size(path: Path) -> int | None:
    """Bytes of a file, the number of files in a folder; None where there is neither."""
    try:
        return sum(1 for _ in path.iterdir()) if path.is_dir() else path.stat().st_size
    except OSError:
        return None


@contextlib.contextmanager
def open_outputs(
    folder: Path,
    scene: ClipScene,
    source: VideoProperties,
    composed: VideoProperties,
    options: VisualiseOptions,
) -> Iterator[Outputs]:
    """Opens every file of frames that the options ask for.

    Args:
        folder: what they go into, named after the clip.
        scene: what is shown.
        source: of the clip's own frames.
        composed: of the frames that the layout makes of them.
        options: which, and how.

    Raises:
        OptionError: one of them has nothing to show.
        OutputError: one of them cannot be written.
    """
    with contextlib.ExitStack() as stack:
        outputs = Outputs([], [], [], [])
        if "rrd" in options.outputs:
            outputs.paths.append(folder / f"{folder.name}.rrd")
            path = stack.enter_context(whole_file(outputs.paths[-1]))
            recording = open_recording(path, scene, source, options.mesh_colour)
            outputs.source.append(stack.enter_context(recording))
        if "timelapse" in options.outputs:
            path = folder / "timelapse.jpg"
            outputs.paths.append(path)
            outputs.source.append(stack.enter_context(_timelapse(path, scene, options)))
        if "frames" in options.outputs:
            outputs.paths.append(folder / "frames")
            frames_folder = stack.enter_context(whole_folder(folder / "frames"))
            outputs.stills.append(
                lambda frame, row: _write_jpeg(frames_folder / f"{row:04d}.jpg", frame.picture())
            )
        if "poster" in options.outputs:
            outputs.paths.append(folder / POSTER_FILE)
            outputs.film.append(stack.enter_context(_poster(folder / POSTER_FILE, composed)))
        if "video" in options.outputs:
            outputs.paths.append(folder / f"{folder.name}.mp4")
            path = stack.enter_context(whole_file(folder / f"{folder.name}.mp4"))
            threads = options.codec_threads
            writer = stack.enter_context(VideoWriter(path, composed, options.video_crf, threads))
            write = stack.enter_context(BackgroundCalls(writer.write, composed.frame_bytes))
            outputs.film.append(lambda frame, _: write(frame))
        for kind in PREVIEW_FORMATS:
            if kind in options.outputs:
                path = folder / f"preview.{kind}"
                outputs.paths.append(path)
                outputs.film.append(stack.enter_context(_preview(path, kind, composed)))
        yield outputs


@contextlib.contextmanager
def _poster(
    path: Path, properties: VideoProperties
) -> Iterator[Callable[[VideoFrame, int | None], None]]:
    """Keeps the picture that stands for a clip: its first label from the clip's middle on.

    Failing that it is the first label, failing that the first frame.
    """
    best, jpeg = -1, b""

    def offer(frame: VideoFrame, row: int | None) -> None:
        nonlocal best, jpeg
        if best == _BEST_RANK:  # which nothing can pass
            return
        rank = 0 if row is None else 1 + (2 * frame.time >= properties.duration)
        if rank > best:
            best, jpeg = rank, _jpeg(_smaller(frame.picture()), _POSTER_QUALITY)

    with whole_file(path) as temporary:
        yield offer
        temporary.write_bytes(jpeg)


def _smaller(picture: Array) -> Array:
    height, width = picture.shape[:2]
    factor = min(1.0, _POSTER_SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


@contextlib.contextmanager
def _timelapse(
    path: Path, scene: ClipScene, options: VisualiseOptions
) -> Iterator[Callable[[VideoFrame, int | None], None]]:
    timelapse = Timelapse(scene, options)
    with whole_file(path) as temporary:
        yield timelapse.take
        _write_jpeg(temporary, timelapse.picture())


@contextlib.contextmanager
def _preview(
    path: Path, kind: PreviewFormat, properties: VideoProperties
) -> Iterator[Callable[[VideoFrame, int | None], None]]:
    preview = Preview(properties)
    with whole_file(path) as temporary:
        yield lambda frame, _: preview.take(frame)
        temporary.write_bytes(preview.encoded(kind))


def _write_jpeg(path: Path, picture: Array) -> None:
    path.write_bytes(_jpeg(picture, _JPEG_QUALITY))


def _jpeg(picture: Array, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()
