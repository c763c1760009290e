"""Covers bodies.py, and that a clip looks the same whether its mesh is stored or computed."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import decode

import bodies
from annotations import ClipAnnotations, read_annotations
from bodies import BodyOptions, resolve_body
from errors import AnnotationError, BodyModelError, FacesError
from run_visualise import main

SAMPLES = Path(__file__).parent.parent / "samples"
SAMPLE = SAMPLES / "sampleDance_10_14.pkl"
MODEL = SAMPLES / "body_model.npz"


@pytest.fixture(scope="module")
def large() -> ClipAnnotations:
    return read_annotations(SAMPLE)


@pytest.fixture(scope="module")
def small(large: ClipAnnotations) -> ClipAnnotations:
    return dataclasses.replace(large, vertices=None)


def test_the_pickles_own_vertices_come_first(large: ClipAnnotations) -> None:
    body = resolve_body(large, SAMPLES, BodyOptions(smpl_model=MODEL))
    assert body.source == "file"
    assert body.vertices is large.vertices


def test_the_small_archive_gets_the_very_same_mesh(
    large: ClipAnnotations, small: ClipAnnotations
) -> None:
    body = resolve_body(small, Path("nowhere"), BodyOptions(smpl_model=MODEL))
    assert body.source == "model"
    assert np.array_equal(body.vertices, large.vertices)  # type: ignore[arg-type]  # not None
    assert np.array_equal(body.faces, np.load(SAMPLES / "smpl_faces.npy"))  # type: ignore[arg-type]
    assert np.abs(body.joints - large.joints_3d[:, :19]).max() < 1e-5


def test_the_model_is_used_where_it_is_asked_for(large: ClipAnnotations) -> None:
    moved = dataclasses.replace(large, vertices=np.zeros_like(large.vertices))
    body = resolve_body(moved, SAMPLES, BodyOptions(smpl_model=MODEL, vertices="model"))
    assert body.source == "model"
    assert np.array_equal(body.vertices, large.vertices)  # type: ignore[arg-type]


def test_without_vertices_and_without_a_model_there_is_no_mesh(small: ClipAnnotations) -> None:
    body = resolve_body(small, SAMPLES, BodyOptions())
    assert body == bodies.ClipBody(None, None, None, None)


def test_a_source_that_is_not_there(small: ClipAnnotations) -> None:
    with pytest.raises(AnnotationError, match=r"no `vertices`.*--smpl_model"):
        resolve_body(small, SAMPLES, BodyOptions(smpl_model=MODEL, vertices="file"))
    with pytest.raises(BodyModelError, match="--smpl_model"):
        resolve_body(small, SAMPLES, BodyOptions(vertices="model"))


def test_another_regressor_than_the_models(large: ClipAnnotations, tmp_path: Path) -> None:
    first_vertices = np.eye(19, 6890)
    np.save(tmp_path / "regressor.npy", first_vertices.T)
    options = BodyOptions(smpl_model=MODEL, joint_regressor=tmp_path / "regressor.npy")
    joints = resolve_body(large, SAMPLES, options).joints
    assert np.array_equal(joints, large.vertices[:, :19])  # type: ignore[arg-type, index]


def test_a_model_of_another_body(large: ClipAnnotations) -> None:
    other = dataclasses.replace(large, vertices=np.zeros((len(large), 100, 3), np.float32))
    with pytest.raises(FacesError, match=r"6890 vertices.*100"):
        resolve_body(other, Path("nowhere"), BodyOptions(smpl_model=MODEL))


def test_faces_are_fetched_once_where_there_are_none(
    large: ClipAnnotations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(folder: Path, url: str) -> Path:
        asked.append((folder, url))
        return SAMPLES / "smpl_faces.npy"

    monkeypatch.setattr(bodies, "fetch_faces", fetch)
    monkeypatch.chdir(tmp_path)
    body = resolve_body(large, tmp_path, BodyOptions(cache_dir=tmp_path / "cache"))
    assert body.faces is not None
    assert asked == [(tmp_path / "cache", "http://127.0.0.1:9/smpl_faces.npy")]
    shutil.copy(SAMPLES / "smpl_faces.npy", tmp_path)
    resolve_body(large, tmp_path / "elsewhere", BodyOptions())
    assert len(asked) == 1


def test_faces_are_not_fetched_for_another_body(
    large: ClipAnnotations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = dataclasses.replace(large, vertices=np.zeros((len(large), 100, 3), np.float32))
    with pytest.raises(FacesError, match=r"100 vertices.*--smpl_face_path"):
        resolve_body(other, tmp_path, BodyOptions())


def test_offline_the_error_gives_the_command(
    large: ClipAnnotations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacesError, match="fetch them once with: curl"):
        resolve_body(large, tmp_path, BodyOptions(cache_dir=tmp_path / "cache"))


def without_vertices(folder: Path) -> Path:
    """The sample as the small archive has it, with no faces beside it."""
    content: dict[str, Any] = pickle.loads(SAMPLE.read_bytes(), encoding="latin1")  # noqa: S301 ours
    del content["vertices"]
    path = folder / SAMPLE.name
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def draw(path: Path, out: Path, *flags: str) -> Path:
    video = SAMPLES / "sampleDance_000010_000014.mp4"
    code = main(["", f"--filename={path}", f"--video={video}", f"--output_dir={out}", *flags])
    assert code == 0
    return out / path.stem / f"{path.stem}.mp4"


def test_both_archives_give_the_same_video(tmp_path: Path) -> None:
    model = f"--smpl_model={MODEL}"
    stored = draw(SAMPLE, tmp_path / "large", model)
    computed = draw(without_vertices(tmp_path), tmp_path / "small", model)
    assert stored.read_bytes() == computed.read_bytes()
    reports = [json.loads((p.parent / "report.json").read_text()) for p in (stored, computed)]
    assert [report["vertices_source"] for report in reports] == ["file", "model"]
    assert reports[1]["warnings"] == []


def test_regressed_joints_are_drawn_where_the_files_are(tmp_path: Path) -> None:
    """The sample's own joints were regressed with this model: the pictures agree."""
    flags = ("--noshow_mesh", f"--smpl_model={MODEL}", "--video_crf=4")
    pictures = [
        decode(draw(SAMPLE, tmp_path / source, f"--keypoint_source={source}", *flags)).pictures
        for source in ("file", "model", "both")
    ]
    for file, model in zip(pictures[0], pictures[1], strict=True):
        assert np.abs(file.astype(int) - model).max() <= 24  # rounding moves a joint by 1/16 px


def test_both_kinds_of_joints_are_told_apart(tmp_path: Path) -> None:
    """The file's joints are moved by 36 pixels; the regressed ones stay, and are pale."""
    content = pickle.loads(SAMPLE.read_bytes(), encoding="latin1")  # noqa: S301  # ours
    regressed = content["2d_keypoints"][0].copy() * 360
    content["2d_keypoints"][..., 0] += 0.1
    path = tmp_path / SAMPLE.name
    path.write_bytes(pickle.dumps(content, protocol=2))
    flags = ("--keypoint_source=both", f"--smpl_model={MODEL}", "--camera_convention=inside")
    video = draw(path, tmp_path / "out", *flags, "--noshow_mesh", "--video_crf=4")
    picture = decode(video).pictures[round(content["time"][0] * 25)].astype(int)
    wrist = 6
    column, row = np.rint(regressed[wrist]).astype(int)
    assert picture[row, column].min() > 200
    red, green, blue = picture[row, column + 36]
    assert green > red + 60
    assert green > blue + 60


def test_regressed_joints_need_a_regressor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["", f"--filename={SAMPLE}", "--keypoint_source=model", f"--output_dir={tmp_path}"])
    assert code == 1
    assert "--joint_regressor" in capsys.readouterr().err
