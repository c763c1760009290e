"""The ways to draw a mesh, without a video."""

from __future__ import annotations

import dataclasses
import typing
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from meshes import away_from_edges, reference_picture
from scenes import part_of, sample_scene
from synthetic import BODY_RADII, body, body_mesh, write_pickle
from test_body_parts import NEIGHBOURS

from annotations import read_annotations
from bodies import ClipBody
from camera import resolve_camera, seen_from
from colour_scale import UNKNOWN
from errors import AnnotationError, OptionError
from keypoints import JOINT_NAMES
from mesh_styles import PART_COLOURS, MeshPainter, make_painter
from options import MeshStyle, VisualiseOptions
from renderer import vertex_normals
from scene import ClipScene

Array = npt.NDArray[Any]
WIDTH, HEIGHT = 160, 120
TIMES = [0.0, 0.04, 0.08, 0.2, 0.24]
GOLDEN = Path(__file__).parent / "golden" / "mesh_styles.png"


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


@pytest.mark.parametrize("has_model", [True, False])
def test_parts_style_gives_each_part_its_colour(has_model: bool) -> None:
    """Left is warm, right is cool; without a model the joints say which part is which."""
    scene = sample_scene(has_model)
    row = 0
    colours = {name: np.array(colour) / 255 for name, colour in PART_COLOURS.items()}
    painter = painter_of(scene, mesh_style="parts")
    size = scene.height, scene.width, 3
    picture, shades = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    painter.draw(picture, row, scene.camera.camera(row))
    painter_of(scene, mesh_colour=(1.0, 1.0, 1.0)).draw(shades, row, scene.camera.camera(row))
    for side, is_warm in (("left", True), ("right", False)):
        for joint, part in (("elbow", "forearm"), ("knee", "shin")):
            ends = [
                scene.camera.keypoints_px[row, JOINT_NAMES.index(f"{side}_{name}")]
                for name in (joint, {"elbow": "wrist", "knee": "ankle"}[joint])
            ]
            column, line = np.rint(np.mean(ends, 0)).astype(int)
            shade = shades[line, column].astype(float)
            expected = np.minimum(shade * colours[f"{side}_{part}"], 255)
            assert 0 < shade.max() < 255
            np.testing.assert_allclose(picture[line, column], expected, atol=2)
            assert (picture[line, column, 0] > picture[line, column, 2]) == is_warm


def test_parts_with_smpls_own_24_joints() -> None:
    """Where `3d_keypoints` are SMPL's skeleton, its neck and head stand for the cocoplus ones."""
    scene = part_of(sample_scene(with_model=False), slice(0, 70, 10))
    model = sample_scene().body.model
    assert model is not None
    annotations = scene.annotations
    joints = model.forward(annotations.shape, annotations.pose)[1].astype(np.float64)
    skeleton = dataclasses.replace(
        scene,
        annotations=dataclasses.replace(annotations, joints_3d=joints),
        camera=dataclasses.replace(scene.camera, joint_set="smpl"),
    )
    camera = scene.camera.camera(0)
    pictures = [np.zeros((scene.height, scene.width, 3), np.uint8) for _ in range(2)]
    for one, picture in zip((skeleton, scene), pictures, strict=True):
        painter_of(one, mesh_style="parts").draw(picture, 0, camera)
    is_drawn = pictures[1].any(-1)
    is_same = (np.abs(pictures[0].astype(int) - pictures[1]).max(-1) < 8)[is_drawn]
    assert is_same.mean() > 0.95


def test_parts_without_joints_say_which_clip_it_is(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    unknown = np.full((len(TIMES), 19, 3), np.nan)
    blind = dataclasses.replace(
        scene, annotations=dataclasses.replace(scene.annotations, joints_3d=unknown)
    )
    with pytest.raises(AnnotationError, match=r"^clip: `3d_keypoints` has no frame"):
        painter_of(blind, mesh_style="parts")


def test_depth_style_colours_the_depth_of_what_is_seen(tmp_path: Path) -> None:
    vertices = np.repeat(body_mesh()[0][None], len(TIMES), 0)
    vertices[3] += np.array([0, 0, 0.35], np.float32)
    scene = make_scene(tmp_path, vertices=vertices)
    row = 3
    camera = scene.camera.camera(row)
    painter = painter_of(scene, mesh_style="depth")
    scale = painter.scale
    assert scale is not None
    assert (scale.first, scale.last) == pytest.approx((0.6, -0.2))  # far, near, in tenths
    assert (scale.first_text, scale.last_text) == ("far +0.6", "−0.2 m near")
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    painter.draw(picture, row, camera)
    faces = body_mesh()[1].astype(np.int64)
    depth = reference_picture(vertices[row], faces, camera, (WIDTH, HEIGHT), (1, 1, 1))[1]
    inside = away_from_edges(depth)
    assert inside.sum() > 500
    expected = 255 * scale.colours(depth[inside] - 100)
    assert np.abs(picture[inside] - expected).max() < 6


def test_near_is_lighter_than_far() -> None:
    scale = painter_of(sample_scene(), mesh_style="depth").scale
    assert scale is not None
    far, near = scale.colours(np.array([scale.first, scale.last])).sum(-1)
    assert scale.first > scale.last
    assert near > 2 * far


def flat_scene(folder: Path, times: list[float], places: list[float]) -> ClipScene:
    """An ellipsoid that jumps along the camera's axis, so that it looks the same everywhere."""
    mesh = body_mesh()[0]
    offsets = np.outer(places, [0, 0, 1])[:, None].astype(np.float32)
    scene = make_scene(folder)
    content = body(times).content | {"vertices": mesh + offsets}
    annotations = read_annotations(write_pickle(folder / "flat.pkl", content))
    return dataclasses.replace(
        scene,
        annotations=annotations,
        body=dataclasses.replace(scene.body, vertices=annotations.vertices),
        camera=resolve_camera(annotations, WIDTH, HEIGHT),
    )


def speed_in_the_middle(scene: ClipScene, row: int) -> float | None:
    """What the colour of the surface's nearest point says, in m/s; None for unknown."""
    painter = painter_of(scene, mesh_style="speed")
    assert painter.scale is not None
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    painter.draw(picture, row, scene.camera.camera(row))
    _, column, line = np.rint(scene.camera.cameras_px[row]).astype(int)
    seen = picture[line, column] / 255
    if np.abs(seen - UNKNOWN).max() < 0.02:
        return None
    speeds = np.linspace(painter.scale.first, painter.scale.last, 256)
    return float(speeds[np.abs(painter.scale.colours(speeds) - seen).sum(-1).argmin()])


def test_speed_is_the_way_over_the_true_time(tmp_path: Path) -> None:
    """Over both neighbours where both are labelled, over one at the end of a run."""
    times = [0.0, 0.04, 0.09, 0.13, 0.5, 0.54, 0.9]
    places = [0.0, 0.04, 0.14, 0.14, 5.0, 5.04, 9.0]
    scene = flat_scene(tmp_path, times, places)
    expected = [1.0, 0.14 / 0.09, 0.10 / 0.09, 0.0, 1.0, 1.0, None]
    for row, speed in enumerate(expected):
        met = speed_in_the_middle(scene, row)
        assert met == pytest.approx(speed, abs=0.03), row


def test_jitter_does_not_cancel_out(tmp_path: Path) -> None:
    scene = flat_scene(tmp_path, [0.0, 0.04, 0.08, 0.12], [0.0, 0.04, 0.0, 0.04])
    assert speed_in_the_middle(scene, 1) == pytest.approx(1.0, abs=0.03)


def test_the_legend_says_which_labels_have_no_speed(tmp_path: Path) -> None:
    for times, text in (([0.0, 0.04, 0.08], ""), ([0.0, 0.04, 0.5], "no label beside it")):
        painter = painter_of(flat_scene(tmp_path, times, [0.0, 0.04, 0.08]), mesh_style="speed")
        assert painter.scale is not None
        assert painter.scale.unknown_text == text


@pytest.mark.parametrize("times", [[0.3], [0.3, 0.3]], ids=["one label", "two at one time"])
def test_speed_of_what_has_no_neighbour_in_time(tmp_path: Path, times: list[float]) -> None:
    scene = flat_scene(tmp_path, times, [0.0] * len(times))
    assert speed_in_the_middle(scene, 0) is None


def test_speed_does_not_depend_on_the_view(tmp_path: Path) -> None:
    """A turned mesh is coloured by how its label moves, not by how it was turned."""
    scene = flat_scene(tmp_path, [0.0, 0.04], [0.0, 0.04])
    assert scene.body.vertices is not None
    turned = seen_from(scene.body.vertices[0], 180.0)
    painter = painter_of(scene, mesh_style="speed")
    pictures = np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)
    painter.draw(pictures[0], 0, scene.camera.camera(0))
    painter.draw(pictures[1], 0, scene.camera.camera(0), turned)
    _, column, line = np.rint(scene.camera.cameras_px[0]).astype(int)
    np.testing.assert_array_equal(*pictures[:, line, column])


def test_only_numbers_have_a_scale(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    for style in typing.get_args(MeshStyle):
        if style != "parts":
            has_scale = painter_of(scene, mesh_style=style).scale is not None
            assert has_scale == (style in {"depth", "speed"})


def test_opendr_draws_no_wireframe(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"opendr.*wireframes: use `fast`"):
        painter_of(make_scene(tmp_path), renderer="opendr", mesh_style="wireframe")


def test_the_look_of_the_styles(tmp_path: Path) -> None:
    """Small, and compared tightly: what changes here is to be looked at."""
    scene, row = sample_scene(), 20
    camera = scene.camera.resized(0.5).camera(row)
    pictures = []
    for style in typing.get_args(MeshStyle):
        picture = np.full((180, 320, 3), (60, 75, 70), np.uint8)
        painter_of(scene, mesh_style=style).draw(picture, row, camera)
        pictures.append(picture[39:168, 97:189])  # the body
    actual = np.hstack(pictures)
    cv2.imwrite(str(tmp_path / "actual.png"), actual[..., ::-1])
    expected = cv2.imread(str(GOLDEN))
    assert expected is not None, f"{GOLDEN} is missing; what was drawn is in {tmp_path}"
    assert expected.shape == actual.shape
    difference = np.abs(expected[..., ::-1].astype(int) - actual)
    cv2.imwrite(str(tmp_path / "difference.png"), np.minimum(4 * difference, 255))
    assert difference.mean() < 0.05, tmp_path
    assert (difference > 6).mean() < 1e-3, tmp_path


# What red, green and blue, linear, become to eyes without one kind of cones: Machado, Oliveira and
# Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009.
EYES = {
    "usual": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("eyes", EYES)
def test_all_eyes_tell_left_from_right_and_parts_that_meet(eyes: str) -> None:
    def seen(name: str) -> Array:
        linear = (np.array(PART_COLOURS[name]) / 255) ** 2.2 @ np.array(EYES[eyes]).T
        rgb = (np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.float32)
        lab: Array = cv2.cvtColor(rgb[None, None], cv2.COLOR_RGB2LAB)[0, 0]
        return lab

    for first, second in map(sorted, NEIGHBOURS):
        assert np.linalg.norm(seen(first) - seen(second)) > 15, (first, second)
    for name in PART_COLOURS:
        if name.startswith("left_"):
            other = name.replace("left_", "right_")
            assert np.linalg.norm(seen(name) - seen(other)) > 35, name
