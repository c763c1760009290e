"""Numbers that say how good a clip's labels are, to sort and to find clips by.

    joint_acceleration(annotations.time, annotations.joints_3d)     # 3.1, in metres per s²
    person_size(resolved.keypoints_px, frame_height)                # 0.62 of the frame's height

Covered by tests/test_measures.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LONGEST_GAP = 1.5  # of the usual step between labels; what is further apart is not one movement


def joint_acceleration(time: Array, joints_3d: Array) -> float | None:
    """Mean acceleration of the joints: how much the body trembles from frame to frame.

    It is the mean, over joints and over runs of three neighbouring labels, of the length of the
    second divided difference over the labels' own times. Labels with a gap between them are not
    neighbours.

    Args:
        time: (N,) seconds, ascending.
        joints_3d: (N, J, 3) metres; not finite where unknown.

    Returns:
        Metres per second squared; None where no three neighbouring labels know a joint.
    """
    steps = np.diff(time)
    steps_forward = steps[steps > 0]
    if not len(steps_forward):
        return None
    is_near = (steps > 0) & (steps <= _LONGEST_GAP * np.median(steps_forward))
    middle = 1 + np.flatnonzero(is_near[:-1] & is_near[1:])
    before, after = steps[middle - 1, None, None], steps[middle, None, None]
    with np.errstate(invalid="ignore", over="ignore"):
        came = (joints_3d[middle] - joints_3d[middle - 1]) / before
        goes = (joints_3d[middle + 1] - joints_3d[middle]) / after
        lengths = np.linalg.norm(2 * (goes - came) / (before + after), axis=2)
    known = lengths[np.isfinite(lengths)]
    return float(known.mean()) if known.size else None


def person_size(keypoints_px: Array, frame_height: int) -> float | None:
    """Median height of the person, from the highest keypoint to the lowest.

    Args:
        keypoints_px: (N, J, 2) columns and rows in pixels; not finite where unknown.
        frame_height: rows of the picture.

    Returns:
        A share of the frame's height, more than 1 where the person is larger than the frame;
        None where no frame has two known keypoints.
    """
    rows = np.where(np.isfinite(keypoints_px).all(2), keypoints_px[:, :, 1], np.nan)
    rows = rows[np.isfinite(rows).sum(1) >= 2]
    if not len(rows):
        return None
    return float(np.median(np.nanmax(rows, 1) - np.nanmin(rows, 1)) / frame_height)
