"""A view that circles a clip's body, which stands on a chequered ground.

    turntable = Turntable(vertices)                # of the whole clip
    turntable.draw_ground(picture, seconds, row)
    turntable.vertices(row, seconds), turntable.camera(picture.width, picture.height)

The view is framed once for the clip, so it neither shakes nor cuts the body off. Covered by
tests/test_layouts.py.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camera import NEAR_ORTHOGRAPHIC_DISTANCE, WeakPerspectiveCamera, turn
from kernels import kernel
from video_io import PlanarPicture

Array = npt.NDArray[Any]

TURN_SEC = 10.0
"""Seconds in which the view circles once: a clip of the dataset."""

ELEVATION = 12.0
"""Degrees by which it looks down."""

SQUARE = 0.25
"""Metres that a square of the ground measures."""

_GROUND_SHARE = 1.6  # times the body's reach, where the picture is wide enough
_FADE_SHARE = 0.5  # of the ground, from where on it turns into the background
_LIGHT, _DARK, _WHITE = 238.0, 208.0, 255.0
_SHADOW_CELLS = 128  # across the ground
_SHADOW_BLUR = 1.5  # cells
_SHADOW_HEIGHT = 0.25  # metres above the ground from where on a body casts none
_SHADOW_DEPTH = 0.45  # of the ground's brightness
_MARGIN = 0.05  # of the picture's width and height, on each side
_LONGEST_REACH = 2.0  # times the usual one; beyond that a frame is broken and is not framed


class Turntable:
    """The stage that the body of one clip stands on.

    Stage axes: y down, x and z as the camera's; the origin is on the ground, below the middle of
    the clip's bodies. Each frame's body is moved down or up until its lowest vertex touches the
    ground: the dataset's cameras do not say how high above the ground a body is.

    Attributes:
        reach: metres from the vertical axis that are in view.
        height: metres above the ground that are in view.
    """

    def __init__(self, vertices: Array) -> None:
        """Finds out how much room the body needs.

        Args:
            vertices: (N, V, 3) metres, camera axes.
        """
        self._vertices = vertices
        middle = np.median(vertices.mean(1), axis=0)
        lowest = vertices[..., 1].max(1)
        self._feet = np.tile(middle, (len(vertices), 1))
        self._feet[:, 1] = lowest
        across = vertices[..., 0] - middle[0], vertices[..., 2] - middle[2]
        self.reach = _usual_most(np.sqrt((across[0] ** 2 + across[1] ** 2).max(1)))
        self.height = _usual_most(lowest - vertices[..., 1].min(1))

    def vertices(self, row: int, seconds: float) -> Array:
        """(V, 3) the body of a label, as the circling camera sees it."""
        seen: Array = self._standing(row) @ _turn(seconds).astype(self._vertices.dtype)
        return seen

    def _standing(self, row: int) -> Array:
        """(V, 3) the body of a label in stage axes."""
        standing: Array = self._vertices[row] - self._feet[row]
        return standing

    def camera(self, width: int, height: int) -> WeakPerspectiveCamera:
        """The circling camera, for a picture of that size: the same in all frames."""
        above = math.cos(math.radians(ELEVATION)) * self.height
        beside = math.sin(math.radians(ELEVATION)) * self.reach
        room = 1 - 2 * _MARGIN
        scale = room * min(width / (2 * self.reach), height / (above + 2 * beside))
        return WeakPerspectiveCamera(scale, (width - 1) / 2, (height - 1 + scale * above) / 2)

    def draw_ground(self, picture: PlanarPicture, seconds: float, row: int | None) -> None:
        """Draws the ground into a white picture, in place.

        It is grey, so only luma changes.

        Args:
            picture: to draw into.
            seconds: since the start of the clip.
            row: of the label whose body throws its shadow; None for none.
        """
        camera = self.camera(picture.width, picture.height)
        radius = min(_GROUND_SHARE * self.reach, picture.width / 2 / camera.scale)
        shadow = np.zeros((_SHADOW_CELLS, _SHADOW_CELLS), np.float32)
        if row is not None:
            _throw_shadow(self._standing(row), radius, shadow)
            cv2.GaussianBlur(shadow, (0, 0), _SHADOW_BLUR, shadow)
        to_ground = np.linalg.inv(_ground_to_pixels(camera, seconds))
        shades = [_luma(grey, picture.matrix) for grey in (_LIGHT, _DARK, _WHITE)]
        _draw_ground(picture.planes[0], to_ground, radius, shadow, np.array(shades))


def _turn(seconds: float) -> Array:
    return turn(360.0 * seconds / TURN_SEC, ELEVATION)


def _usual_most(per_frame: Array) -> float:
    """The most of all frames, but for broken ones."""
    return float(max(min(per_frame.max(), _LONGEST_REACH * np.median(per_frame)), 1e-3))


def _ground_to_pixels(camera: WeakPerspectiveCamera, seconds: float) -> Array:
    """(3, 3) homography: x and z on the ground in metres, and 1, to column and row, times w."""
    x, _, z = _turn(seconds)
    lines = [camera.scale * np.array([x[0], z[0], 0]), camera.scale * np.array([x[1], z[1], 0])]
    depth = np.array([x[2], z[2], NEAR_ORTHOGRAPHIC_DISTANCE]) / NEAR_ORTHOGRAPHIC_DISTANCE
    return np.array([lines[0] + camera.offset_x * depth, lines[1] + camera.offset_y * depth, depth])


def _luma(grey: float, matrix: Array) -> float:
    return float(grey / matrix[4] + matrix[3])


@kernel
def _throw_shadow(standing: Array, radius: float, shadow: Array) -> None:
    """What is near the ground darkens the cells of (S, S) below it, by how near it is."""
    cells = len(shadow)
    for i in range(len(standing)):
        x = int((standing[i, 0] / radius + 1) * 0.5 * cells)
        z = int((standing[i, 2] / radius + 1) * 0.5 * cells)
        if 0 <= x < cells and 0 <= z < cells:
            near = 1 + standing[i, 1] / np.float32(_SHADOW_HEIGHT)  # y is down
            shadow[z, x] = max(shadow[z, x], near)


@kernel
def _draw_ground(
    luma: Array, to_ground: Array, radius: float, shadow: Array, shades: Array
) -> None:
    """Squares that fade towards `radius`, each pixel the mean over its own extent."""
    light, dark, white = shades
    # Half a pixel's extent on the ground, in squares. Nearly the same in all pixels.
    half_x = 0.5 * (abs(to_ground[0, 0]) + abs(to_ground[0, 1])) / SQUARE
    half_z = 0.5 * (abs(to_ground[1, 0]) + abs(to_ground[1, 1])) / SQUARE
    for row in range(luma.shape[0]):
        for column in range(luma.shape[1]):
            w = to_ground[2, 0] * column + to_ground[2, 1] * row + to_ground[2, 2]
            x = (to_ground[0, 0] * column + to_ground[0, 1] * row + to_ground[0, 2]) / w
            z = (to_ground[1, 0] * column + to_ground[1, 1] * row + to_ground[1, 2]) / w
            distance = math.sqrt(x * x + z * z) / radius
            if distance >= 1:
                continue
            sign = _mean_sign(x / SQUARE, half_x) * _mean_sign(z / SQUARE, half_z)
            shade = 0.5 * (light + dark) + 0.5 * sign * (light - dark)
            fade = min(max((1 - distance) / (1 - _FADE_SHARE), 0.0), 1.0)
            fade = fade * fade * (3 - 2 * fade)
            shade = white + fade * (shade - white)
            shade *= 1 - _SHADOW_DEPTH * _sample(shadow, x / radius, z / radius)
            luma[row, column] = np.uint8(shade + 0.5)


@kernel
def _sample(grid: Array, x: float, z: float) -> float:
    """The grid's value at −1…1, between the middles of its cells."""
    cells = len(grid)
    right, down = (x + 1) * 0.5 * cells - 0.5, (z + 1) * 0.5 * cells - 0.5
    column = min(max(int(right), 0), cells - 2)
    row = min(max(int(down), 0), cells - 2)
    right, down = right - column, down - row
    above = grid[row, column] + right * (grid[row, column + 1] - grid[row, column])
    below = grid[row + 1, column] + right * (grid[row + 1, column + 1] - grid[row + 1, column])
    value: float = above + down * (below - above)
    return value


@kernel
def _mean_sign(place: float, half: float) -> float:
    """Mean over place ± half of what is 1 from 0 to 1, −1 from 1 to 2, and so on."""
    sums = abs(1 - (place - half) % 2) - abs(1 - (place + half) % 2)
    return min(max(sums / (2 * half), -1.0), 1.0)
