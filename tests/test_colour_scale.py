from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from colour_scale import UNKNOWN, ColourScale, Legend, heat, round_up, viridis

Array = npt.NDArray[Any]

WIDTH, HEIGHT = 320, 240


def scale(**changes: Any) -> ColourScale:
    fields = {
        "colour_map": heat(),
        "first": 0.0,
        "last": 3.0,
        "first_text": "0",
        "last_text": "3 m/s",
    }
    return ColourScale(**{**fields, **changes})


def test_numbers_lie_between_the_first_and_the_last_colour() -> None:
    colours = scale().colours(np.array([0.0, 1.5, 3.0]))
    np.testing.assert_allclose(colours, heat()[[0, 128, 255]], atol=1e-6)
    assert colours.dtype == np.float32


def test_numbers_outside_have_the_colour_of_the_nearest_end() -> None:
    np.testing.assert_array_equal(scale().colours(np.array([-9.0, 99.0])), heat()[[0, 255]])


def test_a_scale_may_fall() -> None:
    falling = scale(first=2.0, last=-1.0)
    np.testing.assert_allclose(falling.colours(np.array([2.0, -1.0])), heat()[[0, 255]])


def test_what_is_unknown_has_a_colour_of_its_own() -> None:
    colours = scale().colours(np.array([[np.nan, 1.0], [np.inf, 3.0]]))
    assert colours.shape == (2, 2, 3)
    np.testing.assert_array_equal(colours[:, 0], np.array([UNKNOWN, UNKNOWN], np.float32))
    assert (np.abs(heat() - UNKNOWN).max(1) > 0.15).all()


@pytest.mark.parametrize(("colours", "direction"), [(viridis, 1), (heat, -1)])
def test_lightness_goes_one_way(colours: Callable[[], Array], direction: int) -> None:
    """So that their order shows without hue: in grey, and to colour-blind eyes."""
    luminance = colours() ** 2.2 @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(luminance) - 16
    steps = direction * np.diff(lightness)
    assert steps.min() > -0.25  # 8-bit colours are rounded
    assert direction * (lightness[-1] - lightness[0]) > 60


def drawn(legend: Legend, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Array:
    picture = np.full((size[1], size[0], 3), 120, np.uint8)
    legend.draw(picture)
    return picture


def test_the_legend_shows_the_scale_itself() -> None:
    picture = drawn(Legend(scale(), WIDTH, HEIGHT))
    colours = np.rint(255 * heat())
    shown = (picture[:, :, None].astype(int) == colours).all(-1).any(2)
    row = np.flatnonzero(shown.sum(1) > 40)[0]
    columns = np.flatnonzero(shown[row])
    np.testing.assert_array_equal(picture[row, columns[0]], colours[0])
    np.testing.assert_array_equal(picture[row, columns[-1]], colours[255])
    middle = (columns[0] + columns[-1]) // 2
    assert np.abs(picture[row, middle] - colours[127]).max() < 6


def test_the_legend_stays_within_its_bounds() -> None:
    legend = Legend(scale(unknown_text="unknown"), WIDTH, HEIGHT, below=30)
    rows, columns = np.nonzero((drawn(legend) != 120).any(-1))
    bounds = columns.min(), rows.min(), columns.max(), rows.max()
    assert bounds == legend.bounds
    assert rows.min() >= 30


def test_the_legend_of_a_part_is_that_part() -> None:
    legend = Legend(scale(), WIDTH, HEIGHT)
    left, top = (int(edge) // 2 * 2 for edge in legend.bounds[:2])
    part = np.full((60, 200, 3), 120, np.uint8)
    legend.draw(part, left, top)
    np.testing.assert_array_equal(part, drawn(legend)[top : top + 60, left : left + 200])


def test_the_legend_says_what_is_unknown_only_where_something_is() -> None:
    grey = np.rint(255 * np.array(UNKNOWN))
    for text, has_grey in (("", False), ("unknown", True)):
        picture = drawn(Legend(scale(unknown_text=text), WIDTH, HEIGHT))
        assert (picture == grey).all(-1).any() == has_grey


@pytest.mark.parametrize("size", [(16, 12), (40, 200), (1, 1)])
def test_a_picture_without_room_has_a_part_of_the_legend(size: tuple[int, int]) -> None:
    drawn(Legend(scale(), *size, below=10), size)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.37, 0.4), (2.1, 3.0), (3.0, 3.0), (8.2, 10.0), (11.0, 15.0), (0.04, 0.04), (0.0, 1.0)],
)
def test_round_numbers(value: float, rounded: float) -> None:
    assert round_up(value) == pytest.approx(rounded)
