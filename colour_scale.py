"""Numbers as colours, and the legend that says in the picture which colour is which number.

    scale = ColourScale(heat(), 0.0, 3.0, "0", "3 m/s")
    colours = scale.colours(speeds)                 # (V, 3), RGB in 0…1
    Legend(scale, 640, 360).draw(picture)

The colour maps go one way in lightness, so they keep their order for colour-blind eyes and in grey.
Covered by tests/test_colour_scale.py.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from colour import Bounds
from lettering import lettering

Array = npt.NDArray[Any]

UNKNOWN = (0.5, 0.5, 0.5)
"""The colour of what has no number."""

_GREY = np.array(UNKNOWN, np.float32)
_HEAT = ((250, 247, 240), (255, 214, 150), (252, 146, 84), (221, 60, 45), (128, 0, 30))
_ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_PLATE, _INK = 20, (240, 240, 240)
_PLATE_OPACITY = 0.65


@dataclasses.dataclass(frozen=True, eq=False)
class ColourScale:
    """Which colour a number has.

    Attributes:
        colour_map: (256, 3) float32 RGB in 0…1.
        first: what its first colour stands for, and all that lies before.
        last: what its last colour stands for, and all that lies past it.
        first_text: `first` in words.
        last_text: `last` in words.
        unknown_text: what `UNKNOWN` means; empty where no number is missing.
    """

    colour_map: Array
    first: float
    last: float
    first_text: str
    last_text: str
    unknown_text: str = ""

    def colours(self, values: Array) -> Array:
        """(..., 3) float32 RGB in 0…1; `UNKNOWN` for what is not finite."""
        known = np.isfinite(values)
        share = (np.where(known, values, self.first) - self.first) / (self.last - self.first)
        place = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
        colours: Array = np.where(known[..., None], self.colour_map[place], _GREY)
        return colours


class Legend:
    """A colour scale as a strip in the picture's upper left corner.

    Attributes:
        bounds: the pixels that it covers.
    """

    def __init__(self, scale: ColourScale, width: int, height: int, below: int = 0) -> None:
        """Paints it, to be cut off where the picture has no room for it.

        Args:
            scale: what it shows.
            width: columns of the picture.
            height: rows of the picture.
            below: rows at the picture's top that something else needs.
        """
        letters = lettering(min(width, height))
        gap = letters.size // 2
        thick = max(4, round(0.7 * letters.size))
        strip = np.linspace(scale.first, scale.last, 8 * letters.size)
        pieces: list[str | Array] = [scale.first_text, scale.colours(strip), scale.last_text]
        if scale.unknown_text:
            pieces += [np.tile(_GREY, (thick, 1)), scale.unknown_text]
        columns = gap + sum(
            gap + (letters.width(piece) if isinstance(piece, str) else len(piece))
            for piece in pieces
        )
        plate = np.full((letters.line, columns, 3), _PLATE, np.uint8)
        opacity = np.full((letters.line, columns, 1), _PLATE_OPACITY, np.float32)
        top, left = (letters.line - thick) // 2, gap
        for piece in pieces:
            if isinstance(piece, str):
                letters.draw(plate, piece, left, 0, _INK)
                left += letters.width(piece) + gap
            else:
                strip_box = (slice(top, top + thick), slice(left, left + len(piece)))
                plate[strip_box], opacity[strip_box] = np.rint(255 * piece), 1
                left += len(piece) + gap
        ink = (plate[..., :1].astype(np.float32) - _PLATE) / (_INK[0] - _PLATE)
        self._plate, self._opacity = plate, np.maximum(opacity, np.minimum(ink, 1))
        above = gap + below
        self.bounds: Bounds = (gap, above, gap + columns - 1, above + letters.line - 1)

    def draw(self, picture: Array, left: int = 0, top: int = 0) -> None:
        """Draws it, in place.

        Args:
            picture: (H, W, 3) uint8 RGB: the picture, or the part of it within `bounds`.
            left: column of the whole that is the picture's first.
            top: row of the whole that is the picture's first.
        """
        column, row = int(self.bounds[0]) - left, int(self.bounds[1]) - top
        part = picture[row : row + self._plate.shape[0], column : column + self._plate.shape[1]]
        shown = (slice(part.shape[0]), slice(part.shape[1]))
        part[:] = np.rint(
            part + self._opacity[shown] * (self._plate[shown] - part.astype(np.float32))
        )


def viridis() -> Array:
    """(256, 3) float32 RGB in 0…1: dark blue, green, bright yellow."""
    steps = np.arange(256, dtype=np.uint8)[:, None]
    bgr = cv2.applyColorMap(steps, cv2.COLORMAP_VIRIDIS)
    colours: Array = bgr[:, 0, ::-1].astype(np.float32) / 255
    return colours


def heat() -> Array:
    """(256, 3) float32 RGB in 0…1: near white, orange, dark red."""
    places = np.linspace(0, 1, len(_HEAT))
    steps = np.linspace(0, 1, 256)
    channels = [np.interp(steps, places, channel) for channel in np.transpose(_HEAT)]
    return np.stack(channels, -1).astype(np.float32) / 255


def round_up(value: float) -> float:
    """The next number with a short name: 0.37 becomes 0.4, 2.1 becomes 3."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if step * power >= value * (1 - 1e-9))
