from __future__ import annotations

import dataclasses
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from synthetic import (
    CLICK_SEC,
    HEIGHT,
    NTSC,
    WIDTH,
    Sound,
    click_time,
    coded_picture,
    damage_pictures,
    decode,
    number_of,
    sound_packets,
    sound_samples,
    turn,
    write_video,
)

from colour import Box
from errors import OutputError, VideoReadError, VideoTruncatedError
from video_io import BlankVideo, VideoFrame, VideoProperties, VideoReader, VideoWriter

ROOT = Path(__file__).resolve().parent.parent
MILLISECOND = Fraction(1, 1000)
VARIABLE_MS = [0, 40, 80, 81, 200, 233, 267, 300, 900, 940, 1500, 1533]
WORST_LOSSY_LEVEL = 6  # mean difference of a smooth picture, of 255


def write_again(
    path: Path,
    to: Path,
    start_sec: float | None = None,
    end_sec: float | None = None,
    crf: int = 1,
) -> tuple[VideoProperties, list[VideoFrame]]:
    """Reads every frame of a clip and writes it as it is."""
    frames = []
    with (
        VideoReader(path, start_sec, end_sec) as reader,
        VideoWriter(to, reader.properties, crf) as writer,
    ):
        for frame in reader.frames():
            frames.append(frame)
            writer.write(frame)
    return reader.properties, frames


def read_all(path: Path, start_sec: float | None = None, end_sec: float | None = None) -> list[Any]:
    with VideoReader(path, start_sec, end_sec) as reader:
        return [(frame.time, number_of(frame.picture())) for frame in reader.frames()]


# Time


@pytest.mark.parametrize(
    ("suffix", "ticks", "time_base"),
    [
        pytest.param(".mp4", range(30), Fraction(1, 25), id="25 fps"),
        pytest.param(".mp4", range(30), NTSC, id="30000/1001"),
        pytest.param(".mp4", range(60), NTSC / 2, id="59.94"),
        pytest.param(".mp4", VARIABLE_MS, MILLISECOND, id="variable, mp4"),
        pytest.param(".mkv", VARIABLE_MS, MILLISECOND, id="variable, mkv"),
        pytest.param(".mkv", [round(1000 * i * NTSC) for i in range(40)], MILLISECOND, id="mkv"),
        pytest.param(".mp4", [0], Fraction(1, 25), id="one frame"),
    ],
)
@pytest.mark.parametrize("start", [0, 7], ids=["from 0", "from 7 ticks"])
@pytest.mark.parametrize("b_frames", [0, 2], ids=["", "B-frames"])
def test_every_frame_comes_out_at_its_own_time(
    tmp_path: Path, suffix: str, ticks: list[int], time_base: Fraction, start: int, b_frames: int
) -> None:
    moved = [tick + start for tick in ticks]
    path = write_video(tmp_path / f"in{suffix}", moved, time_base, b_frames=b_frames)
    properties, frames = write_again(path, tmp_path / "out.mp4")
    expected = [tick * time_base for tick in ticks]
    before = decode(path).times
    assert [time - before[0] for time in before] == expected
    assert [frame.time for frame in frames] == expected
    out = decode(tmp_path / "out.mp4")
    assert out.times == expected
    assert out.numbers == list(range(len(ticks)))
    assert (properties.width, properties.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("time_base", "rate"),
    [(Fraction(1, 25), (25, 1)), (NTSC, (30000, 1001)), (NTSC / 2, (60000, 1001))],
)
def test_the_frame_rate_is_exact(
    tmp_path: Path, time_base: Fraction, rate: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "in.mp4", range(30), time_base)
    properties, _ = write_again(path, tmp_path / "out.mp4")
    assert properties.frame_rate == Fraction(*rate)
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert out.streams.video[0].average_rate == Fraction(*rate)
        assert out.duration is not None
        assert out.duration / av.time_base == pytest.approx(float(30 * time_base), abs=0.002)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("video_start", "sound_start"),
    [(0, 0), (0, Fraction(3, 10)), (Fraction(2, 5), 0), (Fraction(7, 5), 1), (1, Fraction(7, 5))],
)
def test_sound_and_picture_keep_their_distance(
    tmp_path: Path, suffix: str, video_start: Fraction, sound_start: Fraction
) -> None:
    first = round(video_start * 25)
    path = write_video(
        tmp_path / f"in{suffix}",
        range(first, first + 30),
        sound=Sound("flac", start=Fraction(sound_start)),
    )
    write_again(path, tmp_path / "out.mp4")
    before, after = decode(path), decode(tmp_path / "out.mp4")
    distance = click_time(path) - float(before.times[0])
    assert distance == pytest.approx(float(sound_start + CLICK_SEC - video_start), abs=0.002)
    assert click_time(tmp_path / "out.mp4") - float(after.times[0]) == pytest.approx(
        distance, abs=0.001
    )
    lengths = [sound_samples(p)[1].shape[1] for p in (path, tmp_path / "out.mp4")]
    assert lengths[0] == lengths[1]  # nothing is cut off before the first picture
    assert [t - after.times[0] for t in after.times] == [t - before.times[0] for t in before.times]


# Sound


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "aac"),
        (".mp4", "libmp3lame"),
        (".mkv", "libopus"),
        (".mkv", "ac3"),
        (".mkv", "flac"),
        (".mp4", "alac"),
    ],
)
def test_sound_that_fits_is_copied(tmp_path: Path, suffix: str, codec: str) -> None:
    path = write_video(tmp_path / f"in{suffix}", sound=Sound(codec))
    write_again(path, tmp_path / "out.mp4")
    before, after = sound_packets(path), sound_packets(tmp_path / "out.mp4")
    assert [content for _, content in after] == [content for _, content in before]
    for (was, _), (now, _) in zip(before, after, strict=True):
        assert abs(now - was) <= MILLISECOND
    assert click_time(tmp_path / "out.mp4") == pytest.approx(click_time(path), abs=0.002)


@pytest.mark.parametrize(
    ("suffix", "codec", "layout", "rate"),
    [
        (".mkv", "vorbis", "stereo", 44100),
        (".mkv", "pcm_s16le", "mono", 48000),
        (".mkv", "pcm_s16le", "5.1", 48000),
        (".mkv", "pcm_s16le", "mono", 192000),
        (".mkv", "pcm_s16le", "mono", 5000),
        (".mkv", "mp2", "stereo", 32000),
        (".mkv", "pcm_s16le", "5.1.2", 48000),
    ],
)
def test_sound_that_does_not_fit_is_encoded_again(
    tmp_path: Path, suffix: str, codec: str, layout: str, rate: int
) -> None:
    path = write_video(tmp_path / f"in{suffix}", sound=Sound(codec, layout, rate))
    write_again(path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        context = out.streams.audio[0].codec_context
        assert context.codec.canonical_name == "aac"
        with av.open(str(path)) as source:
            source_layout = source.streams.audio[0].codec_context.layout
            assert context.layout.nb_channels == source_layout.nb_channels
    _, samples, out_rate = sound_samples(tmp_path / "out.mp4")
    assert samples.shape[1] / out_rate == pytest.approx(1.0, abs=0.03)
    assert click_time(tmp_path / "out.mp4") == pytest.approx(float(CLICK_SEC), abs=0.005)
    samples = (
        np.delete(samples, slice(3, 4), 0) if len(samples) >= 6 else samples
    )  # deep notes only
    loudness = np.sqrt((samples[:, int(0.6 * out_rate) : int(0.9 * out_rate)] ** 2).mean(1))
    assert loudness == pytest.approx(9000 / 32768 / np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_all_channels_are_copied(tmp_path: Path, layout: str) -> None:
    path = write_video(tmp_path / "in.mp4", sound=Sound("aac", layout))
    write_again(path, tmp_path / "out.mp4")
    before, after = sound_samples(path), sound_samples(tmp_path / "out.mp4")
    assert np.array_equal(before[1], after[1])


def test_without_sound_there_is_none(tmp_path: Path) -> None:
    write_again(write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert [stream.type for stream in out.streams] == ["video"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_longer_than_the_picture_is_kept_and_is_no_truncation(
    tmp_path: Path, suffix: str
) -> None:
    path = write_video(tmp_path / f"in{suffix}", sound=Sound(seconds=3))
    _, frames = write_again(path, tmp_path / "out.mp4")
    assert len(frames) == 25
    assert len(sound_packets(tmp_path / "out.mp4")) == len(sound_packets(path))


# Parts of longer videos


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("first", [0, 9])
@pytest.mark.parametrize(("start", "end"), [(0, 1), (1, 3), (2, 4), (3, 5), (3, 9)])
def test_a_part_has_exactly_its_frames(
    tmp_path: Path, suffix: str, b_frames: int, first: int, start: int, end: int
) -> None:
    path = tmp_path / f"in{suffix}"
    write_video(path, range(first, first + 125), b_frames=b_frames, gop=17)
    expected = [
        (Fraction(number, 25) - start, number)
        for number in range(125)
        if start <= Fraction(number, 25) < end
    ]
    assert read_all(path, start, end) == expected


@pytest.mark.parametrize(("start", "first"), [(0.05, 2), (0.08, 2), (0.081, 3)])
def test_a_part_may_begin_between_two_frames(tmp_path: Path, start: float, first: int) -> None:
    path = write_video(tmp_path / "in.mp4")
    assert read_all(path, start, 0.5)[0] == (Fraction(first, 25) - Fraction(str(start)), first)


def test_a_part_of_a_video_whose_frames_miss_the_second(tmp_path: Path) -> None:
    """At 30000/1001 no frame stands at 1 s: the first is 1.001 s, the last before 2 s is 1.968."""
    path = write_video(tmp_path / "in.mp4", range(90), NTSC, b_frames=2)
    assert read_all(path, 1, 2) == [(i * NTSC - 1, i) for i in range(30, 60)]


@pytest.mark.parametrize("codec", ["flac", "aac", "vorbis"])
@pytest.mark.parametrize("start", [1, 2])
def test_a_part_keeps_sound_in_time(tmp_path: Path, codec: str, start: int) -> None:
    click = start + CLICK_SEC
    sound = Sound(codec, "stereo", seconds=4 - float(start), start=Fraction(start))
    path = write_video(tmp_path / "in.mkv", range(100), b_frames=2, sound=sound)
    assert click_time(path) == pytest.approx(float(click), abs=0.005)
    out = tmp_path / "out.mp4"
    write_again(path, out, 1, 3)
    assert decode(out).times == [Fraction(i, 25) for i in range(50)]
    assert click_time(out) == pytest.approx(float(click) - 1, abs=0.005)
    begin, samples, rate = sound_samples(out)
    assert float(begin) + samples.shape[1] / rate == pytest.approx(2.0, abs=0.1)
    assert float(begin) == pytest.approx(start - 1, abs=0.1)


def test_a_part_holds_no_sound_from_before_or_after_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mkv", range(200), sound=Sound(seconds=8))
    write_again(path, tmp_path / "out.mp4", 3, 5)
    with av.open(str(tmp_path / "out.mp4"), options={"ignore_editlist": "1"}) as out:
        count = sum(packet.size > 0 for packet in out.demux(audio=0))
    assert count == pytest.approx(2 * 48000 / 1024, abs=2)


def test_a_part_where_no_tick_stands_at_the_second(tmp_path: Path) -> None:
    """AVI counts frames: second 1 lies between ticks 29 and 30."""
    path = write_video(tmp_path / "in.avi", range(60), NTSC)
    assert read_all(path, 1, 2) == [(i * NTSC - 1, i) for i in range(30, 60)]


def test_sound_and_picture_lie_side_by_side_in_the_file(tmp_path: Path) -> None:
    """Players that stream read forward only, and the muxer would hold back what is ahead."""
    path = tmp_path / "in.mp4"
    write_video(path, range(300), Fraction(1, 10), size=(32, 24), sound=Sound(seconds=30))
    write_again(path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        packets = sorted(
            (packet.pos, packet.stream.type, float((packet.dts or 0) * (packet.time_base or 0)))
            for packet in out.demux()
            if packet.pos is not None and packet.size
        )
    reached = {"video": 0.0, "audio": 0.0}
    for _, kind, seconds in packets:
        reached[kind] = seconds
        assert abs(reached["video"] - reached["audio"]) < 2


# Pictures


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_comes_out_upright(tmp_path: Path, degrees: int) -> None:
    upright = quarters(0, 64, 48)

    def turned(number: int, width: int, height: int) -> Any:
        del number, width, height
        return np.ascontiguousarray(np.rot90(upright, degrees // 90))  # players turn it back

    size = (48, 64) if degrees % 180 else (64, 48)
    path = turn(write_video(tmp_path / "in.mp4", size=size, picture=turned), degrees)
    properties, frames = write_again(path, tmp_path / "out.mp4")
    assert (properties.width, properties.height) == (64, 48)
    for picture in (frames[3].picture(), decode(tmp_path / "out.mp4").pictures[3]):
        assert picture.shape == upright.shape
        assert picture.flags.c_contiguous
        assert np.abs(picture.astype(int) - upright).mean() < WORST_LOSSY_LEVEL
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert next(out.decode(video=0)).rotation == 0


def quarters(number: int, width: int, height: int) -> Any:
    """Four colours, one per quarter."""
    del number
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (200, 40, 40)
    picture[: height // 2, width // 2 :] = (40, 180, 60)
    picture[height // 2 :, : width // 2] = (50, 60, 210)
    picture[height // 2 :, width // 2 :] = (220, 210, 80)
    return picture


@pytest.mark.parametrize(
    ("matrix", "primaries", "transfer"),
    [(1, 1, 1), (5, 5, 6), (6, 6, 6), (2, 2, 2), (9, 9, 16), (8, 1, 1), (10, 9, 14), (14, 9, 16)],
)
@pytest.mark.parametrize("levels", [0, 1, 2], ids=["unmarked", "limited", "full"])
def test_colours_and_their_marks_are_kept(
    tmp_path: Path, matrix: int, primaries: int, transfer: int, levels: int
) -> None:
    """Those that the converter cannot compute (8, 10, 14) as well."""
    colour = (matrix, levels, primaries, transfer)
    path = write_video(tmp_path / "in.mp4", range(3), picture=quarters, colour=colour)
    properties, frames = write_again(path, tmp_path / "out.mp4")
    with av.open(str(path)) as source, av.open(str(tmp_path / "out.mp4")) as out:
        was, now = next(source.decode(video=0)), next(out.decode(video=0))
        assert was.colorspace == matrix
        assert marks_of(now) == marks_of(was) == properties.colour
        assert now.format.name == ("yuvj420p" if levels == 2 else "yuv420p")
        for plane in range(3):  # the numbers themselves, which no reading of the marks can change
            before, after = (np.asarray(frame.planes[plane], np.uint8) for frame in (was, now))
            assert np.abs(before.astype(int) - after).mean() < 1.5
    if matrix in {1, 2, 5, 6, 9}:
        assert np.abs(frames[0].picture().astype(int) - quarters(0, WIDTH, HEIGHT)).mean() < 4


def marks_of(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    return frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc


@pytest.mark.parametrize(("size", "threads"), [((640, 360), 4), ((1280, 720), 3)])
def test_whole_pictures_are_shared_out_among_few_threads_whatever_the_cores(
    tmp_path: Path, size: tuple[int, int], threads: int
) -> None:
    path = write_video(tmp_path / "in.mp4", range(3), size=size)
    write_again(path, to := tmp_path / "out.mp4")
    settings = to.read_bytes().partition(b"x264 - core")[2][:2000].split()
    assert {b"threads=%d" % threads, b"sliced_threads=0"} <= set(settings)


def test_rgb_is_written_as_yuv_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "in.mkv"
    write_video(path, range(3), picture=quarters, codec="libx264rgb", pix_fmt="rgb24")
    properties, _ = write_again(path, tmp_path / "out.mp4")
    assert properties.colour[0] == 1  # a copy is never RGB
    with av.open(str(tmp_path / "out.mp4")) as out:
        frame = next(out.decode(video=0))
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1)
    out_picture = decode(tmp_path / "out.mp4").pictures[0]
    assert np.abs(out_picture.astype(int) - quarters(0, WIDTH, HEIGHT)).mean() < 4


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p", "yuv422p10le", "gray"])
def test_other_pixel_formats_become_yuv420p(tmp_path: Path, pix_fmt: str) -> None:
    path = write_video(tmp_path / "in.mp4", pix_fmt=pix_fmt)
    write_again(path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert out.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert out.streams.video[0].codec_context.codec.canonical_name == "h264"
    out_pictures = decode(tmp_path / "out.mp4")
    assert out_pictures.numbers == list(range(25))
    difference = out_pictures.pictures[5].astype(int) - coded_picture(5)
    assert np.abs(difference).mean() < WORST_LOSSY_LEVEL


@pytest.mark.parametrize("size", [(161, 120), (160, 121), (161, 121), (35, 33)])
def test_odd_sizes_are_padded_and_reported_as_they_are(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "in.mp4", size=size, pix_fmt="yuv444p")
    properties, frames = write_again(path, tmp_path / "out.mp4")
    width, height = size
    assert (properties.width, properties.height) == size
    assert frames[0].picture().shape == (height, width, 3)
    assert frames[0].picture().flags.c_contiguous
    out = decode(tmp_path / "out.mp4")
    assert out.pictures[0].shape == (height + height % 2, width + width % 2, 3)
    for number in (0, 1, 24):
        inside = out.pictures[number][:height, :width].astype(int)
        assert np.abs(inside - coded_picture(number, width, height)).mean() < WORST_LOSSY_LEVEL
        border = out.pictures[number][height:].astype(int)
        assert np.all(np.abs(border - out.pictures[number][height - 1]) < 25)


@pytest.mark.parametrize("width", [64, 66, 70, 98, 130])
def test_pictures_are_contiguous_and_may_be_drawn_into(tmp_path: Path, width: int) -> None:
    path = write_video(tmp_path / "in.mp4", range(12), size=(width, 48), b_frames=2)
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader.frames()):
            assert frame.picture().flags.c_contiguous
            assert number_of(frame.picture()) == number  # no drawing shows in a later picture
            with frame.region((0, 0, frame.width, frame.height)) as (picture, _, _):
                picture[:] = 255


@pytest.mark.parametrize("degrees", [0, 90])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, degrees: int) -> None:
    path = write_video(tmp_path / "in.mp4", aspect=Fraction(4, 3))
    if degrees:
        turn(path, degrees)
    properties, _ = write_again(path, tmp_path / "out.mp4")
    expected = Fraction(3, 4) if degrees else Fraction(4, 3)
    assert properties.sample_aspect_ratio == expected
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert out.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize(("codec", "sound"), [("libvpx-vp9", "libopus"), ("libvpx", "vorbis")])
def test_webm(tmp_path: Path, codec: str, sound: str) -> None:
    path = write_video(tmp_path / "in.webm", codec=codec, sound=Sound(sound, "stereo"))
    write_again(path, tmp_path / "out.mp4")
    out = decode(tmp_path / "out.mp4")
    assert out.times == decode(path).times
    assert out.numbers == list(range(25))
    assert click_time(tmp_path / "out.mp4") == pytest.approx(float(CLICK_SEC), abs=0.005)


# The file


def test_the_index_comes_first(tmp_path: Path) -> None:
    write_again(write_video(tmp_path / "in.mp4"), tmp_path / "out.partial")
    boxes, data, at = [], (tmp_path / "out.partial").read_bytes(), 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        boxes.append(name)
        at += length
    assert boxes.index(b"moov") < boxes.index(b"mdat")


PEAK = """
import sys
from pathlib import Path
from video_io import VideoReader, VideoWriter
with VideoReader(Path(sys.argv[1])) as reader:
    with VideoWriter(Path(sys.argv[2]), reader.properties, 30) as writer:
        for frame in reader.frames():
            writer.write(frame)
status = Path("/proc/self/status").read_text()  # getrusage would tell of the parent's peak
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """A minute holds 1250 more pictures of 110 kB than ten seconds: 144 MB."""
    peaks = []
    for seconds in (10, 60):
        path = tmp_path / f"{seconds}.mp4"
        write_video(path, range(25 * seconds), size=(224, 160), sound=Sound(seconds=seconds))
        run = run_python(PEAK, str(path), str(tmp_path / "out.mp4"))
        assert run.returncode == 0, run.stderr
        peaks.append(float(run.stdout))
    assert peaks[1] - peaks[0] < 10


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# Broken input


@pytest.fixture
def long_clip(tmp_path: Path) -> Callable[..., Path]:
    def noise(number: int, width: int, height: int) -> Any:
        picture = coded_picture(number, width, height)
        rng = np.random.default_rng(number)
        picture[height // 2 :] = rng.integers(0, 255, (height - height // 2, width, 3))
        return picture

    def make(suffix: str, sound: Sound | None = None) -> Path:
        index = {"movflags": "faststart"} if suffix == ".mp4" else {}
        return write_video(
            tmp_path / f"long{suffix}",
            range(100),
            picture=noise,
            sound=sound or Sound(seconds=4),
            container_options=index,
            options={"crf": "20"},
        )

    return make


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "aac"), (".mkv", "aac"), (".mkv", "vorbis")]
)
@pytest.mark.parametrize("writing", [False, True])
def test_a_video_cut_short_is_told(
    tmp_path: Path, suffix: str, codec: str, writing: bool, long_clip: Callable[..., Path]
) -> None:
    path = long_clip(suffix, Sound(codec, "stereo", seconds=4))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with pytest.raises(VideoTruncatedError, match=r"cut short") as met:
        if writing:
            write_again(path, tmp_path / "out.mp4")
        else:
            read_all(path)
    assert re.search(r"decodes to 2\.\d\d s; its header says 4\.00 s", str(met.value))
    assert isinstance(met.value, OSError)


def test_a_part_that_a_cut_video_still_holds_is_fine(long_clip: Callable[..., Path]) -> None:
    path = long_clip(".mp4")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    assert len(read_all(path, 0, 2)) == 50
    with pytest.raises(VideoTruncatedError):
        read_all(path, 1, 4)


@pytest.mark.parametrize("kind", ["empty", "html", "folder", "missing", "sound", "pickle"])
def test_what_is_no_video(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "html":
        path.write_text("<!DOCTYPE html><html><body>429 Too Many Requests</body></html>" * 20)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pickle":
        path.write_bytes(b"\x80\x02}q\x00." * 100)
    elif kind == "sound":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=48000, layout="mono")
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
            silence.sample_rate = 48000
            container.mux(stream.encode(silence))
            container.mux(stream.encode(None))
    with pytest.raises(VideoReadError) as met:
        VideoReader(path)
    assert str(path) in str(met.value)
    assert "\n" not in str(met.value)


def test_damaged_packets_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    """Motion JPEG: each packet is a picture of its own, so the count is exact."""
    path = write_video(tmp_path / "in.mkv", codec="mjpeg", pix_fmt="yuvj420p")
    damaged = {7, 8, 15}
    damage_pictures(path, sorted(damaged))
    with VideoReader(path) as reader:
        frames = list(reader.frames())
    assert reader.undecodable_packets == len(damaged)
    assert reader.frames_read == len(frames) == 25 - len(damaged)
    assert [frame.time * 25 for frame in frames] == pytest.approx(
        [i for i in range(25) if i not in damaged], abs=0.02
    )


def test_a_damaged_first_packet_is_counted_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mkv", codec="mjpeg", pix_fmt="yuvj420p")
    damage_pictures(path, [0])
    with VideoReader(path) as reader:
        assert len(list(reader.frames())) == 24
    assert reader.undecodable_packets == 1


@pytest.mark.parametrize("codec", ["aac", "vorbis"])
def test_damaged_sound_does_not_lose_the_clip(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "in.mkv", sound=Sound(codec, "stereo"))
    data = bytearray(path.read_bytes())
    for _, content in sound_packets(path)[20:24]:
        at = data.index(content)
        data[at : at + len(content)] = b"\xff" * len(content)
    path.write_bytes(data)
    write_again(path, tmp_path / "out.mp4")
    assert decode(tmp_path / "out.mp4").numbers == list(range(25))
    assert len(sound_packets(tmp_path / "out.mp4")) > 35


# Output that cannot be written


FULL = """
import resource, sys
from pathlib import Path
from errors import OutputError
from files import whole_file
from video_io import VideoReader, VideoWriter
source, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with whole_file(out) as path, VideoReader(source) as reader:
        with VideoWriter(path, reader.properties, 20) as writer:
            for frame in reader.frames():
                writer.write(frame)
except OutputError as error:
    print(error)
else:
    print("written")
"""


def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, long_clip: Callable[..., Path]
) -> None:
    """From a disk without a byte left to one that lacks the last byte of the index."""
    path = long_clip(".mp4")
    out = tmp_path / "results" / "out.mp4"
    whole = run_python(FULL, str(path), str(out), str(10**9))
    assert whole.stdout == "written\n", whole.stderr
    size = out.stat().st_size
    out.unlink()
    for limit in (0, 20, size // 2, size - 3000, size - 1):
        run = run_python(FULL, str(path), str(out), str(limit))
        assert "cannot be written: File too large" in run.stdout, (limit, run.stderr)
        assert run.stderr == ""
        assert list(out.parent.iterdir()) == []


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mp4", range(3))
    with pytest.raises(OutputError, match=r"nowhere/out.mp4: cannot be written: No such file"):
        write_again(path, tmp_path / "nowhere" / "out.mp4")


NOISE = """
import sys
from pathlib import Path
from errors import PoseKineticsError
from video_io import VideoReader, VideoWriter
for name in sys.argv[2:]:
    try:
        with VideoReader(Path(name)) as reader:
            with VideoWriter(Path(sys.argv[1]), reader.properties, 20) as writer:
                for frame in reader.frames():
                    writer.write(frame)
    except PoseKineticsError:
        pass
"""


def test_ffmpeg_writes_no_lines_of_its_own(tmp_path: Path, long_clip: Callable[..., Path]) -> None:
    cut = long_clip(".mkv")
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * 0.6)])
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    deep = write_video(tmp_path / "deep.mp4", pix_fmt="yuv420p10le", sound=Sound())
    run = run_python(NOISE, str(tmp_path / "out.mp4"), str(cut), str(text), str(deep))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_sound_that_nothing_can_decode_is_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mkv", sound=Sound("flac"))
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_FLAX"))
    write_again(path, tmp_path / "out.mp4")
    assert decode(tmp_path / "out.mp4").numbers == list(range(25))


def test_a_source_that_vanishes_is_not_called_an_output_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mp4", sound=Sound())
    with VideoReader(path) as reader:
        frame = next(reader.frames())
        path.unlink()
        writer = VideoWriter(tmp_path / "out.mp4", reader.properties, 20)
        with pytest.raises(VideoReadError, match=r"in\.mp4: cannot be read"), writer:
            writer.write(frame)


def test_pictures_that_nothing_can_decode(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mkv")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/AVX"))
    with pytest.raises(VideoReadError, match=r"in\.mkv: its video codec is unknown"):
        VideoReader(path)


# Pictures of another size


def test_a_size_that_changes_what_players_take_unmarked_colours_for(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "clip.mp4")) as reader:
        small = reader.properties
    assert small.colour[0] == 2  # no mark, and few rows: BT.601
    large = small.resized(1280, 720)
    assert (large.width, large.height, large.colour[0]) == (1280, 720, 6)
    assert large.colour[1:] == small.colour[1:]
    marked = dataclasses.replace(small, colour=(9, 1, 9, 9))
    assert marked.resized(1280, 720).colour == (9, 1, 9, 9)
    assert small.resized(small.width, small.height) is small


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (121, 91)], ids=str)
def test_a_part_of_a_picture_is_drawn_into_like_a_picture(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "clip.mp4", range(1), size=size, pix_fmt="yuv444p")
    with VideoReader(path) as reader:
        frame = next(reader.frames())
    before = frame.picture()
    part = frame.part(Box(20, 10, 60, 40))
    assert (part.width, part.height) == (40, 30)
    assert np.array_equal(part.picture(), before[10:40, 20:60])
    with part.region((-100, 5, 1000, 9)) as (picture, left, top):
        assert (left, top) == (0, 4)
        assert picture.shape[1] == 40
        picture[:] = 200
    after = frame.picture()
    changed = np.argwhere((after != before).any(-1))
    assert (changed.min(0) >= [14, 20]).all()
    assert (changed.max(0) < [20, 60]).all()


def test_frames_are_numbered_from_the_clips_start(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", range(30))
    with VideoReader(path, 0.4, 0.8) as reader:
        assert [frame.number for frame in reader.frames()] == list(range(10))
    with BlankVideo(64, 64, Fraction(25), 0.2, "") as blank:
        assert [frame.number for frame in blank.frames()] == list(range(5))


def test_a_frame_of_another_size_keeps_its_time(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "clip.mp4")) as reader:
        frame = list(reader.frames())[7]
    half = frame.scaled(WIDTH // 2, HEIGHT // 2)
    assert (half.time, half.ticks, half.number) == (frame.time, frame.ticks, 7)
    assert (half.width, half.height) == (WIDTH // 2, HEIGHT // 2)
    means = frame.picture().reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3))
    assert np.abs(half.picture() - means).mean() < 2
    assert frame.scaled(WIDTH, HEIGHT) is frame
