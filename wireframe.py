"""Draws a body's mesh as the lines of its triangles, those behind it left out.

    renderer = WireframeRenderer(faces)
    renderer.draw(picture, vertices, camera)       # picture is changed in place

Covered by tests/test_wireframe.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from camera import WeakPerspectiveCamera
from kernels import kernel
from renderer import LIGHT_BLUE, Colour, FastRenderer

Array = npt.NDArray[Any]

_SHARE = 0.2  # of an edge's length is a line's width: lines never fill what lies between them …
_WIDEST = 1.0  # … in pixels, and …
_THINNEST = 0.2  # … where triangles are smaller than pixels: three of these still veil a pixel
_ON_EDGE = 1e-9


class WireframeRenderer(FastRenderer):
    """Each visible pixel gets as much ink as lines along its triangle's edges cover of it.

    The triangles are drawn by their distance to the three edges, so that what is hidden needs no
    tolerance (Bærentzen et al., "Single-pass wireframe rendering", SIGGRAPH 2006 sketches). Lines
    are a pixel wide, and thinner where triangles are small: a mesh of few pixels is veiled evenly.
    They are smooth whether `antialias` is asked for or not.
    """

    def draw(
        self,
        picture: Array,
        vertices: Array,
        camera: WeakPerspectiveCamera,
        colour: Colour | Array = LIGHT_BLUE,
        alpha: float = 1.0,
        is_lit: bool = True,
    ) -> None:
        """See `MeshRenderer.draw`."""
        points, colours, facing = self._prepared(vertices, camera, colour, is_lit)
        _draw_lines(picture, points, colours, self._faces, facing, float(alpha))


@kernel
def _draw_lines(
    picture: Array, points: Array, colours: Array, faces: Array, facing: float, alpha: float
) -> None:
    """Draws the nearest triangle's lines at every pixel; `facing` is as for the filled mesh."""
    height, width = picture.shape[:2]
    depth = np.full((height, width), np.inf, np.float32)
    ink = np.zeros((height, width), np.float32)
    tint = np.empty((height, width, 3), np.float32)
    half = 0.5 * _line_width(points, faces)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = points[a]
        bx, by, bz = points[b]
        cx, cy, cz = points[c]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if not (area * facing > 0 or (facing == 0 and abs(area) > 0)):
            continue
        first_row, last_row = max(math.ceil(min(ay, by, cy)), 0), math.floor(max(ay, by, cy))
        first_column, last_column = max(math.ceil(min(ax, bx, cx)), 0), math.floor(max(ax, bx, cx))
        # A corner's share, 1 there and 0 on the edge across, times this is the distance from that.
        to_bc = abs(area) / math.hypot(cx - bx, cy - by)
        to_ca = abs(area) / math.hypot(ax - cx, ay - cy)
        to_ab = abs(area) / math.hypot(bx - ax, by - ay)
        for row in range(first_row, min(last_row, height - 1) + 1):
            for column in range(first_column, min(last_column, width - 1) + 1):
                wb = ((column - ax) * (cy - ay) - (row - ay) * (cx - ax)) / area
                wc = ((row - ay) * (bx - ax) - (column - ax) * (by - ay)) / area
                wa = 1 - wb - wc
                z = wa * az + wb * bz + wc * cz
                if min(wa, wb, wc) < -_ON_EDGE or not z < depth[row, column]:
                    continue
                depth[row, column] = z
                ink[row, column] = min(
                    _covered(wa * to_bc, half)
                    + _covered(wb * to_ca, half)
                    + _covered(wc * to_ab, half),
                    1.0,
                )
                for k in range(3):
                    tint[row, column, k] = (
                        wa * colours[a, k] + wb * colours[b, k] + wc * colours[c, k]
                    )
    for row in range(height):
        for column in range(width):
            share = alpha * ink[row, column]
            if share > 0:
                for k in range(3):
                    under = np.float64(picture[row, column, k])
                    mixed = under + share * (tint[row, column, k] - under)
                    picture[row, column, k] = np.uint8(min(max(mixed, 0.0), 255.0) + 0.5)


@kernel
def _covered(distance: float, half: float) -> float:
    """How much a line of twice `half` covers of a pixel whose centre is so far from its middle."""
    return max(min(distance + 0.5, half) - max(distance - 0.5, -half), 0.0)


@kernel
def _line_width(points: Array, faces: Array) -> float:
    """In pixels, by the mean area of the triangles that can be seen from one side or the other."""
    total, count = 0.0, 0
    for f in range(len(faces)):
        ax, ay = points[faces[f, 0], 0], points[faces[f, 0], 1]
        bx, by = points[faces[f, 1], 0], points[faces[f, 1], 1]
        cx, cy = points[faces[f, 2], 0], points[faces[f, 2], 1]
        area = 0.5 * abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
        if area < np.inf:
            total += area
            count += 1
    edge = 1.52 * math.sqrt(total / max(count, 1))  # of an equilateral triangle
    return min(max(_SHARE * edge, _THINNEST), _WIDEST)
