"""How a frame is laid out: what is drawn of the scene, and where in the picture.

    layout = make_layout(scene, options)
    composed = layout.compose(frame, row)          # the mesh and the keypoints of one label
    layout.draw_time(composed, row)                # and where in the clip it is

Covered by tests/test_layouts.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt

from bodies import ClipBody
from camera import ResolvedCamera, View, WeakPerspectiveCamera, seen_from
from canvas import Canvas, Panel
from colour import Bounds, joined
from colour_scale import Legend
from errors import BodyModelError
from hud import Hud
from keypoints import BY_SIDE, PALE, Palette, draw_keypoints, keypoint_bounds, stroke_unit
from lettering import lettering
from mesh_styles import MeshPainter, make_painter
from options import VisualiseOptions
from scene import ClipScene
from timeline import Timeline, draw_unlabelled_mark, mark_bounds
from trail import Trail
from turntable import Turntable
from video_io import PlanarPicture, VideoFrame

Array = npt.NDArray[Any]

RELEASED_VIEWS: tuple[View, ...] = (60.0, -60.0)
"""The turned views of the dataset's released visualisation."""

_LEAST_LINES = 4  # of text in a picture: in a smaller one numbers would hide too much


class Layout(Protocol):
    """What every layout does.

    Attributes:
        width: columns of what it composes.
        height: rows of what it composes.
        renderer_name: what draws the mesh; None where none is drawn.
    """

    width: int
    height: int
    renderer_name: str | None

    def compose(self, frame: VideoFrame, row: int | None) -> VideoFrame:
        """Lays out one frame of the clip, with label `row` or with none; may draw into `frame`."""

    def draw_time(self, composed: VideoFrame, row: int | None) -> None:
        """Adds where in the clip a composed frame is, and whether it has a label."""


def make_layout(scene: ClipScene, options: VisualiseOptions) -> Layout:
    """The layout that the options ask for.

    Raises:
        BodyModelError: there is no mesh, or no joint regressor, to draw what they ask for.
    """
    if options.layout == "overlay":
        return OverlayLayout(scene, options)
    if options.layout == "turntable":
        return PanelLayout(scene, options, [_OVERLAY, _turntable(scene, options)])
    has_mesh = options.show_mesh and scene.body.vertices is not None
    if options.layout == "side_by_side":
        views = (options.views or ()) if has_mesh else ()
        return PanelLayout(scene, options, [_INPUT, _OVERLAY, *map(_turned, views)])
    panels = [_INPUT]
    if options.show_keypoints:
        panels.append(_JOINTS)
    if has_mesh:
        views = RELEASED_VIEWS if options.views is None else options.views
        panels += [_OVERLAY, _MESH, *map(_turned, views)]
    return PanelLayout(scene, options, panels)


class OverlayLayout:
    """Mesh and keypoints over the frame itself."""

    def __init__(self, scene: ClipScene, options: VisualiseOptions) -> None:
        """Prepares what all frames share."""
        self.width, self.height = scene.width, scene.height
        self._stroke = stroke_unit(self.width, self.height)
        self._timeline = Timeline(self.width, self.height, scene.annotations.time, scene.duration)
        letters = lettering(min(self.width, self.height))
        self._margin = round(min(self.width, self.height) / 90) * 2
        self._hud = None
        if options.show_hud and self.height >= _LEAST_LINES * letters.line:
            self._hud = Hud(
                letters,
                scene.camera.residuals_px,
                scene.duration,
                scene.frame_rate,
                self.width - 2 * self._margin,
            )
        hud_rows = 0 if self._hud is None else self._margin + self._hud.height
        self._figure = Figure(scene, options, hud_rows)
        self.renderer_name = self._figure.renderer_name

    def compose(self, frame: VideoFrame, row: int | None) -> VideoFrame:
        """See `Layout.compose`."""
        self._figure.overlay(frame, row, float(frame.time))
        if self._hud is not None:
            margin = self._margin
            self._hud.draw(frame, margin, margin, frame.number, float(frame.time), row)
        return frame

    def draw_time(self, composed: VideoFrame, row: int | None) -> None:
        """See `Layout.draw_time`."""
        if row is None:
            _draw_unlabelled_mark(composed, self._stroke)
        with composed.region(self._timeline.bounds) as (picture, _, _):
            self._timeline.draw(picture, float(composed.time))


class PanelLayout:
    """Several panels, each with its title, above a line of numbers and the timeline."""

    def __init__(
        self, scene: ClipScene, options: VisualiseOptions, contents: Sequence[Content]
    ) -> None:
        """Prepares what all frames share.

        Args:
            scene: the clip.
            options: what to draw.
            contents: of the panels, from left to right, then from top to bottom.
        """
        self._contents = contents
        self._canvas = Canvas(
            [content.panel for content in contents], scene, options.show_hud is not False
        )
        self.width, self.height = self._canvas.width, self._canvas.height
        scale = self._canvas.scale
        in_panel = dataclasses.replace(
            scene,
            width=round(scene.width * scale),
            height=round(scene.height * scale),
            camera=scene.camera.resized(scale),
        )
        self._stroke = stroke_unit(in_panel.width, in_panel.height)
        self._figure = Figure(in_panel, options)
        self.renderer_name = self._figure.renderer_name

    def compose(self, frame: VideoFrame, row: int | None) -> VideoFrame:
        """See `Layout.compose`."""
        composed = self._canvas.compose(frame, row)
        seconds = float(frame.time)
        for content, box in zip(self._contents, self._canvas.boxes, strict=True):
            if content.draw is not None:
                content.draw(self._figure, composed.part(box), row, seconds)
        return composed

    def draw_time(self, composed: VideoFrame, row: int | None) -> None:
        """See `Layout.draw_time`; the timeline stands below the panels, in every frame."""
        for content, box in zip(self._contents, self._canvas.boxes, strict=True):
            if row is None and content.is_marked:
                _draw_unlabelled_mark(composed.part(box), self._stroke)


class Figure:
    """Draws a clip's body into pictures of one size; of frames without a label, what they have.

    Attributes:
        renderer_name: what draws the mesh; None where none is drawn.
    """

    def __init__(self, scene: ClipScene, options: VisualiseOptions, hud_rows: int = 0) -> None:
        """Prepares what all frames share; `hud_rows` at the top of the overlay are taken."""
        self._stroke = stroke_unit(scene.width, scene.height)
        self._camera = scene.camera
        self._vertices = scene.body.vertices
        self._painter = make_painter(scene, options)
        self._solid_painter = self._painter
        if self._painter is not None and options.mesh_alpha < 1:
            solid = dataclasses.replace(options, mesh_alpha=1.0)
            self._solid_painter = make_painter(scene, solid)  # there is nothing to shine through
        self.renderer_name = None if self._painter is None else self._painter.renderer_name
        self._legend = None
        if self._painter is not None and self._painter.scale is not None:
            self._legend = Legend(self._painter.scale, scene.width, scene.height, hud_rows)
        self._keypoints = _keypoints(scene.body, scene.camera, options)
        self._trail = _trail(scene, options, self._stroke)
        self._times = scene.annotations.time

    def overlay(self, picture: PlanarPicture, row: int | None, seconds: float) -> None:
        """Draws the mesh, trail and keypoints over it, and the legend of its colours."""
        self._draw(picture, row, seconds, self._painter)
        if self._legend is not None:
            with picture.region(self._legend.bounds) as (part, left, top):
                self._legend.draw(part, left, top)

    def joints(self, picture: PlanarPicture, row: int | None, seconds: float) -> None:
        """Draws the trail and the keypoints."""
        self._draw(picture, row, seconds, None)

    def _draw(
        self, picture: PlanarPicture, row: int | None, seconds: float, painter: MeshPainter | None
    ) -> None:
        bounds = []
        if row is not None:
            seconds = float(self._times[row])
            camera = self._camera.camera(row)
            bounds = self._keypoint_bounds(row)
            if painter is not None:
                bounds.append(painter.bounds(row, camera))
        if self._trail is not None:
            bounds.append(self._trail.bounds(seconds))
        if not bounds:
            return
        with picture.region(joined(bounds)) as (part, left, top):
            if row is not None and painter is not None:
                painter.draw(part, row, camera.moved(-left, -top))
            if self._trail is not None:
                self._trail.draw(part, seconds, left, top)
            if row is not None:
                self._draw_keypoints(part, row, left, top)

    def mesh(
        self,
        picture: PlanarPicture,
        row: int | None,
        camera: WeakPerspectiveCamera | None = None,
        vertices: Array | None = None,
    ) -> None:
        """Draws the mesh alone, opaque; nothing without a label.

        Args:
            picture: to draw into.
            row: of the label.
            camera: None for the label's own.
            vertices: (V, 3), the label's mesh seen from elsewhere; None for the mesh as it is.
        """
        if self._solid_painter is None or row is None:
            return
        camera = camera or self._camera.camera(row)
        bounds = self._solid_painter.bounds(row, camera, vertices)
        with picture.region(bounds) as (part, left, top):
            self._solid_painter.draw(part, row, camera.moved(-left, -top), vertices)

    def seen_from(self, picture: PlanarPicture, row: int | None, view: View) -> None:
        """Draws the mesh alone, turned about its centroid; nothing without a label."""
        if self._vertices is not None and row is not None:
            self.mesh(picture, row, vertices=seen_from(self._vertices[row], view))

    def _keypoint_bounds(self, row: int) -> list[Bounds]:
        return [keypoint_bounds(points[row], self._stroke) for points, _ in self._keypoints]

    def _draw_keypoints(self, part: Array, row: int, left: int, top: int) -> None:
        for points, palette in self._keypoints:
            draw_keypoints(part, points[row] - (left, top), self._stroke, palette)


class Content(NamedTuple):
    """What a panel holds.

    Attributes:
        panel: its title and its background.
        draw: draws a label, or what is drawn without one: what draws the body, the picture to
          draw into, the label's row or None, and seconds since the start of the clip.
    """

    panel: Panel
    draw: Callable[[Figure, PlanarPicture, int | None, float], None] | None

    @property
    def is_marked(self) -> bool:
        """Whether the ring of frames without a label belongs into it."""
        return self.panel.shows_input and self.draw is not None


_INPUT = Content(Panel("Input", True), None)
_JOINTS = Content(Panel("Joints", True), Figure.joints)
_OVERLAY = Content(Panel("Overlay", True), Figure.overlay)
_MESH = Content(Panel("Mesh", False), lambda figure, picture, row, _: figure.mesh(picture, row))


def _turned(view: View) -> Content:
    title = "From above" if view == "top" else f"Turned {view:+g}°".replace("-", "−")
    return Content(
        Panel(title, False), lambda figure, picture, row, _: figure.seen_from(picture, row, view)
    )


def _turntable(scene: ClipScene, options: VisualiseOptions) -> Content:
    if scene.body.vertices is None or not options.show_mesh:
        raise BodyModelError(
            "--layout=turntable circles the mesh, and there is none: give a body model with "
            "--smpl_model, and leave out --noshow_mesh"
        )
    turntable = Turntable(scene.body.vertices)

    def draw(figure: Figure, picture: PlanarPicture, row: int | None, seconds: float) -> None:
        turntable.draw_ground(picture, seconds, row)
        if row is not None:
            camera = turntable.camera(picture.width, picture.height)
            figure.mesh(picture, row, camera, turntable.vertices(row, seconds))

    return Content(Panel("Turntable", False), draw)


def _draw_unlabelled_mark(picture: PlanarPicture, stroke: float) -> None:
    with picture.region(mark_bounds(picture.width, stroke)) as (corner, _, _):
        draw_unlabelled_mark(corner, stroke)


def _trail(scene: ClipScene, options: VisualiseOptions, stroke: float) -> Trail | None:
    if not options.trail:
        return None
    shown = dataclasses.replace(options, show_keypoints=True)
    keypoints_px, _ = _keypoints(scene.body, scene.camera, shown)[-1]
    return Trail(keypoints_px, scene.annotations.time, options.trail, stroke)


def _keypoints(
    body: ClipBody, camera: ResolvedCamera, options: VisualiseOptions
) -> list[tuple[Array, Palette]]:
    """What to draw, in order: (N, 19, 2) pixels and how they are coloured."""
    drawn: list[tuple[Array, Palette]] = []
    if not options.show_keypoints:
        return drawn
    if options.keypoint_source != "file":
        if body.joints is None:
            raise BodyModelError(
                f"--keypoint_source={options.keypoint_source} needs a mesh and a joint regressor: "
                "give a model that has one with --smpl_model, or --joint_regressor"
            )
        palette = PALE if options.keypoint_source == "both" else BY_SIDE
        drawn.append((camera.project(body.joints), palette))
    if options.keypoint_source != "model":
        drawn.append((camera.keypoints_px, BY_SIDE))
    return drawn
