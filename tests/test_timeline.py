from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from timeline import Timeline, draw_unlabelled_mark

Array = npt.NDArray[Any]
WIDTH, HEIGHT, DURATION = 600, 360, 10.0
STRIP_ROWS = 4
GREY = 90


def drawn(
    labels: Array, seconds: float, size: tuple[int, int] = (WIDTH, HEIGHT), duration: float = 10.0
) -> Array:
    width, height = size
    picture = np.full((height, width, 3), GREY, np.uint8)
    Timeline(width, height, labels, duration).draw(picture, seconds)
    return picture


def marker(picture: Array) -> list[int]:
    columns: list[int] = np.flatnonzero((picture[-1] == 255).all(-1)).tolist()
    return columns


def labelled(picture: Array) -> Array:
    """Which columns of the strip are blue."""
    row = picture[-1].astype(int)
    blue: Array = row[:, 2] > row[:, 0] + 50
    return blue


def test_only_the_strip_is_drawn_over() -> None:
    picture = drawn(np.arange(250) / 25, 5.0)
    assert (picture[:-STRIP_ROWS] == GREY).all()
    assert (picture[-STRIP_ROWS:] != GREY).any(-1).all()
    assert (picture[-STRIP_ROWS:] == picture[-1]).all()


@pytest.mark.parametrize(
    ("seconds", "column"), [(0, 0), (2.5, 150), (9.96, 598), (10, 599), (-1, 0), (99, 599)]
)
def test_the_marker_is_where_we_are(seconds: float, column: int) -> None:
    expected = [c for c in (column - 1, column, column + 1) if 0 <= c < WIDTH]
    assert marker(drawn(np.array([5.0]), seconds)) == expected


def test_each_labelled_span_is_at_its_columns() -> None:
    labels = np.concatenate([np.arange(25, 50), np.arange(100, 125)]) / 25
    blue = labelled(drawn(labels, 9.0))
    expected = np.zeros(WIDTH, bool)
    expected[60:120] = expected[240:300] = True
    np.testing.assert_array_equal(blue, expected)


@pytest.mark.parametrize("width", [64, 250, 333, 600, 607, 640, 1920])
@pytest.mark.parametrize("rate", [12.5, 24, 25, 30000 / 1001, 59.94])
def test_labels_on_every_frame_leave_no_gap(width: int, rate: float) -> None:
    labels = np.arange(int(DURATION * rate)) / rate
    blue = labelled(drawn(labels, -1, (width, HEIGHT)))
    end = int((labels[-1] + 1 / rate) / DURATION * width)
    assert end > 0.98 * width
    assert blue[2:end].all()  # the first two columns are the marker's


def test_a_gap_between_labels_stays_one() -> None:
    labels = np.delete(np.arange(250) / 25, range(100, 110))
    blue = labelled(drawn(labels, 9.9))
    assert not blue[240:264].any()
    assert blue[2:240].all()
    assert blue[264:590].all()


def test_a_single_label_is_seen() -> None:
    assert np.flatnonzero(labelled(drawn(np.array([5.0]), 0.0))).tolist() == [300]


def test_sparse_labels_are_shown_one_by_one() -> None:
    columns = np.flatnonzero(labelled(drawn(np.array([1.0, 5.0, 8.0]), 0.0)))
    assert columns.tolist() == [*range(60, 72), *range(300, 312), *range(480, 492)]


def test_labels_outside_the_clip_are_not_shown() -> None:
    assert not labelled(drawn(np.array([-3.0, -2.96, 10.4, 500.0]), 5.0)).any()


def test_the_picture_shines_through() -> None:
    timeline = Timeline(WIDTH, HEIGHT, np.array([5.0]), DURATION)
    dark, bright = (np.full((HEIGHT, WIDTH, 3), value, np.uint8) for value in (0, 200))
    timeline.draw(dark, 0)
    timeline.draw(bright, 0)
    difference = bright[-1, 10:].astype(int) - dark[-1, 10:]
    assert (difference == 50).all()


def test_drawing_again_does_not_depend_on_the_picture_before() -> None:
    timeline = Timeline(WIDTH, HEIGHT, np.arange(9) / 2, DURATION)
    first, again = (np.full((HEIGHT, WIDTH, 3), GREY, np.uint8) for _ in range(2))
    timeline.draw(first, 2.0)
    timeline.draw(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 7.0)
    timeline.draw(again, 2.0)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("background", [0, GREY, 255])
def test_the_unlabelled_mark_is_a_small_ring_in_the_corner(background: int) -> None:
    picture = np.full((HEIGHT, WIDTH, 3), background, np.uint8)
    draw_unlabelled_mark(picture)
    rows, columns = np.nonzero((picture != background).any(-1))
    assert 30 < len(rows) < 500
    assert rows.max() < 40
    assert columns.min() > WIDTH - 40
    centre = round(float(rows.mean())), round(float(columns.mean()))
    assert (picture[centre] == background).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 5), (16, 9), (3, 301), (301, 3), (2, 1)])
@pytest.mark.parametrize("labels", [[], [0.5], [0.0, 0.1, 0.2]])
def test_tiny_and_odd_pictures(size: tuple[int, int], labels: list[float]) -> None:
    picture = drawn(np.array(labels), 0.5, size, 1.0)
    assert marker(picture)
    draw_unlabelled_mark(picture)
    assert picture.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("duration", [0.0, -1.0, 1e-12])
def test_a_clip_without_duration(duration: float) -> None:
    assert marker(drawn(np.array([0.0, 0.04]), 0.0, duration=duration)) == [0, 1]
