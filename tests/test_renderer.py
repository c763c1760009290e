from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from meshes import (
    GREY,
    SEED,
    lumpy_body,
    opencv_mask,
    reference_picture,
    sphere,
)

from camera import WeakPerspectiveCamera
from errors import FacesError
from renderer import (
    COLOURS,
    LIGHT_BLUE,
    LIGHT_PINK,
    FastRenderer,
    _rasterise,
    checked_faces,
    mesh_bounds,
)

Array = npt.NDArray[Any]
Camera = WeakPerspectiveCamera
WHITE = (1.0, 1.0, 1.0)
BLACK = (0.0, 0.0, 0.0)


def draw(
    vertices: Array,
    faces: Array,
    camera: Camera,
    size: tuple[int, int] = (160, 120),
    background: int = GREY,
    **look: Any,
) -> Array:
    picture = np.full((size[1], size[0], 3), background, np.uint8)
    FastRenderer(faces).draw(picture, vertices, camera, **look)
    return picture


def mask_of(
    vertices: Array, faces: Array, camera: Camera, size: tuple[int, int] = (160, 120)
) -> Array:
    """Where the mesh is, whatever its shading: black on white."""
    covered: Array = draw(vertices, faces, camera, size, 255, colour=BLACK)[..., 0] == 0
    return covered


def on_edges(vertices: Array, faces: Array, camera: Camera, size: tuple[int, int]) -> Array:
    """Pixels whose centre is so near the outline that rounding decides."""
    nudge = 0.004
    masks = [
        mask_of(
            vertices,
            faces,
            Camera(camera.scale, camera.offset_x + dx, camera.offset_y + dy),
            size,
        )
        for dx in (-nudge, 0, nudge)
        for dy in (-nudge, 0, nudge)
    ]
    differs: Array = np.any(masks, 0) != np.all(masks, 0)
    return differs


VIEWS = [
    ((160, 120), Camera(60.0, 80.0, 60.0)),
    ((120, 200), Camera(71.3, 55.2, 90.7)),
    ((201, 77), Camera(25.7, 100.1, 38.4)),
    ((160, 120), Camera(90.0, 3.3, 100.9)),
    ((160, 120), Camera(55.5, 150.4, 8.2)),
    ((160, 120), Camera(500.0, 80.3, 60.1)),
]
VIEW_IDS = ["middle", "portrait", "odd", "low left", "upper right", "fills the picture"]


@pytest.mark.parametrize(("size", "camera"), VIEWS, ids=VIEW_IDS)
@pytest.mark.parametrize("seed", range(3))
def test_masks_agree_with_opencv(size: tuple[int, int], camera: Camera, seed: int) -> None:
    vertices, faces = lumpy_body(seed)
    ours, theirs = (make(vertices, faces, camera, size) for make in (mask_of, opencv_mask))
    assert theirs.sum() > 50
    edges = on_edges(vertices, faces, camera, size)
    assert edges.sum() < 0.01 * theirs.sum() + 3
    np.testing.assert_array_equal(ours[~edges], theirs[~edges])


@pytest.mark.parametrize(("size", "camera"), VIEWS, ids=VIEW_IDS)
@pytest.mark.parametrize("seed", range(2))
def test_pictures_agree_with_a_slow_reference(
    size: tuple[int, int], camera: Camera, seed: int
) -> None:
    vertices, faces = lumpy_body(seed)
    expected, depth = reference_picture(vertices, faces, camera, size, LIGHT_PINK)
    covered = np.isfinite(depth)
    picture = draw(vertices, faces, camera, size, colour=LIGHT_PINK)
    np.testing.assert_array_equal(mask_of(vertices, faces, camera, size), covered)
    np.testing.assert_allclose(picture.astype(float), expected, rtol=0, atol=1.0)
    assert (picture[~covered] == GREY).all()


@pytest.mark.parametrize("centre", [(80.0, 60.0), (80.37, 59.61), (2.5, 118.2)])
def test_silhouette_of_a_sphere(centre: tuple[float, float]) -> None:
    vertices, faces = sphere(200, 400)
    scale = 40.0
    x, y = np.meshgrid(np.arange(160), np.arange(120), indexing="xy")
    distance = np.hypot(x - centre[0], y - centre[1])
    # Seen from 100 radii away the outline is that much larger than the equator.
    outline = scale * 100 / math.sqrt(100**2 - 1)
    covered = mask_of(vertices, faces, Camera(scale, *centre))
    assert covered[distance < outline - 0.02].all()
    assert not covered[distance > outline + 0.001].any()


def test_lighting_of_a_sphere_from_its_own_geometry() -> None:
    """The normal of a unit sphere is the point itself, with no mesh in between."""
    vertices, faces = sphere(120, 240)
    albedo = (0.5, 0.25, 0.125)  # dark enough not to clip
    picture = draw(vertices, faces, Camera(50.0, 80.0, 60.0), colour=albedo).astype(float)
    for column, row in [(80, 60), (55, 40), (100, 85), (110, 60), (70, 95)]:
        x, y = (column - 80) / 50, (row - 60) / 50
        point = np.array([x, y, -math.sqrt(1 - x * x - y * y)])
        total = 0.0
        for position, brightness in (
            ((-200.0, -100.0, -100.0), 1.0),
            ((800.0, 10.0, 300.0), 1.0),
            ((-500.0, 500.0, 1000.0), 0.7),
        ):
            px, py, pz = position
            c, s = -0.5, math.sqrt(3) / 2
            light = np.array([px * c - pz * s, py, px * s + pz * c]) - point - [0, 0, 100]
            total += brightness * max(0.0, float(point @ light) / math.sqrt(float(light @ light)))
        expected = 255 * np.minimum(np.array(albedo) * total, 1)
        np.testing.assert_allclose(picture[row, column], expected, rtol=0, atol=3)


def test_bright_places_are_clipped_to_white() -> None:
    vertices, faces = sphere(40, 60)
    picture = draw(vertices, faces, Camera(50.0, 80.0, 60.0), colour=(3.0, 3.0, 3.0))
    assert (picture == 255).all(-1).sum() > 1000


def test_the_two_named_colours_look_their_name() -> None:
    vertices, faces = sphere()
    blue, pink = (
        draw(vertices, faces, Camera(50.0, 80.0, 60.0), colour=COLOURS[name])[60, 80].astype(int)
        for name in ("light_blue", "light_pink")
    )
    assert blue[2] > blue[1] > blue[0]
    assert pink[0] > pink[1] == pink[2]
    assert COLOURS["light_blue"] == LIGHT_BLUE


@pytest.mark.parametrize("alpha", [0, 0.25, 0.5, 1])
def test_opacity(alpha: float) -> None:
    vertices, faces = lumpy_body()
    camera = Camera(60.0, 80.0, 60.0)
    expected, depth = reference_picture(vertices, faces, camera, (160, 120), LIGHT_BLUE)
    covered = np.isfinite(depth)
    picture = draw(vertices, faces, camera, alpha=alpha).astype(float)
    mixed = GREY + alpha * (expected - GREY)
    np.testing.assert_allclose(picture[covered], mixed[covered], rtol=0, atol=1.0)
    assert (picture[~covered] == GREY).all()
    if alpha == 0:
        assert (picture == GREY).all()


def two_spheres(front_z: float, back_z: float) -> tuple[Array, Array]:
    vertices, faces = sphere()
    places = np.array([(0.2, 0, front_z), (-0.2, 0, back_z)])
    pair = [vertices * 0.5 + places[0], vertices + places[1]]
    return np.concatenate(pair).astype(np.float32), np.concatenate([faces, faces + len(vertices)])


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_of_two_parts_hides_the_other(order: int) -> None:
    camera = Camera(40.0, 80.0, 60.0)
    vertices, faces = two_spheres(-3.0, 3.0)
    half = len(vertices) // 2
    near = mask_of(vertices, faces[: len(faces) // 2], camera)
    picture = draw(vertices, faces[::order], camera)
    alone = draw(vertices, faces[: len(faces) // 2], camera)
    assert near.sum() > 500
    np.testing.assert_array_equal(picture[near], alone[near])
    vertices[:half, 2] += 9  # now the small one is behind the large one
    hidden = draw(vertices, faces[::order], camera)
    large = draw(vertices, faces[len(faces) // 2 :], camera)
    np.testing.assert_array_equal(hidden, large)


def test_an_open_mesh_shows_its_inside() -> None:
    vertices, faces = sphere()
    camera = Camera(40.0, 80.0, 60.0)
    far_half = faces[vertices[faces][:, :, 2].mean(1) > 0]
    near_half = faces[vertices[faces][:, :, 2].mean(1) < 0]
    for half in (far_half, near_half):
        expected, depth = reference_picture(vertices, half, camera, (160, 120), LIGHT_BLUE)
        covered = np.isfinite(depth)
        assert covered.sum() > 4000
        np.testing.assert_allclose(draw(vertices, half, camera), expected, rtol=0, atol=1.0)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_vertex_infinitely_far_off_opens_the_mesh_as_any_unusable_one(value: float) -> None:
    pictures = []
    for depth in (value, np.nan):
        vertices, faces = sphere()
        vertices[np.argmin(vertices[:, 2]), 2] = depth
        pictures.append(draw(vertices, faces, Camera(40.0, 80.0, 60.0)))
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_a_closed_mesh_with_its_faces_inward_has_the_same_outline_and_near_side() -> None:
    vertices, faces = lumpy_body()
    camera, size = Camera(60.0, 80.0, 60.0), (160, 120)
    inward = faces[:, ::-1]
    expected, depth = reference_picture(vertices, inward, camera, size, WHITE)
    covered = np.isfinite(depth)
    np.testing.assert_array_equal(mask_of(vertices, inward, camera), covered)
    picture = draw(vertices, inward, camera, colour=WHITE)
    np.testing.assert_allclose(picture, expected, rtol=0, atol=1.0)


def test_vertices_far_from_the_origin_do_not_turn_the_mesh_inside_out() -> None:
    vertices, faces = lumpy_body()
    moved = vertices + np.array([7, -5, 30], np.float32)
    camera, size = Camera(60.0, -230.0, 290.0), (160, 120)
    expected, depth = reference_picture(moved, faces, camera, size, LIGHT_BLUE)
    covered = np.isfinite(depth)
    assert covered.sum() > 500
    np.testing.assert_allclose(draw(moved, faces, camera), expected, rtol=0, atol=1.0)


def test_triangles_that_share_edges_leave_no_gap_and_integer_vertices_no_hole() -> None:
    """Fans about a pixel's centre, their rims at pixel centres too: every edge is an exact one."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[:61, :61]
    fans = 0
    for _ in range(300):
        count = int(rng.integers(4, 9))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        around = np.stack([np.cos(angles), np.sin(angles)], 1)
        rim = np.rint(30 + around * rng.uniform(5, 25, (count, 1)))
        nexts = np.roll(rim, -1, 0)
        turns = (rim[:, 0] - 30) * (nexts[:, 1] - 30) - (rim[:, 1] - 30) * (nexts[:, 0] - 30)
        if (turns <= 0).any():
            continue
        fans += 1
        vertices = np.column_stack([[[30, 30], *rim], np.zeros(count + 1)]).astype(np.float32)
        faces = np.array([(0, 1 + i, 1 + (i + 1) % count) for i in range(count)])
        covered = mask_of(vertices, faces, Camera(1.0, 0.0, 0.0), (61, 61))
        inside = np.zeros((61, 61), bool)
        for (ax, ay), (bx, by) in zip(rim, nexts, strict=True):
            sides = [
                (qx - px) * (y - py) - (qy - py) * (x - px)
                for (px, py), (qx, qy) in (
                    ((30, 30), (ax, ay)),
                    ((ax, ay), (bx, by)),
                    ((bx, by), (30, 30)),
                )
            ]
            # The rim's own edge is left to rounding; the edges within the fan are not.
            inside |= (sides[0] >= 0) & (sides[1] > 0) & (sides[2] >= 0)
        assert covered[inside].all()
    assert fans > 100


@pytest.mark.parametrize("noise", [1e-6, 1e-9, 1e-12])
def test_vertices_beside_pixel_centres_leave_no_hole(noise: float) -> None:
    """Edges that rise by next to nothing meet the row of pixel centres they lie along."""
    rng = np.random.default_rng(SEED)
    y, x = (part.ravel() for part in np.mgrid[:60:2, :60:2])
    corner = (np.arange(29)[:, None] * 30 + np.arange(29)).ravel()
    upper = np.stack([corner, corner + 1, corner + 31], 1)
    lower = np.stack([corner, corner + 31, corner + 30], 1)
    points = np.column_stack([x, y, np.full(len(x), 60.0)])
    colours, faces = np.full((len(x), 4), 200, np.float32), np.concatenate([upper, lower])
    for _ in range(20):
        points[:, :2] = np.stack([x, y], 1) + rng.normal(0, noise, (len(x), 2))
        depth, picture = np.full((59, 59), np.inf, np.float32), np.zeros((59, 59, 3), np.uint8)
        chosen = np.arange(len(faces), dtype=np.uint32)
        _rasterise(points, colours, faces.astype(np.uint32), chosen, depth, picture)
        assert (picture[1:-1, 1:-1] == 200).all()


def test_exact_pixel_centres() -> None:
    """A square from column 2 to 5 and row 1 to 3 covers 4 × 3 pixel centres."""
    vertices = np.array([(2, 1, 0), (5, 1, 0), (5, 3, 0), (2, 3, 0)], np.float32)
    faces = np.array([(0, 1, 2), (0, 2, 3)])
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    np.testing.assert_array_equal(mask_of(vertices, faces, Camera(1, 0, 0), (8, 6)), expected)


# --- Bad input: defined results, nothing outside the picture ---


def drawn_in_the_middle_of_memory(
    vertices: Array, faces: Array, camera: Camera, size: tuple[int, int]
) -> Array:
    """Draws into rows that have other memory right before and after them, and checks that."""
    width, height = size
    memory = np.full((3 * height, width, 3), GREY, np.uint8)
    picture = memory[height : 2 * height]
    FastRenderer(faces).draw(picture, vertices, camera)
    assert (memory[:height] == GREY).all()
    assert (memory[2 * height :] == GREY).all()
    return picture


@pytest.mark.parametrize("seed", range(30))
def test_nothing_outside_the_picture_is_touched(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices, faces = lumpy_body(seed)
    vertices[rng.random(len(vertices)) < 0.05] *= np.float32(10.0 ** rng.uniform(0, 30))
    vertices[rng.random(len(vertices)) < 0.02] = rng.choice([np.nan, np.inf, -np.inf, -200.0])
    size = int(rng.integers(1, 90)), int(rng.integers(1, 90))
    scale = float(10.0 ** rng.uniform(-3, 8)) * rng.choice([-1, 1])
    camera = Camera(scale, *rng.uniform(-200, 200, 2))
    drawn_in_the_middle_of_memory(vertices, faces, camera, size)


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
def test_a_body_that_is_nowhere_leaves_the_picture(camera: Camera) -> None:
    vertices, faces = lumpy_body()
    assert (drawn_in_the_middle_of_memory(vertices, faces, camera, (160, 120)) == GREY).all()


def assert_within(bounds: tuple[float, float, float, float], covered: Array) -> None:
    rows, columns = np.nonzero(covered)
    left, top, right, bottom = bounds
    assert len(rows)
    assert left <= columns.min() <= columns.max() <= right
    assert top <= rows.min() <= rows.max() <= bottom


@pytest.mark.parametrize(("size", "camera"), VIEWS, ids=VIEW_IDS)
def test_bounds_hold_all_that_is_drawn_and_little_more(
    size: tuple[int, int], camera: Camera
) -> None:
    vertices, faces = lumpy_body()
    bounds = mesh_bounds(vertices, camera)
    assert_within(bounds, mask_of(vertices, faces, camera, size))
    projected = camera.project(vertices)
    tight = [*projected.min(0), *projected.max(0)]
    room = 2 + 0.02 * camera.scale * np.ptp(vertices[:, 2])
    assert np.abs(np.array(bounds) - tight).max() <= room


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -70.0, 1e9, -1e30])
def test_bounds_hold_all_that_is_drawn_whatever_one_vertex_is(value: float, axis: int) -> None:
    vertices, faces = lumpy_body()
    vertices[5, axis] = value
    camera = Camera(60.0, 80.0, 60.0)
    bounds = mesh_bounds(vertices, camera)
    assert np.isfinite(bounds).all()
    assert_within(bounds, mask_of(vertices, faces, camera))


def test_what_is_nowhere_has_no_extent() -> None:
    assert mesh_bounds(np.full((10, 3), np.nan), Camera(60.0, 80.0, 60.0)) == (0, 0, 0, 0)


def test_a_tiny_body_is_at_most_a_pixel() -> None:
    vertices, faces = lumpy_body()
    assert mask_of(vertices, faces, Camera(0.01, 80.0, 60.0)).sum() == 1
    assert mask_of(vertices, faces, Camera(0.01, 80.5, 60.5)).sum() == 0


def test_a_huge_body_covers_everything() -> None:
    vertices, faces = sphere()
    assert mask_of(vertices, faces, Camera(1e7, 80.0, 60.0)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_only_the_triangles_of_unusable_vertices_are_left_out(value: float) -> None:
    vertices, faces = lumpy_body()
    camera, size = Camera(60.0, 80.0, 60.0), (160, 120)
    bad = [int(np.argmin(vertices[:, 2])), 40, 41]
    kept = faces[~np.isin(faces, bad).any(1)]
    expected, _ = reference_picture(vertices, kept, camera, size, LIGHT_BLUE)
    broken = vertices.copy()
    broken[bad, 0] = value
    picture = draw(broken, faces, camera).astype(float)
    np.testing.assert_allclose(picture, expected, rtol=0, atol=1.0)
    assert (expected != draw(vertices, faces, camera)).any(-1).sum() > 5


@pytest.mark.parametrize("depth", [-100.0, -150.0, -99.99])
def test_what_is_behind_the_camera_is_left_out(depth: float) -> None:
    vertices, faces = sphere()
    behind = vertices.copy()
    behind[:, 2] = depth
    assert (draw(behind, faces, Camera(60.0, 80.0, 60.0)) == GREY).all()


def test_triangles_without_area_are_left_out() -> None:
    vertices, faces = lumpy_body()
    camera = Camera(60.0, 80.0, 60.0)
    open_faces = faces[:-40]
    flat = np.array([(5, 5, 9), (7, 7, 7), (3, 8, 3)])
    with_flat = np.concatenate([flat, open_faces, flat])
    np.testing.assert_array_equal(
        draw(vertices, with_flat, camera), draw(vertices, open_faces, camera)
    )
    line = np.array([(0, 0, 0), (1, 1, 0), (2, 2, 0)], np.float32)
    assert (draw(line, np.array([(0, 1, 2)]), Camera(10, 5, 5)) == GREY).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 3), (7, 5)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    vertices, faces = sphere()
    assert mask_of(vertices, faces, Camera(60.0, 0.0, 0.0), size).all()


# --- Contracts ---


def test_the_same_input_gives_the_same_bytes() -> None:
    vertices, faces = lumpy_body()
    camera = Camera(60.0, 80.0, 60.0)
    np.testing.assert_array_equal(draw(vertices, faces, camera), draw(vertices, faces, camera))


def test_pictures_do_not_depend_on_those_before_them() -> None:
    vertices, faces = lumpy_body()
    renderer = FastRenderer(faces)
    for size, camera in [*VIEWS, *VIEWS[::-1]]:
        picture = np.full((size[1], size[0], 3), GREY, np.uint8)
        renderer.draw(picture, vertices, camera)
        np.testing.assert_array_equal(picture, draw(vertices, faces, camera, size))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_input_is_left_alone_whatever_its_dtype_and_layout(dtype: npt.DTypeLike) -> None:
    vertices, faces = lumpy_body()
    camera = Camera(60.0, 80.0, 60.0)
    given = np.asfortranarray(vertices.astype(dtype))
    given.setflags(write=False)
    np.testing.assert_array_equal(draw(given, faces, camera), draw(vertices, faces, camera))
    np.testing.assert_array_equal(given, vertices)


def test_vertices_that_no_face_uses_are_not_needed_but_the_others_are() -> None:
    vertices, faces = lumpy_body()
    camera = Camera(60.0, 80.0, 60.0)
    more = np.concatenate([vertices, np.zeros((3, 3), np.float32)])
    np.testing.assert_array_equal(draw(more, faces, camera), draw(vertices, faces, camera))
    with pytest.raises(FacesError, match=f"use vertex {len(vertices) - 1}, the mesh has 9 vert"):
        draw(vertices[:9], faces, camera)


@pytest.mark.parametrize(
    "faces",
    [
        np.zeros((0, 3), np.int64),
        np.zeros((5, 4), np.int64),
        np.zeros(3, np.int64),
        np.zeros((5, 3)),
        np.array([(0, 1, -1)]),
        np.array([(0, 1, 2**31)]),
    ],
    ids=["none", "quads", "flat", "float", "negative", "huge"],
)
def test_what_is_no_list_of_triangles(faces: Array) -> None:
    with pytest.raises(FacesError) as caught:
        FastRenderer(faces)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
def test_faces_of_any_whole_number(dtype: npt.DTypeLike) -> None:
    checked = checked_faces(np.array([(0, 1, 2)], dtype))
    assert checked.dtype == np.int32
    assert checked.tolist() == [[0, 1, 2]]


# --- Smooth outlines ---

FINE = 16  # parts that each side of a pixel is divided into


def coverage_reference(
    vertices: Array, faces: Array, camera: Camera, size: tuple[int, int]
) -> Array:
    """(H, W) in 0…1: how much of each pixel the mesh covers, from a picture FINE times finer."""
    fine = Camera(
        camera.scale * FINE,
        (camera.offset_x + 0.5) * FINE - 0.5,
        (camera.offset_y + 0.5) * FINE - 0.5,
    )
    width, height = size
    mask = mask_of(vertices, faces, fine, (width * FINE, height * FINE))
    shares: Array = mask.reshape(height, FINE, width, FINE).mean((1, 3))
    return shares


def smooth(
    vertices: Array, faces: Array, camera: Camera, size: tuple[int, int] = (160, 120), **look: Any
) -> Array:
    picture = np.full((size[1], size[0], 3), look.pop("background", GREY), np.uint8)
    FastRenderer(faces, antialias=True).draw(picture, vertices, camera, **look)
    return picture


def smooth_coverage(vertices: Array, faces: Array, camera: Camera, size: tuple[int, int]) -> Array:
    shares: Array = 1 - smooth(vertices, faces, camera, size, background=255, colour=BLACK) / 255.0
    return shares[..., 0]


@pytest.mark.parametrize(("size", "camera"), VIEWS, ids=VIEW_IDS)
@pytest.mark.parametrize("seed", range(3))
def test_smooth_outlines_agree_with_a_finer_picture(
    size: tuple[int, int], camera: Camera, seed: int
) -> None:
    vertices, faces = lumpy_body(seed)
    expected = coverage_reference(vertices, faces, camera, size)
    differences = np.abs(smooth_coverage(vertices, faces, camera, size) - expected)
    at_outline = (expected > 0) & (expected < 1)
    assert differences[~at_outline].max() < 0.05
    if at_outline.any():
        plain = np.abs(mask_of(vertices, faces, camera, size) - expected)[at_outline]
        # Where two parts of a body meet at its outline their shares add up, which is too much.
        assert differences[at_outline].mean() < 0.05
        assert differences[at_outline].mean() < plain.mean() / 4


@pytest.mark.parametrize("size", [(160, 120), (101, 77)])
def test_smooth_outlines_of_a_sphere_are_exact(size: tuple[int, int]) -> None:
    """No part of a sphere overlaps another at its outline, so nothing is approximate."""
    vertices, faces = sphere(40, 60)
    camera = Camera(45.3, 70.2, 50.9)  # partly outside the smaller picture
    expected = coverage_reference(vertices, faces, camera, size)
    coverage = smooth_coverage(vertices, faces, camera, size)
    at_outline = (expected > 0) & (expected < 1)
    assert at_outline.sum() > 150
    np.testing.assert_allclose(coverage, expected, rtol=0, atol=0.04)
    assert abs((coverage - expected)[at_outline].mean()) < 0.004


def test_the_outermost_pixels_of_an_open_mesh_are_as_smooth_as_all_others() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    picture = np.zeros((90, 100, 3), np.uint8)
    renderer = FastRenderer(np.array([[0, 1, 2], [0, 2, 3]]), antialias=True)
    renderer.draw(picture, square, Camera(40.0, 30.2, 19.6), colour=WHITE, is_lit=False)
    across, down = picture[40, :, 0], picture[:, 45, 0]
    assert across[29:32].tolist() == [0, 77, 255]  # 0.3 of the pixel
    assert across[69:72].tolist() == [255, 178, 0]
    assert down[19:22].tolist() == [0, 229, 255]


def test_what_is_thinner_than_a_pixel_is_seen() -> None:
    vertices, faces = sphere(40, 60)
    needle = vertices * np.array([0.004, 0.8, 0.004], np.float32)
    camera = Camera(50.0, 80.5, 60.5)  # between two columns of pixel centres
    assert mask_of(needle, faces, camera).sum() == 0
    coverage = smooth_coverage(needle, faces, camera, (160, 120))
    expected = coverage_reference(needle, faces, camera, (160, 120))
    assert expected.sum() > 20
    np.testing.assert_allclose(coverage.sum(), expected.sum(), rtol=0.05)
    # It has its own colour, not that of something else.
    picture = smooth(needle, faces, camera, background=0, colour=(0.0, 1.0, 0.0))
    assert (picture[..., 1] > 0).sum() > 50
    assert (picture[..., [0, 2]] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_smooth_pictures_are_plain_ones_inside_and_outside(seed: int) -> None:
    vertices, faces = lumpy_body(seed)
    camera, size = Camera(60.0, 80.0, 60.0), (160, 120)
    expected = coverage_reference(vertices, faces, camera, size)
    picture, plain = smooth(vertices, faces, camera), draw(vertices, faces, camera)
    same = (expected == 0) | (expected == 1)
    assert (np.abs(picture.astype(int) - plain)[same] <= 1).mean() > 0.999
    assert np.abs(picture[expected == 0].astype(int) - GREY).max() <= 2
    between = np.abs(picture.astype(int) - GREY) <= np.abs(plain.astype(int) - GREY) + 60
    assert between[~same].mean() > 0.9


def test_smooth_outlines_of_a_mesh_with_holes() -> None:
    """Its outline is smooth too, and nothing shows through where front meets back inside it."""
    vertices, faces = sphere(40, 60)
    camera, size = Camera(45.3, 80.2, 60.9), (160, 120)
    broken = vertices.copy()
    broken[int(np.argmin(vertices[:, 2]))] = np.nan
    cut = faces[vertices[faces][:, :, 1].mean(1) > -0.3]
    tipped = vertices @ np.array([[1, 0, 0], [0, 0.8, 0.6], [0, -0.6, 0.8]], np.float32)
    for mesh, triangles in ((broken, faces), (tipped, cut), (vertices, faces[:-1])):
        expected = coverage_reference(mesh, triangles, camera, size)
        differences = np.abs(smooth_coverage(mesh, triangles, camera, size) - expected)
        at_outline = (expected > 0) & (expected < 1)
        assert differences[at_outline].mean() < 0.03
        assert differences[~at_outline].max() < 0.02


@pytest.mark.parametrize("alpha", [0, 0.4])
def test_smooth_outlines_of_a_translucent_mesh(alpha: float) -> None:
    vertices, faces = lumpy_body()
    camera = Camera(60.0, 80.0, 60.0)
    opaque = smooth(vertices, faces, camera).astype(float)
    picture = smooth(vertices, faces, camera, alpha=alpha)
    np.testing.assert_allclose(picture, GREY + alpha * (opaque - GREY), rtol=0, atol=1.0)


@pytest.mark.parametrize("seed", range(30))
def test_smooth_pictures_stay_within_their_memory(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices, faces = lumpy_body(seed)
    if seed % 2:
        vertices[rng.random(len(vertices)) < 0.05] *= np.float32(10.0 ** rng.uniform(0, 30))
        vertices[rng.random(len(vertices)) < 0.02] = rng.choice([np.nan, np.inf, -200.0])
    width, height = int(rng.integers(1, 90)), int(rng.integers(1, 90))
    scale = float(10.0 ** rng.uniform(-3, 8)) * rng.choice([-1, 1])
    memory = np.full((3 * height, width, 3), GREY, np.uint8)
    camera = Camera(scale, *rng.uniform(-200, 200, 2))
    FastRenderer(faces, antialias=True).draw(memory[height : 2 * height], vertices, camera)
    assert (memory[:height] == GREY).all()
    assert (memory[2 * height :] == GREY).all()
