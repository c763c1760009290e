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
from lanes import add_to_row, mixed_bytes, triangle_normal

Array = npt.NDArray[Any]
Colour = tuple[float, float, float]

LIGHT_BLUE: Colour = (0.65098039, 0.74117647, 0.85882353)
LIGHT_PINK: Colour = (0.9, 0.7, 0.7)
COLOURS: dict[str, Colour] = {"light_blue": LIGHT_BLUE, "light_pink": LIGHT_PINK}

FARTHEST_PIXEL = 1e9  # beyond this a coordinate is treated as not finite
_LEAST_SHARE = 1e-4  # of a pixel; below it is what is left over from summing up ...
_WHOLE = 1 - _LEAST_SHARE  # ... and so is what is missing above it
NEAREST_DEPTH = 0.1  # metres before the camera; nearer than that counts as behind it


class MeshRenderer(Protocol):
    """What every renderer does; one test suite runs over all of them."""

    name: str

    def draw(
        self,
        picture: Array,
        vertices: Array,
        camera: WeakPerspectiveCamera,
        colour: Colour | Array = LIGHT_BLUE,
        alpha: float = 1.0,
        is_lit: bool = True,
    ) -> None:
        """Draws one mesh into `picture`, in place.

        Parts outside the picture, triangles without area and triangles with a vertex that is not
        finite or behind the camera are left out.

        Args:
            picture: (H, W, 3) uint8 RGB, C-contiguous.
            vertices: (V, 3) metres, camera axes: x right, y down, z away.
            camera: body space to pixels.
            colour: albedo, RGB in 0…1, of all vertices or (V, 3) of each.
            alpha: opacity of the mesh in 0…1.
            is_lit: whether the lights shine on it; without them the albedo is what is seen.

        Raises:
            FacesError: the mesh has fewer vertices than the faces need.
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

    def __init__(self, faces: Array, antialias: bool = False) -> None:
        """Prepares for one mesh topology.

        Args:
            faces: (F, 3) integers, the vertices of each triangle.
            antialias: smooth outlines: a pixel takes as much of the mesh's colour as the mesh
              covers of it, instead of all or nothing.

        Raises:
            FacesError: not of that shape, or not whole numbers from 0 upward.
        """
        faces = checked_faces(faces)
        self._faces = faces.astype(np.uint32)  # unsigned: no index counts from the end
        self._vertex_count = int(faces.max()) + 1
        self._is_closed = _is_closed(faces)
        no_edges = np.empty((0, 4), np.int32)
        self._edges = _edges(faces, self._is_closed) if antialias else no_edges
        self._lights = point_lights().astype(np.float32)
        self._no_lights = self._lights[:0]
        self._depth = np.empty(0, np.float32)
        self._opaque = np.empty(0, np.uint8)

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
        check_vertex_count(self._vertex_count, vertices)
        height, width = picture.shape[:2]
        pixels = height * width
        if len(self._depth) < pixels:
            self._depth = np.empty(pixels, np.float32)
            self._opaque = np.empty(3 * pixels, np.uint8)
        _draw(
            picture,
            np.ascontiguousarray(vertices, np.float32),
            self._faces,
            self._is_closed,
            self._edges,
            (float(camera.scale), float(camera.offset_x), float(camera.offset_y)),
            self._lights if is_lit else self._no_lights,
            np.ascontiguousarray(checked_colours(colour, len(vertices)), np.float32),
            float(alpha),
            self._depth[:pixels].reshape(height, width),
            self._opaque[: 3 * pixels].reshape(height, width, 3),
        )

    def _prepared(
        self,
        vertices: Array,
        camera: WeakPerspectiveCamera,
        colour: Colour | Array,
        is_lit: bool,
    ) -> tuple[Array, Array, float]:
        """(V, 3) columns, rows and depths, (V, 4) colours in 0…255, and which triangles to draw.

        The last is the sign of their area in the picture, 0 for all.
        """
        check_vertex_count(self._vertex_count, vertices)
        vertices = np.ascontiguousarray(vertices, np.float32)
        view = (float(camera.scale), float(camera.offset_x), float(camera.offset_y))
        points, is_whole = _project(vertices, view)
        normals, volume, _, _ = _normals_and_sides(vertices, points, is_whole, self._faces)
        albedo = np.ascontiguousarray(checked_colours(colour, len(vertices)), np.float32)
        lights = self._lights if is_lit else self._no_lights
        colours = _shade(vertices, normals, lights, albedo)
        facing = (-1.0 if volume > 0 else 1.0) if self._is_closed and is_whole else 0.0
        return points, colours, facing


def mesh_bounds(vertices: Array, camera: WeakPerspectiveCamera) -> Bounds:
    """The pixels that a mesh can cover; of no extent where none of its vertices is finite.

    One pixel more on each side: OpenDR draws lines, which reach past the mesh.
    """
    view = (camera.scale, camera.offset_x, camera.offset_y)
    left, top, right, bottom = _bounds(np.ascontiguousarray(vertices, np.float32), view)
    if not left <= right:
        return (0.0, 0.0, 0.0, 0.0)
    return (left - 1, top - 1, right + 1, bottom + 1)


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


def check_vertex_count(needed: int, vertices: Array) -> None:
    """Refuses a mesh that has fewer vertices than its faces need.

    Raises:
        FacesError: it has.
    """
    if len(vertices) < needed:
        raise FacesError(
            f"the faces use vertex {needed - 1}, the mesh has {len(vertices)} vertices: these "
            "faces belong to another body; give the right ones with --smpl_face_path"
        )


def checked_colours(colour: Colour | Array, vertex_count: int) -> Array:
    """Colours as (1, 3) or (V, 3), after checking that there is one, or one per vertex."""
    colours = np.asarray(colour)
    colours = colours[None] if colours.ndim == 1 else colours
    if colours.shape not in ((1, 3), (vertex_count, 3)):
        raise ValueError(
            f"colours have shape {np.shape(colour)}; expected (3,) or ({vertex_count}, 3)"
        )
    return colours


def vertex_normals(vertices: Array, faces: Array) -> Array:
    """(V, 3) float32 area-weighted normals of length 1, out of the mesh; 0 where there is none.

    Args:
        vertices: (V, 3).
        faces: (F, 3) int32 or uint32, as `checked_faces` returns them. Whichever way round their
          corners run: what is outside is settled by the sign of the volume.
    """
    vertices = np.ascontiguousarray(vertices, np.float32)
    normals, volume, _, _ = _normals_and_sides(vertices, vertices, True, faces)
    normals = normals[:, :3]
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    outward: Array = (
        normals / np.where(lengths > 0, lengths, 1) * np.float32(-1 if volume < 0 else 1)
    )
    return outward


def _is_closed(faces: Array) -> bool:
    """Whether every edge joins two triangles that agree on which side is outside.

    Only then is everything that faces away hidden by something that faces the camera.
    """
    starts, ends = faces.T.ravel().astype(np.int64), faces[:, [1, 2, 0]].T.ravel().astype(np.int64)
    pairs = np.minimum(starts, ends) * (int(faces.max()) + 1) + np.maximum(starts, ends)
    sides = np.sort(2 * pairs + (starts > ends))
    there, back = sides[::2], sides[1::2]
    return len(there) == len(back) and bool((there % 2 == 0).all() and (back == there + 1).all())


def _edges(faces: Array, is_closed: bool) -> Array:
    """(E, 4) int32: vertices a and b, the triangle that runs from a to b, the one from b to a.

    Where triangles do not pair up there is one row for each of their sides, with −1 for the other.
    """
    starts, ends = faces.T.ravel(), faces[:, [1, 2, 0]].T.ravel()
    owners = np.tile(np.arange(len(faces), dtype=np.int32), 3)
    if not is_closed:
        return np.column_stack([starts, ends, owners, np.full_like(owners, -1)])
    forward, backward = np.lexsort((ends, starts)), np.lexsort((starts, ends))
    edges = np.column_stack([starts[forward], ends[forward], owners[forward], owners[backward]])
    return edges[edges[:, 0] < edges[:, 1]]


@kernel
def _draw(
    picture: Array,
    vertices: Array,
    faces: Array,
    is_closed: bool,
    edges: Array,
    camera: tuple[float, float, float],
    lights: Array,
    albedo: Array,
    alpha: float,
    depth: Array,
    opaque: Array,
) -> None:
    """`depth` and `opaque` are for working in; `edges` are empty without antialiasing."""
    height, width = picture.shape[:2]
    first_x, first_y, last_x, last_y = _bounds(vertices, camera)
    if not (first_x < width and first_y < height and last_x > -1 and last_y > -1):
        return
    points, is_whole = _project(vertices, camera)
    # All pixels that the mesh touches, also those whose centre it leaves free, and one more around
    # them: whether a pixel is inside the mesh is seen from its neighbours.
    left, right = math.floor(max(first_x - 0.5, 0.0)), math.floor(min(last_x + 1.5, width - 1.0))
    top, bottom = math.floor(max(first_y - 0.5, 0.0)), math.floor(min(last_y + 1.5, height - 1.0))
    normals, volume, towards, away = _normals_and_sides(vertices, points, is_whole, faces)
    colours = _shade(vertices, normals, lights, albedo)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            depth[y, x] = np.inf
    # In a closed mesh what faces away is hidden by what faces the camera.
    facing = 0.0
    if is_closed and is_whole:
        facing = -1.0 if volume > 0 else 1.0
    target = picture if alpha == 1 and len(edges) == 0 else opaque
    if facing <= 0:
        _rasterise(points, colours, faces, towards, depth, target)
    if facing >= 0:
        _rasterise(points, colours, faces, away, depth, target)
    if alpha == 1 and len(edges) == 0:
        return
    box = (slice(top, bottom + 1), slice(left, right + 1))
    if len(edges) == 0:
        _blend(picture[box], opaque[box], depth[box], alpha)
        return
    origin = (left - 0.5, top - 0.5)
    sides = (1.0, -1.0) if facing == 0 else (facing, facing)
    coverage = _coverage(points, colours, faces, edges, sides[0], origin, depth[box], opaque[box])
    if facing == 0:
        other = _coverage(points, colours, faces, edges, sides[1], origin, depth[box], opaque[box])
        _join_sides(coverage, other, depth[box])
    _blend_edges(picture[box], opaque[box], coverage, alpha)


@kernel
def _blend(picture: Array, opaque: Array, depth: Array, alpha: float) -> None:
    """Lays `opaque` over the picture wherever something was drawn."""
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            if depth[y, x] < np.inf:
                _mix(picture, opaque, y, x, alpha)


@kernel
def _blend_edges(picture: Array, opaque: Array, coverage: Array, alpha: float) -> None:
    """Lays `opaque` over the picture by how much of each pixel is covered."""
    for y in range(picture.shape[0]):
        share = np.float32(0)
        for x in range(picture.shape[1]):
            share += coverage[y, x]
            if share > _LEAST_SHARE:
                _mix(picture, opaque, y, x, alpha if share > _WHOLE else alpha * share)


@kernel
def _mix(picture: Array, opaque: Array, y: int, x: int, share: float) -> None:
    for k in range(3):
        if share >= 1:
            picture[y, x, k] = opaque[y, x, k]
            continue
        under = np.float64(picture[y, x, k])
        picture[y, x, k] = np.uint8(under + share * (np.float64(opaque[y, x, k]) - under) + 0.5)


@kernel
def _coverage(
    points: Array,
    colours: Array,
    faces: Array,
    edges: Array,
    facing: float,
    origin: tuple[float, float],
    depth: Array,
    opaque: Array,
) -> Array:
    """(h, w + 1) float32: how much more of each pixel than of the last one side's triangles cover.

    The area of all these triangles is what lies to the right of those of their edges that no two
    of them share, counted up along each row with the edge's direction as sign. Where an edge
    touches a pixel whose centre nothing covers, its colour goes to `opaque`.
    """
    rows, columns = depth.shape
    is_drawn = np.zeros(len(faces) + 1, np.int8)  # one more, for the side where there is none
    for f in range(len(faces)):
        ax, ay = points[faces[f, 0], 0], points[faces[f, 0], 1]
        bx, by = points[faces[f, 1], 0], points[faces[f, 1], 1]
        cx, cy = points[faces[f, 2], 0], points[faces[f, 2], 1]
        is_drawn[f] = ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) * facing > 0
    coverage = np.zeros((rows, columns + 1), np.float32)
    for e in range(len(edges)):
        direction = is_drawn[edges[e, 2]] - is_drawn[edges[e, 3]]
        if direction != 0:
            a, b = edges[e, 0], edges[e, 1]
            _add_edge(points, colours, a, b, -facing * direction, origin, coverage, depth, opaque)
    return coverage


@kernel
def _add_edge(
    points: Array,
    colours: Array,
    a: int,
    b: int,
    direction: float,
    origin: tuple[float, float],
    coverage: Array,
    depth: Array,
    opaque: Array,
) -> None:
    """Adds to each pixel what the edge from a to b changes from the pixel before it on."""
    if points[a, 1] > points[b, 1]:
        a, b, direction = b, a, -direction
    ax, ay = points[a, 0] - origin[0], points[a, 1] - origin[1]
    bx, by = points[b, 0] - origin[0], points[b, 1] - origin[1]
    rows, columns = depth.shape
    if ay == by:
        return
    slope = (bx - ax) / (by - ay)
    for row in range(int(max(ay, 0.0)), int(min(math.ceil(by), float(rows)))):
        upper, lower = max(ay, float(row)), min(by, row + 1.0)
        first, last = ax + (upper - ay) * slope, ax + (lower - ay) * slope
        tall = lower - upper
        if last < first:
            first, last = last, first
        if first < 0:
            beside = tall if last <= 0 else tall * first / (first - last)
            coverage[row, 0] += direction * beside
            tall -= beside
            first = 0.0
            if last <= 0:
                continue
        along = (0.5 * (upper + lower) - ay) / (by - ay)
        column = int(min(first, float(columns)))
        while column < columns:
            end = min(last, column + 1.0)
            part = tall * (end - first) / (last - first) if end < last else tall
            within = part * (column + 1 - 0.5 * (first + end))
            coverage[row, column] += direction * within
            coverage[row, column + 1] += direction * (part - within)
            if depth[row, column] == np.inf:
                for k in range(3):
                    near = colours[a, k] + along * (colours[b, k] - colours[a, k])
                    opaque[row, column, k] = _byte(np.float32(near))
            if end == last:
                break
            tall -= part
            first = end
            column += 1


@kernel
def _join_sides(coverage: Array, other: Array, depth: Array) -> None:
    """What the triangles of either side cover, where some hide nothing of the other side.

    At an outline both sides cover the same part. Where they meet inside the mesh each covers a
    part of its own, but the whole is covered.
    """
    rows, columns = depth.shape
    for y in range(rows):
        one = two = before = np.float32(0)
        for x in range(columns):
            one += coverage[y, x]
            two += other[y, x]
            share = min(max(one, two), np.float32(1))
            if share < _WHOLE:
                is_inside = True
                for row in range(max(y - 1, 0), min(y + 2, rows)):
                    for column in range(max(x - 1, 0), min(x + 2, columns)):
                        is_inside = is_inside and depth[row, column] < np.inf
                share = np.float32(1) if is_inside else share
            coverage[y, x] = share - before
            before = share


@kernel
def _bounds(vertices: Array, camera: tuple[float, float, float]) -> Bounds:
    """What holds all that is drawn of a mesh: least column and row, then the greatest.

    They are those of the box around it, which costs less than to look at each vertex in the
    picture. Where a part is infinite or too near to the camera they are `FARTHEST_PIXEL`, and where
    no vertex is a number the least is more than the greatest.
    """
    scale, offset_x, offset_y = camera
    left = top = near = np.float32(np.inf)
    right = bottom = far = np.float32(-np.inf)
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        left, right = x if x < left else left, x if x > right else right
        top, bottom = y if y < top else top, y if y > bottom else bottom
        near, far = z if z < near else near, z if z > far else far
    if not (left <= right and top <= bottom and near <= far):
        return np.inf, np.inf, -np.inf, -np.inf
    largest = max(-left, right, -top, bottom, far)
    if not (near + NEAR_ORTHOGRAPHIC_DISTANCE > NEAREST_DEPTH and largest < np.inf):
        return -FARTHEST_PIXEL, -FARTHEST_PIXEL, FARTHEST_PIXEL, FARTHEST_PIXEL
    size = scale * NEAR_ORTHOGRAPHIC_DISTANCE
    nearest = size / (near + NEAR_ORTHOGRAPHIC_DISTANCE)
    farthest = size / (far + NEAR_ORTHOGRAPHIC_DISTANCE)
    columns = left * nearest, left * farthest, right * nearest, right * farthest
    rows = top * nearest, top * farthest, bottom * nearest, bottom * farthest
    return (
        float(min(columns) + offset_x),
        float(min(rows) + offset_y),
        float(max(columns) + offset_x),
        float(max(rows) + offset_y),
    )


@kernel
def _project(vertices: Array, camera: tuple[float, float, float]) -> tuple[Array, bool]:
    """(V, 3) column, row and depth, and whether all are usable."""
    scale, offset_x, offset_y = camera
    points = np.empty((len(vertices), 3), np.float64)
    is_whole = True
    for i in range(len(vertices)):
        depth = vertices[i, 2] + NEAR_ORTHOGRAPHIC_DISTANCE
        factor = scale * NEAR_ORTHOGRAPHIC_DISTANCE / depth if depth > NEAREST_DEPTH else np.nan
        x = vertices[i, 0] * factor + offset_x
        y = vertices[i, 1] * factor + offset_y
        if not (abs(x) < FARTHEST_PIXEL and abs(y) < FARTHEST_PIXEL and depth < np.inf):
            x = y = np.nan
            is_whole = False
        points[i, 0] = x
        points[i, 1] = y
        points[i, 2] = depth
    return points, is_whole


@kernel
def _normals_and_sides(
    vertices: Array, points: Array, is_whole: bool, faces: Array
) -> tuple[Array, float, Array, Array]:
    """Normals of the vertices, the volume, and the triangles by where their own normals point.

    Triangles that are not drawn, or that float32 cannot hold, have no part in any of it.

    Returns:
        (V, 4) area-weighted normals, not yet of length 1, and 0; six times the signed volume; and
        the triangles whose normals point towards the camera, then those whose point away from it.
    """
    corners = np.zeros((len(vertices), 4), np.float32)
    for i in range(len(vertices)):
        for axis in range(3):
            corners[i, axis] = vertices[i, axis]
    normals = np.zeros((len(vertices), 4), np.float32)
    volume = 0.0
    far = np.float32(NEAR_ORTHOGRAPHIC_DISTANCE)
    towards, away = np.empty(len(faces), np.uint32), np.empty(len(faces), np.uint32)
    count_towards = count_away = 0
    for f in range(len(faces)):
        a, b, c = np.uint64(faces[f, 0]), np.uint64(faces[f, 1]), np.uint64(faces[f, 2])
        x, y, z, share = triangle_normal(corners, a, b, c)
        if not abs(share) < np.inf:
            continue
        if not (is_whole or abs(points[a, 0] + points[b, 0] + points[c, 0]) < np.inf):
            continue
        volume += share
        for corner in (a, b, c):
            add_to_row(normals, corner, x, y, z)
        side = share + far * z  # the normal along the line from the camera to the triangle
        # Always written, and kept only if it counts: a branch here would go either way.
        towards[np.uint64(count_towards)] = f
        away[np.uint64(count_away)] = f
        count_towards += side < 0
        count_away += side > 0
    return normals, volume, towards[:count_towards], away[:count_away]


@kernel
def _shade(vertices: Array, normals: Array, lights: Array, albedo: Array) -> Array:
    """Colours: Σ over the lights of albedo · light · max(0, n · l), clipped.

    (V, 4): red, green, blue in 0…255, and 0. Without lights each is its albedo. One albedo serves
    all vertices, or each has its own.
    """
    count = len(vertices)
    # One row per axis: the compiler then works on several vertices at once.
    places, directions = np.empty((3, count), np.float32), np.empty((3, count), np.float32)
    for i in range(count):
        for axis in range(3):
            places[axis, i] = vertices[i, axis]
            directions[axis, i] = normals[i, axis]
    none, white = np.float32(0), np.float32(255)
    far = np.float32(NEAR_ORTHOGRAPHIC_DISTANCE)
    brightness = np.zeros(count, np.float32)
    for k in range(len(lights)):
        light_x, light_y, light_z, light = lights[k]
        for i in range(count):
            x, y = light_x - places[0, i], light_y - places[1, i]
            z = light_z - (places[2, i] + far)
            across = directions[0, i] * x + directions[1, i] * y + directions[2, i] * z
            across /= np.sqrt(x * x + y * y + z * z)
            brightness[i] += light * (across if across > none else none)
    for i in range(count):
        x, y, z = directions[0, i], directions[1, i], directions[2, i]
        length = np.sqrt(x * x + y * y + z * z)
        brightness[i] = brightness[i] / length if length > none else none
    if len(lights) == 0:
        brightness[:] = 1
    colours = np.zeros((count, 4), np.float32)
    if len(albedo) == 1:
        for i in range(count):
            for k in range(3):
                colours[i, k] = white * min(albedo[0, k] * brightness[i], np.float32(1))
        return colours
    for i in range(count):
        for k in range(3):
            colours[i, k] = white * min(albedo[i, k] * brightness[i], np.float32(1))
    return colours


@kernel
def _rasterise(
    points: Array, colours: Array, faces: Array, chosen: Array, depth: Array, picture: Array
) -> None:
    """Draws the chosen triangles into `depth` and `picture` where triangles are nearest.

    A pixel belongs to a triangle whose inside or edge holds the pixel's centre. Where an edge meets
    a row is always computed from the edge's upper end, so the two triangles beside it agree on that
    to the last bit and leave no gap.

    Most triangles hold few pixels, so what costs most is what the processor cannot foresee: what
    can be chosen without a branch is.
    """
    last_row, last_column = depth.shape[0] - 1.0, depth.shape[1] - 1.0
    for f in chosen:
        a, b, c = np.uint64(faces[f, 0]), np.uint64(faces[f, 1]), np.uint64(faces[f, 2])
        ax, ay = points[a, 0], points[a, 1]
        bx, by = points[b, 0], points[b, 1]
        cx, cy = points[c, 0], points[c, 1]
        top, bottom = np.ceil(_least(ay, by, cy)), np.floor(_greatest(ay, by, cy))
        top, bottom = top if top > 0 else 0.0, bottom if bottom < last_row else last_row
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if not ((top <= bottom) & (abs(area) > 0)):
            continue

        ab_x, ab_y, ab_slope, ab_left, ab_right = _edge(ax, ay, bx, by, area)
        bc_x, bc_y, bc_slope, bc_left, bc_right = _edge(bx, by, cx, cy, area)
        ca_x, ca_y, ca_slope, ca_left, ca_right = _edge(cx, cy, ax, ay, area)
        share = 1.0 / area
        b_across, b_down = (cy - ay) * share, (ax - cx) * share
        c_across, c_down = (ay - by) * share, (bx - ax) * share
        az = points[a, 2]
        bz, cz = points[b, 2] - az, points[c, 2] - az
        z_across = bz * b_across + cz * c_across
        for row in range(np.int64(top), np.int64(bottom) + 1):
            y = float(row)
            ab = ab_x + (y - ab_y) * ab_slope
            bc = bc_x + (y - bc_y) * bc_slope
            ca = ca_x + (y - ca_y) * ca_slope
            left = _greatest(ab + ab_left, bc + bc_left, ca + ca_left)
            right = _least(ab + ab_right, bc + bc_right, ca + ca_right)
            left, right = np.ceil(left if left > 0 else 0.0), np.floor(right)
            right = right if right < last_column else last_column
            wb = (left - ax) * b_across + (y - ay) * b_down
            wc = (left - ax) * c_across + (y - ay) * c_down
            z = az + wb * bz + wc * cz
            i = np.uint64(row)  # unsigned, as all indices here: none counts from the end
            for column in range(np.int64(left), np.int64(right) + 1):
                j = np.uint64(column)
                if z < depth[i, j]:
                    depth[i, j] = z
                    shares = np.float32(1 - wb - wc), np.float32(wb), np.float32(wc)
                    mixed = mixed_bytes(colours, a, b, c, *shares)
                    for k in range(3):
                        picture[i, j, k] = mixed[k]
                z += z_across
                wb += b_across
                wc += c_across


@kernel
def _edge(
    ax: float, ay: float, bx: float, by: float, area: float
) -> tuple[float, float, float, float, float]:
    """The edge from a to b of a triangle of that signed area.

    Returns:
        Column and row of its upper end, columns per row, and what to add to the column where it
        meets a row if that is to be the triangle's left end there, and the right end: nothing, or
        what takes it out of the choice, since the triangle lies on one side of it.
    """
    is_down = by > ay
    slope = (bx - ax) / (by - ay) if by != ay else 0.0
    inward = (ay - by) * area
    left, right = 0.0 if inward > 0 else -np.inf, 0.0 if inward < 0 else np.inf
    return ax if is_down else bx, ay if is_down else by, slope, left, right


@kernel
def _least(a: float, b: float, c: float) -> float:
    """Like `min`, but for NaN, and without a branch."""
    a = a if a < b else b
    return a if a < c else c


@kernel
def _greatest(a: float, b: float, c: float) -> float:
    a = a if a > b else b
    return a if a > c else c


@kernel
def _byte(value: np.float32) -> np.uint8:
    """Rounds to 0…255: in a sliver rounding can carry a colour past those of its corners."""
    whole = int(value + np.float32(0.5))
    whole = whole if whole > 0 else 0
    return np.uint8(whole if whole < 255 else 255)
