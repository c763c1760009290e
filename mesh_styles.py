"""The ways to draw a clip's mesh.

    painter = make_painter(scene, options)          # None where there is no mesh
    painter.draw(picture, row, camera)              # picture is changed in place

Covered by tests/test_drawing.py.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from camera import WeakPerspectiveCamera
from colour import Bounds
from opendr_renderer import OpenDRRenderer
from options import VisualiseOptions
from renderer import Colour, FastRenderer, MeshRenderer, mesh_bounds, vertex_normals
from scene import ClipScene

Array = npt.NDArray[Any]


class Colouring(Protocol):
    """Which colours a mesh has.

    Attributes:
        is_lit: whether the lights shine on them.
    """

    is_lit: bool

    def colours(self, row: int, vertices: Array) -> Colour | Array:
        """RGB in 0…1, one for all or (V, 3), of label `row` with these (V, 3) vertices."""


class MeshPainter:
    """Draws the mesh of one clip, in one style.

    Attributes:
        renderer_name: what draws it.
    """

    def __init__(
        self, vertices: Array, renderer: MeshRenderer, colouring: Colouring, alpha: float
    ) -> None:
        """Prepares what all rows share.

        Args:
            vertices: (N, V, 3) metres, camera axes.
            renderer: of the mesh's faces.
            colouring: the style.
            alpha: opacity of the mesh in 0…1.
        """
        self.renderer_name = renderer.name
        self._vertices = vertices
        self._renderer = renderer
        self._colouring = colouring
        self._alpha = alpha

    def bounds(
        self, row: int, camera: WeakPerspectiveCamera, vertices: Array | None = None
    ) -> Bounds:
        """The pixels that `draw` can change."""
        return mesh_bounds(self._vertices[row] if vertices is None else vertices, camera)

    def draw(
        self,
        picture: Array,
        row: int,
        camera: WeakPerspectiveCamera,
        vertices: Array | None = None,
        opacity: float = 1.0,
    ) -> None:
        """Draws the mesh of label `row` into `picture`, in place.

        Args:
            picture: (H, W, 3) uint8 RGB, C-contiguous.
            row: which label.
            camera: body space to pixels of `picture`.
            vertices: (V, 3), that row's mesh seen from elsewhere; None for the mesh as it is.
            opacity: multiplies the mesh's own.
        """
        mesh = self._vertices[row] if vertices is None else vertices
        colours = self._colouring.colours(row, mesh)
        self._renderer.draw(
            picture, mesh, camera, colours, self._alpha * opacity, self._colouring.is_lit
        )


def make_painter(scene: ClipScene, options: VisualiseOptions) -> MeshPainter | None:
    """What draws the clip's mesh as the options ask for; None where there is none to draw."""
    vertices, faces = scene.body.vertices, scene.body.faces
    if not options.show_mesh or vertices is None or faces is None:
        return None
    renderer: MeshRenderer
    if options.renderer == "opendr":
        renderer = OpenDRRenderer(faces)
    else:
        renderer = FastRenderer(faces, options.antialias)
    return MeshPainter(vertices, renderer, _colouring(faces, options), options.mesh_alpha)


def _colouring(faces: Array, options: VisualiseOptions) -> Colouring:
    if options.mesh_style == "normals":
        return Normals(faces)
    return Uniform(options.mesh_colour)


class Uniform:
    """One albedo for all, in the light of the released visualisation."""

    is_lit = True

    def __init__(self, colour: Colour) -> None:
        """Takes the albedo."""
        self._colour = colour

    def colours(self, row: int, vertices: Array) -> Colour:
        """See `Colouring.colours`."""
        del row, vertices
        return self._colour


class Normals:
    """Where the surface faces: red to the right, green up, blue towards the camera.

    Each of the three goes from 0 for the opposite direction to 1.
    """

    is_lit = False

    def __init__(self, faces: Array) -> None:
        """Takes (F, 3) faces."""
        self._faces = faces

    def colours(self, row: int, vertices: Array) -> Array:
        """See `Colouring.colours`."""
        del row
        towards: Array = vertex_normals(vertices, self._faces) * np.array([1, -1, -1], np.float32)
        return (towards + 1) / 2
