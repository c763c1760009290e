"""What a frame shows beside the body: where in the clip it is, and whether it has a label.

    timeline = Timeline(640, 360, label_times, duration)
    timeline.draw(picture, seconds)
    draw_unlabelled_mark(picture)

Everything is drawn in place into (H, W, 3) uint8 RGB. Covered by tests/test_timeline.py.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from colour import Bounds
from kernels import kernel
from keypoints import stroke_unit

Array = npt.NDArray[Any]

_TIMELINE_EMPTY = np.array((70, 70, 70), np.float32)
_TIMELINE_LABELLED = np.array((64, 156, 255), np.float32)
_TIMELINE_NOW = 255  # of all colours
_TIMELINE_OPACITY = 0.75
_LONGEST_LABEL_SEC = 0.2  # labels farther apart are shown one by one
_MARK = (225, 225, 225)
_MARK_SHADOW = (90, 90, 90)


def draw_unlabelled_mark(picture: Array, stroke: float | None = None) -> None:
    """A small hollow ring in the upper right corner: the file says nothing of this frame.

    Args:
        picture: (H, W, 3) uint8 RGB, C-contiguous; at least its upper right corner.
        stroke: see `keypoints.stroke_unit`; that of `picture` where it is not given.
    """
    height, width = picture.shape[:2]
    radius = _mark_radius(stroke or stroke_unit(width, height))
    centre = (width - 1 - 3 * radius, 3 * radius)
    line = max(1, radius // 3)
    cv2.circle(picture, centre, radius, _MARK_SHADOW, line + 1, cv2.LINE_AA)
    cv2.circle(picture, centre, radius, _MARK, line, cv2.LINE_AA)


def mark_bounds(width: int, stroke: float) -> Bounds:
    """The corner that `draw_unlabelled_mark` needs of a picture of `width` columns."""
    side = 6 * _mark_radius(stroke)
    return width - side, 0, width - 1, side


def _mark_radius(stroke: float) -> int:
    return max(3, round(6 * stroke))


class Timeline:
    """A thin strip along the bottom that shows where labels exist and where we are."""

    def __init__(
        self,
        width: int,
        height: int,
        label_times: Array,
        duration: float,
        thickness: int | None = None,
    ) -> None:
        """Prepares the strip of one clip.

        Args:
            width: columns of the picture.
            height: rows of the picture.
            label_times: (N,) seconds since the start of the clip.
            duration: seconds; 0 where the file does not say.
            thickness: rows of the strip; None for what suits the picture.
        """
        self._height = thickness or max(2, round(height / 90))
        self.bounds: Bounds = (0, height - self._height, width - 1, height - 1)
        self._duration = duration or float(label_times.max(initial=0)) or 1.0
        strip = np.tile(_TIMELINE_EMPTY, (width, 1))
        spans = np.column_stack([label_times, label_ends(label_times)]) / self._duration
        for first, end in np.rint(np.clip(spans * width, -1, width)).astype(int).tolist():
            strip[max(first, 0) : max(end, first + 1)] = _TIMELINE_LABELLED
        self._strip = strip

    def draw(self, picture: Array, seconds: float) -> None:
        """Draws the strip with a marker at `seconds` since the start of the clip.

        Args:
            picture: (H, W, 3) uint8 RGB, C-contiguous; at least its part within `bounds`.
            seconds: now.
        """
        self.draw_strip(picture)
        self.draw_now(picture, seconds)

    def draw_strip(self, picture: Array) -> None:
        """Draws the strip alone, which is the same in all frames."""
        _lay_over(picture[-self._height :], self._strip)

    def draw_now(self, picture: Array, seconds: float, left: int = 0) -> None:
        """Draws the marker alone.

        Args:
            picture: as for `draw`, or at least its part within `now_bounds`.
            seconds: now.
            left: column of the whole that is the picture's first.
        """
        first, last = (column - left for column in self._now(seconds))
        picture[-self._height :, first : last + 1] = _TIMELINE_NOW

    def now_bounds(self, seconds: float) -> Bounds:
        """The pixels that `draw_now` touches."""
        first, last = self._now(seconds)
        return first, self.bounds[1], last, self.bounds[3]

    def _now(self, seconds: float) -> tuple[int, int]:
        """First and last column of the marker."""
        width = len(self._strip)
        half = max(1, self._height // 3)
        column = min(width - 1, max(0, round(seconds / self._duration * width)))
        return max(0, column - half), min(width - 1, column + half)


@kernel
def _lay_over(band: Array, strip: Array) -> None:
    opacity = np.float32(_TIMELINE_OPACITY)
    for y in range(len(band)):
        for x in range(len(strip)):
            for k in range(3):
                under = np.float32(band[y, x, k])
                band[y, x, k] = np.uint8(under + opacity * (strip[x, k] - under))


def label_ends(times: Array) -> Array:
    """A label lasts until the next, or as long as most where the next is missing.

    Args:
        times: (N,) seconds, ascending.

    Returns:
        (N,) seconds.
    """
    gaps = np.diff(times)
    usual = min(float(np.median(gaps)), _LONGEST_LABEL_SEC) if len(gaps) else 0.0
    following = np.append(times[1:], np.inf)
    ends: Array = np.where(following - times < 1.5 * usual, following, times + usual)
    return ends
