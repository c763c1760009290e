from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from measures import are_neighbours, jitter_mm, label_jitter_mm, person_size

Array = Any


def falling(time: Array, joints: int = 19) -> Array:
    """Every joint falls freely; y is down."""
    joints_3d = np.zeros((len(time), joints, 3))
    joints_3d[:, :, 1] = 0.5 * 9.81 * time[:, None] ** 2 + np.arange(joints)
    return joints_3d


def g_per_frame(step: float) -> Any:
    """mm / frame²"""
    return pytest.approx(9810 * step**2)


@pytest.mark.parametrize("rate", [10.0, 29.97])
def test_a_falling_body_accelerates_by_g(rate: float) -> None:
    time = np.arange(20) / rate
    assert jitter_mm(time, falling(time)) == g_per_frame(1 / rate)


def test_labels_across_a_gap_are_not_neighbours() -> None:
    time = np.array([0.0, 0.1, 0.2, 0.3, 1.0, 1.1, 1.2, 1.3])
    joints = falling(time)
    joints[4:] += 100  # another place after the gap
    assert jitter_mm(time, joints) == g_per_frame(0.1)
    assert are_neighbours(time).tolist() == [True, True, True, False, True, True, True]


def test_uneven_times_within_a_run() -> None:
    time = np.array([0.0, 0.1, 0.2, 0.31, 0.4, 0.52])
    assert jitter_mm(time, falling(time)) == g_per_frame(0.1)


def test_unknown_joints_and_repeated_times_are_left_out() -> None:
    time = np.array([0.0, 0.1, 0.1, 0.2, 0.3, 0.4])
    joints = falling(time)
    joints[3:, 2] = np.nan
    joints[:, 5] = np.inf
    assert jitter_mm(time, joints) == g_per_frame(0.1)


def test_one_jump_is_no_jitter() -> None:
    time = np.arange(50) / 25
    joints = falling(time)
    joints[30] += 1.0
    assert jitter_mm(time, joints) == g_per_frame(0.04)


def test_each_label_between_neighbours_has_its_jitter() -> None:
    time = np.array([0.0, 0.1, 0.2, 0.3, 1.0, 1.1])
    met = label_jitter_mm(time, falling(time))
    assert met[1:3].tolist() == [g_per_frame(0.1)] * 2
    assert np.isnan(met[[0, 3, 4, 5]]).all()


@pytest.mark.parametrize("time", [[], [1.0], [0.0, 0.1], [0.5, 0.5, 0.5], [0.0, 0.1, 9.0]])
def test_too_few_labels_have_no_jitter(time: list[float]) -> None:
    assert jitter_mm(np.array(time), falling(np.array(time))) is None


def test_no_known_joint_has_no_jitter() -> None:
    time = np.arange(5) / 25
    assert jitter_mm(time, np.full((5, 19, 3), np.nan)) is None


def test_the_size_is_the_median_height() -> None:
    keypoints = np.zeros((3, 19, 2))
    keypoints[:, 4, 1] = [50, 60, 200]
    keypoints[:, 7, 1] = -10
    keypoints[1, 9] = np.nan, 999  # not known in x, so not known
    assert person_size(keypoints, 100) == pytest.approx(0.7)


def test_frames_without_two_keypoints_have_no_size() -> None:
    keypoints = np.full((4, 19, 2), np.nan)
    keypoints[:, 0] = 3
    assert person_size(keypoints, 100) is None
    keypoints[2, 1] = 3, 23
    assert person_size(keypoints, 100) == pytest.approx(0.2)
