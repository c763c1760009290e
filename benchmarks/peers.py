"""Other ways to draw the same body, each as its users write it.

A maker prepares all that stays the same from picture to picture, and returns what draws one
picture and returns it, (h, w, 3) uint8, black where there is no body. Each maker runs in a
process of its own, since their OpenGL libraries do not get along, and imports its peer there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.workload import Workload
from opendr_compat import load_opendr
from opendr_renderer import OpenDRRenderer
from renderer import LIGHT_BLUE, FastRenderer, point_lights

Array = npt.NDArray[Any]
DrawOne = Callable[[], Array]
_NEAR, _FAR = 90.0, 110.0  # metres before the camera


def ours(work: Workload) -> DrawOne:
    """Normals, shading, culling, z-buffer and composite."""
    return _with(FastRenderer(work.faces), work)


def ours_antialiased(work: Workload) -> DrawOne:
    """The same with smooth outlines."""
    return _with(FastRenderer(work.faces, antialias=True), work)


def our_opendr(work: Workload) -> DrawOne:
    """OpenDR through this project's renderer."""
    return _with(OpenDRRenderer(work.faces), work)


def released_opendr(work: Workload) -> DrawOne:
    """OpenDR as the released visualisation uses it: everything anew for each picture."""
    opendr = load_opendr()
    vertices, faces = work.moved, work.faces.astype(np.uint32)
    background = work.picture() * 0.0

    def draw() -> Array:
        renderer = opendr.ColoredRenderer()
        renderer.camera = opendr.ProjectPoints(
            rt=np.zeros(3),
            t=np.zeros(3),
            f=np.full(2, work.focal),
            c=np.array([work.camera.offset_x, work.camera.offset_y]),
            k=np.zeros(5),
        )
        renderer.frustum = {"near": _NEAR, "far": _FAR, "width": work.width, "height": work.height}
        renderer.background_image = background
        albedo = np.tile(np.array(LIGHT_BLUE), (len(vertices), 1))
        renderer.set(v=vertices, f=faces, vc=albedo, bgcolor=np.ones(3))
        lit = [
            opendr.LambertianPointLight(
                f=renderer.f,
                v=renderer.v,
                num_verts=len(vertices),
                light_pos=light[:3],
                vc=albedo,
                light_color=np.full(3, light[3]),
            )
            for light in point_lights()
        ]
        renderer.vc = lit[0] + lit[1] + lit[2]
        picture: Array = (renderer.r * 255).astype(np.uint8)
        return picture

    return draw


def pyrender(work: Workload) -> DrawOne:
    """A new mesh for each picture, as the body moves; smooth normals, three lights, EGL."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    import pyrender as library
    import trimesh

    scene = library.Scene(bg_color=[0, 0, 0, 0], ambient_light=(0.1, 0.1, 0.1))
    camera = library.IntrinsicsCamera(
        work.focal,
        work.focal,
        work.camera.offset_x + 0.5,
        work.camera.offset_y + 0.5,
        znear=_NEAR,
        zfar=_FAR,
    )
    scene.add(camera)
    for light in point_lights():
        pose = np.eye(4)
        pose[:3, 3] = light[:3] * [1, -1, -1]
        scene.add(library.DirectionalLight(intensity=2.0 * light[3]), pose=pose)
    material = library.MetallicRoughnessMaterial(
        metallicFactor=0.0, baseColorFactor=(*LIGHT_BLUE, 1.0)
    )
    offscreen = library.OffscreenRenderer(work.width, work.height)
    vertices = work.moved * [1, -1, -1]

    def draw() -> Array:
        mesh = trimesh.Trimesh(vertices, work.faces, process=False)
        node = scene.add(library.Mesh.from_trimesh(mesh, material=material, smooth=True))
        picture, _ = offscreen.render(scene, flags=library.RenderFlags.RGBA)
        scene.remove_node(node)
        drawn: Array = picture[..., :3]
        return drawn

    return draw


def moderngl(work: Workload) -> DrawOne:
    """Colours and vertices lie ready: draw and read back only. EGL."""
    import moderngl as library

    egl: Any = "egl"  # the package says it wants a dictionary here, and does not
    context = library.create_context(standalone=True, backend=egl)
    program = context.program(
        vertex_shader="""
            #version 330
            uniform vec2 size, centre;
            uniform float focal, near, far;
            in vec3 position;
            in vec3 colour;
            out vec3 shade;
            void main() {
                vec2 pixel = focal * position.xy + (centre + 0.5) * position.z;
                float depth = (position.z - near) / (far - near) * 2.0 - 1.0;
                gl_Position = vec4(pixel / size * 2.0 - position.z, depth * position.z, position.z);
                shade = colour;
            }
        """,
        fragment_shader="""
            #version 330
            in vec3 shade;
            out vec4 fragment;
            void main() { fragment = vec4(shade, 1.0); }
        """,
    )
    program["size"] = (work.width, work.height)
    program["centre"] = (work.camera.offset_x, work.camera.offset_y)
    program["focal"], program["near"], program["far"] = work.focal, _NEAR, _FAR
    colours = np.tile(np.array(LIGHT_BLUE), (len(work.vertices), 1))
    data = np.concatenate([work.moved, colours], 1).astype(np.float32)
    mesh = context.vertex_array(
        program,
        [(context.buffer(data.tobytes()), "3f 3f", "position", "colour")],
        context.buffer(work.faces.astype(np.uint32).tobytes()),
    )
    target = context.simple_framebuffer((work.width, work.height), 3)
    target.use()
    context.enable(library.DEPTH_TEST)
    picture = np.empty((work.height, work.width, 3), np.uint8)

    def draw() -> Array:
        target.clear()
        mesh.render()
        target.read_into(picture, alignment=1)
        return picture

    return draw


def opencv(work: Workload) -> DrawOne:
    """`cv2.triangleRasterize` with colours that lie ready, on the box around the body."""
    pixels = work.camera.project(work.vertices.astype(np.float64))
    left, top = np.floor(pixels.min(0)).astype(int)
    width, height = np.ceil(pixels.max(0)).astype(int) + 1 - (left, top)
    # Its camera looks at the middle of the picture, so the body is sheared to where ours looks.
    vertices = work.moved
    offset = np.array([work.camera.offset_x - left, work.camera.offset_y - top])
    vertices[:, :2] += (offset + 0.5 - (width / 2, height / 2)) / work.focal * vertices[:, 2:]
    vertices = (vertices * [1, -1, -1]).astype(np.float32)
    colours = np.tile(np.array(LIGHT_BLUE, np.float32), (len(vertices), 1))
    field = 2 * math.atan(height / 2 / work.focal)
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    view = np.eye(4, dtype=np.float32)
    drawn, depth = np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32)
    picture = np.zeros((work.height, work.width, 3), np.uint8)

    def draw() -> Array:
        drawn.fill(0)
        depth.fill(_FAR)
        cv2.triangleRasterize(
            vertices, work.faces, colours, drawn, depth, view, field, _NEAR, _FAR, settings
        )
        return picture

    draw()
    picture[top : top + height, left : left + width] = drawn * 255
    return draw


def _with(renderer: Any, work: Workload) -> DrawOne:
    picture = work.picture() * np.uint8(0)

    def draw() -> Array:
        renderer.draw(picture, work.vertices, work.camera)
        return picture

    return draw


MAKERS: Mapping[str, Callable[[Workload], DrawOne]] = {
    "ours": ours,
    "ours, --antialias": ours_antialiased,
    "moderngl (EGL), draw and read back only": moderngl,
    "cv2.triangleRasterize, body's box, no shading": opencv,
    "pyrender (EGL)": pyrender,
    "OpenDR, as the released visualisation": released_opendr,
    "OpenDR, our --renderer=opendr": our_opendr,
}
PACKAGES = ("numpy", "numba", "moderngl", "opencv-python-headless", "pyrender", "opendr", "av")
