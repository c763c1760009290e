from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from animation import STEP_SEC, Animation, animate

RATE = Fraction(25)


def shown_at(animation: Animation, seconds: float) -> int | None:
    """The row whose key is last at a moment, where the body is seen."""
    if not any(start <= seconds < end for start, end in animation.spans):
        return None
    return int(animation.rows[np.searchsorted(animation.times, seconds, "right") - 1])


def test_every_frame_shows_its_own_label_or_none() -> None:
    frames = [0, 1, 2, 5, 6, 7, 8, 15, 20, 21]
    animation = animate(np.array(frames) / 25, 1.0, RATE)
    shown = [shown_at(animation, frame / 25) for frame in range(25)]
    expected = [frames.index(frame) if frame in frames else None for frame in range(25)]
    assert shown == expected
    assert animation.duration == 1.0


def test_a_label_is_seen_half_a_frame_before_and_after_itself() -> None:
    animation = animate(np.array([0.2, 0.24, 0.28, 0.6]), 1.0, RATE)
    assert animation.spans == pytest.approx(np.array([[0.18, 0.30], [0.58, 0.62]]))
    assert animation.times == pytest.approx(
        np.array([0.18, 0.2, 0.24, 0.28, 0.30, 0.58 - STEP_SEC, 0.58, 0.6, 0.62])
    )
    assert animation.rows.tolist() == [0, 0, 1, 2, 2, 2, 3, 3, 3]


def test_labels_on_every_third_frame_are_one_run() -> None:
    animation = animate(np.arange(0, 1, 0.12), 1.0, RATE)
    assert animation.spans == pytest.approx(np.array([[0.0, 0.98]]))


def test_labels_far_apart_are_seen_one_by_one() -> None:
    animation = animate(np.array([1.0, 3.0, 5.0]), 10.0, RATE)
    assert animation.spans == pytest.approx(np.array([[0.98, 1.02], [2.98, 3.02], [4.98, 5.02]]))


def test_labels_nearer_to_each_other_than_frames() -> None:
    times = np.array([0, 1, 2, 4, 5, 6]) / 100
    animation = animate(times, 1.0, RATE)
    assert animation.spans == pytest.approx(np.array([[0.0, 0.025], [0.035, 0.065]]))
    assert (np.diff(animation.times) > 0).all()


def test_a_single_label() -> None:
    animation = animate(np.array([0.4]), 1.0, RATE)
    assert animation.spans == pytest.approx(np.array([[0.38, 0.42]]))
    assert animation.rows.tolist() == [0, 0, 0]


def test_labels_of_one_time_and_before_the_start_leave_the_first() -> None:
    animation = animate(np.array([-0.3, 0.0, 0.04, 0.04, 0.08]), 1.0, RATE)
    assert sorted(set(animation.rows.tolist())) == [0, 2, 4]
    assert (np.diff(animation.times) > 0).all()
    assert animation.times[0] == 0.0


def test_labels_beyond_the_clip_make_it_longer() -> None:
    assert animate(np.array([0.96, 1.2]), 1.0, RATE).duration == pytest.approx(1.22)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_keys_stay_apart_in_float32(rate: Fraction, dtype: type) -> None:
    frames = np.delete(np.arange(round(10 * rate)), [50, 51, 52, 100, 200])
    times = (frames / float(rate)).astype(dtype).astype(np.float64)
    animation = animate(times, 10.0, rate)
    assert len(animation.spans) == 4
    assert np.diff(animation.times.astype(np.float32)).min() > STEP_SEC / 2
    for row, time in enumerate(times):
        assert shown_at(animation, time) == row
