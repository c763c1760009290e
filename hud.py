"""A line of numbers in each frame: its time, its number, and what its label leaves in pixels.

    hud = Hud(lettering(360), residuals_px, duration=10.0, frame_rate=Fraction(25), width=640)
    hud.draw(frame, left=8, top=330, number=31, seconds=1.24, row=27)

Covered by tests/test_hud.py.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lettering import Lettering, Rgb
from video_io import PlanarPicture

Array = npt.NDArray[Any]

_ON_VIDEO: Rgb = (240, 240, 240)
_SHADE = 0.4  # how much of the video's brightness is left below the text
ON_PAPER: Rgb = (70, 70, 70)
_NO_LABEL = "no label"


class Hud:
    """The line of one clip; each number has its place, so that nothing moves as they change.

    Attributes:
        width: columns that the line takes, even; what does not fit is left out from its end.
        height: rows that it takes, even.
    """

    def __init__(
        self,
        letters: Lettering,
        residuals_px: Array,
        duration: float,
        frame_rate: Fraction,
        width: int,
        is_on_video: bool = True,
    ) -> None:
        """Finds the places of the numbers.

        Args:
            letters: how it is written.
            residuals_px: (N, J) pixels, see `ResolvedCamera.residuals_px`.
            duration: seconds of the clip.
            frame_rate: frames per second.
            width: columns that it may take.
            is_on_video: light on shade; else dark on what is there.
        """
        self._letters = letters
        self._is_on_video = is_on_video
        self._residuals = [_residual(row) for row in residuals_px]
        longest = [f"{duration:.2f} s", f"frame {round(duration * frame_rate)}"]
        longest.append(max({_NO_LABEL, *self._residuals}, key=letters.width))
        padding = letters.size // 2 if is_on_video else 0
        self._lefts: list[int] = []
        self.width, left = 0, padding
        for text in longest:
            end = left + letters.width(text)
            wanted = (end + padding + 1) // 2 * 2
            if wanted > width:
                break
            self._lefts.append(left)
            self.width = wanted
            left = end + round(0.8 * letters.size)
        self.height = letters.line

    def draw(
        self,
        picture: PlanarPicture,
        left: int,
        top: int,
        number: int,
        seconds: float,
        row: int | None,
    ) -> None:
        """Writes the line into a picture.

        Args:
            picture: changed in place.
            left: its first column, even.
            top: its first row, even.
            number: how many frames come before this one.
            seconds: since the start of the clip.
            row: of the pickle; None for a frame without a label.
        """
        if not self.width:
            return
        residual = _NO_LABEL if row is None else self._residuals[row]
        texts = [f"{seconds:.2f} s", f"frame {number}", residual]
        bounds = (left, top, left + self.width - 1, top + self.height - 1)
        with picture.region(bounds) as (part, _, _):
            if self._is_on_video:
                cv2.convertScaleAbs(part, part, _SHADE)
            colour = _ON_VIDEO if self._is_on_video else ON_PAPER
            for text, place in zip(texts, self._lefts, strict=False):
                self._letters.draw(part, text, place, 0, colour)


def _residual(distances: Array) -> str:
    """The median, as the report has it for the clip."""
    known = distances[np.isfinite(distances)]
    return f"residual {np.median(known):.1f} px" if known.size else "residual unknown"
