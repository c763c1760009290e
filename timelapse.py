"""One still of a clip: the bodies of several labels in one picture, fading with time.

    timelapse = Timelapse(scene, options)
    timelapse.take(frame, row)                     # each labelled frame, before it is drawn into
    picture = timelapse.picture()                  # (H, W, 3) uint8 RGB

Covered by tests/test_timelapse.py.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from colour import Bounds
from colour_scale import Legend
from errors import OptionError
from keypoints import draw_keypoints, keypoint_bounds, stroke_unit
from mesh_styles import make_painter
from options import VisualiseOptions
from scene import ClipScene
from video_io import VideoFrame

Array = npt.NDArray[Any]

_FAINTEST = 0.3  # of the last body's opacity
_RIM, _RIM_COLOUR = 0.8, 20.0  # a soft dark edge that keeps overlapping bodies apart


class Timelapse:
    """The bodies of some labels, each where it is in its own frame, over one frame of the clip.

    They are as evenly spaced in time as the labels are. The first is the faintest and the last as
    opaque as the mesh is; the picture below is the last one's frame, so that the person in it is
    under a body.

    Nearer bodies lie over farther ones. How near one is its camera says: under weak perspective
    the scale is what falls with the distance. Among equal scales the mesh's mean depth decides.
    Without a mesh the bodies are keypoints and limbs.
    """

    def __init__(self, scene: ClipScene, options: VisualiseOptions) -> None:
        """Chooses the labels.

        Raises:
            OptionError: there is nothing to draw.
        """
        self._scene = scene
        is_fast = options.renderer == "fast"  # and can smooth outlines, as a still deserves
        self._painter = make_painter(scene, dataclasses.replace(options, antialias=is_fast))
        if self._painter is None and not options.show_keypoints:
            raise OptionError(
                "--outputs=timelapse draws the mesh, or the keypoints where there is none: leave "
                "out --noshow_keypoints"
            )
        self._stroke = stroke_unit(scene.width, scene.height)
        self._chosen = frozenset(evenly_spaced(scene.annotations.time, options.timelapse_bodies))
        self._rows: list[int] = []
        self._background: Array | None = None

    def take(self, frame: VideoFrame, row: int | None) -> None:
        """Looks at a frame of the clip, and keeps its picture where it may be needed."""
        if row is None:
            return
        if row in self._chosen or self._background is None:
            self._background = frame.picture()
            self._rows.append(row)

    def picture(self) -> Array:
        """(H, W, 3) uint8 RGB, once a labelled frame was taken."""
        if self._background is None:
            raise ValueError("no labelled frame was taken")
        picture = self._background.copy()
        for row in sorted(self._rows, key=self._nearness):
            self._draw_body(picture, row, self._opacity(row))
        if self._painter is not None and self._painter.scale is not None:
            Legend(self._painter.scale, self._scene.width, self._scene.height).draw(picture)
        return picture

    def _nearness(self, row: int) -> tuple[float, float]:
        scale = float(self._scene.camera.cameras_px[row, 0])
        vertices = self._scene.body.vertices
        return scale, 0.0 if vertices is None else -float(vertices[row, :, 2].mean())

    def _opacity(self, row: int) -> float:
        times = self._scene.annotations.time
        first, last = times[self._rows[0]], times[self._rows[-1]]
        share = (times[row] - first) / (last - first) if last > first else 1.0
        return float(_FAINTEST + (1 - _FAINTEST) * share)

    def _draw_body(self, picture: Array, row: int, opacity: float) -> None:
        camera, keypoints_px = self._scene.camera.camera(row), self._scene.camera.keypoints_px[row]
        painter = self._painter
        if painter is None:
            bounds = keypoint_bounds(keypoints_px, self._stroke)
        else:
            bounds = painter.bounds(row, camera)
        rim = max(1.0, self._stroke)
        part, left, top = _part(picture, bounds, margin=math.ceil(3 * rim))

        def draw(into: Array) -> None:
            if painter is None:
                draw_keypoints(into, keypoints_px - (left, top), self._stroke)
            else:
                painter.draw(into, row, camera.moved(-left, -top))

        if part.size:
            colours, matte = _cut_out(draw, part.shape)
            beside = 2 * cv2.GaussianBlur(matte, (0, 0), rim)[..., None] * (1 - matte[..., None])
            shaded = part + opacity * _RIM * np.minimum(beside, 1) * (_RIM_COLOUR - part)
            part[:] = np.rint(shaded + opacity * (colours - matte[..., None] * shaded))


def evenly_spaced(times: Array, count: int) -> list[int]:
    """The rows nearest to `count` times from the first label to the last; each row once.

    Args:
        times: (N,) ascending, seconds.
        count: how many, at least 1; one alone is the last label.
    """
    wanted = np.linspace(times[-1], times[0], count)
    return sorted({int(np.abs(times - seconds).argmin()) for seconds in wanted})


def _part(picture: Array, bounds: Bounds, margin: int) -> tuple[Array, int, int]:
    """A view of what lies within the bounds and a margin, and its first column and row."""
    height, width = picture.shape[:2]
    left, top = (int(max(0, end - margin)) for end in bounds[:2])
    right, bottom = (int(end + margin + 2) for end in bounds[2:])
    right, bottom = min(right, width), min(bottom, height)
    return picture[top : max(bottom, top), left : max(right, left)], left, top


def _cut_out(draw: Callable[[Array], None], shape: tuple[int, ...]) -> tuple[Array, Array]:
    """What `draw` draws: (H, W, 3) colours times opacity, and (H, W) opacity in 0…1, float32.

    What is drawn over black and over white alike covers all; what differs shines through.
    """
    on_black, on_white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    draw(on_black)
    draw(on_white)
    through = on_white.astype(np.float32) - on_black
    return on_black.astype(np.float32), 1 - through.mean(-1) / 255
