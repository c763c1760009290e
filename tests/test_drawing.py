"""The ways to draw a mesh, without a video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from synthetic import BODY_RADII, body, body_mesh, write_pickle

from annotations import read_annotations
from bodies import ClipBody
from camera import resolve_camera
from mesh_styles import MeshPainter, make_painter
from options import VisualiseOptions
from renderer import vertex_normals
from scene import ClipScene

Array = npt.NDArray[Any]
WIDTH, HEIGHT = 160, 120
TIMES = [0.0, 0.04, 0.08, 0.2, 0.24]


def make_scene(folder: Path, **changes: Any) -> ClipScene:
    content = {**body(TIMES).content, **changes}
    annotations = read_annotations(write_pickle(folder / "clip.pkl", content))
    return ClipScene(
        name="clip",
        annotations=annotations,
        body=ClipBody(annotations.vertices, "file", body_mesh()[1].astype(np.int32), None),
        camera=resolve_camera(annotations, WIDTH, HEIGHT),
        width=WIDTH,
        height=HEIGHT,
        frame_rate=Fraction(25),
        duration=1.0,
        video=None,
    )


def painter_of(scene: ClipScene, **options: Any) -> MeshPainter:
    painter = make_painter(scene, VisualiseOptions(**options))
    assert painter is not None
    return painter


def drawn(scene: ClipScene, row: int = 0, **options: Any) -> Array:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    painter_of(scene, **options).draw(picture, row, scene.camera.camera(row))
    return picture


def test_there_is_no_painter_without_a_mesh(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    assert make_painter(scene, VisualiseOptions(show_mesh=False)) is None


def test_nothing_is_drawn_outside_the_bounds(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    left, top, right, bottom = painter_of(scene).bounds(2, scene.camera.camera(2))
    rows, columns = np.nonzero(drawn(scene, 2).any(-1))
    assert left <= columns.min() <= columns.max() <= right
    assert top <= rows.min() <= rows.max() <= bottom


def test_a_turned_mesh_is_drawn_in_place_of_the_rows_own(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    assert scene.body.vertices is not None
    turned = scene.body.vertices[0][:, [2, 1, 0]] * np.array([1, 1, -1], np.float32)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    painter_of(scene).draw(picture, 0, scene.camera.camera(0), turned)
    columns = np.flatnonzero(picture.any(-1).any(0))
    expected = 2 * 0.2 * scene.camera.cameras_px[0, 0]
    assert abs(len(columns) - expected) <= 2


def test_normals_are_of_length_1_and_point_outward_whichever_way_corners_run() -> None:
    vertices, faces = body_mesh()
    corners = faces.astype(np.int32)
    outward = vertices / np.array([0.3, 0.8, 0.2]) ** 2  # the gradient of the ellipsoid's equation
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    for triangles in (corners, corners[:, ::-1].copy()):
        normals = vertex_normals(vertices, triangles)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
        assert (normals * outward).sum(1).min() > np.cos(np.radians(6))


def test_normals_style_says_where_the_surface_faces(tmp_path: Path) -> None:
    """Red to the right, green up, blue towards the camera, all over the ellipsoid's front."""
    scene = make_scene(tmp_path)
    picture = drawn(scene, mesh_style="normals")
    scale, column, row = scene.camera.cameras_px[0]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    x, y = (columns - column) / scale / BODY_RADII[0], (rows - row) / scale / BODY_RADII[1]
    inside = np.hypot(x, y) < 0.9
    z = -np.sqrt(1 - x[inside] ** 2 - y[inside] ** 2)
    normals = np.column_stack([x[inside], y[inside], z]) / BODY_RADII
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    expected = 127.5 + 127.5 * normals * [1, -1, -1]
    assert inside.sum() > 500
    assert np.abs(picture[inside] - expected).max() < 12
