"""The ways to draw a clip's mesh.

    painter = make_painter(scene, options)          # None where there is no mesh
    painter.draw(picture, row, camera)              # picture is changed in place

Covered by tests/test_drawing.py.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from body_parts import PARTS, parts_from_joints, parts_from_weights
from camera import SHARED_WITH_SMPL, WeakPerspectiveCamera
from colour import Bounds
from colour_scale import ColourScale, heat, round_up, viridis
from errors import AnnotationError, OptionError
from keypoints import JOINT_NAMES
from labels import consecutive
from opendr_renderer import OpenDRRenderer
from options import VisualiseOptions
from renderer import Colour, FastRenderer, MeshRenderer, mesh_bounds, vertex_normals
from scene import ClipScene
from wireframe import WireframeRenderer

Array = npt.NDArray[Any]

PART_COLOURS: dict[str, tuple[int, int, int]] = {
    "head": (112, 94, 118),
    "torso": (172, 172, 172),
    "left_upper_arm": (205, 60, 50),
    "left_forearm": (240, 120, 90),
    "left_hand": (253, 190, 165),
    "left_thigh": (200, 130, 0),
    "left_shin": (240, 180, 50),
    "left_foot": (254, 232, 150),
    "right_upper_arm": (40, 95, 190),
    "right_forearm": (85, 150, 225),
    "right_hand": (165, 205, 250),
    "right_thigh": (0, 130, 120),
    "right_shin": (70, 185, 170),
    "right_foot": (170, 232, 220),
}
"""RGB in 0…255: the left warm, the right cool, each lighter towards hand and foot."""

_SPARSE = 8  # every so many-th vertex is enough to find the span of a scale
_DEEPEST, _FASTEST = 0.5, 5.0  # percent that may lie outside of the scale, at each end
_SHADE = 0.45  # how much darker than its colour a surface is that is seen from the side
_SMPL_NECK, _SMPL_HEAD = 12, 15


class Colouring(Protocol):
    """Which colours a mesh has.

    Attributes:
        is_lit: whether the lights shine on them.
        scale: what numbers they stand for; None where they stand for none.
    """

    is_lit: bool

    @property
    def scale(self) -> ColourScale | None:
        """See above."""

    def colours(self, row: int, vertices: Array) -> Colour | Array:
        """RGB in 0…1, one for all or (V, 3), of label `row` with these (V, 3) vertices."""


class MeshPainter:
    """Draws the mesh of one clip, in one style.

    Attributes:
        renderer_name: what draws it.
        scale: what numbers its colours stand for, to be shown as a `colour_scale.Legend`; None
          where they stand for none.
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
        self.scale = colouring.scale
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
    ) -> None:
        """Draws the mesh of label `row` into `picture`, in place.

        Args:
            picture: (H, W, 3) uint8 RGB, C-contiguous.
            row: which label.
            camera: body space to pixels of `picture`.
            vertices: (V, 3), that row's mesh seen from elsewhere; None for the mesh as it is.
        """
        mesh = self._vertices[row] if vertices is None else vertices
        colours = self._colouring.colours(row, mesh)
        self._renderer.draw(picture, mesh, camera, colours, self._alpha, self._colouring.is_lit)


def make_painter(scene: ClipScene, options: VisualiseOptions) -> MeshPainter | None:
    """What draws the clip's mesh as the options ask for; None where there is none to draw.

    Raises:
        AnnotationError: the style needs joints that the clip does not have.
        OptionError: OpenDR is asked for a wireframe.
    """
    vertices, faces = scene.body.vertices, scene.body.faces
    if not options.show_mesh or vertices is None or faces is None:
        return None
    renderer: MeshRenderer
    if options.renderer == "opendr" and options.mesh_style == "wireframe":
        raise OptionError("the renderer `opendr` cannot draw wireframes: use `fast`")
    if options.renderer == "opendr":
        renderer = OpenDRRenderer(faces)
    elif options.mesh_style == "wireframe":
        renderer = WireframeRenderer(faces)
    else:
        renderer = FastRenderer(faces, options.antialias)
    colouring = _colouring(scene, vertices, faces, options)
    return MeshPainter(vertices, renderer, colouring, options.mesh_alpha)


def _colouring(
    scene: ClipScene, vertices: Array, faces: Array, options: VisualiseOptions
) -> Colouring:
    if options.mesh_style == "parts":
        return Parts(_parts(scene, vertices))
    if options.mesh_style == "normals":
        return Normals(faces)
    if options.mesh_style == "depth":
        return Depth(vertices)
    if options.mesh_style == "speed":
        return Speed(vertices, faces, scene.annotations.time)
    return Uniform(options.mesh_colour)


def _parts(scene: ClipScene, vertices: Array) -> Array:
    if scene.body.model is not None:
        return parts_from_weights(scene.body.model.weights)
    if scene.body.joints is not None:
        return parts_from_joints(vertices, scene.body.joints)
    try:
        return parts_from_joints(vertices, _cocoplus(scene))
    except AnnotationError as error:
        raise AnnotationError(f"{scene.name}: {error}") from None


def _cocoplus(scene: ClipScene) -> Array:
    """(N, 19, 3) of the file's joints; not finite where it has none, as of SMPL's the face."""
    joints = scene.annotations.joints_3d
    if scene.camera.joint_set == "cocoplus":
        return joints[:, : len(JOINT_NAMES)]
    cocoplus = np.full((len(joints), len(JOINT_NAMES), 3), np.nan)
    cocoplus[:, SHARED_WITH_SMPL[:, 1]] = joints[:, SHARED_WITH_SMPL[:, 0]]
    neck, head = joints[:, _SMPL_NECK], joints[:, _SMPL_HEAD]
    cocoplus[:, JOINT_NAMES.index("neck")] = neck
    cocoplus[:, JOINT_NAMES.index("head_top")] = 2 * head - neck  # SMPL's head begins at the skull
    return cocoplus


class Uniform:
    """One albedo for all, in the light of the released visualisation."""

    is_lit = True
    scale: ColourScale | None = None

    def __init__(self, colour: Colour) -> None:
        """Takes the albedo."""
        self._colour = np.array([colour], np.float32)

    def colours(self, row: int, vertices: Array) -> Array:
        """See `Colouring.colours`."""
        del row, vertices
        return self._colour


class Normals:
    """Where the surface faces: red to the right, green up, blue towards the camera.

    Each of the three goes from 0 for the opposite direction to 1.
    """

    is_lit = False
    scale: ColourScale | None = None

    def __init__(self, faces: Array) -> None:
        """Takes (F, 3) faces."""
        self._faces = faces

    def colours(self, row: int, vertices: Array) -> Array:
        """See `Colouring.colours`."""
        del row
        towards: Array = vertex_normals(vertices, self._faces) * np.array([1, -1, -1], np.float32)
        return (towards + 1) / 2


class Parts:
    """Parts of the body: the left warm, the right cool, each lighter towards hand and foot."""

    is_lit = True
    scale: ColourScale | None = None

    def __init__(self, parts: Array) -> None:
        """Takes (V,) rows of `body_parts.PARTS`."""
        table = np.array([PART_COLOURS[name] for name in PARTS], np.float32) / 255
        self._colours: Array = table[parts]

    def colours(self, row: int, vertices: Array) -> Array:
        """See `Colouring.colours`."""
        del row, vertices
        return self._colours


class Depth:
    """How far away the surface is: yellow is near, dark blue far, the same in all frames.

    In metres along the camera's axis, as `vertices` has them: from the body's own origin, as the
    dataset does not say how far away that is.
    """

    is_lit = False

    def __init__(self, vertices: Array) -> None:
        """Takes (N, V, 3) vertices, whose depths, but for a few, are the scale's span."""
        near, far = np.percentile(vertices[:, ::_SPARSE, 2], [_DEEPEST, 100 - _DEEPEST])
        near, far = math.floor(10 * near) / 10, math.ceil(10 * far) / 10
        self.scale = ColourScale(
            viridis(),
            max(far, near + 0.1),
            near,
            f"far {_signed(far)}",
            f"{_signed(near)} m near",
        )

    def colours(self, row: int, vertices: Array) -> Array:
        """See `Colouring.colours`."""
        del row
        return self.scale.colours(vertices[:, 2])


class Speed:
    """How fast the surface moves between a label and those beside it.

    It is the way of each vertex from the label before and to the label after, over the time that
    both take; only one of them where no label is beside the other, and grey where none is. The
    way is that in `vertices`, so relative to the body's own origin: where that goes in the room
    the dataset does not say. What faces the camera has the legend's colour; the rest is darker.
    """

    is_lit = False

    def __init__(self, vertices: Array, faces: Array, times: Array) -> None:
        """Takes (N, V, 3) metres, (F, 3) faces and (N,) seconds."""
        self._vertices, self._faces = vertices, faces
        self._steps = np.where(consecutive(times), np.diff(times), np.nan)
        sparse = vertices[:, ::_SPARSE]
        speeds = [_way(sparse, i) / step for i, step in enumerate(self._steps) if step > 0]
        fastest = round_up(float(np.percentile(speeds, 100 - _FASTEST))) if speeds else 1.0
        has_unknown = not all(self._beside(row) for row in range(len(vertices)))
        unknown = "no label beside it" if has_unknown else ""
        self.scale = ColourScale(heat(), 0.0, fastest, "0", f"≥ {fastest:g} m/s", unknown)

    def colours(self, row: int, vertices: Array) -> Array:
        """See `Colouring.colours`."""
        towards = -vertex_normals(vertices, self._faces)[:, 2:]
        shade = 1 - np.float32(_SHADE) * (1 - np.clip(towards, 0, 1))
        colours: Array = self.scale.colours(self._speeds(row)) * shade
        return colours

    def _speeds(self, row: int) -> Array:
        """(V,) m/s; NaN where no label is beside this one."""
        steps = self._beside(row)
        if not steps:
            return np.full(self._vertices.shape[1], np.nan)
        ways = np.stack([_way(self._vertices, step) for step in steps])
        speeds: Array = ways.sum(0) / self._steps[steps].sum()
        return speeds

    def _beside(self, row: int) -> list[int]:
        """The steps to the labels before and after that no missing label lies in."""
        return [i for i in (row - 1, row) if 0 <= i < len(self._steps) and self._steps[i] > 0]


def _way(vertices: Array, step: int) -> Array:
    """(V,) metres from row `step` to the next."""
    way: Array = np.linalg.norm(vertices[step + 1] - vertices[step], axis=-1)
    return way


def _signed(metres: float) -> str:
    return f"{metres:+.1f}".replace("-", "−")
