"""Between a video's own planes (8-bit yuv420p) and RGB, for a box of the picture.

    rgb = rgb_from_planes(planes, box, matrix)        # (h, w, 3) uint8, to be drawn into
    planes_from_rgb(before, rgb, planes, box, matrix) # only what changed

Converting only what is drawn on costs a fraction of converting the frame, and leaves the rest of
it exactly as it was. Covered by tests/test_colour.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Box(NamedTuple):
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


# The loops below are short, without branches, and over elements that lie one after the other: only
# such loops does the compiler turn into steps of many pixels at once.


@kernel
def _to_rgb(
    luma: Array, u_plane: Array, v_plane: Array, left: int, top: int, matrix: Array, rgb: Array
) -> None:
    red, green, blue, offset, luma_gain, chroma_gain, blue_step, red_step = matrix
    u_to_blue, v_to_red = chroma_gain * blue_step, chroma_gain * red_step
    u_to_green, v_to_green = -blue * u_to_blue / green, -red * v_to_red / green
    height, width = rgb.shape[:2]
    grey, more = np.empty(width, np.float32), np.empty((4, width), np.float32)
    channels = np.empty((3, width), np.uint8)
    pixels = rgb.reshape(-1)
    for y in range(height):
        if y % 2 == 0:
            row, columns = (top + y) >> 1, slice(left >> 1, (left + width) >> 1)
            _spread(v_plane[row, columns], v_to_red, more[0])
            _spread(u_plane[row, columns], u_to_green, more[1])
            _spread(u_plane[row, columns], u_to_blue, more[2])
            _spread(v_plane[row, columns], v_to_green, more[3])
            for x in range(width):
                more[1, x] += more[3, x]
        luma_row = luma[top + y, left:]
        for x in range(width):
            grey[x] = (np.float32(luma_row[x]) - offset) * luma_gain + np.float32(0.5)
        _sum_as_bytes(grey, more[0], channels[0])
        _sum_as_bytes(grey, more[1], channels[1])
        _sum_as_bytes(grey, more[2], channels[2])
        _interleave(channels[0], channels[1], channels[2], pixels[3 * width * y :])


@kernel
def _spread(chroma: Array, gain: float, wide: Array) -> None:
    """What a row of a chroma plane adds to one channel, in each of two columns."""
    for x in range(len(chroma)):
        added = (np.float32(chroma[x]) - np.float32(128)) * gain
        wide[2 * x], wide[2 * x + 1] = added, added


@kernel
def _sum_as_bytes(first: Array, second: Array, total: Array) -> None:
    for x in range(len(total)):
        total[x] = np.uint8(_clipped(np.int32(first[x] + second[x])))


@kernel
def _interleave(reds: Array, greens: Array, blues: Array, pixels: Array) -> None:
    for x in range(len(reds)):
        pixels[3 * x], pixels[3 * x + 1], pixels[3 * x + 2] = reds[x], greens[x], blues[x]


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
    to_luma = (red / luma_gain, green / luma_gain, blue / luma_gain)
    # A quarter, since they are given the sums of two by two pixels.
    u_gain = np.float32(0.25) / (chroma_gain * blue_step)
    v_gain = np.float32(0.25) / (chroma_gain * red_step)
    to_u = (-red * u_gain, -green * u_gain, (1 - blue) * u_gain)
    to_v = ((1 - red) * v_gain, -green * v_gain, -blue * v_gain)
    height, width = rgb.shape[:2]
    old, new = before.reshape(-1), rgb.reshape(-1)
    channels, changes = np.empty((2, 3, width), np.uint8), np.empty((2, width), np.uint8)
    sums, any_change = np.empty((3, width >> 1), np.int32), np.empty(width >> 1, np.uint8)
    for y in range(0, height, 2):
        start, end = 3 * width * y, 3 * width * (y + 2)
        if not _differ(old[start:end], new[start:end]):
            continue
        for j in range(2):
            row = slice(start + 3 * width * j, start + 3 * width * (j + 1))
            _mark_changes(old[row], new[row], changes[j])
            _separate(new[row], channels[j, 0], channels[j, 1], channels[j, 2])
            _put(channels[j], to_luma, offset, changes[j], luma[top + y + j, left:])
        for k in range(3):
            _sum_two_by_two(channels[0, k], channels[1, k], sums[k])
        for x in range(width >> 1):
            upper, lower = changes[0], changes[1]
            any_change[x] = upper[2 * x] | upper[2 * x + 1] | lower[2 * x] | lower[2 * x + 1]
        _put(sums, to_u, np.float32(128), any_change, u_plane[(top + y) >> 1, left >> 1 :])
        _put(sums, to_v, np.float32(128), any_change, v_plane[(top + y) >> 1, left >> 1 :])


@kernel
def _differ(old: Array, new: Array) -> bool:
    bits = np.uint8(0)
    for x in range(len(old)):
        bits |= old[x] ^ new[x]
    return bool(bits)


@kernel
def _mark_changes(old: Array, new: Array, changes: Array) -> None:
    """1 for each pixel of a row that differs, 0 for the others."""
    for x in range(len(changes)):
        red, green = old[3 * x] ^ new[3 * x], old[3 * x + 1] ^ new[3 * x + 1]
        changes[x] = (red | green | (old[3 * x + 2] ^ new[3 * x + 2])) != 0


@kernel
def _separate(pixels: Array, reds: Array, greens: Array, blues: Array) -> None:
    for x in range(len(reds)):
        reds[x], greens[x], blues[x] = pixels[3 * x], pixels[3 * x + 1], pixels[3 * x + 2]


@kernel
def _sum_two_by_two(upper: Array, lower: Array, sums: Array) -> None:
    for x in range(len(sums)):
        i, k = 2 * x, 2 * x + 1
        sums[x] = (np.int32(upper[i]) + upper[k]) + (np.int32(lower[i]) + lower[k])


@kernel
def _put(
    channels: Array, gains: tuple[float, float, float], offset: float, changes: Array, row: Array
) -> None:
    """Writes the weighted sum of three channels where something has changed."""
    red, green, blue = gains
    reds, greens, blues = channels[0], channels[1], channels[2]
    for x in range(len(changes)):
        mixed = red * np.float32(reds[x]) + green * np.float32(greens[x])
        mixed += blue * np.float32(blues[x]) + offset + np.float32(0.5)
        old = np.int32(row[x])
        row[x] = np.uint8(old + (_clipped(np.int32(mixed)) - old) * np.int32(changes[x]))


@kernel
def _clipped(value: int) -> int:
    """To 0…255."""
    value = value if value > 0 else 0
    return value if value < 255 else 255


def linear_rgb(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """RGB in 0…1 as pictures hold it (sRGB) to amounts of light, as 3D programs want them."""
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in colour
    )
    return red, green, blue
