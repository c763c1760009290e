"""Covers exports.py and optional_packages.py, and what a run writes for other programs."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from conftest import CLIP, TIMES
from pxr import Usd, UsdGeom
from renderers import hide
from scenes import MODEL, SAMPLES, mesh_of, sample_scene, upright
from synthetic import body

import exports
import visualise
from body_model import load_body_model
from errors import AnnotationError, MissingDependencyError, OptionError, OutputError
from exports import EXPORTS, write_npz
from optional_packages import load_package
from options import VisualiseOptions
from run_visualise import main
from visualise import visualise_clip

MakeClip = Callable[..., Path]
ROOT = Path(__file__).resolve().parent.parent
ROOM = 4_000  # bytes: enough for a report


def options(tmp_path: Path, *outputs: str, **changes: Any) -> VisualiseOptions:
    return VisualiseOptions(output_dir=tmp_path / "results", outputs=frozenset(outputs), **changes)


def written(tmp_path: Path, name: str = CLIP) -> list[str]:
    folder = tmp_path / "results" / name
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def without_vertices(make_clip: MakeClip) -> Path:
    return make_clip(vertices=None)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test where a video is so much as looked for."""
    monkeypatch.setattr(visualise, "_open_video", lambda *_: pytest.fail("too late"))


# What a run writes


def test_everything_at_once(make_clip: MakeClip, tmp_path: Path) -> None:
    report = visualise_clip(make_clip(), options(tmp_path, "video", "frames", *EXPORTS))
    assert report.status == "ok"
    frames = [f"frames/{row:04d}.jpg" for row in range(len(TIMES))]
    assert written(tmp_path) == sorted(
        [
            *[f"{CLIP}.{kind}" for kind in ("glb", "mp4", "npz", "usd")],
            *["meshes/0004.obj", "meshes/0004.ply", "report.json", *frames],
        ]
    )


def test_all_files_hold_the_same_body(tmp_path: Path) -> None:
    """The sample as a user draws it, with its model."""
    folder = tmp_path / "results" / "sampleDance_10_14"
    flags = [f"--filename={SAMPLES / 'sampleDance_10_14.pkl'}", f"--smpl_model={MODEL}"]
    flags += [f"--output_dir={folder.parent}", "--outputs=npz,obj,usd,glb"]
    assert main(["run_visualise.py", *flags, "--export_frames=0.8s,middle"]) == 0
    clip = np.load(folder / "sampleDance_10_14.npz")
    row = int(np.flatnonzero(clip["time"] == 0.8)[0])
    expected = upright(clip["vertices"][row])
    stage = Usd.Stage.Open(str(folder / "sampleDance_10_14.usd"))
    points = UsdGeom.Mesh(stage.GetPrimAtPath("/person/body")).GetPointsAttr().Get(20)
    assert np.abs(np.array(points) - expected).max() < 1e-6
    mesh = trimesh.load_mesh(
        folder / "meshes" / f"{row:04d}.obj", process=False, maintain_order=True
    )
    assert np.abs(mesh.vertices - expected).max() < 1e-6
    assert (folder / "meshes" / "0035.obj").is_file()
    skinned = trimesh.load_scene(folder / "sampleDance_10_14.glb", process=False)
    (rest,) = skinned.geometry.values()  # trimesh does not animate
    model = load_body_model(MODEL)
    at_rest = model.forward(clip["shape"][:1], np.zeros_like(clip["pose"][:1]))[0][0]
    assert np.abs(rest.vertices - at_rest).max() < 1e-5


def test_a_mesh_that_is_not_drawn_is_exported(make_clip: MakeClip, tmp_path: Path) -> None:
    chosen = options(tmp_path, "npz", "ply", show_mesh=False, export_frames=("0", "0.6s"))
    visualise_clip(make_clip(), chosen)
    assert written(tmp_path) == [
        *[f"{CLIP}.npz", "meshes/0000.ply", "meshes/0006.ply", "report.json"]
    ]
    assert "vertices" in np.load(tmp_path / "results" / CLIP / f"{CLIP}.npz")


def test_a_second_run_replaces_the_meshes(make_clip: MakeClip, tmp_path: Path) -> None:
    for choice in ("all", "0"):
        visualise_clip(make_clip(), options(tmp_path, "ply", export_frames=(choice,)))
    assert written(tmp_path) == ["meshes/0000.ply", "report.json"]


# npz


def test_the_arrays_of_a_clip(tmp_path: Path) -> None:
    scene = sample_scene()
    write_npz(tmp_path / "clip.partial", scene)
    with np.load(tmp_path / "clip.partial", allow_pickle=False) as file:
        clip = dict(file)
    assert {key: (array.shape, array.dtype.str) for key, array in clip.items()} == {
        "time": ((70,), "<f8"),
        "pose": ((70, 72), "<f4"),
        "shape": ((70, 10), "<f4"),
        "joints": ((70, 24, 3), "<f8"),
        "joint_set": ((), "<U8"),
        "keypoints": ((70, 19, 2), "<f8"),
        "keypoint_names": ((19,), "<U14"),
        "cameras": ((70, 3), "<f8"),
        "camera_convention": ((), "<U6"),
        "keypoint_units": ((), "<U6"),
        "size": ((2,), "<i8"),
        "frame_rate": ((2,), "<i8"),
        "duration": ((), "<f8"),
        "vertices": ((70, 6890, 3), "<f4"),
        "faces": ((13776, 3), "<i4"),
    }
    assert clip["joint_set"] == "cocoplus"
    assert clip["camera_convention"] == "inside"
    assert clip["keypoint_units"] == "height"
    assert (clip["size"].tolist(), clip["frame_rate"].tolist()) == ([640, 360], [25, 1])
    assert clip["duration"] == 4.0
    assert np.array_equal(clip["vertices"], mesh_of(scene)[0])
    scale, offset = clip["cameras"][:, None, :1], clip["cameras"][:, None, 1:]
    projected = scale * clip["joints"][:, :19, :2] + offset
    assert np.abs(projected - clip["keypoints"]).max() < 0.01


def test_a_clip_without_a_mesh_has_its_other_arrays(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = without_vertices(make_clip)
    visualise_clip(pickle_path, options(tmp_path, "npz"))
    clip = np.load(tmp_path / "results" / CLIP / f"{CLIP}.npz")
    assert not {"vertices", "faces"} & set(clip)
    joints = body(TIMES).joints
    assert np.abs(clip["keypoints"] - joints).max() < 1e-6


# What is found before anything is drawn


@pytest.mark.parametrize(
    ("package", "outputs"),
    [("trimesh", "obj"), ("trimesh", "ply"), ("pxr", "usd"), ("pxr.UsdGeom", "usd")],
)
def test_a_package_that_is_not_installed(
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undrawn: None,
    package: str,
    outputs: str,
) -> None:
    del undrawn
    hide(package, monkeypatch)
    with pytest.raises(MissingDependencyError) as caught:
        visualise_clip(make_clip(), options(tmp_path, outputs))
    assert str(caught.value).startswith(f"--outputs={outputs} needs a package")
    assert ".venv/bin/pip install -r requirements-export.txt" in str(caught.value)
    assert written(tmp_path) == ["report.json"]


def test_the_command_names_a_file_that_brings_the_packages() -> None:
    listed = (ROOT / "requirements-export.txt").read_text()
    assert "\ntrimesh>" in listed
    assert "\nusd-core>" in listed


def test_npz_and_glb_need_no_package(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("trimesh", "pxr", "pygltflib"):
        hide(package, monkeypatch)
    visualise_clip(make_clip(), options(tmp_path, "npz", "glb"))
    assert written(tmp_path) == [f"{CLIP}.glb", f"{CLIP}.npz", "report.json"]


def test_packages_are_not_imported_unasked() -> None:
    shown = "import sys, run_visualise; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", shown], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"trimesh", "pxr"} & set(ran.stdout.split())


def test_a_bug_in_a_package_is_no_missing_package(tmp_path: Path) -> None:
    (tmp_path / "broken_package.py").write_text("1 / 0")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ZeroDivisionError):
            load_package("broken_package", "--outputs=obj", "requirements-export.txt")
    finally:
        sys.path.remove(str(tmp_path))


@pytest.mark.parametrize("outputs", ["obj", "ply", "usd", "glb", "glb,video,obj"])
def test_a_clip_without_a_mesh(
    make_clip: MakeClip, tmp_path: Path, undrawn: None, outputs: str
) -> None:
    del undrawn
    pickle_path = without_vertices(make_clip)
    with pytest.raises(AnnotationError, match="give a body model with --smpl_model") as caught:
        visualise_clip(pickle_path, options(tmp_path, *outputs.split(",")))
    named = ",".join(sorted(set(outputs.split(",")) - {"video"}, key=EXPORTS.index))
    assert f"--outputs={named} needs a mesh" in str(caught.value)
    assert written(tmp_path) == ["report.json"]


def test_a_row_that_the_clip_does_not_have(
    make_clip: MakeClip, tmp_path: Path, undrawn: None
) -> None:
    del undrawn
    with pytest.raises(OptionError, match="row 9: this clip has the rows 0 to 8"):
        visualise_clip(make_clip(), options(tmp_path, "obj", export_frames=("9",)))


# Whole or not at all


@contextmanager
def little_room() -> Iterator[None]:
    """Files of this process cannot grow, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", EXPORTS)
def test_a_full_disk(make_clip: MakeClip, tmp_path: Path, kind: str) -> None:
    pickle_path = make_clip()
    visualise_clip(pickle_path, options(tmp_path, kind))
    shutil.rmtree(tmp_path / "results")
    place = "meshes" if kind in exports.SINGLE_MESHES else f"{CLIP}.{kind}"
    with little_room(), pytest.raises(OutputError) as caught:
        visualise_clip(pickle_path, options(tmp_path, kind))
    assert f"{tmp_path / 'results' / CLIP / place}: cannot be written: " in str(caught.value)
    assert "File too large" in str(caught.value)
    assert written(tmp_path) == ["report.json"]
    report = json.loads((tmp_path / "results" / CLIP / "report.json").read_text())
    assert (report["status"], report["error"]["type"]) == ("failed", "OutputError")


def test_a_bug_in_the_last_export_leaves_nothing(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "write_glb", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        visualise_clip(make_clip(), options(tmp_path, "video", *EXPORTS))
    assert written(tmp_path) == ["report.json"]
