"""The 19 cocoplus joints: their names, limbs and colours, and drawing them into a picture.

    draw_keypoints(picture, keypoints_px)          # picture is changed in place

Covered by tests/test_keypoints.py.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from colour import Bounds

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

_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel
_SUBPIXELS = 16


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
    known = keypoints_px[np.isfinite(keypoints_px).all(1)]
    if not len(known):
        return 0.0, 0.0, 0.0, 0.0
    margin = _rim(stroke) + 2
    left, top = (known.min(0) - margin).tolist()
    right, bottom = (known.max(0) + margin).tolist()
    return left, top, right, bottom


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
    height, width = picture.shape[:2]
    shown = _inside(keypoints_px, width, height)
    points = np.zeros((len(JOINT_NAMES), 2), np.int64)
    points[shown] = np.rint(keypoints_px[shown] * _SUBPIXELS)
    unit = stroke or stroke_unit(width, height)
    limb_width = max(1, round(2 * unit))
    for child, parent in LIMBS:
        if shown[child] and shown[parent]:
            ends = (points[child].tolist(), points[parent].tolist())
            cv2.line(
                picture, *ends, _colour(child, palette), limb_width, cv2.LINE_AA, _FRACTION_BITS
            )
    rim, dot = _fixed(_rim(unit)), _fixed(max(1.3, 2.6 * unit))
    for joint in np.flatnonzero(shown).tolist():
        centre = points[joint].tolist()
        cv2.circle(picture, centre, rim, (20, 20, 20), cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)
        cv2.circle(
            picture, centre, dot, _colour(joint, palette), cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS
        )


def _colour(joint: int, palette: Palette) -> tuple[int, int, int]:
    return _PALE_COLOUR if palette == PALE else side_colour(joint)


def _rim(stroke: float) -> float:
    """Radius of a joint's dark outline."""
    return max(2.0, 3.6 * stroke)


def _inside(keypoints_px: Array, width: int, height: int) -> Array:
    x, y = keypoints_px[:, 0], keypoints_px[:, 1]
    with np.errstate(invalid="ignore"):  # comparisons with NaN are False, which is what we want
        inside: Array = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return inside


def _fixed(length: float) -> int:
    return round(length * _SUBPIXELS)
