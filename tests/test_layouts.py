from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from conftest import CLIP
from meshes import lumpy_body, turned
from renderers import needs_opendr
from synthetic import BODY_RADII, body, body_mesh, decode, write_pickle, write_video

from annotations import validate
from bodies import ClipBody
from camera import View, resolve_camera, seen_from
from colour import Box, colour_matrix
from errors import BodyModelError
from layouts import Layout, PanelLayout, make_layout
from options import VisualiseOptions
from renderer import FastRenderer
from scene import ClipScene
from turntable import ELEVATION, SQUARE, TURN_SEC, Turntable
from video_io import PlanarPicture, VideoFrame
from visualise import visualise_clip

Array = npt.NDArray[Any]

TIMES = [0.0, 0.04, 0.08, 0.5]
SEED = 7
SIZES = [(160, 120), (120, 160), (161, 121)]
RATE = Fraction(25)
GOLDEN = Path(__file__).parent / "golden"
LIMITED_BT601 = colour_matrix(6, 1, 0)


def make_scene(size: tuple[int, int] = (160, 120), **changes: Any) -> ClipScene:
    """A lumpy body, moving and growing, in the middle of a clip of one second."""
    width, height = size
    annotations = validate(body(TIMES, size, **changes).content, "clip.pkl")
    vertices, faces = lumpy_body()
    scale = np.linspace(0.8, 1.0, len(TIMES))[:, None, None]
    moved = np.linspace(0, 0.1, len(TIMES))[:, None, None] * [1, 0, 0.5]
    bodies = (0.8 * vertices * scale + moved).astype(np.float32)
    return ClipScene(
        name="clip",
        annotations=annotations,
        body=ClipBody(bodies, "file", faces.astype(np.int32), None),
        camera=resolve_camera(annotations, width, height),
        width=width,
        height=height,
        frame_rate=RATE,
        duration=1.0,
        video=None,
    )


def make_frame(size: tuple[int, int], number: int = 0) -> VideoFrame:
    """Noise, whose planes no two panels could agree on by chance."""
    width, height = (side + side % 2 for side in size)
    image = av.VideoFrame(width, height, "yuv420p")
    frame = VideoFrame(image, size, LIMITED_BT601, number / RATE, number, number)
    rng = np.random.default_rng(SEED)
    for plane in frame.planes:
        plane[:] = rng.integers(16, 236, plane.shape)
    return frame


def options(layout: str, **changes: Any) -> VisualiseOptions:
    return VisualiseOptions(**{"layout": layout, "show_hud": False, **changes})


def boxes(layout: Layout) -> list[Box]:
    assert isinstance(layout, PanelLayout)
    return layout._canvas.boxes


def panels(layout: Layout, frame: VideoFrame, row: int | None) -> list[PlanarPicture]:
    composed = layout.compose(frame, row)
    return [composed.part(box) for box in boxes(layout)]


def same(one: PlanarPicture, other: PlanarPicture) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


def is_drawn(picture: PlanarPicture) -> Array:
    """(H, W) bool: where a white panel is no longer white."""
    drawn: Array = picture.planes[0] != 235
    return drawn


def mask(scene: ClipScene, vertices: Array, row: int) -> Array:
    """(H, W) bool: which pixels a mesh covers, drawn directly."""
    assert scene.body.faces is not None
    height, width = (side + side % 2 for side in (scene.height, scene.width))
    picture = np.full((height, width, 3), 255, np.uint8)
    FastRenderer(scene.body.faces).draw(picture, vertices, scene.camera.camera(row))
    covered: Array = (picture != 255).any(-1)
    return covered


def vertices_of(scene: ClipScene) -> Array:
    assert scene.body.vertices is not None
    return scene.body.vertices


# Where the panels are


@pytest.mark.parametrize("size", [*SIZES, (340, 256), (64, 36), (1920, 1080), (1080, 1920)])
@pytest.mark.parametrize(
    ("layout", "views", "columns", "rows"),
    [
        ("summary", None, 3, 2),
        ("summary", (), 2, 2),
        ("summary", (90.0,), 3, 2),
        ("summary", (60.0, -60.0, 90.0, "top"), 4, 2),
        ("summary", (1.0, 2.0, 3.0, 4.0, 5.0), 3, 3),
        ("side_by_side", None, 2, 1),
        ("side_by_side", (90.0,), 3, 1),
        ("turntable", None, 2, 1),
    ],
)
@pytest.mark.parametrize("show_hud", [True, False])
def test_panels_are_alike_apart_and_in_the_picture(
    size: tuple[int, int],
    layout: str,
    views: tuple[View, ...] | None,
    columns: int,
    rows: int,
    show_hud: bool,
) -> None:
    made = make_layout(make_scene(size), options(layout, views=views, show_hud=show_hud))
    assert made.width % 2 == made.height % 2 == 0
    assert max(made.width, made.height) <= 4096
    placed = boxes(made)
    assert len({(box.right - box.left, box.bottom - box.top) for box in placed}) == 1
    assert len({box.left for box in placed}) == columns
    assert len({box.top for box in placed}) == rows
    covered = np.zeros((made.height, made.width), int)
    for box in placed:
        assert all(side % 2 == 0 for side in box)
        covered[box.top : box.bottom, box.left : box.right] += 1
    assert covered.max() == 1
    assert covered.sum() == sum((b.right - b.left) * (b.bottom - b.top) for b in placed)
    lefts, tops = sorted({box.left for box in placed}), [box.top for box in placed]
    assert tops == sorted(tops)
    gaps = np.diff([0, *lefts]) - [0, *[placed[0].right - placed[0].left] * (columns - 1)]
    assert len(set(gaps)) == 1  # margins as wide as gaps
    assert made.width - max(box.right for box in placed) == gaps[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", ["summary", "side_by_side"])
def test_the_input_is_the_input_byte_by_byte(size: tuple[int, int], layout: str) -> None:
    made = make_layout(make_scene(size), options(layout, show_hud=True))
    for number, row in enumerate((0, None, 1, 3)):
        frame = make_frame(size, number)
        assert same(panels(made, frame, row)[0], frame)


@pytest.mark.parametrize("size", SIZES)
def test_the_frame_itself_is_left_as_it_was(size: tuple[int, int]) -> None:
    frame = make_frame(size)
    make_layout(make_scene(size), options("summary")).compose(frame, 0)
    assert same(frame, make_frame(size))


def test_composed_frames_keep_time_and_number() -> None:
    frame = make_frame((160, 120), 12)
    composed = make_layout(make_scene(), options("turntable")).compose(frame, None)
    assert (composed.time, composed.ticks, composed.number) == (Fraction(12, 25), 12, 12)
    assert (composed.image.width, composed.image.height) == (composed.width, composed.height)


def test_each_panel_has_its_title() -> None:
    """Between the panels there is nothing but titles, above each panel's left edge."""
    made = make_layout(make_scene((340, 256)), options("summary"))
    picture = made.compose(make_frame((340, 256)), 0).picture()
    for box in boxes(made):
        above = picture[box.top - 18 : box.top - 2, box.left : box.right]
        ink = np.flatnonzero((above.max(-1) < 150).any(0))
        assert ink[0] < 6
        assert ink[-1] < 0.5 * (box.right - box.left)
        beside = picture[box.top : box.bottom, box.left - 4 : box.left - 1]
        assert np.ptp(beside) <= 2


# What they show


@pytest.mark.parametrize("size", SIZES)
def test_joints_overlay_and_mesh_are_what_the_overlay_draws(size: tuple[int, int]) -> None:
    scene = make_scene(size)
    shown = panels(make_layout(scene, options("summary")), make_frame(size), 1)
    for panel, changes in ((shown[1], {"show_mesh": False}), (shown[2], {})):
        alone = make_layout(scene, options("overlay", **changes)).compose(make_frame(size), 1)
        assert same(panel, alone)
    assert np.array_equal(is_drawn(shown[3]), mask(scene, vertices_of(scene)[1], 1))


@pytest.mark.parametrize("size", SIZES)
def test_a_turned_view_is_the_turned_mesh(size: tuple[int, int]) -> None:
    """Turned as CONVENTIONS.md says, and as the released visualisation does, by another hand."""
    scene = make_scene(size)
    views = (60.0, -60.0, 90.0, 180.0)
    for row in (0, 3):
        shown = panels(make_layout(scene, options("summary", views=views)), make_frame(size), row)
        for panel, view in zip(shown[4:], views, strict=True):
            expected = mask(scene, turned(vertices_of(scene)[row], view), row)
            assert expected.sum() > 300
            assert np.array_equal(is_drawn(panel), expected)


def test_views_follow_their_order() -> None:
    scene = make_scene()
    one, other = (
        panels(make_layout(scene, options("summary", views=views)), make_frame((160, 120)), 0)
        for views in ((60.0, "top"), ("top", 60.0))
    )
    assert same(one[4], other[5])
    assert same(one[5], other[4])
    assert not same(one[4], one[5])


@pytest.mark.parametrize(
    ("view", "axes"), [(0.0, (0, 1)), (90.0, (2, 1)), (-90.0, (2, 1)), ("top", (0, 2))]
)
def test_which_axes_a_view_shows(view: View, axes: tuple[int, int]) -> None:
    """An ellipsoid covers an ellipse with two of its three radii."""
    vertices, faces = body_mesh()
    scene = make_scene()
    scene = dataclasses.replace(
        scene,
        body=ClipBody(np.stack([vertices] * len(TIMES)), "file", faces.astype(np.int32), None),
    )
    panel = panels(
        make_layout(scene, options("side_by_side", views=(view,))), make_frame((160, 120)), 0
    )[2]
    rows, columns = np.nonzero(is_drawn(panel))
    camera = scene.camera.camera(0)
    for axis, places in zip(axes, (columns, rows), strict=True):
        assert np.ptp(places) + 1 == pytest.approx(2 * BODY_RADII[axis] * camera.scale, abs=1.5)
    assert columns.mean() == pytest.approx(camera.offset_x, abs=0.3)
    assert rows.mean() == pytest.approx(camera.offset_y, abs=0.3)


def test_from_above_the_front_is_below() -> None:
    near, far, head = [0, 0, -1.0], [0, 0, 1.0], [0, -1.0, 0]
    seen = seen_from(np.array([near, far, head, [0, 1.0, 0]], np.float32), "top")
    assert seen[0] == pytest.approx([0, 1, 0], abs=1e-6)  # y is down
    assert seen[1] == pytest.approx([0, -1, 0], abs=1e-6)
    assert seen[2] == pytest.approx([0, 0, -1], abs=1e-6)  # nearest


def test_the_mesh_alone_is_opaque() -> None:
    clear, solid = (
        panels(
            make_layout(make_scene(), options("summary", mesh_alpha=alpha)),
            make_frame((160, 120)),
            0,
        )
        for alpha in (0.3, 1.0)
    )
    assert not same(clear[2], solid[2])
    assert all(same(one, other) for one, other in zip(clear[3:], solid[3:], strict=True))


@pytest.mark.parametrize(
    ("size", "scale"), [((1920, 1080), 0.5), ((64, 36), 4), ((63, 37), 4)], ids=str
)
def test_a_body_keeps_its_place_in_panels_of_another_size(
    size: tuple[int, int], scale: float
) -> None:
    made = body(TIMES, size)
    vertices, faces = body_mesh()
    scene = dataclasses.replace(
        make_scene(size),
        body=ClipBody(np.stack([vertices] * len(TIMES)), "file", faces.astype(np.int32), None),
    )
    layout = make_layout(scene, options("summary"))
    for row in (0, 3):
        panel = panels(layout, make_frame(size), row)[3]
        rows, columns = np.nonzero(is_drawn(panel))
        expected = (made.centres[row] + 0.5) * scale - 0.5
        assert (columns.mean(), rows.mean()) == pytest.approx(tuple(expected), abs=0.3)
        area = math.pi * made.radii[row].prod() * scale**2
        assert len(rows) == pytest.approx(area, rel=0.04)


def test_the_input_keeps_its_place_in_panels_of_another_size() -> None:
    """A bright dot in the input of an odd, tiny clip lands where a joint there would."""
    size, scale, place = (63, 37), 4, (50, 30)
    frame = make_frame(size)
    for plane, value in zip(frame.planes, (40, 128, 128), strict=True):
        plane[:] = value
    frame.planes[0][place[1], place[0]] = 235
    luma = panels(make_layout(make_scene(size), options("summary")), frame, None)[0].planes[0]
    weight = np.maximum(luma.astype(float) - 40, 0)
    rows, columns = np.mgrid[: luma.shape[0], : luma.shape[1]]
    centre = ((columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum())
    assert centre == pytest.approx([(c + 0.5) * scale - 0.5 for c in place], abs=0.3)


@pytest.mark.parametrize("size", SIZES)
def test_frames_without_a_label(size: tuple[int, int]) -> None:
    made = make_layout(make_scene(size), options("summary"))
    made.compose(make_frame(size), 0)  # nothing of another frame is left
    frame = make_frame(size, 1)
    composed = made.compose(frame, None)
    shown = [composed.part(box) for box in boxes(made)]
    assert all(same(panel, frame) for panel in shown[:3])
    assert all(
        (luma == 235).all() and (u == 128).all() and (v == 128).all()
        for luma, u, v in (panel.planes for panel in shown[3:])
    )
    made.draw_time(composed, None)
    assert same(shown[0], frame)
    for panel in shown[1:3]:
        changed = np.argwhere(panel.planes[0] != frame.planes[0])
        assert len(changed)
        assert changed[:, 0].max() < 30
        assert changed[:, 1].min() > size[0] - 30
    assert all(not is_drawn(panel).any() for panel in shown[3:])


def test_labelled_frames_have_no_mark() -> None:
    made = make_layout(make_scene(), options("summary"))
    composed = made.compose(make_frame((160, 120)), 0)
    before = composed.picture()
    made.draw_time(composed, 0)
    assert np.array_equal(before, composed.picture())


def test_what_is_not_to_be_shown_has_no_panel() -> None:
    scene = make_scene()
    without_mesh = dataclasses.replace(scene, body=ClipBody(None, None, None, None))
    counts = {
        "mesh hidden": len(boxes(make_layout(scene, options("summary", show_mesh=False)))),
        "no mesh": len(boxes(make_layout(without_mesh, options("summary")))),
        "joints hidden": len(boxes(make_layout(scene, options("summary", show_keypoints=False)))),
        "view of no mesh": len(
            boxes(make_layout(without_mesh, options("side_by_side", views=(90.0,))))
        ),
    }
    assert counts == {"mesh hidden": 2, "no mesh": 2, "joints hidden": 5, "view of no mesh": 2}


# Time and numbers


def test_the_timeline_and_the_numbers_are_below_the_panels() -> None:
    size = (340, 256)
    shown = {}
    for show_hud in (True, False):
        made = make_layout(make_scene(size), options("summary", show_hud=show_hud))
        bottom = max(box.bottom for box in boxes(made))
        first, later = (made.compose(make_frame(size, number), 0).picture() for number in (2, 20))
        changed = np.argwhere((first != later).any(-1))
        assert changed[:, 0].min() >= bottom
        now = np.flatnonzero((later[-1] == 255).all(-1))
        assert now.mean() == pytest.approx(0.8 * made.width, abs=2)
        shown[show_hud] = later[bottom:-8]
    assert (shown[True].max(-1) < 150).sum() > 50
    assert (shown[False].max(-1) < 150).sum() == 0


def test_the_overlay_has_its_numbers_in_a_corner() -> None:
    size = (340, 256)
    scene = make_scene(size)
    plain, numbered = (
        make_layout(scene, options("overlay", show_hud=show)).compose(make_frame(size), 0)
        for show in (False, True)
    )
    changed = np.argwhere((plain.picture() != numbered.picture()).any(-1))
    assert changed[:, 0].max() < 32
    assert 150 < changed[:, 1].max() < 340
    tiny = (64, 36)  # too small for any
    assert same(
        make_layout(make_scene(tiny), options("overlay", show_hud=True)).compose(
            make_frame(tiny), None
        ),
        make_frame(tiny),
    )


def test_the_legend_stands_below_the_numbers() -> None:
    """Neither covers the other: with the legend the numbers' own rows are as without it."""
    size = (340, 256)

    def shown(mesh_style: str, hud: bool) -> Any:
        chosen = options("overlay", show_hud=hud, mesh_style=mesh_style, show_mesh=True)
        return make_layout(make_scene(size), chosen).compose(make_frame(size), 0).picture()

    with_numbers = (shown("shaded", True) != shown("shaded", False)).any((1, 2))
    last = int(np.flatnonzero(with_numbers)[-1])
    corner = (slice(0, last + 1), slice(0, 100))  # the body is in the middle
    np.testing.assert_array_equal(shown("speed", True)[corner], shown("shaded", True)[corner])
    below = (slice(last + 1, last + 60), slice(0, 100))
    assert (shown("speed", True)[below] != shown("shaded", True)[below]).any()


# The turntable


def stage_to_pixels(turntable: Turntable, points: Array, size: tuple[int, int], t: float) -> Array:
    """By hand: turned about the vertical axis, then tilted, then projected."""
    azimuth, tilt = math.radians(360 * t / TURN_SEC), math.radians(ELEVATION)
    x = math.cos(azimuth) * points[:, 0] - math.sin(azimuth) * points[:, 2]
    z = math.sin(azimuth) * points[:, 0] + math.cos(azimuth) * points[:, 2]
    y = points[:, 1]
    tilted = [x, math.cos(tilt) * y - math.sin(tilt) * z, math.sin(tilt) * y + math.cos(tilt) * z]
    return turntable.camera(*size).project(np.column_stack(tilted))


SECONDS = [0.0, 0.4, 1.3, 2.5, 6.1, 9.9]


@pytest.mark.parametrize("size", [(340, 256), (256, 340)], ids=str)
def test_the_ground_lies_below_the_feet(size: tuple[int, int]) -> None:
    scene = make_scene(size)
    vertices = vertices_of(scene)
    turntable = Turntable(vertices)
    middle = np.median(vertices.mean(1), 0)
    for row, seconds in enumerate(SECONDS[:4]):
        lowest = vertices[row][vertices[row, :, 1].argmax()]
        foot = np.array([[lowest[0] - middle[0], 0, lowest[2] - middle[2]]])
        seen = turntable.vertices(row, seconds)
        drawn = turntable.camera(*size).project(seen)
        place = stage_to_pixels(turntable, foot, size, seconds)[0]
        assert np.linalg.norm(drawn - place, axis=1).min() < 0.01  # one vertex touches the ground
        # No vertex lies below the ground: back in stage axes, y (down) is 0 at most.
        tilt = math.radians(ELEVATION)
        height = math.cos(tilt) * seen[:, 1] + math.sin(tilt) * seen[:, 2]
        assert height.max() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("size", [(640, 360), (360, 640)], ids=str)
@pytest.mark.parametrize("seconds", SECONDS)
def test_the_ground_is_drawn_in_the_bodys_perspective(
    size: tuple[int, int], seconds: float
) -> None:
    """Squares' middles, projected as the body is, have their squares' shades."""
    turntable = Turntable(vertices_of(make_scene(size)))
    picture = PlanarPicture.empty(*size, LIMITED_BT601)
    for plane, value in zip(picture.planes, (235, 128, 128), strict=True):
        plane[:] = value
    turntable.draw_ground(picture, seconds, None)
    assert all((plane == 128).all() for plane in picture.planes[1:])
    cells = np.arange(-1, 1)
    x, z = (axis.ravel() for axis in np.meshgrid(cells, cells))
    middles = np.column_stack([x + 0.5, np.zeros(len(x)), z + 0.5]) * SQUARE
    columns, rows = np.rint(stage_to_pixels(turntable, middles, size, seconds)).astype(int).T
    shades = picture.planes[0][rows, columns].astype(int)
    is_light = (x + z) % 2 == 0
    assert shades[is_light].min() > shades[~is_light].max() + 15
    assert np.ptp(shades[is_light]) < 6
    assert np.ptp(shades[~is_light]) < 12


def test_the_shadow_is_where_the_body_is_near_the_ground() -> None:
    scene = make_scene((340, 256))
    vertices = vertices_of(scene)
    turntable = Turntable(vertices)
    bare, shaded = (PlanarPicture.empty(340, 256, LIMITED_BT601) for _ in range(2))
    turntable.draw_ground(bare, 1.0, None)
    turntable.draw_ground(shaded, 1.0, 2)
    darker = bare.planes[0].astype(int) - shaded.planes[0]
    assert darker.min() >= 0
    middle = np.median(vertices.mean(1), 0)
    lowest = vertices[2][vertices[2, :, 1].argmax()] - middle
    foot = stage_to_pixels(turntable, np.array([[lowest[0], 0, lowest[2]]]), (340, 256), 1.0)[0]
    rows, columns = np.nonzero(darker > 0.7 * darker.max())
    assert np.hypot(columns - foot[0], rows - foot[1]).min() < 3
    assert darker.max() > 25
    assert 20 < (darker > 10).sum() < 0.1 * darker.size


@pytest.mark.parametrize("size", [(340, 256), (256, 340), (641, 121)], ids=str)
def test_the_circling_view_stands_still_and_holds_the_body(size: tuple[int, int]) -> None:
    scene = make_scene(size)
    turntable = Turntable(vertices_of(scene))
    assert turntable.camera(*size) == turntable.camera(*size)
    places = np.concatenate(
        [
            turntable.camera(*size).project(turntable.vertices(row, seconds))
            for row in range(len(TIMES))
            for seconds in np.linspace(0, TURN_SEC, 24)
        ]
    )
    low, high = places.min(0), places.max(0)
    assert (low >= 0).all()
    assert (high <= np.array(size) - 1).all()
    assert max((high - low) / size) > 0.6  # and it is not lost in the panel


def test_one_broken_frame_does_not_shrink_the_others() -> None:
    vertices = vertices_of(make_scene())
    broken = np.concatenate([np.repeat(vertices, 3, 0), 100 * vertices[:1]])
    whole = Turntable(np.repeat(vertices, 3, 0))
    assert Turntable(broken).reach < 2.5 * whole.reach
    assert Turntable(broken).height < 2.5 * whole.height


def test_the_turntable_turns_once_in_its_time() -> None:
    """After a quarter it shows what a turn by 90° shows."""
    scene = make_scene((160, 120))
    turntable = Turntable(vertices_of(scene))
    made = make_layout(scene, options("turntable"))
    number = 62
    seconds = float(number / RATE)
    shown = panels(made, make_frame((160, 120), number), 1)[1]
    ground = PlanarPicture.empty(160, 120, LIMITED_BT601)
    ground.planes[0][:] = 235
    turntable.draw_ground(ground, seconds, 1)
    vertices = vertices_of(scene)[1]
    middle = np.median(vertices_of(scene).mean(1), 0)
    standing = vertices - [middle[0], vertices[:, 1].max(), middle[2]]
    quarter = np.column_stack([-standing[:, 2], standing[:, 1], standing[:, 0]])
    camera = turntable.camera(160, 120)
    assert camera.project(turntable.vertices(1, TURN_SEC / 4)) == pytest.approx(
        stage_to_pixels(turntable, quarter, (160, 120), 0), abs=1e-3
    )
    places = stage_to_pixels(turntable, standing, (160, 120), seconds)
    drawn = shown.planes[0] != ground.planes[0]
    rows, columns = np.nonzero(drawn)
    assert [columns.min(), columns.max()] == pytest.approx(
        [places[:, 0].min(), places[:, 0].max()], abs=1.01
    )
    assert [rows.min(), rows.max()] == pytest.approx(
        [places[:, 1].min(), places[:, 1].max()], abs=1.01
    )


def test_the_ground_turns_without_a_body() -> None:
    made = make_layout(make_scene(), options("turntable"))
    first, later = (panels(made, make_frame((160, 120), n), None)[1] for n in (0, 9))
    assert (first.planes[0] < 225).sum() > 200
    assert not same(first, later)


@pytest.mark.parametrize("changes", [{"show_mesh": False}, {}])
def test_a_turntable_needs_a_mesh(changes: dict[str, Any]) -> None:
    scene = make_scene()
    if not changes:
        scene = dataclasses.replace(scene, body=ClipBody(None, None, None, None))
    with pytest.raises(BodyModelError, match=r"--layout=turntable .* --smpl_model"):
        make_layout(scene, options("turntable", **changes))


# All of it


@pytest.mark.parametrize("layout", ["summary", "side_by_side", "turntable"])
def test_a_clip_from_end_to_end(
    make_clip: Callable[..., Path], tmp_path: Path, layout: str
) -> None:
    """In a canvas of more than 720 rows players would take unmarked colours for another matrix."""
    size, count = (120, 380), len(TIMES)
    pickle_path = write_pickle(make_clip(), body(TIMES, size).content)
    source = write_video(
        pickle_path.with_suffix(".mp4"), size=size, picture=colourful, aspect=Fraction(4, 3)
    )
    chosen = options(
        layout,
        output_dir=tmp_path / "results",
        views=("top",) * 3 if layout == "side_by_side" else None,
        video_crf=1,
        show_hud=True,
        outputs=frozenset({"video", "frames"}),
    )
    report = visualise_clip(pickle_path, chosen)
    assert (report.width, report.height, report.frames_drawn) == (*size, count)
    written = tmp_path / "results" / CLIP / f"{CLIP}.mp4"
    before, after = decode(source), decode(written)
    assert after.times == before.times
    with av.open(str(written)) as container:
        video = container.streams.video[0]
        assert video.sample_aspect_ratio == Fraction(4, 3)
        assert video.codec_context.colorspace == 6
        assert video.width % 2 == video.height % 2 == 0
        shape = video.height, video.width, 3
    assert shape[0] > 720 or layout == "turntable"
    stills = sorted((tmp_path / "results" / CLIP / "frames").iterdir())
    assert len(stills) == count
    still = cv2.imread(str(stills[3]))
    assert still is not None
    assert still.shape == shape
    number = round(TIMES[3] * RATE)
    # The first panel's background, right of its title and below its top.
    corner = (slice(30, 60), slice(10, 50))
    assert still[corner][..., ::-1].mean((0, 1)) == pytest.approx(COLOUR, abs=4)
    assert after.pictures[number][corner].mean((0, 1)) == pytest.approx(COLOUR, abs=4)


COLOUR = (200, 60, 40)


def colourful(number: int, width: int, height: int) -> Array:
    del number
    return np.full((height, width, 3), COLOUR, np.uint8)


@pytest.mark.parametrize("layout", ["summary", "side_by_side", "turntable"])
@pytest.mark.parametrize("needed", [pytest.param(None, marks=needs_opendr)])
def test_opendr_draws_every_layout(layout: str, needed: None) -> None:
    del needed
    views = None if layout == "turntable" else (60.0, "top")
    shown = {}
    for renderer in ("fast", "opendr"):
        made = make_layout(make_scene(), options(layout, renderer=renderer, views=views))
        assert made.renderer_name == renderer
        shown[renderer] = made.compose(make_frame((160, 120)), 1).picture().astype(int)
    difference = np.abs(shown["fast"] - shown["opendr"])
    assert difference.max() > 0
    assert difference.mean() < 0.6
    assert ((difference > 8).any(-1)).mean() < 0.02


@pytest.mark.parametrize("layout", ["summary", "turntable"])
def test_the_look(layout: str, tmp_path: Path) -> None:
    """Small, and compared tightly: what changes here is to be looked at."""
    scene = make_scene((160, 120))
    frame = make_frame((160, 120), 12)
    for plane, value in zip(frame.planes, (110, 118, 140), strict=True):
        plane[:] = value
    chosen = options(layout, show_hud=True, show_keypoints=False)
    actual = make_layout(scene, chosen).compose(frame, 2).picture()
    path = GOLDEN / f"{layout}.png"
    expected = cv2.imread(str(path))
    cv2.imwrite(str(tmp_path / "actual.png"), actual[..., ::-1])
    assert expected is not None, f"{path} is missing; what was drawn is in {tmp_path}"
    assert expected.shape == actual.shape
    difference = np.abs(expected[..., ::-1].astype(int) - actual)
    cv2.imwrite(str(tmp_path / "difference.png"), np.minimum(4 * difference, 255))
    assert difference.mean() < 0.05, tmp_path
    assert (difference > 6).mean() < 1e-3, tmp_path
