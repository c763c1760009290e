"""A clip's body as Universal Scene Description: a mesh whose points change with time.

    write_usd(path, scene, LIGHT_BLUE)

Axes are y up and metres; one time code is one frame of the clip, from 0. Labels keep their real
times. Where none is, the mesh is invisible; for programs that do not look at that, it stays where
the last label left it. Covered by tests/test_export_usd.py.
"""

from __future__ import annotations

import errno
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from animation import animate
from camera import y_up
from colour import linear_rgb
from optional_packages import load_package
from renderer import Colour
from scene import ClipScene

Array = npt.NDArray[Any]

_ROUGHNESS = 0.7
_CODE_DIGITS = 6  # 0.28 s at 25 frames per second is frame 7, not 7.000000000000001


class Usd(NamedTuple):
    """The modules of usd-core that are used here."""

    Sdf: Any
    Usd: Any
    UsdGeom: Any
    UsdShade: Any
    Vt: Any


def load_usd() -> Usd:
    """Imports usd-core.

    Raises:
        MissingDependencyError: it is not installed.
    """
    names = (f"pxr.{name}" for name in Usd._fields)
    return Usd(*(load_package(name, "--outputs=usd", "requirements-export.txt") for name in names))


def write_usd(path: Path, scene: ClipScene, colour: Colour) -> None:
    """Writes the body of a scene that has a mesh, in USD's binary form.

    Args:
        path: the file; its name may end in anything.
        scene: the clip.
        colour: the mesh's, RGB in 0…1.

    Raises:
        MissingDependencyError: usd-core is not installed.
        OSError: the file cannot be written.
    """
    usd = load_usd()
    layer = usd.Sdf.Layer.CreateAnonymous(".usdc")
    stage = usd.Usd.Stage.Open(layer)
    _describe(stage, usd, scene)
    mesh = _add_mesh(stage, usd, scene)
    _animate(mesh, usd, scene)
    _cover(mesh, usd, colour)
    try:
        layer.Export(str(path), args={"format": "usdc"})
    except RuntimeError as error:
        reason = str(error).partition(" : '")[2].partition("'\n")[0]
        raise OSError(errno.EIO, reason or "USD could not write it", str(path)) from error


def _describe(stage: Any, usd: Usd, scene: ClipScene) -> None:
    rate = float(scene.frame_rate)
    usd.UsdGeom.SetStageUpAxis(stage, usd.UsdGeom.Tokens.y)
    usd.UsdGeom.SetStageMetersPerUnit(stage, usd.UsdGeom.LinearUnits.meters)
    stage.SetTimeCodesPerSecond(rate)
    stage.SetFramesPerSecond(rate)
    stage.SetStartTimeCode(0)
    last_of_clip = round(scene.duration * rate) - 1
    last_label = math.floor(float(scene.annotations.time[-1]) * rate + 0.5)
    stage.SetEndTimeCode(max(last_of_clip, last_label, 0))


def _add_mesh(stage: Any, usd: Usd, scene: ClipScene) -> Any:
    faces = scene.body.faces
    if faces is None:
        raise ValueError("a scene without a mesh")
    stage.SetDefaultPrim(usd.UsdGeom.Xform.Define(stage, "/person").GetPrim())
    mesh = usd.UsdGeom.Mesh.Define(stage, "/person/body")
    mesh.CreateSubdivisionSchemeAttr(usd.UsdGeom.Tokens.none)
    mesh.CreateFaceVertexCountsAttr(usd.Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(usd.Vt.IntArray.FromNumpy(faces.ravel().astype(np.int32)))
    return mesh


def _animate(mesh: Any, usd: Usd, scene: ClipScene) -> None:
    vertices = scene.body.vertices
    if vertices is None:
        raise ValueError("a scene without a mesh")
    rate = float(scene.frame_rate)
    animation = animate(scene.annotations.time, scene.duration, scene.frame_rate)
    points, extent = mesh.CreatePointsAttr(), mesh.CreateExtentAttr()
    codes = (animation.times * rate).round(_CODE_DIGITS).tolist()
    for code, row in zip(codes, animation.rows.tolist(), strict=True):
        body = y_up(vertices[row])
        points.Set(usd.Vt.Vec3fArray.FromNumpy(body), code)
        extent.Set(usd.Vt.Vec3fArray.FromNumpy(np.stack([body.min(0), body.max(0)])), code)
    visibility = mesh.CreateVisibilityAttr()
    visibility.Set(usd.UsdGeom.Tokens.invisible, 0.0)
    for start, end in (animation.spans * rate).round(_CODE_DIGITS).tolist():
        visibility.Set(usd.UsdGeom.Tokens.inherited, start)
        visibility.Set(usd.UsdGeom.Tokens.invisible, end)


def _cover(mesh: Any, usd: Usd, colour: Colour) -> None:
    """Gives the mesh its colour, and a material of it for programs that look only there."""
    light = linear_rgb(colour)
    mesh.CreateDisplayColorAttr([light])
    stage, person = mesh.GetPrim().GetStage(), mesh.GetPath().GetParentPath()
    material = usd.UsdShade.Material.Define(stage, person.AppendChild("material"))
    surface = usd.UsdShade.Shader.Define(stage, material.GetPath().AppendChild("surface"))
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("diffuseColor", usd.Sdf.ValueTypeNames.Color3f).Set(light)
    surface.CreateInput("roughness", usd.Sdf.ValueTypeNames.Float).Set(_ROUGHNESS)
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    usd.UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
