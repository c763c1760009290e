"""Meshes that renderer tests make for themselves, and what other rasterisers make of them."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camera import WeakPerspectiveCamera

Array = npt.NDArray[Any]
Camera = WeakPerspectiveCamera
SEED = 6890
GREY = 90
_FAR = 1000.0


def sphere(rings: int = 16, sectors: int = 24, radius: float = 1.0) -> tuple[Array, Array]:
    """A closed sphere about the origin, all triangles seen counter-clockwise from outside."""
    polar = np.pi * np.arange(1, rings) / rings
    around = 2 * np.pi * np.arange(sectors) / sectors
    band = np.stack(
        [
            np.outer(np.sin(polar), np.cos(around)),
            np.repeat(np.cos(polar)[:, None], sectors, 1),
            np.outer(np.sin(polar), np.sin(around)),
        ],
        -1,
    ).reshape(-1, 3)
    vertices = np.concatenate([[(0.0, 1.0, 0.0)], band, [(0.0, -1.0, 0.0)]]) * radius
    faces = []
    last = len(vertices) - 1
    for s in range(sectors):
        t = (s + 1) % sectors
        faces += [(0, 1 + t, 1 + s), (last, last - sectors + s, last - sectors + t)]
        for r in range(rings - 2):
            a, b = 1 + r * sectors, 1 + (r + 1) * sectors
            faces += [(a + s, a + t, b + s), (b + s, a + t, b + t)]
    return vertices.astype(np.float32), np.array(faces, np.uint32)


def lumpy_body(seed: int = SEED) -> tuple[Array, Array]:
    """A closed mesh with limbs that hide one another, turned some way."""
    rng = np.random.default_rng(seed)
    vertices, faces = sphere(24, 32)
    waves = rng.normal(0, 3, (5, 3))
    lumps = 1 + 0.18 * np.sin(vertices @ waves.T + rng.uniform(0, 6, 5)).sum(1)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    body = (vertices * lumps[:, None] * [0.35, 0.9, 0.25]) @ turn.T
    return body.astype(np.float32), faces


# --- An independent reference: slow, in float64, one triangle at a time, no culling ---


def reference_shading(vertices: Array, faces: Array, albedo: tuple[float, ...] | Array) -> Array:
    vertices = vertices.astype(np.float64)
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals /= np.where(lengths > 0, lengths, 1)
    colours = np.zeros_like(vertices)
    angle = np.radians(120)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    for position, brightness in (
        ((-200, -100, -100), 1.0),
        ((800, 10, 300), 1.0),
        ((-500, 500, 1000), 0.7),
    ):
        to_light = position @ turn - (vertices + np.array([0, 0, 100]))
        to_light /= np.linalg.norm(to_light, axis=1, keepdims=True)
        facing = np.maximum((normals * to_light).sum(1), 0)
        colours += np.array(albedo) * brightness * facing[:, None]
    return np.minimum(colours, 1)


def reference_picture(
    vertices: Array,
    faces: Array,
    camera: Camera,
    size: tuple[int, int],
    albedo: tuple[float, ...] | Array,
    is_lit: bool = True,
) -> tuple[Array, Array]:
    """(H, W, 3) colours in 0…255 over `GREY`, and (H, W) depths in metres, infinite where none."""
    width, height = size
    moved = vertices.astype(np.float64) + np.array([0, 0, 100])
    points = camera.scale * 100 * moved[:, :2] / moved[:, 2:]
    points += [camera.offset_x, camera.offset_y]
    plain = np.clip(np.broadcast_to(np.asarray(albedo), vertices.shape), 0, 1)
    colours = 255 * (reference_shading(vertices, faces, albedo) if is_lit else plain)
    picture = np.full((height, width, 3), float(GREY))
    depth = np.full((height, width), np.inf)
    for face in faces:
        a, b, c = points[face]
        low = np.maximum(np.ceil(np.minimum(np.minimum(a, b), c)), 0).astype(int)
        high = np.minimum(np.floor(np.maximum(np.maximum(a, b), c)), [width - 1, height - 1])
        area = np.linalg.det([b - a, c - a])
        if area == 0:
            continue
        x, y = np.meshgrid(
            np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="xy"
        )
        wb = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        wc = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        weights = np.stack([1 - wb - wc, wb, wc], -1)
        z = weights @ moved[face, 2]
        rows, columns = y.astype(int), x.astype(int)
        nearest = (weights >= 0).all(-1) & (z < depth[rows, columns])
        picture[rows[nearest], columns[nearest]] = (weights @ colours[face])[nearest]
        depth[rows[nearest], columns[nearest]] = z[nearest]
    return picture, depth


def opencv_mask(vertices: Array, faces: Array, camera: Camera, size: tuple[int, int]) -> Array:
    """(H, W) bool: which pixels OpenCV's rasteriser covers."""
    covered: Array = opencv_depth(vertices, faces, camera, size) < _FAR / 2
    return covered


def opencv_depth(vertices: Array, faces: Array, camera: Camera, size: tuple[int, int]) -> Array:
    """(H, W) float32: metres before the camera, as OpenCV's rasteriser has them."""
    width, height = size
    moved = vertices.astype(np.float64) + np.array([0, 0, 100])
    # OpenCV's camera looks at the middle of the picture; shear the body to where ours looks.
    # To OpenCV the picture begins at 0, half a pixel before the centre of the first.
    shift = np.array([camera.offset_x + 0.5 - width / 2, camera.offset_y + 0.5 - height / 2])
    moved[:, :2] += shift / (camera.scale * 100) * moved[:, 2:]
    moved *= [1, -1, -1]
    depth = np.full((height, width), _FAR, np.float32)
    colours = np.zeros((height, width, 3), np.float32)
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    cv2.triangleRasterize(
        moved.astype(np.float32),
        faces.astype(np.int32),
        np.ones((len(vertices), 3), np.float32),
        colours,
        depth,
        np.eye(4, dtype=np.float32),
        2 * math.atan(height / 2 / (camera.scale * 100)),
        1.0,
        _FAR,
        settings,
    )
    return depth


def away_from_edges(depth: Array, step: float = 0.03) -> Array:
    """(H, W) bool: covered pixels more than one pixel from any outline or `step` in depth.

    Args:
        depth: (H, W) metres; infinite or `_FAR` where there is no mesh.
        step: metres.
    """
    known = np.minimum(depth, _FAR).astype(np.float32)
    around = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(known, around) - cv2.erode(known, around)
    away: Array = (spread < step) & (known < _FAR / 2)
    return away


def grown(mask: Array) -> Array:
    """(H, W) bool: the mask and all pixels beside it, diagonally too."""
    larger: Array = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return larger


def turned(vertices: Array, degrees: float) -> Array:
    """The mesh turned about the vertical axis through its centroid, as CONVENTIONS.md says."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre = vertices.mean(0)
    moved: Array = (vertices - centre) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) + centre
    return moved.astype(vertices.dtype)
