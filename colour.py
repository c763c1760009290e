"""Between a video's own planes (8-bit yuv420p) and RGB, for a box of the picture.

    rgb = rgb_from_planes(planes, box, matrix)        # (h, w, 3) uint8, to be drawn into
    planes_from_rgb(before, rgb, planes, box, matrix) # only what changed

Converting only what is drawn on costs a fraction of converting the frame, and leaves the rest of
it exactly as it was. Covered by tests/test_colour.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels import kernel

Array = npt.NDArray[Any]
Planes = tuple[Array, Array, Array]
Bounds = tuple[float, float, float, float]
"""Least column, least row, greatest column, greatest row, in pixels."""

# Shares of red and blue in luma, by the number that ITU-T H.273 gives each matrix.
_RED_AND_BLUE = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601
    6: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
}
_BT709, _BT601 = 1, 6
_HIGH_DEFINITION = 720  # rows from which players take an unmarked video for BT.709
_FULL_RANGE = 2


@dataclasses.dataclass(frozen=True)
class Box:
    """Columns left…right − 1 and rows top…bottom − 1, all even: colour comes in two by two."""

    left: int
    top: int
    right: int
    bottom: int


def box_around(bounds: Bounds, width: int, height: int) -> Box:
    """The least box that holds these pixels, within planes of `width` × `height`."""
    left, top, right, bottom = bounds
    return Box(
        int(min(max(left, 0), width)) // 2 * 2,
        int(min(max(top, 0), height)) // 2 * 2,
        int(min(max(right + 2, 0), width)) // 2 * 2,
        int(min(max(bottom + 2, 0), height)) // 2 * 2,
    )


def joined(parts: Sequence[Bounds]) -> Bounds:
    """What holds all of those that have an extent; of no extent where none has."""
    parts = [part for part in parts if part[0] < part[2] or part[1] < part[3]]
    if not parts:
        return 0.0, 0.0, 0.0, 0.0
    lefts, tops, rights, bottoms = zip(*parts, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def matrix_number(matrix: int, height: int) -> int:
    """A stream's mark, or the matrix that players take for a stream of `height` rows without."""
    default = _BT709 if height >= _HIGH_DEFINITION else _BT601
    return matrix if matrix in _RED_AND_BLUE else default


def colour_matrix(matrix: int, colour_range: int, height: int) -> Array:
    """(8,) float32: what turns YUV into RGB and back.

    Args:
        matrix: the stream's mark, as ITU-T H.273 numbers it.
        colour_range: 2 for full range; anything else is limited range.
        height: rows of the picture, which decide where the stream has no mark.

    Returns:
        Shares of red, green and blue in luma; luma's offset, 255 over its span; 255 over half
        the span of chroma; and the two divisors of blue's and red's difference.
    """
    red, blue = _RED_AND_BLUE[matrix_number(matrix, height)]
    offset, luma, chroma = (0, 255, 255) if colour_range == _FULL_RANGE else (16, 219, 224)
    return np.array(
        [red, 1 - red - blue, blue, offset, 255 / luma, 255 / chroma, 2 - 2 * blue, 2 - 2 * red],
        np.float32,
    )


def rgb_from_planes(planes: Planes, box: Box, matrix: Array) -> Array:
    """(h, w, 3) uint8 RGB of the box, C-contiguous."""
    rgb = np.empty((max(0, box.bottom - box.top), max(0, box.right - box.left), 3), np.uint8)
    _to_rgb(*planes, box.left, box.top, matrix, rgb)
    return rgb


def planes_from_rgb(before: Array, rgb: Array, planes: Planes, box: Box, matrix: Array) -> None:
    """Writes into the planes every pixel of the box in which `rgb` differs from `before`.

    The colour of two by two pixels is one value in the planes; it becomes their mean.
    """
    _to_planes(before, rgb, *planes, box.left, box.top, matrix)


@kernel
def _to_rgb(
    luma: Array, u_plane: Array, v_plane: Array, left: int, top: int, matrix: Array, rgb: Array
) -> None:
    red, green, blue, offset, luma_gain, chroma_gain, blue_step, red_step = matrix
    u_to_blue, v_to_red = chroma_gain * blue_step, chroma_gain * red_step
    u_to_green, v_to_green = -blue * u_to_blue / green, -red * v_to_red / green
    height, width = rgb.shape[:2]
    # A row per channel and short loops: the compiler then works on many pixels at once.
    grey, more = np.empty(width, np.float32), np.empty((3, width), np.float32)
    channels = np.empty((3, width), np.uint8)
    for y in range(height):
        if y % 2 == 0:
            u_row, v_row = (
                u_plane[(top + y) >> 1, left >> 1 :],
                v_plane[(top + y) >> 1, left >> 1 :],
            )
            for i in range(width >> 1):
                u = np.float32(u_row[i]) - np.float32(128)
                v = np.float32(v_row[i]) - np.float32(128)
                more[0, 2 * i] = more[0, 2 * i + 1] = v * v_to_red
                more[1, 2 * i] = more[1, 2 * i + 1] = u * u_to_green + v * v_to_green
                more[2, 2 * i] = more[2, 2 * i + 1] = u * u_to_blue
        luma_row, rgb_row = luma[top + y, left:], rgb[y]
        for x in range(width):
            grey[x] = (np.float32(luma_row[x]) - offset) * luma_gain
        for k in range(3):
            _add_to_bytes(grey, more[k], channels[k])
        for x in range(width):
            rgb_row[x, 0], rgb_row[x, 1] = channels[0, x], channels[1, x]
            rgb_row[x, 2] = channels[2, x]


@kernel
def _add_to_bytes(first: Array, second: Array, total: Array) -> None:
    half, most = np.float32(0.5), np.float32(255)
    for x in range(len(total)):
        value = first[x] + second[x] + half
        value = value if value > half else half
        total[x] = np.uint8(np.int32(value if value < most else most))


@kernel
def _to_planes(
    before: Array,
    rgb: Array,
    luma: Array,
    u_plane: Array,
    v_plane: Array,
    left: int,
    top: int,
    matrix: Array,
) -> None:
    red, green, blue, offset, luma_gain, chroma_gain, blue_step, red_step = matrix
    height, width = rgb.shape[:2]
    to_luma = 1 / luma_gain
    to_u = np.float32(0.25) / (chroma_gain * blue_step)
    to_v = np.float32(0.25) / (chroma_gain * red_step)
    for y in range(0, height, 2):
        for x in range(0, width, 2):
            same = True
            for j in (y, y + 1):
                for k in (x, x + 1):
                    for c in (0, 1, 2):
                        same &= rgb[j, k, c] == before[j, k, c]
            if same:
                continue
            red_sum = blue_sum = grey_sum = np.float32(0)
            for j in (y, y + 1):
                for k in (x, x + 1):
                    r, g, b = rgb[j, k, 0], rgb[j, k, 1], rgb[j, k, 2]
                    grey = red * r + green * g + blue * b
                    red_sum += r
                    blue_sum += b
                    grey_sum += grey
                    if r != before[j, k, 0] or g != before[j, k, 1] or b != before[j, k, 2]:
                        luma[j + top, k + left] = _byte(grey * to_luma + offset)
            u_plane[(y + top) // 2, (x + left) // 2] = _byte(
                (blue_sum - grey_sum) * to_u + np.float32(128)
            )
            v_plane[(y + top) // 2, (x + left) // 2] = _byte(
                (red_sum - grey_sum) * to_v + np.float32(128)
            )


@kernel
def _byte(value: np.float32) -> np.uint8:
    """Rounds to 0…255."""
    if value <= 0:
        return np.uint8(0)
    return np.uint8(value + np.float32(0.5)) if value < 255 else np.uint8(255)


def linear_rgb(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """RGB in 0…1 as pictures hold it (sRGB) to amounts of light, as 3D programs want them."""
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in colour
    )
    return red, green, blue
