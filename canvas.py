"""Several panels in one frame, each with its title, above a line of numbers and the timeline.

    canvas = Canvas([Panel("Input", True), Panel("Mesh", False)], scene)
    composed = canvas.compose(frame, row)          # all but what the panels show of the body
    panel = composed.part(canvas.boxes[1])         # to be drawn into

What is the same in all frames is painted once. Covered by tests/test_layouts.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

from colour import Box
from hud import Hud
from lettering import Rgb, lettering
from scene import ClipScene
from timeline import Timeline
from video_io import PlanarPicture, VideoFrame

Array = npt.NDArray[Any]

PAPER: Rgb = (244, 244, 244)
_INK: Rgb = (40, 40, 40)
_WHITE = 255
_GAPS = 45  # in a panel's shorter side

# What H.264's level 5.1 holds, and with it the decoders in graphics cards and browsers.
_LONGEST_SIDE = 4096
_MOST_PIXELS = 4096 * 2304
_LEAST_SIDE = 120  # of a panel: below that its title does not fit


class Panel(NamedTuple):
    """What a panel is called, and whether it begins with the input, or white."""

    title: str
    shows_input: bool


class Canvas:
    """Where everything is, and frames in which it is there.

    Panels show the clip pixel by pixel. Only if players could not show the whole, panels are half
    as large (or a third …), and if titles would not fit, twice (or three times …).

    Attributes:
        width: columns, even.
        height: rows, even.
        scale: of the panels, to the clip.
        boxes: of the panels, in their order.
    """

    def __init__(self, panels: Sequence[Panel], scene: ClipScene, show_hud: bool = True) -> None:
        """Places the panels.

        Args:
            panels: from left to right, then from top to bottom.
            scene: the clip.
            show_hud: whether to show the line of numbers.
        """
        self._panels = panels
        self._clip_size = scene.width, scene.height
        self._template: PlanarPicture | None = None
        # … 3, 2, 1, 1/2, 1/3 …, from the least at which titles fit.
        enlarged = math.ceil(_LEAST_SIDE / min(self._clip_size))
        for step in itertools.count(1 - enlarged):
            self.scale = 1 - step if step < 0 else 1 / (1 + step)
            self._place(show_hud)
            if self._can_be_played():
                break
        self._timeline = Timeline(
            self.width, self.height, scene.annotations.time, scene.duration, self._strip
        )
        self._hud = Hud(
            self._letters,
            scene.camera.residuals_px,
            scene.duration,
            scene.frame_rate,
            self.width - 2 * self._gap,
            is_on_video=False,
        )

    def _place(self, show_hud: bool) -> None:
        width, height = (_even(_even(side) * self.scale) for side in self._clip_size)
        self._letters = lettering(min(width, height))
        self._gap = _even(min(width, height) / _GAPS)
        self._strip = max(4, _even(height / 60))
        count = len(self._panels)
        rows = 1 if count <= 3 else 2 if count <= 8 else 3
        columns = math.ceil(count / rows)
        row_height = self._letters.line + height
        self.boxes = []
        for index in range(count):
            left = self._gap + index % columns * (width + self._gap)
            top = index // columns * row_height + self._letters.line
            self.boxes.append(Box(left, top, left + width, top + height))
        self._footer = rows * row_height if show_hud else None
        self.width = self._gap + columns * (width + self._gap)
        self.height = rows * row_height + self._strip
        self.height += self._letters.line if show_hud else self._gap

    def _can_be_played(self) -> bool:
        longest = max(self.width, self.height)
        return longest <= _LONGEST_SIDE and self.width * self.height <= _MOST_PIXELS

    def compose(self, frame: VideoFrame, row: int | None) -> VideoFrame:
        """A frame with titles, numbers, timeline, and the input in the panels that begin with it.

        Args:
            frame: of the clip; left as it is.
            row: of its label; None where it has none.
        """
        if self._template is None:
            self._template = self._paint_template(frame.matrix)
        composed, seconds = frame.with_picture(self._template), float(frame.time)
        first = self.boxes[0]
        scaled = frame.scaled(first.right - first.left, first.bottom - first.top)
        for panel, box in zip(self._panels, self.boxes, strict=True):
            if panel.shows_input:
                composed.part(box).copy_from(scaled)
        if self._footer is not None:
            self._hud.draw(composed, self._gap, self._footer, frame.number, seconds, row)
        with composed.region(self._timeline.now_bounds(seconds)) as (picture, left, _):
            self._timeline.draw_now(picture, seconds, left)
        return composed

    def _paint_template(self, matrix: Array) -> PlanarPicture:
        template = PlanarPicture.empty(self.width, self.height, matrix)
        with template.region((0, 0, self.width, self.height)) as (picture, _, _):
            picture[:] = PAPER
            for panel, box in zip(self._panels, self.boxes, strict=True):
                top = box.top - self._letters.line
                self._letters.draw(picture, panel.title, box.left, top, _INK)
                picture[box.top : box.bottom, box.left : box.right] = _WHITE
            self._timeline.draw_strip(picture)
        return template


def _even(length: float) -> int:
    """The least even number that is not less."""
    return math.ceil(length / 2) * 2
