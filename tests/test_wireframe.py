"""Wireframes, held against distances to edges that are computed one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from meshes import (
    GREY,
    away_from_edges,
    grown,
    lumpy_body,
    reference_picture,
    reference_shading,
    sphere,
)

from camera import WeakPerspectiveCamera
from errors import FacesError
from wireframe import WireframeRenderer

Array = npt.NDArray[Any]
Camera = WeakPerspectiveCamera

SIZE = (160, 120)
MIDDLE = Camera(50.0, 80.0, 60.0)
WHITE = (1.0, 1.0, 1.0)


def draw(vertices: Array, faces: Array, camera: Camera = MIDDLE, **options: Any) -> Array:
    picture = np.full((SIZE[1], SIZE[0], 3), options.pop("background", 0), np.uint8)
    renderer = WireframeRenderer(faces)
    renderer.draw(picture, vertices, camera, **{"colour": WHITE, "is_lit": False, **options})
    return picture


def ink(vertices: Array, faces: Array, camera: Camera = MIDDLE) -> Array:
    """(H, W) how much of each pixel is covered."""
    picture: Array = draw(vertices, faces, camera)[..., 0] / 255
    return picture


def distances(point: Array, corners: Array) -> Array:
    """(3,) pixels from a point to the lines through a triangle's edges."""
    along = np.roll(corners, -1, 0) - corners
    offsets = point - corners
    cross = along[:, 0] * offsets[:, 1] - along[:, 1] * offsets[:, 0]
    away: Array = np.abs(cross) / np.linalg.norm(along, axis=1)
    return away


def test_one_triangle_is_three_lines_of_one_pixel() -> None:
    vertices = np.array([(-1.211, -0.907, 0), (1.303, -0.509, 0), (0.103, 1.109, 0)], np.float32)
    faces = np.array([(0, 1, 2)])
    covered = ink(vertices, faces)
    corners = MIDDLE.project(vertices.astype(float))
    depth = reference_picture(vertices, faces, MIDDLE, SIZE, WHITE)[1]
    for row, column in np.argwhere(np.isfinite(depth)):
        near = np.maximum(1 - distances(np.array([column, row], float), corners), 0)
        assert covered[row, column] == pytest.approx(min(near.sum(), 1), abs=0.01)
    assert (covered[~np.isfinite(depth)] == 0).all()
    assert covered.max() > 0.95
    assert (covered[np.isfinite(depth)] == 0).mean() > 0.8


def test_no_line_shows_through_what_lies_before_it() -> None:
    front = np.array([(-0.6, -0.6, -0.5), (0.6, -0.6, -0.5), (0.0, 0.7, -0.5)], np.float32)
    back = front * [1.6, -1.2, -1]
    vertices = np.concatenate([front, back]).astype(np.float32)
    both = ink(vertices, np.array([(0, 1, 2), (3, 4, 5)]))
    alone = ink(vertices, np.array([(0, 1, 2), (0, 0, 0)]))
    behind = ink(vertices, np.array([(3, 4, 5), (0, 0, 0)]))
    depth = reference_picture(vertices, np.array([(0, 1, 2)]), MIDDLE, SIZE, WHITE)[1]
    is_front = np.isfinite(depth)
    assert (behind[is_front] > 0).sum() > 20
    np.testing.assert_array_equal(both[is_front], alone[is_front])
    np.testing.assert_array_equal(both[~is_front], behind[~is_front])


def test_lines_lie_on_the_edges_that_face_the_camera() -> None:
    """Each of a sphere's has ink at its middle; triangles have none at theirs."""
    vertices, faces = sphere(8, 10)
    covered = ink(vertices, faces)
    depth = reference_picture(vertices, faces, MIDDLE, SIZE, WHITE)[1]
    inside = away_from_edges(depth, step=np.inf)
    points = MIDDLE.project(vertices.astype(float))
    faces = faces.astype(np.int64)
    corners = points[faces]
    sides = corners[:, 1:] - corners[:, :1]
    area = sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]
    checked = 0
    for face in faces[area < -60]:  # facing the camera, and not seen from the side
        triangle = points[face]
        centre = np.rint(triangle.mean(0))
        if distances(centre, triangle).min() > 2:
            assert covered[int(centre[1]), int(centre[0])] == 0
            checked += 1
        for start, end in zip(triangle, np.roll(triangle, -1, 0), strict=True):
            column, row = np.rint((start + end) / 2).astype(int)
            assert covered[row, column] > 0.2 or not inside[row, column]
    assert checked > 10


def test_the_mesh_is_not_left() -> None:
    vertices, faces = lumpy_body()
    depth = reference_picture(vertices, faces, MIDDLE, SIZE, WHITE)[1]
    outside = ~grown(np.isfinite(depth))
    assert (ink(vertices, faces)[outside] == 0).all()


@pytest.mark.parametrize("scale", [4.0, 8.0, 16.0, 40.0])
def test_small_triangles_are_veiled_and_not_filled(scale: float) -> None:
    """However many triangles share a pixel, what lies below stays visible, and so does the mesh."""
    vertices, faces = sphere(48, 64)
    camera = Camera(scale, 80.0, 60.0)
    depth = reference_picture(vertices, faces, camera, SIZE, WHITE)[1]
    covered = ink(vertices, faces, camera)[away_from_edges(depth, step=np.inf)]
    assert 0.15 < covered.mean() < 0.75


def test_lines_have_the_light_and_the_colours_of_the_surface() -> None:
    vertices, faces = lumpy_body()
    colours = np.random.default_rng(5).uniform(0.2, 1, (len(vertices), 3))
    lines = draw(vertices, faces, colour=colours, is_lit=True)
    covered = ink(vertices, faces)
    surface, depth = reference_picture(vertices, faces, MIDDLE, SIZE, colours)
    inside = away_from_edges(depth) & (covered > 0.9)
    assert inside.sum() > 30
    expected = surface[inside] * covered[inside][:, None]
    assert np.abs(lines[inside] - expected).max() < 4
    assert reference_shading(vertices, faces, colours).max() > 0.5


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_opacity(alpha: float) -> None:
    vertices, faces = lumpy_body()
    picture = draw(vertices, faces, background=GREY, alpha=alpha)
    expected = GREY + alpha * ink(vertices, faces)[..., None] * (255 - GREY)
    assert np.abs(picture - expected).max() <= 1


@pytest.mark.parametrize(
    "camera",
    [Camera(60.0, 5.0, 60.0), Camera(60.0, 150.0, 118.0), Camera(600.0, 80.0, 60.0)],
    ids=["left", "corner", "all around"],
)
def test_parts_outside_the_picture_are_left_out(camera: Camera) -> None:
    vertices, faces = lumpy_body()
    whole = np.zeros((3 * SIZE[1], 3 * SIZE[0], 3), np.uint8)
    renderer = WireframeRenderer(faces)
    renderer.draw(whole, vertices, camera.moved(*SIZE), WHITE, is_lit=False)
    part = whole[SIZE[1] : 2 * SIZE[1], SIZE[0] : 2 * SIZE[0]]
    assert np.abs(draw(vertices, faces, camera).astype(int) - part).max() <= 1


@pytest.mark.parametrize(
    "camera",
    [Camera(60.0, -500.0, 60.0), Camera(np.nan, 1, 1), Camera(1e300, 1, 1), Camera(0, 1, 1)],
)
def test_a_body_that_is_nowhere_leaves_the_picture(camera: Camera) -> None:
    assert (draw(*lumpy_body(), camera) == 0).all()


def test_unusable_vertices_leave_out_their_triangles_alone() -> None:
    vertices, faces = lumpy_body()
    bad = [int(np.argmin(vertices[:, 2])), 40]
    broken = vertices.copy()
    broken[bad, 1] = np.nan
    kept = faces[~np.isin(faces, bad).any(1)]
    rest = draw(vertices, kept).astype(int)
    assert np.abs(draw(broken, faces).astype(int) - rest).mean() < 0.5  # line widths may differ


def test_a_mesh_of_another_body() -> None:
    vertices, faces = lumpy_body()
    with pytest.raises(FacesError, match="the mesh has 9 vertices"):
        draw(vertices[:9], faces)
