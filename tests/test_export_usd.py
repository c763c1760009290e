"""Covers export_usd.py: files are opened again with usd-core."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pxr import Usd, UsdGeom, UsdShade
from scenes import GAPS, mesh_of, part_of, sample_scene, upright

from export_usd import write_usd
from renderer import LIGHT_BLUE
from scene import ClipScene

Array = npt.NDArray[Any]


def opened(folder: Path, scene: ClipScene) -> tuple[Any, Any]:
    """The stage, and its mesh."""
    path = folder / "clip.partial"
    write_usd(path, scene, LIGHT_BLUE)
    stage = Usd.Stage.Open(str(path.rename(folder / "clip.usd")))
    return stage, UsdGeom.Mesh(stage.GetPrimAtPath("/person/body"))


def points(mesh: Any, code: float) -> Array:
    return np.array(mesh.GetPointsAttr().Get(code))


def is_seen(mesh: Any, code: float) -> bool:
    return bool(mesh.ComputeVisibility(code) == UsdGeom.Tokens.inherited)


def test_the_stage_says_what_its_numbers_mean(tmp_path: Path) -> None:
    stage, mesh = opened(tmp_path, sample_scene())
    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetTimeCodesPerSecond() == stage.GetFramesPerSecond() == 25
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 99)
    assert stage.GetDefaultPrim().GetPath() == "/person"
    assert mesh.GetSubdivisionSchemeAttr().Get() == UsdGeom.Tokens.none
    material, _ = UsdShade.MaterialBindingAPI(mesh.GetPrim()).ComputeBoundMaterial()
    colour = material.ComputeSurfaceSource()[0].GetInput("diffuseColor").Get()
    assert np.array(colour) == pytest.approx(np.array([0.381, 0.509, 0.708]), abs=0.01)


def test_every_vertex_of_every_label(tmp_path: Path) -> None:
    scene = sample_scene()
    _, mesh = opened(tmp_path, scene)
    assert np.array_equal(
        np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3), mesh_of(scene)[1]
    )
    assert set(mesh.GetFaceVertexCountsAttr().Get()) == {3}
    for time, vertices in zip(scene.annotations.time, mesh_of(scene)[0], strict=True):
        code = round(time * 25)
        assert np.abs(points(mesh, code) - upright(vertices)).max() < 1e-6
        low, high = np.array(mesh.GetExtentAttr().Get(code))
        assert np.array_equal(low, points(mesh, code).min(0))
        assert np.array_equal(high, points(mesh, code).max(0))


def test_hidden_and_held_where_no_label_is(tmp_path: Path) -> None:
    scene = sample_scene()
    _, mesh = opened(tmp_path, scene)
    for start, end in GAPS:
        assert [is_seen(mesh, code) for code in (start - 1, start, end - 1, end)] == [
            *[True, False, False, True]
        ]
        assert is_seen(mesh, start - 0.51)
        assert not is_seen(mesh, start - 0.49)
        last = points(mesh, start - 1)
        for code in range(start, end):
            assert np.abs(points(mesh, code) - last).max() < 1e-6
        assert np.abs(points(mesh, end - 0.49) - points(mesh, end)).max() < 1e-6
        assert not np.array_equal(points(mesh, end), last)


def test_a_held_body_takes_no_room(tmp_path: Path) -> None:
    scene = sample_scene()
    opened(tmp_path, scene)
    assert (tmp_path / "clip.usd").stat().st_size < 1.05 * mesh_of(scene)[0].nbytes


def test_times_between_frames_are_kept(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    times = np.array([0.0, 1.0, 2.0, 5.5]) / float(rate)
    scene = part_of(sample_scene(), slice(4), time=times)
    scene = dataclasses.replace(scene, frame_rate=rate, duration=10 / float(rate))
    stage, mesh = opened(tmp_path, scene)
    assert stage.GetTimeCodesPerSecond() == float(rate)
    assert stage.GetEndTimeCode() == 9
    assert {0.0, 1.0, 2.0, 5.5} <= set(mesh.GetPointsAttr().GetTimeSamples())
    seen = [is_seen(mesh, code) for code in (0, 1, 2, 3, 4, 5, 5.5, 6)]
    assert seen == [True, True, True, False, False, True, True, False]


def test_before_the_first_label_nothing_is_seen(tmp_path: Path) -> None:
    scene = part_of(sample_scene(), slice(20, 30))
    stage, mesh = opened(tmp_path, scene)
    assert [code for code in range(100) if is_seen(mesh, code)] == list(range(20, 30))
    assert stage.GetEndTimeCode() == 99


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        write_usd(tmp_path / "file" / "clip.usd", part_of(sample_scene(), slice(2)), LIGHT_BLUE)
    assert caught.value.filename == os.fspath(tmp_path / "file" / "clip.usd")
    assert "\n" not in str(caught.value.strerror)
