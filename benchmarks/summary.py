"""The summary layout, end to end, against encoding the same-sized grid with nothing drawn.

    python -m benchmarks.summary

Nothing drawn means two things: the grid with the input in every panel, and, as a stricter
measure, the summary itself as it is where no frame has a label, its mesh panels white. All three
run in one process, in turn, on the same 10 seconds with the same x264 settings; the ratio of the
medians is what counts.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

import visualise
from benchmarks.clip import CRF, NAME, SAMPLES, seconds, write_clip, write_pickle
from bodies import BodyOptions
from options import VisualiseOptions

Array = npt.NDArray[Any]

SIZES = ((340, 256), (640, 360))  # of the clip; the grid has three by two of them
REPEATS = 5
TARGET = 1.35
PANELS = 6
WHITE_FROM = 3  # panels of the second row


@dataclasses.dataclass(frozen=True)
class SummaryTimes:
    """Seconds of each repetition, for one picture size of the clip."""

    width: int
    height: int
    tiled: list[float]
    white: list[float]
    drawn: list[float]

    @property
    def ratio(self) -> float:
        """How many times as long as the grid of inputs a summary takes."""
        return statistics.median(self.drawn) / statistics.median(self.tiled)

    @property
    def strict_ratio(self) -> float:
        """How many times as long as the summary without meshes and joints."""
        return statistics.median(self.drawn) / statistics.median(self.white)


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder)):
            tiled, white, drawn = (
                f"{statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})"
                for times in (row.tiled, row.white, row.drawn)
            )
            print(
                f"{row.width}x{row.height}: grid of inputs {tiled}, half white {white}, summary "
                f"{drawn}; ratio {row.ratio:.2f} (target {TARGET}), to half white "
                f"{row.strict_ratio:.2f}"
            )


def measure(folder: Path) -> Iterator[SummaryTimes]:
    """Times one size after the other; leaves clips and pickles in `folder`."""
    write_pickle(folder)
    for width, height in SIZES:
        video = write_clip(folder, width, height)
        options = VisualiseOptions(
            output_dir=folder / "out",
            video=video,
            video_crf=CRF,
            layout="summary",
            body=BodyOptions(faces_path=SAMPLES / "smpl_faces.npy"),
        )
        summary = folder / "out" / NAME / f"{NAME}.mp4"

        def draw(options: VisualiseOptions = options) -> None:
            visualise.visualise_clip(folder / f"{NAME}.pkl", options)

        draw()
        with av.open(str(summary)) as container:
            size = container.streams.video[0].width, container.streams.video[0].height

        def tile(video: Path = video, size: tuple[int, int] = size) -> None:
            encode_grid(video, folder / "bare.mp4", size, PANELS)

        def tile_half(video: Path = video, size: tuple[int, int] = size) -> None:
            encode_grid(video, folder / "bare.mp4", size, WHITE_FROM)

        tile()
        times = [(seconds(tile), seconds(tile_half), seconds(draw)) for _ in range(REPEATS)]
        tiled, white, drawn = (list(column) for column in zip(*times, strict=True))
        yield SummaryTimes(width, height, tiled, white, drawn)


def encode_grid(video: Path, to: Path, size: tuple[int, int], filled: int) -> None:
    """Decodes, puts the input into the first panels of two rows of three, and encodes.

    With the tool's settings, as a PyAV user would write it.
    """
    width, height = size
    with (
        av.open(str(video)) as source,
        av.open(str(to), "w", format="mp4", options={"movflags": "+faststart"}) as output,
    ):
        decoder = source.streams.video[0]
        decoder.thread_type = "AUTO"
        stream = output.add_stream(
            "libx264",
            rate=decoder.average_rate,
            options={"crf": str(CRF), "preset": "veryfast"},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        base = stream.codec_context.time_base = decoder.time_base or Fraction(1, 25)
        for frame in source.decode(decoder):
            grid = av.VideoFrame(width, height, "yuv420p")
            for index, (plane, panel) in enumerate(zip(_planes(grid), _planes(frame), strict=True)):
                plane[:] = 235 if index == 0 else 128
                _fill(plane, panel, filled)
            grid.pts, grid.time_base = frame.pts, base
            output.mux(stream.encode(grid))
        output.mux(stream.encode(None))


def _fill(plane: Array, panel: Array, filled: int) -> None:
    height, width = panel.shape
    gap = (plane.shape[1] - 3 * width) // 4
    title = (plane.shape[0] - 2 * height) // 3
    for number in range(filled):
        left, top = gap + number % 3 * (width + gap), title + number // 3 * (height + title)
        plane[top : top + height, left : left + width] = panel


def _planes(image: av.VideoFrame) -> list[Array]:
    return [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]  # type: ignore[call-overload]  # planes are buffers
        for plane in image.planes
    ]


if __name__ == "__main__":
    main()
