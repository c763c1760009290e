"""A view that circles a clip's body, which stands on a chequered ground.

    turntable = Turntable(vertices)                # of the whole clip
    turntable.draw_ground(picture, seconds)
    turntable.vertices(row, seconds), turntable.camera(picture.width, picture.height)

The view is framed once for the clip, so it neither shakes nor cuts the body off. Covered by
tests/test_layouts.py.
"""

from __future__ import annotations

import math
from typing import Any

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

SQUARE = 0.5
"""Metres that a square of the ground measures."""

_GROUND_SHARE = 1.35  # of the body's reach
_FADE_SHARE = 0.6  # of the ground, from where on it turns into the background
_LIGHT, _DARK, _WHITE = 236.0, 204.0, 255.0
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
        self._feet = np.column_stack([np.full((len(vertices), 2), middle[[0, 2]]), lowest])
        self._feet = self._feet[:, [0, 2, 1]]
        across = vertices[..., 0] - middle[0], vertices[..., 2] - middle[2]
        self.reach = _usual_most(np.sqrt((across[0] ** 2 + across[1] ** 2).max(1)))
        self.height = _usual_most(lowest - vertices[..., 1].min(1))

    def vertices(self, row: int, seconds: float) -> Array:
        """(V, 3) the body of a label, as the circling camera sees it."""
        matrix = turn(_azimuth(seconds), ELEVATION)
        standing = self._vertices[row] - self._feet[row].astype(self._vertices.dtype)
        seen: Array = standing @ matrix.astype(self._vertices.dtype)
        return seen

    def camera(self, width: int, height: int) -> WeakPerspectiveCamera:
        """The circling camera, for a picture of that size: the same in all frames."""
        above = math.cos(math.radians(ELEVATION)) * self.height
        beside = math.sin(math.radians(ELEVATION)) * self.reach
        room = 1 - 2 * _MARGIN
        scale = room * min(width / (2 * self.reach), height / (above + 2 * beside))
        middle = (above + beside - beside) / 2
        return WeakPerspectiveCamera(scale, (width - 1) / 2, (height - 1) / 2 + scale * middle)

    def draw_ground(self, picture: PlanarPicture, seconds: float) -> None:
        """Draws the ground into a picture, in place; where it does not reach nothing changes.

        It is grey, so only luma changes.
        """
        camera = self.camera(picture.width, picture.height)
        to_ground = np.linalg.inv(_ground_to_pixels(camera, seconds))
        luma = [_luma(value, picture.matrix) for value in (_LIGHT, _DARK, _WHITE)]
        _draw_ground(picture.planes[0], to_ground, self.reach * _GROUND_SHARE, np.array(luma))


def _azimuth(seconds: float) -> float:
    return 360.0 * seconds / TURN_SEC


def _usual_most(per_frame: Array) -> float:
    """The most of all frames, but for broken ones."""
    return float(max(min(per_frame.max(), _LONGEST_REACH * np.median(per_frame)), 1e-3))


def _ground_to_pixels(camera: WeakPerspectiveCamera, seconds: float) -> Array:
    """(3, 3) homography: x and z on the ground in metres, and 1, to column and row, times w."""
    x, _, z = turn(_azimuth(seconds), ELEVATION)
    lines = [camera.scale * np.array([x[0], z[0], 0]), camera.scale * np.array([x[1], z[1], 0])]
    depth = np.array([x[2], z[2], NEAR_ORTHOGRAPHIC_DISTANCE]) / NEAR_ORTHOGRAPHIC_DISTANCE
    return np.array([lines[0] + camera.offset_x * depth, lines[1] + camera.offset_y * depth, depth])


def _luma(grey: float, matrix: Array) -> float:
    return float(grey / matrix[4] + matrix[3])


@kernel
def _draw_ground(luma: Array, to_ground: Array, radius: float, shades: Array) -> None:
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
            luma[row, column] = np.uint8(white + fade * (shade - white) + 0.5)


@kernel
def _mean_sign(place: float, half: float) -> float:
    """Mean over place ± half of what is 1 from 0 to 1, −1 from 1 to 2, and so on."""
    sums = abs(1 - (place - half) % 2) - abs(1 - (place + half) % 2)
    return min(max(sums / (2 * half), -1.0), 1.0)
