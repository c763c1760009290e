"""The files that frames go to: the video and the single pictures.

    with open_outputs(folder, properties, scene, options) as outputs:
        outputs.show_input(frame, row)             # a labelled frame, before it is drawn into
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
from scene import ClipScene
from timelapse import Timelapse
from video_io import VideoFrame, VideoProperties, VideoWriter

Array = npt.NDArray[Any]

_JPEG_QUALITY = 95


@dataclasses.dataclass
class Outputs:
    """Where composed frames go; every function takes a frame and the row of its label.

    Attributes:
        stills: take each labelled frame, before its timeline is drawn.
        film: take each frame of the video.
        inputs: take each labelled frame of the clip, before anything is drawn into it.
    """

    stills: list[Callable[[VideoFrame, int], None]]
    film: list[Callable[[VideoFrame, int | None], None]]
    inputs: list[Callable[[VideoFrame, int], None]] = dataclasses.field(default_factory=list)

    def show_input(self, frame: VideoFrame, row: int) -> None:
        """Shows a labelled frame of the clip itself to all that want it."""
        for take in self.inputs:
            take(frame, row)

    def write_still(self, frame: VideoFrame, row: int) -> None:
        """Hands a labelled frame to all that want it."""
        for write in self.stills:
            write(frame, row)

    def write_film(self, frame: VideoFrame, row: int | None) -> None:
        """Hands a frame of the video to all that want it."""
        for write in self.film:
            write(frame, row)


@contextlib.contextmanager
def open_outputs(
    folder: Path, properties: VideoProperties, scene: ClipScene, options: VisualiseOptions
) -> Iterator[Outputs]:
    """Opens every file of frames that the options ask for.

    Args:
        folder: what they go into, named after the clip.
        properties: of the video to write.
        scene: the clip.
        options: which, and how.

    Raises:
        OptionError: one of them has nothing to show.
        OutputError: one of them cannot be written.
    """
    with contextlib.ExitStack() as stack:
        outputs = Outputs([], [])
        if "timelapse" in options.outputs:
            outputs.inputs.append(stack.enter_context(_timelapse(folder, scene, options)))
        if "frames" in options.outputs:
            frames_folder = stack.enter_context(whole_folder(folder / "frames"))
            outputs.stills.append(
                lambda frame, row: _write_jpeg(frames_folder / f"{row:04d}.jpg", frame.picture())
            )
        if "video" in options.outputs:
            path = stack.enter_context(whole_file(folder / f"{folder.name}.mp4"))
            writer = stack.enter_context(VideoWriter(path, properties, options.video_crf))
            write = stack.enter_context(BackgroundCalls(writer.write))
            outputs.film.append(lambda frame, _: write(frame))
        for kind in PREVIEW_FORMATS:
            if kind in options.outputs:
                outputs.film.append(stack.enter_context(_preview(folder, kind, properties)))
        yield outputs


@contextlib.contextmanager
def _timelapse(
    folder: Path, scene: ClipScene, options: VisualiseOptions
) -> Iterator[Callable[[VideoFrame, int], None]]:
    timelapse = Timelapse(scene, options)
    with whole_file(folder / "timelapse.jpg") as path:
        yield timelapse.take
        _write_jpeg(path, timelapse.picture())


@contextlib.contextmanager
def _preview(
    folder: Path, kind: PreviewFormat, properties: VideoProperties
) -> Iterator[Callable[[VideoFrame, int | None], None]]:
    preview = Preview(properties)
    with whole_file(folder / f"preview.{kind}") as path:
        yield lambda frame, _: preview.take(frame)
        path.write_bytes(preview.encoded(kind))


def _write_jpeg(path: Path, picture: Array) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    path.write_bytes(data.tobytes())
