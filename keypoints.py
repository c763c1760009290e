"""The 19 cocoplus joints: their names, limbs and colours, and drawing them into a picture.

    draw_keypoints(picture, keypoints_px)          # picture is changed in place

Covered by tests/test_keypoints.py.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colour import Bounds
from kernels import kernel

Array = npt.NDArray[Any]

JOINT_NAMES = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
)
PARENTS = (1, 2, 8, 9, 3, 4, 7, 8, 12, 12, 9, 10, 14, -1, 13, -1, -1, 15, 16)
"""For each joint the one that its limb leads to, -1 for none, as the released code draws them."""

LIMBS = tuple((child, parent) for child, parent in enumerate(PARENTS) if parent >= 0)

LEFT_COLOUR = (255, 99, 71)
RIGHT_COLOUR = (50, 205, 90)
CENTRE_COLOUR = (255, 214, 64)

_RIM_COLOUR = (20, 20, 20)

Palette = Literal["by side", "pale"]
BY_SIDE: Palette = "by side"
PALE: Palette = "pale"
"""One light colour for all: joints that are shown for comparison."""

_PALE_COLOUR = (235, 235, 245)


def side_colour(joint: int) -> tuple[int, int, int]:
    """RGB of a joint and of the limb that begins at it: left, right or centre."""
    name = JOINT_NAMES[joint]
    if name.startswith("left_"):
        return LEFT_COLOUR
    return RIGHT_COLOUR if name.startswith("right_") else CENTRE_COLOUR


def stroke_unit(width: int, height: int) -> float:
    """What line widths scale with: 1.0 for a picture whose shorter side has 360 pixels."""
    return min(width, height) / 360


def keypoint_bounds(keypoints_px: Array, stroke: float) -> Bounds:
    """The pixels that `draw_keypoints` can touch; of no extent where no joint is finite."""
    bounds: Bounds = _bounds(np.asarray(keypoints_px, np.float64), _rim(stroke) + 2)
    return bounds


def draw_keypoints(
    picture: Array,
    keypoints_px: Array,
    stroke: float | None = None,
    palette: Palette = BY_SIDE,
) -> None:
    """Draws limbs and joints, anti-aliased, into `picture`.

    Joints outside the picture or not finite are left out, and so are limbs that end at one.

    Args:
        picture: (H, W, 3) uint8 RGB, C-contiguous.
        keypoints_px: (19, 2) columns and rows in pixels; integers are pixel centres.
        stroke: see `stroke_unit`; that of `picture` where it is not given.
        palette: left, right and centre told apart, or all pale.
    """
    unit = stroke or stroke_unit(*picture.shape[1::-1])
    _draw(
        picture,
        np.asarray(keypoints_px, np.float64),
        _PARENTS,
        _COLOURS[palette],
        max(0.6, unit),
        max(1.4, 2.7 * unit),
        _rim(unit),
    )


def _rim(stroke: float) -> float:
    """Radius of a joint's dark outline."""
    return max(2.0, 3.6 * stroke)


_PARENTS = np.array(PARENTS)
_COLOURS: dict[Palette, Array] = {
    BY_SIDE: np.array([side_colour(joint) for joint in range(len(JOINT_NAMES))], np.float32),
    PALE: np.full((len(JOINT_NAMES), 3), _PALE_COLOUR, np.float32),
}


@kernel
def _bounds(keypoints: Array, margin: float) -> Bounds:
    left = top = np.inf
    right = bottom = -np.inf
    for x, y in keypoints:
        if np.isfinite(x) and np.isfinite(y):
            left, right = min(left, x - margin), max(right, x + margin)
            top, bottom = min(top, y - margin), max(bottom, y + margin)
    return (left, top, right, bottom) if left < right else (0.0, 0.0, 0.0, 0.0)


@kernel
def _draw(
    picture: Array,
    keypoints: Array,
    parents: Array,
    colours: Array,
    limb: float,
    dot: float,
    rim: float,
) -> None:
    """Limbs first, then each joint's outline and dot; half widths in pixels."""
    height, width = picture.shape[:2]
    shown = np.empty(len(keypoints), np.bool_)
    for joint in range(len(keypoints)):
        x, y = keypoints[joint]
        shown[joint] = -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5
    for joint in range(len(keypoints)):
        if parents[joint] >= 0 and shown[joint] and shown[parents[joint]]:
            _stroke(picture, keypoints[joint], keypoints[parents[joint]], limb, colours[joint])
    outline = np.array(_RIM_COLOUR, np.float32)
    for joint in range(len(keypoints)):
        if shown[joint]:
            _stroke(picture, keypoints[joint], keypoints[joint], rim, outline)
            _stroke(picture, keypoints[joint], keypoints[joint], dot, colours[joint])


@kernel
def _stroke(picture: Array, start: Array, end: Array, radius: float, colour: Array) -> None:
    """A line with round ends, or a disc: a pixel is covered as far as its centre is within."""
    height, width = picture.shape[:2]
    ax, ay = start
    dx, dy = end[0] - ax, end[1] - ay
    length = math.sqrt(dx * dx + dy * dy)
    reach = radius + 0.5
    first = max(math.ceil(min(ay, end[1]) - reach), 0)
    last = min(math.floor(max(ay, end[1]) + reach), height - 1)
    for y in range(first, last + 1):
        left, right = min(ax, end[0]) - reach, max(ax, end[0]) + reach
        if abs(dy) > 1e-6:
            middle, half = ax + (y - ay) * dx / dy, reach * length / abs(dy)
            left, right = max(left, middle - half), min(right, middle + half)
        for x in range(max(math.ceil(left), 0), min(math.floor(right), width - 1) + 1):
            along = (x - ax) * dx + (y - ay) * dy
            share = min(max(along / (length * length), 0.0), 1.0) if length > 0 else 0.0
            off_x, off_y = x - ax - share * dx, y - ay - share * dy
            cover = np.float32(min(reach - math.sqrt(off_x * off_x + off_y * off_y), 1.0))
            if cover > 0:
                for k in range(3):
                    under = np.float32(picture[y, x, k])
                    mixed = under + cover * (colour[k] - under) + np.float32(0.5)
                    picture[y, x, k] = np.uint8(mixed)
