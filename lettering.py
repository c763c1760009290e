"""Words in a picture, in the sans serif that OpenCV brings.

    letters = lettering(360)                       # for a picture whose shorter side has 360 pixels
    letters.draw(picture, "Overlay", 10, 20, (30, 30, 30))

All digits are equally wide, so that numbers do not shake. Covered by tests/test_hud.py.
"""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy.typing as npt

Array = npt.NDArray[Any]
Rgb = tuple[int, int, int]

_WEIGHT = 500  # 400 is regular; a little more stays readable where video blurs it
_SMALLEST, _LARGEST = 11, 26  # pixels
_SHORTER_SIDE = 22  # in letters' heights


class Lettering:
    """Draws text of one size.

    Attributes:
        size: pixels from one baseline to the next, more or less.
    """

    def __init__(self, size: int) -> None:
        """Loads the typeface, which takes some hundredths of a second."""
        self.size = size
        self._font = cv2.FontFace("sans")

    @property
    def line(self) -> int:
        """Rows of a line of text with some room around it; even."""
        return round(0.85 * self.size) * 2

    def width(self, text: str) -> int:
        """Columns that a text takes."""
        _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._font, self.size, _WEIGHT)
        return int(width)

    def draw(self, picture: Array, text: str, left: int, top: int, colour: Rgb) -> None:
        """Draws a line of text, anti-aliased, in place.

        Args:
            picture: (H, W, 3) uint8 RGB, C-contiguous.
            text: without line breaks.
            left: column where it begins.
            top: first of its `line` rows.
            colour: RGB in 0…255.
        """
        baseline = top + (self.line + round(0.7 * self.size)) // 2
        cv2.putText(picture, text, (left, baseline), colour, self._font, self.size, _WEIGHT)


@functools.lru_cache(maxsize=8)  # a batch draws many clips in one process
def lettering(shorter_side: int) -> Lettering:
    """Letters for a picture, or a panel, whose shorter side has so many pixels."""
    return Lettering(min(_LARGEST, max(_SMALLEST, round(shorter_side / _SHORTER_SIDE))))
