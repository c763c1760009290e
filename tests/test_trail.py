from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import TIMES
from synthetic import decode

from keypoints import JOINT_NAMES, RIGHT_COLOUR
from options import VisualiseOptions
from trail import LENGTH_SEC, Trail
from visualise import visualise_clip

Array = npt.NDArray[Any]
MakeClip = Callable[..., Path]

WIDTH, HEIGHT = 240, 60
JOINT = "right_wrist"
ROW = 30


def walk(times: Array, unknown: tuple[int, ...] = ()) -> Array:
    """(N, 19, 2) keypoints: one joint goes to the right by 100 pixels a second."""
    points = np.full((len(times), 19, 2), np.nan)
    points[:, JOINT_NAMES.index(JOINT)] = np.column_stack(
        [20 + 100 * times, np.full(len(times), ROW)]
    )
    points[list(unknown)] = np.nan
    return points


def drawn(trail: Trail, seconds: float) -> Array:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    trail.draw(picture, seconds)
    return picture


def strengths(trail: Trail, seconds: float) -> Array:
    """(W,) how visible the trail is along the joint's way."""
    line: Array = drawn(trail, seconds)[ROW, :, 1] / RIGHT_COLOUR[1]
    return line


def test_it_reaches_back_a_second_and_fades() -> None:
    times = np.arange(0, 2, 0.04)
    line = strengths(Trail(walk(times), times, [JOINT], 1.0), 1.6)
    joint = 20 + 160
    seen = np.flatnonzero(line > 0.02)
    assert abs(seen.max() - joint) < 4
    assert abs(seen.min() - (joint - 100 * LENGTH_SEC)) < 8
    along = line[seen.min() + 8 : joint - 2]
    assert along[-1] > 0.95
    assert along[0] < 0.15
    assert np.diff(along).min() > -0.02  # but for the ends of its pieces
    assert np.interp(0.5, np.linspace(0, 1, len(along)), along) == pytest.approx(0.5, abs=0.08)


def test_it_has_the_joints_colour() -> None:
    times = np.arange(0, 1, 0.04)
    picture = drawn(Trail(walk(times), times, [JOINT], 1.0), 0.96)
    assert np.abs(picture[ROW, 114].astype(int) - RIGHT_COLOUR).max() < 12


def test_it_breaks_where_labels_are_missing() -> None:
    times = np.concatenate([np.arange(0, 0.4, 0.04), np.arange(0.6, 0.96, 0.04)])
    line = strengths(Trail(walk(times), times, [JOINT], 1.0), float(times[-1]))
    last, first = 20 + 100 * 0.36, 20 + 100 * 0.6
    assert (line[int(last) + 5 : int(first) - 4] == 0).all()
    assert (line[int(last) - 10 : int(last)] > 0).all()
    assert (line[int(first) + 1 : int(first) + 10] > 0).all()


def test_it_breaks_where_the_joint_is_unknown() -> None:
    times = np.arange(0, 1, 0.1)
    line = strengths(Trail(walk(times, unknown=(5,)), times, [JOINT], 1.0), 0.9)
    assert (line[20 + 40 + 5 : 20 + 60 - 4] == 0).all()
    assert line[20 + 35] > 0
    assert line[20 + 65] > 0


def test_it_goes_on_fading_without_labels() -> None:
    times = np.arange(0, 0.5, 0.04)
    trail = Trail(walk(times), times, [JOINT], 1.0)
    visible = [
        strengths(trail, float(times[-1]) + later).sum() for later in (0, 0.3, 0.6, 0.9, 1.1)
    ]
    assert np.diff(visible).max() < 0
    assert visible[-1] == 0


def test_nothing_of_what_is_still_to_come() -> None:
    times = np.arange(0, 1, 0.04)
    assert strengths(Trail(walk(times), times, [JOINT], 1.0), 0.4)[20 + 40 + 5 :].max() == 0


@pytest.mark.parametrize("count", [1, 2])
def test_few_labels(count: int) -> None:
    times = np.full(count, 0.5)
    trail = Trail(walk(times), times, [JOINT], 1.0)
    assert not drawn(trail, 0.5).any()
    assert trail.bounds(0.5) == (0, 0, 0, 0)


def test_bounds_hold_all_that_is_drawn_and_parts_are_parts() -> None:
    times = np.arange(0, 2, 0.04)
    trail = Trail(walk(times), times, [JOINT, "left_ear"], 2.0)
    whole = drawn(trail, 1.5)
    rows, columns = np.nonzero(whole.any(-1))
    left, top, right, bottom = trail.bounds(1.5)
    assert left <= columns.min() <= columns.max() <= right
    assert top <= rows.min() <= rows.max() <= bottom
    part = np.zeros((HEIGHT - 10, WIDTH - 30, 3), np.uint8)
    trail.draw(part, 1.5, 30, 10)
    np.testing.assert_array_equal(part, whole[10:, 30:])


def test_far_away_joints_are_unknown() -> None:
    times = np.arange(0, 0.2, 0.04)
    points = walk(times)
    points[2] *= 1e9
    trail = Trail(points, times, [JOINT], 1.0)
    assert max(np.abs(trail.bounds(0.16))) < 1000
    assert drawn(trail, 0.16).any()


def test_it_is_drawn_into_the_video(make_clip: MakeClip, tmp_path: Path) -> None:
    """Also into frames without a label, while it fades."""
    pictures = {}
    for trail in ((), ("right_wrist", "left_knee")):
        folder = tmp_path / str(len(trail))
        options = VisualiseOptions(output_dir=folder, trail=trail, video_crf=1, show_hud=False)
        visualise_clip(make_clip(), options)
        pictures[trail] = decode(next(folder.glob("*/*.mp4"))).pictures
    plain, with_trail = (np.array(shown, np.int64) for shown in pictures.values())
    changed = (np.abs(plain - with_trail).max(-1) > 40).sum((1, 2))
    labelled = {round(time * 25) for time in TIMES}
    assert changed[0] == 0
    assert changed[2] > 0
    assert 3 not in labelled
    assert changed[3] > 0
