"""Covers colour.py."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from colour import (
    Box,
    Planes,
    box_around,
    colour_matrix,
    joined,
    linear_rgb,
    planes_from_rgb,
    rgb_from_planes,
)

Array = npt.NDArray[Any]
SEED = 20190516
WIDTH, HEIGHT = 32, 18
WHOLE = Box(0, 0, WIDTH, HEIGHT)


def random_planes() -> Planes:
    rng = np.random.default_rng(SEED)
    luma = rng.integers(60, 190, (HEIGHT, WIDTH), np.uint8)
    u, v = rng.integers(108, 148, (2, HEIGHT // 2, WIDTH // 2), np.uint8)
    return luma, u, v


def copies(planes: Planes) -> Planes:
    return planes[0].copy(), planes[1].copy(), planes[2].copy()


@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_flat_colours_are_those_of_ffmpeg(matrix: int, colour_range: int) -> None:
    for colour in ((90, 120, 140), (180, 100, 150), (60, 128, 128)):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        planes = tuple(
            np.full((HEIGHT // half, WIDTH // half), value, np.uint8)
            for value, half in zip(colour, (1, 2, 2), strict=True)
        )
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.zeros((plane.height, plane.line_size), np.uint8)
            rows[:, : plane.width] = values
            plane.update(rows.tobytes())
        expected = frame.to_ndarray(
            format="rgb24", src_colorspace=matrix, src_color_range=colour_range
        )
        luma, u, v = planes
        rgb = rgb_from_planes((luma, u, v), WHOLE, colour_matrix(matrix, colour_range, HEIGHT))
        assert np.abs(rgb.astype(int) - expected).max() <= 2


def test_a_mark_that_is_missing_follows_the_height() -> None:
    unknown = 2
    assert np.array_equal(colour_matrix(unknown, 1, 360), colour_matrix(6, 1, 360))
    assert np.array_equal(colour_matrix(unknown, 1, 720), colour_matrix(1, 1, 720))


def test_what_is_not_drawn_on_stays_bit_for_bit() -> None:
    planes, matrix = random_planes(), colour_matrix(6, 1, HEIGHT)
    before = copies(planes)
    box = Box(4, 2, 20, 12)
    rgb = rgb_from_planes(planes, box, matrix)
    drawn = rgb.copy()
    drawn[3, 5] = (255, 0, 0)  # row 5, column 9 of the picture
    planes_from_rgb(rgb, drawn, planes, box, matrix)
    for plane, old, (row, column) in zip(planes, before, ((5, 9), (2, 4), (2, 4)), strict=True):
        changed = np.argwhere(plane != old)
        assert changed.tolist() == [[row, column]]


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_what_is_drawn_comes_back(matrix: int, colour_range: int) -> None:
    planes, marks = random_planes(), colour_matrix(matrix, colour_range, HEIGHT)
    drawn = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    drawn[:, :16], drawn[:, 16:] = (200, 40, 90), (30, 220, 250)  # flat within two by two
    planes_from_rgb(rgb_from_planes(planes, WHOLE, marks), drawn, planes, WHOLE, marks)
    again = rgb_from_planes(planes, WHOLE, marks)
    assert np.abs(again.astype(int) - drawn).max() <= 3


def test_extreme_values_are_clipped() -> None:
    for value in (0, 255):
        planes = (
            np.full((HEIGHT, WIDTH), value, np.uint8),
            np.full((HEIGHT // 2, WIDTH // 2), 255 - value, np.uint8),
            np.full((HEIGHT // 2, WIDTH // 2), value, np.uint8),
        )
        matrix = colour_matrix(1, 1, HEIGHT)
        rgb = rgb_from_planes(planes, WHOLE, matrix)
        assert rgb[..., 0].tolist() == np.full((HEIGHT, WIDTH), value).tolist()  # no wrap-around
        for colour in (0, 255):
            planes_from_rgb(rgb, np.full_like(rgb, colour), planes, WHOLE, matrix)
            assert np.abs(planes[0].astype(int) - (16 if colour == 0 else 235)).max() <= 1


def test_a_box_is_even_and_inside() -> None:
    assert box_around((5.2, 3.9, 10.0, 7.5), WIDTH, HEIGHT) == Box(4, 2, 12, 8)
    assert box_around((-100, -1e30, 1e30, 5), WIDTH, HEIGHT) == Box(0, 0, WIDTH, 6)
    outside = box_around((WIDTH + 50, 3, WIDTH + 90, 9), WIDTH, HEIGHT)
    rgb = rgb_from_planes(random_planes(), outside, colour_matrix(1, 1, HEIGHT))
    assert rgb.size == 0


@pytest.mark.parametrize("column", range(WIDTH))
def test_a_box_holds_the_pixels_that_it_was_asked_for(column: int) -> None:
    box = box_around((column, 4, column, 4), WIDTH, HEIGHT)
    assert box.left <= column < box.right
    assert box.top <= 4 < box.bottom


def test_joined_holds_both() -> None:
    assert joined([(1, 2, 3, 4), (0, 3, 2, 9)]) == (0, 2, 3, 9)
    assert joined([]) == (0, 0, 0, 0)


def test_linear_rgb_is_the_light_of_srgb() -> None:
    assert linear_rgb((0.0, 0.04045, 1.0)) == pytest.approx((0.0, 0.04045 / 12.92, 1.0))
    assert linear_rgb((0.5, 0.2, 0.04)) == pytest.approx((0.21404, 0.03310, 0.003096), abs=1e-5)
