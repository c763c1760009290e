"""Draws a body's mesh with OpenDR, the renderer of the dataset's released visualisation.

    renderer = OpenDRRenderer(faces)
    renderer.draw(picture, vertices, camera)       # picture is changed in place

For comparing with what was published: the same contract as renderer.FastRenderer, hundreds of
times slower. Covered by tests/test_renderer_contract.py and tests/test_parity.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from camera import NEAR_ORTHOGRAPHIC_DISTANCE, WeakPerspectiveCamera
from opendr_compat import load_opendr
from renderer import (
    FARTHEST_PIXEL,
    LIGHT_BLUE,
    NEAREST_DEPTH,
    Colour,
    check_vertex_count,
    checked_colours,
    checked_faces,
    point_lights,
)

Array = npt.NDArray[Any]


class OpenDRRenderer:
    """OpenDR's ColoredRenderer, ProjectPoints and LambertianPointLight.

    It draws the edges of silhouettes as lines too, so outlines come out up to a pixel fatter than
    the mesh. Use one per thread.
    """

    name = "opendr"

    def __init__(self, faces: Array) -> None:
        """Prepares for one mesh topology.

        Args:
            faces: (F, 3) integers, the vertices of each triangle.

        Raises:
            FacesError: not of that shape, or not whole numbers from 0 upward.
            MissingDependencyError: OpenDR is not installed.
        """
        self._faces = checked_faces(faces)
        self._vertex_count = int(self._faces.max()) + 1
        self._opendr = load_opendr()

    def draw(
        self,
        picture: Array,
        vertices: Array,
        camera: WeakPerspectiveCamera,
        colour: Colour | Array = LIGHT_BLUE,
        alpha: float = 1.0,
        is_lit: bool = True,
    ) -> None:
        """See `renderer.MeshRenderer.draw`."""
        check_vertex_count(self._vertex_count, vertices)
        albedo = np.broadcast_to(checked_colours(colour, len(vertices)), vertices.shape)
        body = vertices.astype(np.float64) + np.array([0.0, 0.0, NEAR_ORTHOGRAPHIC_DISTANCE])
        with np.errstate(all="ignore"):
            pixels = camera.project(vertices.astype(np.float64))
            is_before_camera = (body[:, 2] > NEAREST_DEPTH) & (body[:, 2] < np.inf)
            is_usable = (np.abs(pixels) < FARTHEST_PIXEL).all(1) & is_before_camera
        faces = self._faces[is_usable[self._faces].all(1)]
        faces = faces[_has_area(pixels[faces])]
        pixels = pixels[faces]
        size = np.array(picture.shape[1::-1])
        if not len(faces) or (pixels.max((0, 1)) < 0).any() or (pixels.min((0, 1)) >= size).any():
            return
        body[~is_usable] = 0.0  # no triangle has them, but a NaN would spread
        under = picture.astype(np.float64)
        # OpenDR drops axes of length 1.
        padded = np.pad(under, [(0, int(length == 1)) for length in under.shape], "edge")
        colours = self._shade(body, faces, albedo) if is_lit else np.clip(albedo, 0.0, 1.0)
        drawn = self._render(padded, body, faces, camera, colours)[: size[1], : size[0]]
        picture[:] = np.rint(under + alpha * (drawn - under))

    def _render(
        self,
        picture: Array,
        body: Array,
        faces: Array,
        camera: WeakPerspectiveCamera,
        colours: Array,
    ) -> Array:
        """The mesh over the picture, (H, W, 3) float64 in 0…255."""
        height, width = picture.shape[:2]
        focal = camera.scale * NEAR_ORTHOGRAPHIC_DISTANCE
        depth = body[faces, 2]
        projection = self._opendr.ProjectPoints(
            v=body,
            rt=np.zeros(3),
            t=np.zeros(3),
            f=np.array([focal, focal]),
            c=np.array([camera.offset_x, camera.offset_y]),
            k=np.zeros(5),
        )
        renderer = self._opendr.ColoredRenderer(
            f=faces.astype(np.uint32),
            camera=projection,
            frustum={
                "near": 0.99 * float(depth.min()),
                "far": 1.01 * float(depth.max()),
                "width": width,
                "height": height,
            },
            background_image=picture / 255.0,
            vc=colours.astype(np.float64),
        )
        return 255.0 * np.asarray(renderer.r)

    def _shade(self, body: Array, faces: Array, albedo: Array) -> Array:
        """(V, 3) colours in 0…1: the sum over the lights, clipped."""
        lights = [
            self._opendr.LambertianPointLight(
                f=faces,
                v=body,
                num_verts=len(body),
                light_pos=light[:3],
                vc=albedo.astype(np.float64),
                light_color=np.full(3, light[3]),
            )
            for light in point_lights()
        ]
        # Where the normals around a vertex cancel out it has none: NaN here, dark in the picture.
        colours: Array = np.nan_to_num(np.minimum(sum(light.r for light in lights), 1.0))
        return colours


def _has_area(corners: Array) -> Array:
    """(F,) whether the corners, (F, 3, 2) pixels, span anything."""
    (ux, uy), (vx, vy) = (corners[:, i].T - corners[:, 0].T for i in (1, 2))
    has_area: Array = ux * vy != uy * vx
    return has_area
