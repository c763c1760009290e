"""A whole clip, end to end, against decoding and encoding it again with nothing drawn.

    python -m benchmarks.clip

Both run in one process, in turn, on the same 10 seconds with the same x264 settings; the median
over the rounds of how many times as long the one takes is what counts. PyAV's x264 shares out a
picture's slices among threads unless told otherwise, and the tool shares out pictures, which is
faster: so that this is not hidden, a second ratio is taken against decoding and encoding that does
the same. Peak memory and the time to the first frame are taken in processes of their own.
"""

from __future__ import annotations

import dataclasses
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import ThreadType

import visualise
from bodies import BodyOptions
from options import VisualiseOptions

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
ROUNDS = {(340, 256): 41, (640, 360): 9, (1280, 720): 7}  # the shorter, the more noise there is
FRAMES = 250
CRF = 20
TARGET = 1.25
NAME = "benchmark-1_0_10"


@dataclasses.dataclass(frozen=True)
class ClipTimes:
    """Seconds of each repetition, for one picture size."""

    width: int
    height: int
    bare: list[float]
    bare_by_pictures: list[float]
    drawn: list[float]

    @property
    def ratio(self) -> float:
        """How many times as long as encoding alone a clip takes."""
        return _times_as_long(self.drawn, self.bare)

    @property
    def strict_ratio(self) -> float:
        """The same, where encoding alone shares out the work as the tool does."""
        return _times_as_long(self.drawn, self.bare_by_pictures)


def _times_as_long(first: list[float], second: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder)):
            spread = max(row.drawn) - min(row.drawn)
            print(
                f"{row.width}x{row.height}: bare {statistics.median(row.bare):.2f} s, drawn "
                f"{statistics.median(row.drawn):.2f} s (spread {spread:.2f}), ratio "
                f"{row.ratio:.2f} (target {TARGET}); {row.strict_ratio:.2f} in the tool's threads"
            )
        print(f"peak memory at 720p: {peak_memory_mb(Path(folder)):.0f} MB (target 400)")
        print(f"first frame after {seconds_to_first_frame(Path(folder)):.2f} s (target 2)")


def measure(folder: Path) -> list[ClipTimes]:
    """Times every size; leaves clips and pickles in `folder`."""
    write_pickle(folder)
    rows = []
    for (width, height), rounds in ROUNDS.items():
        video = write_clip(folder, width, height)
        options = VisualiseOptions(
            output_dir=folder / "out",
            video=video,
            video_crf=CRF,
            body=BodyOptions(faces_path=SAMPLES / "smpl_faces.npy"),
        )

        def draw(options: VisualiseOptions = options) -> None:
            visualise.visualise_clip(folder / f"{NAME}.pkl", options)

        def encode(video: Path = video) -> None:
            encode_again(video, folder / "bare.mp4")

        def encode_by_pictures(video: Path = video) -> None:
            encode_again(video, folder / "bare.mp4", by_pictures=True)

        tasks = (encode, encode_by_pictures, draw)
        for task in tasks:
            task()
        times = [[seconds(task) for task in tasks] for _ in range(rounds)]
        rows.append(ClipTimes(width, height, *map(list, zip(*times, strict=True))))
    return rows


def peak_memory_mb(folder: Path) -> float:
    """Of a process of its own that draws the 720p clip."""
    code = (
        "import sys; from run_visualise import main; main(sys.argv);"
        "print([l for l in open('/proc/self/status') if l.startswith('VmHWM')][0])"
    )
    return int(_run(code, folder).split("VmHWM:")[1].split()[0]) / 1024


def seconds_to_first_frame(folder: Path) -> float:
    """From the start of a process to the first frame handed to the encoder, caches warm."""
    code = (
        "import sys, time; import video_io; write = video_io.VideoWriter.write\n"
        "def first(self, frame):\n"
        "    write(self, frame); print('FIRST', time.time(), flush=True)\n"
        "    video_io.VideoWriter.write = write\n"
        "video_io.VideoWriter.write = first\n"
        "from run_visualise import main; main(sys.argv)"
    )
    started = time.time()
    return float(_run(code, folder).split("FIRST")[1].split()[0]) - started


def _run(code: str, folder: Path) -> str:
    flags = [
        f"--filename={folder / NAME}.pkl",
        f"--video={folder / 'clip720.mp4'}",
        f"--smpl_face_path={SAMPLES / 'smpl_faces.npy'}",
        f"--output_dir={folder / 'out'}",
    ]
    command = [sys.executable, "-c", code, *flags]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def seconds(function: Callable[[], None]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def write_pickle(folder: Path) -> None:
    """The sample's body in every one of 250 frames."""
    content: dict[str, Any] = pickle.loads(  # noqa: S301 our own sample
        (SAMPLES / "sampleDance_10_14.pkl").read_bytes(), encoding="latin1"
    )
    rows = np.arange(FRAMES) % len(content["time"])
    content = {key: value[rows] for key, value in content.items()}
    content["time"] = np.arange(FRAMES) / 25
    (folder / f"{NAME}.pkl").write_bytes(pickle.dumps(content, protocol=4))


def write_clip(folder: Path, width: int, height: int) -> Path:
    """The sample's video, over and over, at another size."""
    path = folder / f"clip{height}.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        ticks = 0
        while ticks < FRAMES:
            with av.open(str(SAMPLES / "sampleDance_000010_000014.mp4")) as source:
                for frame in source.decode(video=0):
                    if ticks == FRAMES:
                        break
                    image = frame.reformat(width, height, "yuv420p")
                    image.pts, image.time_base, image.pict_type = ticks, Fraction(1, 25), 0
                    output.mux(stream.encode(image))
                    ticks += 1
        output.mux(stream.encode(None))
    return path


def encode_again(video: Path, to: Path, by_pictures: bool = False) -> None:
    """Decodes and encodes with the tool's settings, as a PyAV user would write it.

    Args:
        video: the clip.
        to: the file to write.
        by_pictures: whether x264's threads share out pictures instead of a picture's slices.
    """
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
        if by_pictures:
            stream.codec_context.thread_type = ThreadType.FRAME
        stream.width, stream.height, stream.pix_fmt = decoder.width, decoder.height, "yuv420p"
        stream.codec_context.time_base = decoder.time_base or Fraction(1, 25)
        for frame in source.decode(decoder):
            frame.pict_type = 0
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


if __name__ == "__main__":
    main()
