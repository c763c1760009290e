"""What `renderer.MeshRenderer` promises, checked on every renderer.

The oracle is a slow rasteriser of the tests' own. At outlines and steps in depth renderers may
differ by a pixel, so colours are compared more than one pixel away from these.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from meshes import (
    GREY,
    SEED,
    away_from_edges,
    grown,
    lumpy_body,
    reference_picture,
    sphere,
    turned,
)
from renderers import RENDERERS, MakeRenderer

from camera import WeakPerspectiveCamera
from errors import FacesError
from renderer import LIGHT_BLUE, LIGHT_PINK, MeshRenderer

Array = npt.NDArray[Any]
Camera = WeakPerspectiveCamera

SIZE = (160, 120)
MIDDLE = Camera(60.0, 80.0, 60.0)
COLOUR_TOLERANCE = 2.0  # of 255
SHARE_WITHIN = 0.98  # OpenDR draws lines along the edges of folds too shallow to be steps in depth

pytestmark = pytest.mark.parametrize("make_renderer", RENDERERS)


def draw(renderer: MeshRenderer, vertices: Array, camera: Camera, **options: Any) -> Array:
    width, height = options.pop("size", SIZE)
    picture = np.full((height, width, 3), options.pop("background", GREY), np.uint8)
    renderer.draw(picture, vertices, camera, **options)
    return picture


def check(
    picture: Array,
    vertices: Array,
    faces: Array,
    camera: Camera,
    colour: tuple[float, ...] | Array = LIGHT_BLUE,
    alpha: float = 1.0,
    under: Array | int = GREY,
    is_lit: bool = True,
) -> None:
    """The mesh's colours inside it, what was there before outside, and no other outline."""
    height, width = picture.shape[:2]
    expected, depth = reference_picture(vertices, faces, camera, (width, height), colour, is_lit)
    under = np.broadcast_to(np.asarray(under, float), picture.shape)
    inside, outside = away_from_edges(depth), ~grown(np.isfinite(depth))
    assert inside.sum() > 40
    mixed = under + alpha * (expected - under)
    differences = np.abs(picture[inside] - mixed[inside]).max(1)
    assert (differences <= COLOUR_TOLERANCE).mean() >= SHARE_WITHIN
    np.testing.assert_array_equal(picture[outside], under[outside])


@pytest.mark.parametrize("degrees", [0, 60, -60, 180])
def test_turned_views(make_renderer: MakeRenderer, degrees: float) -> None:
    vertices, faces = lumpy_body()
    view = turned(vertices, degrees)
    check(draw(make_renderer(faces), view, MIDDLE), view, faces, MIDDLE)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(160, 120), (121, 201), (320, 90)])
def test_bodies_and_sizes(make_renderer: MakeRenderer, seed: int, size: tuple[int, int]) -> None:
    vertices, faces = lumpy_body(seed)
    camera = Camera(0.45 * min(size), 0.5 * size[0] + 0.3, 0.5 * size[1] - 0.2)
    check(draw(make_renderer(faces), vertices, camera, size=size), vertices, faces, camera)


@pytest.mark.parametrize("background", [0, 255, (10, 200, 90)])
def test_plain_backgrounds(make_renderer: MakeRenderer, background: Any) -> None:
    vertices, faces = lumpy_body()
    picture = draw(make_renderer(faces), vertices, MIDDLE, background=background)
    check(picture, vertices, faces, MIDDLE, under=background)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.75, 1.0])
def test_overlay_on_a_picture(make_renderer: MakeRenderer, alpha: float) -> None:
    vertices, faces = lumpy_body()
    before = np.random.default_rng(SEED).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    picture = before.copy()
    make_renderer(faces).draw(picture, vertices, MIDDLE, LIGHT_PINK, alpha)
    check(picture, vertices, faces, MIDDLE, LIGHT_PINK, alpha, under=before)
    if alpha == 0:
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("colour", [LIGHT_BLUE, LIGHT_PINK, (0.1, 0.9, 0.4), (3.0, 0.5, 0.0)])
def test_colours(make_renderer: MakeRenderer, colour: tuple[float, float, float]) -> None:
    vertices, faces = lumpy_body()
    check(
        draw(make_renderer(faces), vertices, MIDDLE, colour=colour), vertices, faces, MIDDLE, colour
    )


@pytest.mark.parametrize("is_lit", [True, False])
@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_a_colour_for_each_vertex(make_renderer: MakeRenderer, is_lit: bool, alpha: float) -> None:
    vertices, faces = lumpy_body()
    colours = np.random.default_rng(SEED).uniform(0, 1.2, (len(vertices), 3))
    given = colours.copy()
    options: dict[str, Any] = {"colour": colours, "alpha": alpha, "is_lit": is_lit}
    picture = draw(make_renderer(faces), vertices, MIDDLE, **options)
    check(picture, vertices, faces, MIDDLE, **options)
    np.testing.assert_array_equal(colours, given)


def test_without_lights_the_albedo_is_what_is_seen(make_renderer: MakeRenderer) -> None:
    vertices, faces = lumpy_body()
    picture = draw(make_renderer(faces), vertices, MIDDLE, colour=(1.4, 0.4, 0.0), is_lit=False)
    inside = away_from_edges(reference_picture(vertices, faces, MIDDLE, SIZE, LIGHT_BLUE)[1])
    np.testing.assert_allclose(picture[inside], np.broadcast_to([255, 102, 0], (inside.sum(), 3)))


@pytest.mark.parametrize("colours", [np.zeros((5, 3)), np.zeros(4), np.zeros((1, 2, 3))])
def test_colours_that_are_not_one_for_each_vertex(
    make_renderer: MakeRenderer, colours: Array
) -> None:
    vertices, faces = lumpy_body()
    with pytest.raises(ValueError, match=r"colours have shape"):
        draw(make_renderer(faces), vertices, MIDDLE, colour=colours)


@pytest.mark.parametrize(
    "camera",
    [
        Camera(70.0, 5.3, 60.0),
        Camera(70.0, 150.6, 60.2),
        Camera(70.0, 80.1, 2.0),
        Camera(70.0, 80.0, 117.9),
        Camera(90.0, 3.3, 110.9),
        Camera(500.0, 80.3, 60.1),
    ],
    ids=["left", "right", "top", "bottom", "corner", "all around"],
)
def test_parts_outside_the_picture_are_left_out(
    make_renderer: MakeRenderer, camera: Camera
) -> None:
    vertices, faces = lumpy_body()
    memory = np.full((3 * SIZE[1], SIZE[0], 3), GREY, np.uint8)
    picture = memory[SIZE[1] : 2 * SIZE[1]]
    make_renderer(faces).draw(picture, vertices, camera)
    check(picture, vertices, faces, camera)
    assert (memory[: SIZE[1]] == GREY).all()
    assert (memory[2 * SIZE[1] :] == GREY).all()


def test_where_the_camera_looks_depends_on_the_part_of_the_picture_alone(
    make_renderer: MakeRenderer,
) -> None:
    """Drawing into a part of a picture gives that part of the whole picture."""
    vertices, faces = lumpy_body()
    renderer = make_renderer(faces)
    left, top = 40, 20
    whole = draw(renderer, vertices, MIDDLE)
    part = draw(renderer, vertices, MIDDLE.moved(-left, -top), size=(90, 70))
    inside = away_from_edges(reference_picture(vertices, faces, MIDDLE, SIZE, LIGHT_BLUE)[1])
    window = (slice(top, top + 70), slice(left, left + 90))
    difference = np.abs(whole[window].astype(int) - part)[inside[window]]
    assert len(difference) > 800
    assert (difference <= COLOUR_TOLERANCE).mean() >= SHARE_WITHIN


@pytest.mark.parametrize(
    "camera",
    [
        Camera(60.0, -500.0, 60.0),
        Camera(60.0, 80.0, 1e6),
        Camera(60.0, 1e300, 60.0),
        Camera(60.0, np.nan, 60.0),
        Camera(np.inf, 80.0, 60.0),
        Camera(1e300, 80.0, 60.0),
        Camera(0.0, 80.0, 60.0),
    ],
)
def test_a_body_that_is_nowhere_leaves_the_picture(
    make_renderer: MakeRenderer, camera: Camera
) -> None:
    vertices, faces = lumpy_body()
    assert (draw(make_renderer(faces), vertices, camera) == GREY).all()


def test_a_huge_body_covers_everything(make_renderer: MakeRenderer) -> None:
    vertices, faces = sphere()
    picture = draw(make_renderer(faces), vertices, Camera(1e6, 80.0, 60.0), background=255)
    assert (picture != 255).any(-1).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 3)])
def test_tiny_pictures(make_renderer: MakeRenderer, size: tuple[int, int]) -> None:
    vertices, faces = sphere()
    camera = Camera(60.0, 0.0, 0.0)
    picture = draw(make_renderer(faces), vertices, camera, size=size, background=255)
    assert (picture != 255).any(-1).all()


@pytest.mark.parametrize(
    ("axis", "value"),
    [*itertools.product(range(3), [np.nan, np.inf, -np.inf]), (0, 1e38), (1, 1e38)],
)
def test_only_the_triangles_of_unusable_vertices_are_left_out(
    make_renderer: MakeRenderer, axis: int, value: float
) -> None:
    vertices, faces = lumpy_body()
    bad = [int(np.argmin(vertices[:, 2])), 40, 41]
    kept = faces[~np.isin(faces, bad).any(1)]
    broken = vertices.copy()
    broken[bad, axis] = value
    check(draw(make_renderer(faces), broken, MIDDLE), vertices, kept, MIDDLE)


def test_nothing_is_drawn_where_no_vertex_is_usable(make_renderer: MakeRenderer) -> None:
    vertices, faces = lumpy_body()
    nowhere = np.full_like(vertices, np.nan)
    assert (draw(make_renderer(faces), nowhere, MIDDLE) == GREY).all()


@pytest.mark.parametrize("depth", [-100.0, -150.0, -99.99])
def test_what_is_behind_the_camera_is_left_out(make_renderer: MakeRenderer, depth: float) -> None:
    vertices, faces = sphere()
    vertices[:, 2] = depth
    assert (draw(make_renderer(faces), vertices, MIDDLE) == GREY).all()


def test_triangles_without_area_are_left_out(make_renderer: MakeRenderer) -> None:
    vertices, faces = lumpy_body()
    flat = np.array([(5, 5, 9), (7, 7, 7), (3, 8, 3)])
    check(
        draw(make_renderer(np.concatenate([flat, faces])), vertices, MIDDLE),
        vertices,
        faces,
        MIDDLE,
    )
    line = np.array([(0, 0, 0), (1, 1, 0), (2, 2, 0)], np.float32)
    assert (draw(make_renderer(np.array([(0, 1, 2)])), line, Camera(10, 5, 5)) == GREY).all()


def test_an_open_mesh_shows_its_inside(make_renderer: MakeRenderer) -> None:
    vertices, faces = sphere()
    camera = Camera(40.0, 80.0, 60.0)
    depth = vertices[faces][:, :, 2].mean(1)
    for half in (faces[depth > 0], faces[depth < 0]):
        check(draw(make_renderer(half), vertices, camera), vertices, half, camera)


def test_pictures_do_not_depend_on_those_before_them(make_renderer: MakeRenderer) -> None:
    vertices, faces = lumpy_body()
    renderer = make_renderer(faces)
    views = [((160, 120), MIDDLE), ((201, 77), Camera(25.7, 100.1, 38.4)), ((90, 90), MIDDLE)]
    first = [draw(renderer, vertices, camera, size=size) for size, camera in views]
    again = [draw(renderer, vertices, camera, size=size) for size, camera in views[::-1]][::-1]
    for one, other, (size, camera) in zip(first, again, views, strict=True):
        np.testing.assert_array_equal(one, other)
        fresh = draw(make_renderer(faces), vertices, camera, size=size)
        np.testing.assert_array_equal(one, fresh)


def test_input_is_left_alone_whatever_its_dtype_and_layout(make_renderer: MakeRenderer) -> None:
    vertices, faces = lumpy_body()
    renderer = make_renderer(faces)
    given = np.asfortranarray(vertices.astype(np.float64))
    given.setflags(write=False)
    np.testing.assert_array_equal(draw(renderer, given, MIDDLE), draw(renderer, vertices, MIDDLE))
    np.testing.assert_array_equal(given, vertices)


def test_a_mesh_of_another_body(make_renderer: MakeRenderer) -> None:
    vertices, faces = lumpy_body()
    renderer = make_renderer(faces)
    more = np.concatenate([vertices, np.zeros((3, 3), np.float32)])
    np.testing.assert_array_equal(draw(renderer, more, MIDDLE), draw(renderer, vertices, MIDDLE))
    with pytest.raises(FacesError, match=f"use vertex {len(vertices) - 1}, the mesh has 9 vert"):
        draw(renderer, vertices[:9], MIDDLE)


@pytest.mark.parametrize(
    "faces",
    [np.zeros((0, 3), int), np.zeros((5, 4), int), np.zeros((5, 3)), np.array([(0, 1, -1)])],
    ids=["none", "quads", "float", "negative"],
)
def test_what_is_no_list_of_triangles(make_renderer: MakeRenderer, faces: Array) -> None:
    with pytest.raises(FacesError):
        make_renderer(faces)
