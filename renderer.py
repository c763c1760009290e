"""Draws a body's mesh into a picture, with the look of the dataset's released visualisation.

    renderer = FastRenderer(faces)
    renderer.draw(picture, vertices, camera)       # picture is changed in place

Three fixed point lights, albedo per vertex, colours interpolated across each triangle, a z-buffer;
integer pixel coordinates are pixel centres. Covered by tests/test_renderer.py.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from camera import NEAR_ORTHOGRAPHIC_DISTANCE, WeakPerspectiveCamera
from colour import Bounds
from errors import FacesError
from kernels import kernel

Array = npt.NDArray[Any]
Colour = tuple[float, float, float]

LIGHT_BLUE: Colour = (0.65098039, 0.74117647, 0.85882353)
LIGHT_PINK: Colour = (0.9, 0.7, 0.7)
COLOURS: dict[str, Colour] = {"light_blue": LIGHT_BLUE, "light_pink": LIGHT_PINK}


class MeshRenderer(Protocol):
    """What every renderer does; one test suite runs over all of them."""

    name: str

    def draw(
        self,
        picture: Array,
        vertices: Array,
        camera: WeakPerspectiveCamera,
        colour: Colour = LIGHT_BLUE,
        alpha: float = 1.0,
    ) -> None:
        """Draws one mesh into `picture`, in place.

        Parts outside the picture, triangles without area and triangles with a vertex that is not
        finite or behind the camera are left out.

        Args:
            picture: (H, W, 3) uint8 RGB, C-contiguous.
            vertices: (V, 3) metres, camera axes: x right, y down, z away.
            camera: body space to pixels.
            colour: albedo, RGB in 0…1.
            alpha: opacity of the mesh in 0…1.
        """


def point_lights() -> Array:
    """(3, 4) float64: position (x, y, z) of each light and its brightness.

    They stand in the axes of the vertices after these were moved away from the camera. As in the
    released code each position is turned by 120° about the vertical axis.
    """
    lights = np.array([[-200, -100, -100, 1.0], [800, 10, 300, 1.0], [-500, 500, 1000, 0.7]])
    c, s = math.cos(math.radians(120)), math.sin(math.radians(120))
    lights[:, :3] = lights[:, :3] @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return lights


class FastRenderer:
    """A rasteriser of our own: one thread, no GPU, no system package.

    Use one per thread: it keeps its buffers between pictures.
    """

    name = "fast"

    def __init__(self, faces: Array) -> None:
        """Prepares for one mesh topology.

        Args:
            faces: (F, 3) integers, the vertices of each triangle.

        Raises:
            FacesError: not of that shape, or not whole numbers from 0 upward.
        """
        self._faces = checked_faces(faces)
        self._vertex_count = int(self._faces.max(initial=-1)) + 1
        self._is_closed = _is_closed(self._faces)
        self._lights = point_lights()
        self._depth = np.empty((0, 0), np.float32)

    def draw(
        self,
        picture: Array,
        vertices: Array,
        camera: WeakPerspectiveCamera,
        colour: Colour = LIGHT_BLUE,
        alpha: float = 1.0,
    ) -> None:
        """See `MeshRenderer.draw`."""
        if len(vertices) < self._vertex_count:
            raise FacesError(
                f"the faces use vertex {self._vertex_count - 1}, the mesh has {len(vertices)} "
                "vertices: these faces belong to another body; give the right ones with "
                "--smpl_face_path"
            )
        height, width = picture.shape[:2]
        if self._depth.shape[0] < height or self._depth.shape[1] < width:
            self._depth = np.empty((height, width), np.float32)
        _draw(
            picture,
            np.ascontiguousarray(vertices, np.float32),
            self._faces,
            self._is_closed,
            (float(camera.scale), float(camera.offset_x), float(camera.offset_y)),
            self._lights,
            np.array(colour, np.float32),
            float(alpha),
            self._depth[:height, :width],
        )


def mesh_bounds(vertices: Array, camera: WeakPerspectiveCamera) -> Bounds:
    """The pixels that a mesh can cover; of no extent where none of its vertices is finite."""
    view = (camera.scale, camera.offset_x, camera.offset_y)
    left, top, right, bottom = _project(np.ascontiguousarray(vertices, np.float32), view)[2]
    return (left, top, right, bottom) if left <= right else (0.0, 0.0, 0.0, 0.0)


def checked_faces(faces: Array) -> Array:
    """Faces as (F, 3) int32, after checking that they are that.

    Raises:
        FacesError: another shape, other numbers, or none at all.
    """
    is_integer = faces.dtype.kind in "iu"
    if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces) or not is_integer:
        raise FacesError(
            f"faces have shape {faces.shape} and dtype {faces.dtype}; expected (F, 3) integers"
        )
    if faces.min() < 0 or faces.max() > np.iinfo(np.int32).max:
        raise FacesError(f"faces use vertex {faces.min()}…{faces.max()}; expected 0 upward")
    return np.ascontiguousarray(faces, np.int32)


def _is_closed(faces: Array) -> bool:
    """Whether every edge joins two triangles that agree on which side is outside.

    Only then is everything that faces away hidden by something that faces the camera.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    count = int(faces.max()) + 1
    forward = edges[:, 0] * count + edges[:, 1]
    backward = edges[:, 1] * count + edges[:, 0]
    return bool(
        len(np.unique(forward)) == len(forward)
        and np.array_equal(np.sort(forward), np.sort(backward))
    )


_FARTHEST_PIXEL = 1e9  # beyond this a coordinate is treated as not finite
_NEAREST_DEPTH = 0.1  # metres before the camera; nearer than that counts as behind it


@kernel
def _draw(
    picture: Array,
    vertices: Array,
    faces: Array,
    is_closed: bool,
    camera: tuple[float, float, float],
    lights: Array,
    albedo: Array,
    alpha: float,
    depth: Array,
) -> None:
    height, width = picture.shape[:2]
    points, is_whole, (first_x, first_y, last_x, last_y) = _project(vertices, camera)
    if not (first_x < width and first_y < height and last_x >= 0 and last_y >= 0):
        return
    left, right = math.ceil(max(first_x, 0.0)), math.floor(min(last_x, width - 1.0))
    top, bottom = math.ceil(max(first_y, 0.0)), math.floor(min(last_y, height - 1.0))
    normals, volume = _vertex_normals(vertices, points, faces)
    colours = _shade(vertices, normals, lights, albedo)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            depth[y, x] = np.inf
    facing = 0.0
    if is_closed and is_whole:
        facing = -1.0 if volume > 0 else 1.0
    if alpha == 1:
        _rasterise(points, colours, faces, facing, depth, picture)
        return
    opaque = picture.copy()
    _rasterise(points, colours, faces, facing, depth, opaque)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            if depth[y, x] < np.inf:
                for k in range(3):
                    under = np.float64(picture[y, x, k])
                    picture[y, x, k] = np.uint8(
                        under + alpha * (np.float64(opaque[y, x, k]) - under) + 0.5
                    )


@kernel
def _project(
    vertices: Array, camera: tuple[float, float, float]
) -> tuple[Array, bool, tuple[float, float, float, float]]:
    """(V, 3) column, row and depth, whether all are usable, and their bounds."""
    scale, offset_x, offset_y = camera
    points = np.empty((len(vertices), 3), np.float64)
    left = top = np.inf
    right = bottom = -np.inf
    is_whole = True
    for i in range(len(vertices)):
        depth = vertices[i, 2] + NEAR_ORTHOGRAPHIC_DISTANCE
        factor = scale * NEAR_ORTHOGRAPHIC_DISTANCE / depth if depth > _NEAREST_DEPTH else np.nan
        x = vertices[i, 0] * factor + offset_x
        y = vertices[i, 1] * factor + offset_y
        if not (abs(x) < _FARTHEST_PIXEL and abs(y) < _FARTHEST_PIXEL):
            x = y = np.nan
            is_whole = False
        points[i, 0] = x
        points[i, 1] = y
        points[i, 2] = depth
        left = x if x < left else left
        right = x if x > right else right
        top = y if y < top else top
        bottom = y if y > bottom else bottom
    return points, is_whole, (left, top, right, bottom)


@kernel
def _vertex_normals(vertices: Array, points: Array, faces: Array) -> tuple[Array, float]:
    """(V, 3) area-weighted normals, not yet of length 1, and six times the signed volume.

    Triangles that are not drawn, or that float32 cannot hold, have no part in them.
    """
    normals = np.zeros((len(vertices), 3), np.float32)
    volume = 0.0
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        ux, uy, uz = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
        vx, vy, vz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        share = ax * nx + ay * ny + az * nz
        if not (abs(share) < np.inf and abs(points[a, 0] + points[b, 0] + points[c, 0]) < np.inf):
            continue
        volume += share
        for i in (a, b, c):
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    return normals, volume


@kernel
def _shade(vertices: Array, normals: Array, lights: Array, albedo: Array) -> Array:
    """(V, 3) colours in 0…255: Σ over the lights of albedo · light · max(0, n · l), clipped."""
    colours = np.empty((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        x = np.float64(vertices[i, 0])
        y = np.float64(vertices[i, 1])
        z = np.float64(vertices[i, 2]) + NEAR_ORTHOGRAPHIC_DISTANCE
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        light = 0.0
        for k in range(len(lights)):
            lx, ly, lz = lights[k, 0] - x, lights[k, 1] - y, lights[k, 2] - z
            across = nx * lx + ny * ly + nz * lz
            if across > 0:
                light += lights[k, 3] * across / math.sqrt(lx * lx + ly * ly + lz * lz)
        length = math.sqrt(nx * nx + ny * ny + nz * nz)
        light = light / length if length > 0 else 0.0
        for k in range(3):
            colours[i, k] = 255.0 * min(albedo[k] * light, 1.0)
    return colours


@kernel
def _rasterise(  # noqa: PLR0915 the innermost loop of the tool stays in one piece
    points: Array, colours: Array, faces: Array, facing: float, depth: Array, picture: Array
) -> None:
    """Draws into `depth` and `picture` where triangles are nearest.

    A pixel belongs to a triangle whose inside or edge holds the pixel's centre. An edge's column
    in a row is always computed from its upper end, so the two triangles at an edge agree on it
    to the last bit and leave no gap. `facing` is the sign of the triangles to draw, 0 for all.
    """
    height, width = depth.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay = points[a, 0], points[a, 1]
        bx, by = points[b, 0], points[b, 1]
        cx, cy = points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if not (area * facing > 0 or (facing == 0 and abs(area) > 0)):
            continue

        if by < ay:
            a, ax, ay, b, bx, by = b, bx, by, a, ax, ay
        if cy < ay:
            a, ax, ay, c, cx, cy = c, cx, cy, a, ax, ay
        if cy < by:
            b, bx, by, c, cx, cy = c, cx, cy, b, bx, by
        first_row = max(math.ceil(ay), 0.0)
        last_row = min(math.floor(cy), height - 1.0)
        if first_row > last_row:
            continue

        long_slope = (cx - ax) / (cy - ay) if cy > ay else 0.0
        upper_slope = (bx - ax) / (by - ay) if by > ay else 0.0
        lower_slope = (cx - bx) / (cy - by) if cy > by else 0.0
        planes_known = False
        for row in range(int(first_row), int(last_row) + 1):
            y = float(row)
            long_x = ax + (y - ay) * long_slope
            short_x = ax + (y - ay) * upper_slope
            if y > by or by == ay:
                short_x = bx + (y - by) * lower_slope
            first = math.ceil(max(min(long_x, short_x), 0.0))
            last = math.floor(min(max(long_x, short_x), width - 1.0))
            if first > last:
                continue

            if not planes_known:
                planes_known = True
                area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
                bx_step, by_step = (cy - ay) / area, -(cx - ax) / area
                cx_step, cy_step = -(by - ay) / area, (bx - ax) / area
                az, bz, cz = points[a, 2], points[b, 2], points[c, 2]
                z_step = (bz - az) * bx_step + (cz - az) * cx_step
                ar, ag, ab = colours[a, 0], colours[a, 1], colours[a, 2]
                br, bg, bb = colours[b, 0] - ar, colours[b, 1] - ag, colours[b, 2] - ab
                cr, cg, cb = colours[c, 0] - ar, colours[c, 1] - ag, colours[c, 2] - ab
                r_step = np.float32(br * bx_step + cr * cx_step)
                g_step = np.float32(bg * bx_step + cg * cx_step)
                b_step = np.float32(bb * bx_step + cb * cx_step)
            wb = (first - ax) * bx_step + (y - ay) * by_step
            wc = (first - ax) * cx_step + (y - ay) * cy_step
            z = az + wb * (bz - az) + wc * (cz - az)
            r = np.float32(ar + wb * br + wc * cr)
            g = np.float32(ag + wb * bg + wc * cg)
            blue = np.float32(ab + wb * bb + wc * cb)
            for column in range(int(first), int(last) + 1):
                if z < depth[row, column]:
                    depth[row, column] = z
                    picture[row, column, 0] = _byte(r)
                    picture[row, column, 1] = _byte(g)
                    picture[row, column, 2] = _byte(blue)
                z += z_step
                r += r_step
                g += g_step
                blue += b_step


@kernel
def _byte(value: np.float32) -> np.uint8:
    """Rounds to 0…255: in a sliver rounding can carry a colour past those of its corners."""
    return np.uint8(min(max(value, np.float32(0)), np.float32(255)) + np.float32(0.5))
