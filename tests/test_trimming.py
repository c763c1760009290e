from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from coded_video import HEIGHT, RATE, WIDTH, picture, read_numbers, write_coded_video

import trimming
from clip_names import ClipName
from errors import MissingDependencyError, VideoReadError, VideoTruncatedError
from trimming import check_video, ends_early, find_ffmpeg, trim

CLIP = ClipName("-V4_IAq3WJo", 2, 6)
_SEED = 20190616
_LIMIT_SEC = 60


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coded_video(tmp_path_factory.mktemp("video") / "-V4_IAq3WJo.mp4", 12)


@pytest.fixture
def forgotten_ffmpeg() -> Iterator[None]:
    find_ffmpeg.cache_clear()
    yield
    find_ffmpeg.cache_clear()


def _times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]


def _write_at(path: Path, ticks: Sequence[int], x264: str) -> None:
    """Coded pictures at the given multiples of 1/30000 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"x264-params": x264})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 30000)
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(picture(number), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = tick, Fraction(1, 30000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_clip_is_cut_to_the_frame_with_its_sound(video: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    trim(video, CLIP, clip, _LIMIT_SEC)
    assert read_numbers(clip) == list(range(2 * RATE, 6 * RATE))
    assert _times(clip) == pytest.approx([i / RATE for i in range(4 * RATE)])
    with av.open(str(clip)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        sound = container.streams.audio[0]
        assert sound.codec_context.name == "aac"
        assert sound.duration is not None
        assert sound.time_base is not None
        assert float(sound.duration * sound.time_base) == pytest.approx(4, abs=0.1)
    assert check_video(clip) == pytest.approx(4)


@pytest.mark.parametrize(
    ("suffix", "x264"),
    [
        (".mp4", "open-gop=1:keyint=45:bframes=4"),
        (".mkv", "keyint=250:bframes=8:b-pyramid=2"),
        (".mkv", "keyint=12"),
    ],
)
@pytest.mark.parametrize("rate", ["30000/1001", "variable"])
def test_frames_and_their_times_are_kept(tmp_path: Path, suffix: str, x264: str, rate: str) -> None:
    steps = [1001] if rate == "30000/1001" else [700, 1001, 1500, 2002]
    randomness = random.Random(_SEED)  # noqa: S311 nothing secret
    ticks = [0]
    while ticks[-1] < 9 * 30000:
        ticks.append(ticks[-1] + randomness.choice(steps))
    source = tmp_path / f"source{suffix}"
    _write_at(source, ticks, x264)
    trim(source, CLIP, tmp_path / "clip.mp4", _LIMIT_SEC)
    expected = {i: time - 2 for i, time in enumerate(_times(source)) if 2 <= time < 6}
    assert read_numbers(tmp_path / "clip.mp4") == list(expected)
    assert _times(tmp_path / "clip.mp4") == pytest.approx(list(expected.values()), abs=1e-5)


def test_odd_sizes_and_missing_sound(tmp_path: Path) -> None:
    source = tmp_path / "odd.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 91, 67, "yuv444p"
        for _ in range(75):
            container.mux(stream.encode(av.VideoFrame(91, 67, "yuv444p")))
        container.mux(stream.encode(None))
    trim(source, ClipName(CLIP.video_id, 1, 2), tmp_path / "clip.mp4", _LIMIT_SEC)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        size = (container.streams.video[0].width, container.streams.video[0].height)
    assert size == (90, 66)
    assert check_video(tmp_path / "clip.mp4") == pytest.approx(1)


def test_hostile_names_are_only_names(video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "-y $(touch x) ; 'q\" %d"
    folder.mkdir()
    source = folder / "pipe:0"
    shutil.copy(video, source)
    trim(source, CLIP, folder / "-i.mp4", _LIMIT_SEC)
    assert check_video(folder / "-i.mp4") == pytest.approx(4)
    assert sorted(path.name for path in folder.iterdir()) == ["-i.mp4", "pipe:0"]


def test_what_cannot_be_cut_says_why(tmp_path: Path) -> None:
    source = tmp_path / "page.mp4"
    source.write_text("<html>")
    with pytest.raises(VideoReadError, match=r"page\.mp4: ffmpeg could not cut it: .*Invalid data"):
        trim(source, CLIP, tmp_path / "clip.mp4", _LIMIT_SEC)


def test_a_cut_that_takes_too_long_is_ended(video: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoReadError, match=r"could not be cut within 0\.01 s"):
        trim(video, CLIP, tmp_path / "clip.mp4", 0.01)


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    lines = ["av_interleaved_write_frame(): No space left on device"]
    with pytest.raises(OSError, match="No space left") as caught:
        trimming.raise_if_disk_full(lines, tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_a_video_cut_short_is_noticed(video: Path, tmp_path: Path) -> None:
    assert check_video(video) == pytest.approx(12)
    assert not ends_early(video)
    short = tmp_path / "short.mp4"
    short.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    assert ends_early(short)
    with pytest.raises((VideoTruncatedError, VideoReadError)):
        check_video(short)


def test_sound_that_outlasts_the_picture_is_no_early_end(tmp_path: Path) -> None:
    path = write_coded_video(tmp_path / "video.mp4", 3, sound_seconds=6)
    assert not ends_early(path)
    assert check_video(path) == pytest.approx(3)


def test_what_is_no_video_does_not_pass(tmp_path: Path) -> None:
    for content in (b"", b"<html>"):
        (tmp_path / "x.mp4").write_bytes(content)
        with pytest.raises(VideoReadError, match=r"x\.mp4"):
            check_video(tmp_path / "x.mp4")
    with pytest.raises(VideoReadError, match=r"nowhere\.mp4: .*No such file"):
        check_video(tmp_path / "nowhere.mp4")


@pytest.mark.usefixtures("forgotten_ffmpeg")
def test_the_systems_ffmpeg_comes_first_if_it_is_able(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = imageio_ffmpeg.get_ffmpeg_exe()
    system = tmp_path / "ffmpeg"
    system.symlink_to(bundled)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == system

    find_ffmpeg.cache_clear()
    system.unlink()
    system.write_text("#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    system.chmod(0o755)
    assert find_ffmpeg() == Path(bundled)

    find_ffmpeg.cache_clear()
    system.unlink()
    assert find_ffmpeg() == Path(bundled)


@pytest.mark.usefixtures("forgotten_ffmpeg")
def test_no_ffmpeg_at_all_tells_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(OSError))
    with pytest.raises(MissingDependencyError, match=r"pip install -r requirements\.txt"):
        find_ffmpeg()
