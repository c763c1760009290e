from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from labels import LabelMatcher

SEEDS = range(200)


@dataclasses.dataclass
class Frame:
    time: Fraction


def match(frame_times: list[Fraction], labels: list[float]) -> tuple[list[int | None], int]:
    """The row of each frame, and the number of dropped labels."""
    matcher = LabelMatcher(np.array(labels, np.float64))
    frames = [Frame(time) for time in frame_times]
    matched = list(matcher.match(iter(frames)))
    assert [frame for frame, _ in matched] == frames
    rows = [row for _, row in matched]
    assert matcher.matched == sum(row is not None for row in rows)
    return rows, matcher.dropped


def nearest_assignment(frame_times: list[Fraction], labels: list[float]) -> list[int | None]:
    """Brute force: each label to its nearest frame, then each frame to its nearest label."""
    best: dict[int, int] = {}
    for row, label in enumerate(labels):
        time = Fraction(label)
        frame = min(range(len(frame_times)), key=lambda i: (abs(frame_times[i] - time), i))
        if len(frame_times) > 1:
            before = frame_times[0] - (frame_times[1] - frame_times[0]) / 2
            after = frame_times[-1] + (frame_times[-1] - frame_times[-2]) / 2
            if not before <= time <= after:
                continue
        if frame not in best or abs(frame_times[frame] - time) < abs(
            frame_times[frame] - Fraction(labels[best[frame]])
        ):
            best[frame] = row
    return [best.get(i) for i in range(len(frame_times))]


def constant_rate(rate: Fraction, count: int) -> list[Fraction]:
    return [i / rate for i in range(count)]


@pytest.mark.parametrize(
    "rate", [Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(5994, 100)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_label_per_frame_at_any_rate(rate: Fraction, dtype: type[np.floating]) -> None:
    times = constant_rate(rate, 600)
    labels = [float(dtype(float(time))) for time in times]
    assert match(times, labels) == (list(range(600)), 0)


def test_labels_of_a_rounded_rate_go_to_the_frame_on_screen_at_that_time() -> None:
    """30 labels a second on 29.97 pictures: after 17 s one is half a frame early."""
    times = constant_rate(Fraction(30000, 1001), 900)
    rows, dropped = match(times, [i / 30 for i in range(900)])
    assert rows[100] == 100
    assert rows[600] == 601
    assert dropped == 1


def test_variable_frame_rate() -> None:
    times = [Fraction(ms, 1000) for ms in (0, 40, 60, 200, 210)]
    assert match(times, [0.021, 0.049, 0.051, 0.131, 0.2, 0.206]) == ([None, 1, 2, 4, 5], 2)


def test_a_label_exactly_between_two_frames_belongs_to_the_earlier() -> None:
    times = [Fraction(0), Fraction(1, 4), Fraction(1, 2)]
    assert match(times, [0.125]) == ([0, None, None], 0)
    assert match(times, [0.375]) == ([None, 0, None], 0)
    assert match(times, [float(np.nextafter(0.375, 1))]) == ([None, None, 0], 0)


def test_the_nearest_of_several_labels_wins_and_the_first_of_equals() -> None:
    times = constant_rate(Fraction(4), 3)
    assert match(times, [0.17, 0.24, 0.28]) == ([None, 1, None], 2)
    assert match(times, [0.17, 0.24, 0.2501]) == ([None, 2, None], 2)
    assert match(times, [0.1875, 0.3125]) == ([None, 0, None], 1)
    assert match(times, [0.25, 0.25]) == ([None, 0, None], 1)


def test_before_the_first_and_past_the_end() -> None:
    times = [Fraction(1), Fraction(3, 2), Fraction(2)]
    assert match(times, [0.2, 0.7, 1.4, 2.3, 9.0]) == ([None, 2, None], 4)
    assert match(times, [0.75, 2.25]) == ([0, None, 1], 0)


def test_the_last_two_frames_at_one_time() -> None:
    assert match([Fraction(0), Fraction(1), Fraction(1)], [1.0, 7.0]) == ([None, 0, None], 1)


def test_a_single_frame_takes_the_nearest_label() -> None:
    assert match([Fraction(1)], [0.0, 1.5, 40.0]) == ([1], 2)


def test_no_label_and_no_frame() -> None:
    assert match(constant_rate(Fraction(25), 3), []) == ([None] * 3, 0)
    assert match([], [0.0, 1.0]) == ([], 2)


def test_frames_are_handed_on_one_behind() -> None:
    taken: list[int] = []

    def frames() -> Iterator[Frame]:
        for i in range(5):
            taken.append(i)
            yield Frame(Fraction(i))

    matched = LabelMatcher(np.arange(5.0)).match(frames())
    next(matched)
    assert taken == [0, 1]
    next(matched)
    assert taken == [0, 1, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_against_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 9, rng.integers(1, 30))
    # Whole 64ths of a second, so that exact ties are common.
    times = [Fraction(int(ticks), 64) for ticks in np.cumsum(steps)]
    labels = sorted((rng.integers(-8, steps.sum() + 24, rng.integers(0, 60)) / 128).tolist())
    rows, dropped = match(times, labels)
    assert rows == nearest_assignment(times, labels)
    assert dropped == len(labels) - sum(row is not None for row in rows)
