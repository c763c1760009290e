from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from colour import colour_matrix
from hud import Hud
from lettering import Lettering, lettering
from video_io import PlanarPicture

Array = npt.NDArray[Any]

MATRIX = colour_matrix(1, 1, 360)
GREY = 120
LEFT, TOP = 8, 4
RESIDUALS = np.array([[0.5, 1.5, np.nan], [10.0, 12.0, 14.0], [np.nan, np.nan, np.nan]])


def picture(width: int = 640, height: int = 40) -> PlanarPicture:
    made = PlanarPicture.empty(width, height, MATRIX)
    with made.region((0, 0, width, height)) as (whole, _, _):
        whole[:] = GREY
    return made


def hud(width: int = 600, **changes: Any) -> Hud:
    return Hud(lettering(360), RESIDUALS, 10.0, Fraction(25), width, **changes)


def drawn(made: Hud, number: int = 31, row: int | None = 0, seconds: float = 1.24) -> Array:
    shown = picture()
    made.draw(shown, LEFT, TOP, number, seconds, row)
    return shown.picture()


def differing_columns(one: Array, other: Array) -> Array:
    columns: Array = np.flatnonzero((one != other).any((0, 2)))
    return columns


# Letters


def test_letters_stay_in_their_line() -> None:
    for shorter in (100, 256, 360, 720, 2000):
        letters = lettering(shorter)
        white = np.full((3 * letters.line, 400, 3), 255, np.uint8)
        letters.draw(white, "Äg(j)p +60° −60°", 10, letters.line, (0, 0, 0))
        rows = np.flatnonzero((white < 250).any((1, 2)))
        assert letters.line <= rows[0] < rows[-1] < 2 * letters.line
        above, below = rows[0] - letters.line, 2 * letters.line - 1 - rows[-1]
        assert abs(above - below) <= 0.3 * letters.line
        assert letters.line % 2 == 0


def test_letters_grow_with_the_picture_within_bounds() -> None:
    sizes = [lettering(shorter).size for shorter in (16, 256, 360, 720, 4000)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 10  # still readable
    assert sizes[2] / 360 == pytest.approx(0.045, abs=0.003)


def test_width_is_what_is_drawn() -> None:
    letters = Lettering(16)
    for text in ("Input", "residual 0.0 px", "Turned −60°"):
        white = np.full((40, 400, 3), 255, np.uint8)
        letters.draw(white, text, 20, 0, (0, 0, 0))
        columns = np.flatnonzero((white < 250).any((0, 2)))
        assert 20 <= columns[0] <= 23
        assert columns[-1] == pytest.approx(20 + letters.width(text), abs=3)


def test_all_digits_are_equally_wide() -> None:
    letters = Lettering(13)
    assert len({letters.width(digit * 4) for digit in "0123456789"}) == 1


# The line


@pytest.mark.parametrize("is_on_video", [True, False])
def test_only_its_own_place_changes(is_on_video: bool) -> None:
    made = hud(is_on_video=is_on_video)
    shown = drawn(made)
    changed = (shown != GREY).any(-1)
    place = np.zeros_like(changed)
    place[TOP : TOP + made.height, LEFT : LEFT + made.width] = True
    assert changed[place].any()
    assert not changed[~place].any()
    inside = shown[TOP : TOP + made.height, LEFT : LEFT + made.width]
    # On video all of it is shaded, and the text is lighter than what is below; else darker.
    assert (inside[:2].max() < GREY) == is_on_video
    assert (inside.max() > 200) == is_on_video


def test_what_does_not_change_does_not_move() -> None:
    made = hud()
    first = drawn(made, number=31, seconds=1.24)
    time_changed = differing_columns(first, drawn(made, number=31, seconds=1.11))
    number_changed = differing_columns(first, drawn(made, number=111, seconds=1.24))
    label_changed = differing_columns(first, drawn(made, number=31, row=1))
    for columns in (time_changed, number_changed, label_changed):
        assert len(columns)
    assert time_changed[-1] < number_changed[0]
    assert number_changed[-1] < label_changed[0]


def test_the_residual_is_the_median_of_known_joints() -> None:
    """By what two lines with the same text look like."""
    made = hud()
    letters = lettering(360)
    same = np.full((3, 1), 1.0)
    other = Hud(letters, np.vstack([same[:1], [[12.0]], same[:1]]), 10.0, Fraction(25), 600)
    for row in (0, 1):
        shown, expected = drawn(made, row=row), drawn(other, row=row)
        text = (shown > 150).any(-1)
        assert np.array_equal(text, (expected > 150).any(-1))
    assert len(differing_columns(drawn(made, row=0), drawn(made, row=2)))  # unknown


def test_frames_without_a_label_say_so() -> None:
    made = hud()
    without = drawn(made, row=None)
    for row in range(len(RESIDUALS)):
        assert len(differing_columns(without, drawn(made, row=row)))


def test_what_does_not_fit_is_left_out_from_the_end() -> None:
    whole = hud()
    widths = [hud(width).width for width in range(whole.width + 20)]
    assert all(width <= room for room, width in enumerate(widths))
    assert sorted(set(widths)) == [0, *sorted({w for w in widths if w})]
    assert len(set(widths)) == 4  # none, one, two and three of the numbers
    assert widths[-1] == whole.width
    nothing = hud(10)
    assert nothing.width == 0
    assert (drawn(nothing) == GREY).all()


def test_a_clip_without_labels_or_length() -> None:
    made = Hud(lettering(360), np.empty((0, 19)), 0.0, Fraction(25), 600)
    assert (drawn(made, row=None) != GREY).any()
