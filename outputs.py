"""The files that frames go to: the video, the single pictures and the recording.

    with open_outputs(folder, scene, properties, options) as outputs:
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
from recording import open_recording
from scene import ClipScene
from video_io import VideoFrame, VideoProperties, VideoWriter

Array = npt.NDArray[Any]

_JPEG_QUALITY = 95


@dataclasses.dataclass
class Outputs:
    """Where frames go; every function takes a frame and the row of its label.

    Attributes:
        source: take each frame of the clip, before anything is drawn into it.
        stills: take each labelled frame, before its timeline is drawn.
        film: take each frame of the video.
    """

    source: list[Callable[[VideoFrame, int | None], None]]
    stills: list[Callable[[VideoFrame, int], None]]
    film: list[Callable[[VideoFrame, int | None], None]]

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


@contextlib.contextmanager
def open_outputs(
    folder: Path, scene: ClipScene, properties: VideoProperties, options: VisualiseOptions
) -> Iterator[Outputs]:
    """Opens every file of frames that the options ask for.

    Args:
        folder: what they go into, named after the clip.
        scene: what is shown.
        properties: of the video to write.
        options: which, and how.

    Raises:
        OutputError: one of them cannot be written.
    """
    with contextlib.ExitStack() as stack:
        outputs = Outputs([], [], [])
        if "rrd" in options.outputs:
            path = stack.enter_context(whole_file(folder / f"{folder.name}.rrd"))
            recording = open_recording(path, scene, properties, options.mesh_colour)
            outputs.source.append(stack.enter_context(recording))
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
        yield outputs


def _write_jpeg(path: Path, picture: Array) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    path.write_bytes(data.tobytes())
