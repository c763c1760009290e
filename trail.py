"""Where chosen joints have been in the picture, fading over a second.

    trail = Trail(keypoints_px, times, ("right_wrist",), stroke_unit(640, 360))
    with frame.region(trail.bounds(seconds)) as (picture, left, top):
        trail.draw(picture, seconds, left, top)

Covered by tests/test_trail.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from colour import Bounds
from keypoints import JOINT_NAMES, side_colour
from labels import consecutive

Array = npt.NDArray[Any]

LENGTH_SEC = 1.0
_SHADOW, _SHADOW_OPACITY = (20, 20, 20), 0.5
_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel
_SUBPIXELS = 16
_FARTHEST_PIXEL = 1e5


class Trail:
    """The way of some joints from label to label, in the joints' own colours.

    It breaks where a label is missing or a joint is not known, and goes on fading in frames that
    have no label. It lies where the joint was in the picture then: a moving camera shows in it.
    """

    def __init__(
        self, keypoints_px: Array, times: Array, joints: Sequence[str], stroke: float
    ) -> None:
        """Prepares the trails of one clip.

        Args:
            keypoints_px: (N, 19, 2) columns and rows in pixels; not finite where unknown.
            times: (N,) ascending, seconds.
            joints: names, of `keypoints.JOINT_NAMES`.
            stroke: see `keypoints.stroke_unit`.
        """
        self._times = times
        self._joints = [JOINT_NAMES.index(name) for name in joints]
        self._points = keypoints_px[:, self._joints]
        with np.errstate(invalid="ignore"):
            known: Array = np.all(np.abs(self._points) < _FARTHEST_PIXEL, axis=-1)
        self._goes_on = consecutive(times)[:, None] & known[:-1] & known[1:]
        self._width = max(2, round(3 * stroke))
        self._shadow_width = self._width + max(2, round(2 * stroke))

    def bounds(self, seconds: float) -> Bounds:
        """The pixels that `draw` can change; of no extent where it draws nothing."""
        steps = self._steps(seconds)
        shown = self._goes_on[steps]
        ends = np.concatenate([self._points[steps][shown], self._points[1:][steps][shown]])
        if not len(ends):
            return 0.0, 0.0, 0.0, 0.0
        left, top = (ends.min(0) - self._shadow_width).tolist()
        right, bottom = (ends.max(0) + self._shadow_width).tolist()
        return left, top, right, bottom

    def draw(self, picture: Array, seconds: float, left: int = 0, top: int = 0) -> None:
        """Draws what lies up to a second before, in place.

        Args:
            picture: (H, W, 3) uint8 RGB, C-contiguous: the picture, or the part of it within
              `bounds`.
            seconds: since the start of the clip.
            left: column of the whole that is the picture's first.
            top: row of the whole that is the picture's first.
        """
        steps = self._steps(seconds)
        opacities = 1 - (seconds - self._times[1:][steps]) / LENGTH_SEC
        for place, joint in enumerate(self._joints):
            lines = [
                (
                    self._fixed(row, place, left, top),
                    self._fixed(row + 1, place, left, top),
                    opacity,
                )
                for row, opacity in zip(range(steps.start, steps.stop), opacities, strict=True)
                if self._goes_on[row, place]
            ]
            _blend_lines(picture, lines, self._shadow_width, _SHADOW, _SHADOW_OPACITY)
            _blend_lines(picture, lines, self._width, side_colour(joint), 1.0)

    def _steps(self, seconds: float) -> slice:
        """The steps from one label to the next that end within the last second."""
        ends = self._times[1:]
        first = int(np.searchsorted(ends, seconds - LENGTH_SEC, "right"))
        return slice(first, int(np.searchsorted(ends, seconds, "right")))

    def _fixed(self, row: int, place: int, left: int, top: int) -> tuple[int, int]:
        x, y = (self._points[row, place] - (left, top)) * _SUBPIXELS
        return round(x), round(y)


_Line = tuple[tuple[int, int], tuple[int, int], float]


def _blend_lines(
    picture: Array, lines: Sequence[_Line], width: int, colour: tuple[int, int, int], opacity: float
) -> None:
    """Lays lines with opacities of their own, the oldest first, over the picture."""
    if not lines:
        return
    mask = np.zeros(picture.shape[:2], np.uint8)
    for start, end, freshness in lines:
        value = round(255 * freshness * opacity)
        cv2.line(mask, start, end, value, width, cv2.LINE_AA, _FRACTION_BITS)
    share = mask[..., None] / np.float32(255)
    picture[:] = np.rint(picture + share * (np.array(colour, np.float32) - picture))
