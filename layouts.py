"""How a frame is laid out: what is drawn of the scene, and where in the picture.

    layout = make_layout(scene, options)
    composed = layout.compose(frame, row)          # the mesh and the keypoints of one label
    layout.draw_time(composed, frame.time, row)    # and where in the clip it is

Covered by tests/test_visualise.py.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy.typing as npt

from bodies import ClipBody
from camera import ResolvedCamera
from colour import joined
from colour_scale import Legend
from errors import BodyModelError
from keypoints import BY_SIDE, PALE, Palette, draw_keypoints, keypoint_bounds, stroke_unit
from mesh_styles import make_painter
from options import VisualiseOptions
from scene import ClipScene
from timeline import Timeline, draw_unlabelled_mark, mark_bounds
from video_io import VideoFrame

Array = npt.NDArray[Any]


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
    """The layout that the options ask for."""
    return OverlayLayout(scene, options)


class OverlayLayout:
    """Mesh and keypoints over the frame itself."""

    def __init__(self, scene: ClipScene, options: VisualiseOptions) -> None:
        """Prepares what all frames share."""
        self.width, self.height = scene.width, scene.height
        self._stroke = stroke_unit(self.width, self.height)
        self._camera = scene.camera
        self._painter = make_painter(scene, options)
        self.renderer_name = None if self._painter is None else self._painter.renderer_name
        scale = None if self._painter is None else self._painter.scale
        self._legend = None if scale is None else Legend(scale, self.width, self.height)
        self._keypoints = _keypoints(scene.body, scene.camera, options)
        self._timeline = Timeline(self.width, self.height, scene.annotations.time, scene.duration)

    def compose(self, frame: VideoFrame, row: int | None) -> VideoFrame:
        """See `Layout.compose`."""
        if row is not None:
            self._draw_body(frame, row)
        if self._legend is not None:
            with frame.region(self._legend.bounds) as (picture, left, top):
                self._legend.draw(picture, left, top)
        return frame

    def _draw_body(self, frame: VideoFrame, row: int) -> None:
        camera = self._camera.camera(row)
        bounds = [keypoint_bounds(points[row], self._stroke) for points, _ in self._keypoints]
        if self._painter is not None:
            bounds.append(self._painter.bounds(row, camera))
        with frame.region(joined(bounds)) as (picture, left, top):
            if self._painter is not None:
                self._painter.draw(picture, row, camera.moved(-left, -top))
            for points, palette in self._keypoints:
                draw_keypoints(picture, points[row] - (left, top), self._stroke, palette)

    def draw_time(self, composed: VideoFrame, row: int | None) -> None:
        """See `Layout.draw_time`."""
        if row is None:
            with composed.region(mark_bounds(self.width, self._stroke)) as (picture, _, _):
                draw_unlabelled_mark(picture, self._stroke)
        with composed.region(self._timeline.bounds) as (picture, _, _):
            self._timeline.draw(picture, float(composed.time))


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
