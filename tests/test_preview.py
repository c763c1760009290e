"""Previews, read back by OpenCV, which has decoders of its own."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from synthetic import coded_picture, number_of, write_video

from options import VisualiseOptions
from preview import PREVIEW_FORMATS, Preview, PreviewFormat
from video_io import VideoReader
from visualise import visualise_clip

Array = npt.NDArray[Any]
MakeClip = Callable[..., Path]

LIMIT = 500_000
both_formats = pytest.mark.parametrize("kind", PREVIEW_FORMATS)


def preview_of(path: Path) -> Preview:
    with VideoReader(path) as reader:
        preview = Preview(reader.properties)
        for frame in reader.frames():
            preview.take(frame)
    return preview


def read_back(data: bytes) -> tuple[list[Array], Array, int]:
    """Pictures (RGB), milliseconds that each is shown, and how often (0: for ever)."""
    ok, animation = cv2.imdecodeanimation(np.frombuffer(data, np.uint8))
    assert ok
    pictures = [frame[..., 2::-1] for frame in animation.frames]
    return pictures, np.ravel(animation.durations), animation.loop_count


def noise(number: int, width: int, height: int) -> Array:
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


@both_formats
def test_it_shows_the_film_at_its_own_pace_for_ever(tmp_path: Path, kind: PreviewFormat) -> None:
    path = write_video(tmp_path / "film.mp4", range(75))
    data = preview_of(path).encoded(kind)
    pictures, milliseconds, loops = read_back(data)
    assert loops == 0
    assert len(pictures) == pytest.approx(3 * 8, abs=1)
    assert milliseconds.sum() == pytest.approx(3000, abs=125)
    times = np.concatenate([[0], np.cumsum(milliseconds)[:-1]])
    assert [number_of(picture) for picture in pictures] == [round(t / 40) for t in times]
    assert pictures[0].shape == (120, 160, 3)


@both_formats
def test_colours_are_those_of_the_film(tmp_path: Path, kind: PreviewFormat) -> None:
    colours = [(200, 60, 40), (40, 160, 90), (60, 80, 190)]

    def plain(number: int, width: int, height: int) -> Array:
        return np.full((height, width, 3), colours[number // 10], np.uint8)

    path = write_video(tmp_path / "film.mp4", range(30), picture=plain)
    pictures, milliseconds, _ = read_back(preview_of(path).encoded(kind))
    times = np.concatenate([[0], np.cumsum(milliseconds)[:-1]])
    for picture, time in zip(pictures, times, strict=True):
        expected = colours[round(time / 40) // 10]
        assert np.abs(picture.reshape(-1, 3).mean(0) - expected).max() < 6


@both_formats
def test_what_does_not_compress_gets_fewer_pixels(tmp_path: Path, kind: PreviewFormat) -> None:
    path = write_video(tmp_path / "noise.mp4", range(100), size=(320, 240), picture=noise)
    data = preview_of(path).encoded(kind)
    pictures, _, _ = read_back(data)
    assert len(data) <= LIMIT
    assert len(pictures) >= 30
    height, width = pictures[0].shape[:2]
    assert 60 <= height < 200
    assert width / height == pytest.approx(4 / 3, abs=0.05)


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((640, 360), None, (320, 180)),
        ((360, 640), None, (180, 320)),
        ((160, 120), None, (160, 120)),
        ((161, 121), None, (160, 120)),
        ((320, 240), Fraction(4, 3), (320, 180)),
    ],
    ids=["wide", "portrait", "small", "odd", "oblong pixels"],
)
def test_sizes(
    tmp_path: Path,
    size: tuple[int, int],
    aspect: Fraction | None,
    expected: tuple[int, int],
) -> None:
    path = write_video(tmp_path / "film.mkv", range(3), size=size, aspect=aspect, pix_fmt="yuv444p")
    pictures, _, _ = read_back(preview_of(path).encoded("gif"))
    assert pictures[0].shape[1::-1] == expected


def test_a_long_film_is_shown_in_bounded_memory(tmp_path: Path) -> None:
    """Every second picture is left out, as often as need be; the times stay true."""
    path = write_video(tmp_path / "film.mp4", range(250), Fraction(1, 2))
    preview = preview_of(path)
    pictures, milliseconds, _ = read_back(preview.encoded("webp"))
    assert 60 < len(pictures) <= 128
    assert milliseconds.sum() == pytest.approx(125_000, rel=0.02)
    times = np.concatenate([[0], np.cumsum(milliseconds)[:-1]])
    numbers = [number_of(picture) for picture in pictures]
    assert numbers == [round(t / 500) % 256 for t in times]


@both_formats
def test_a_single_frame(tmp_path: Path, kind: PreviewFormat) -> None:
    path = write_video(tmp_path / "film.mp4", range(1))
    pictures, _, _ = read_back(preview_of(path).encoded(kind))
    assert np.abs(pictures[0].astype(int) - coded_picture(0)).mean() < 4


def test_gaps_between_frames_are_kept(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", [0, 5, 10, 60, 65])
    _, milliseconds, _ = read_back(preview_of(path).encoded("webp"))
    assert milliseconds[:4].tolist() == [200, 200, 2000, 200]


def test_previews_show_the_drawn_film(make_clip: MakeClip, tmp_path: Path) -> None:
    report = visualise_clip(
        make_clip(),
        VisualiseOptions(output_dir=tmp_path / "out", outputs=frozenset({"gif", "webp"})),
    )
    for kind in PREVIEW_FORMATS:
        path = tmp_path / "out" / report.clip / f"preview.{kind}"
        pictures, _, _ = read_back(path.read_bytes())
        assert len(pictures) == 8
        assert (pictures[0].min(-1) < 200).mean() > 0.05  # the video is white
        assert report.outputs[path.name] == path.stat().st_size
