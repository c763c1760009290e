"""Numbers that say how good a clip's labels are, to sort and to find clips by.

    jitter_mm(annotations.time, annotations.joints_3d)              # 3.1 mm / frame²
    person_size(resolved.keypoints_px, frame_height)                # 0.62 of the frame's height

Covered by tests/test_measures.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LONGEST_STEP = 1.5  # times the usual one; between labels farther apart a frame is missing


def usual_step(time: Array) -> float | None:
    """Seconds from one label to the next: the median; None where no two differ.

    Args:
        time: (N,) seconds, ascending.
    """
    steps = np.diff(time)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else None


def are_neighbours(time: Array) -> Array:
    """(N - 1,) bool: whether no frame is missing between a label and the next.

    Args:
        time: (N,) seconds, ascending.
    """
    steps = np.diff(time)
    near: Array = (steps > 0) & (steps < _LONGEST_STEP * (usual_step(time) or 0.0))
    return near


def jitter_mm(time: Array, joints_3d: Array) -> float | None:
    """How much the joints shake: the median of `label_jitter_mm`.

    Args:
        time: (N,) seconds, ascending.
        joints_3d: (N, J, 3) metres; not finite where unknown.

    Returns:
        Millimetres per frame squared; None where no three neighbouring labels know a joint.
    """
    jitter = label_jitter_mm(time, joints_3d)
    known = jitter[np.isfinite(jitter)]
    return float(np.median(known)) if known.size else None


def label_jitter_mm(time: Array, joints_3d: Array) -> Array:
    """The joints' acceleration at each label: a mean of lengths, over neighbouring labels only.

    It is the second divided difference over the times of the label and its two neighbours.

    Args:
        time: (N,) seconds, ascending.
        joints_3d: (N, J, 3) metres; not finite where unknown.

    Returns:
        (N,) float64 millimetres per frame squared, where a frame is the usual step between labels;
        NaN where three neighbouring labels do not know a joint.
    """
    jitter = np.full(len(time), np.nan)
    step, near = usual_step(time), are_neighbours(time)
    middle = 1 + np.flatnonzero(near[:-1] & near[1:])
    if step is None or not len(middle):
        return jitter
    frames = np.diff(time)[:, None, None] / step
    before, after = frames[middle - 1], frames[middle]
    with np.errstate(invalid="ignore", over="ignore"):
        came = (joints_3d[middle] - joints_3d[middle - 1]) / before
        goes = (joints_3d[middle + 1] - joints_3d[middle]) / after
        jitter[middle] = 1000 * mean_length(2 * (goes - came) / (before + after))
    return jitter


def mean_length(vectors: Array) -> Array:
    """(T, J, 3) to (T,): the mean over the known vectors of each frame; NaN where none is."""
    lengths = np.linalg.norm(vectors, axis=-1)
    known = np.isfinite(lengths)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(known, lengths, 0.0).sum(1) / known.sum(1)
    return mean


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
