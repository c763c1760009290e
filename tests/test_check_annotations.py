from __future__ import annotations

import functools
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from synthetic import write_pickle

import safe_pickle
from annotations import validate
from body_model import BodyModel, load_body_model
from check_annotations import main
from diagnosis import Diagnosis, diagnose

Array = npt.NDArray[Any]
Content = dict[str, Array]
Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "sampleDance_10_14.pkl"
MODEL = ROOT / "samples" / "body_model.npz"
CLIP = "sampleDance_10_14"
SEED = 894621
ASPECT = 640 / 360
ROW = 20  # inside a run of consecutive labels
RUN_ENDS = [0, 42, 43, 69]  # of the sample: rows with a gap or nothing beside them
KEYPOINTS, JOINTS = "2d_keypoints", "3d_keypoints"


@functools.cache
def model() -> BodyModel:
    return load_body_model(MODEL)


@functools.cache
def sample_content() -> Content:
    content = safe_pickle.load(SAMPLE)
    assert isinstance(content, dict)
    named = {key.decode() if isinstance(key, bytes) else key: content[key] for key in content}
    return {("cameras" if key == "camera" else key): np.array(named[key]) for key in named}


def with_changes(**changes: Callable[[Array], Array]) -> Content:
    """The sample's content, some of its arrays changed; `keypoints` and `joints` are short."""
    content = {key: array.copy() for key, array in sample_content().items()}
    names = {"keypoints": KEYPOINTS, "joints": JOINTS}
    for name, change in changes.items():
        key = names.get(name, name)
        content[key] = change(content[key])
    return content


def rows_of(content: Content, rows: Sequence[int] | Array) -> Content:
    return {key: array[rows] for key, array in content.items()}


def diagnosed(content: Content, body: BodyModel | None = None, **given: Any) -> Diagnosis:
    return diagnose(validate(content, f"{CLIP}.pkl"), body, **given)


def names(diagnosis: Diagnosis) -> list[str]:
    return [finding.name for finding in diagnosis.findings]


def in_row(row: int, change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def apply(array: Array) -> Array:
        array[row] = change(array[row])
        return array

    return apply


def turned_round(pose: Array) -> Array:
    """The body seen from behind."""
    return np.concatenate([[0.0, np.pi, 0.0], pose[3:]])


# A clip as it should be


def test_the_sample_is_ok() -> None:
    diagnosis = diagnosed(sample_content(), model())
    assert (diagnosis.verdict, diagnosis.findings, diagnosis.warnings) == ("ok", (), ())
    assert (diagnosis.camera_convention, diagnosis.keypoint_units) == ("inside", "height")
    assert (diagnosis.frames, diagnosis.joint_set, diagnosis.jump_rows) == (70, "cocoplus", ())
    assert diagnosis.labelled_share == pytest.approx(0.7)
    assert diagnosis.step_sec == pytest.approx(0.04)
    assert diagnosis.inside_px == pytest.approx(0, abs=0.01)
    assert diagnosis.outside_px is not None
    assert diagnosis.outside_px > 100
    assert diagnosis.vertices_mm_max == pytest.approx(0, abs=0.01)
    assert diagnosis.joints_mm_max == pytest.approx(0, abs=0.01)
    assert diagnosis.shape_deviation < 1e-5


def test_without_a_model_what_needs_one_is_unknown() -> None:
    diagnosis = diagnosed(sample_content())
    assert diagnosis.verdict == "ok"
    assert diagnosis.vertices_mm_median is None
    assert diagnosis.joints_mm_median is None


def test_the_small_archive_is_compared_through_the_model() -> None:
    content = sample_content()
    content = {key: content[key] for key in content if key != "vertices"}
    diagnosis = diagnosed(content, model())
    assert (diagnosis.verdict, diagnosis.vertices_mm_median) == ("ok", None)
    assert diagnosis.joints_mm_max == pytest.approx(0, abs=0.01)


def test_a_regressor_alone_reads_the_files_own_vertices() -> None:
    diagnosis = diagnosed(sample_content(), regressor=model().cocoplus_regressor)
    assert diagnosis.joints_mm_max == pytest.approx(0, abs=0.01)


def test_smpls_skeleton_is_compared_with_the_models() -> None:
    content = sample_content()
    _, skeleton = model().forward(content["smpl_shape"], content["smpl_pose"])
    diagnosis = diagnosed(with_changes(joints=lambda _: skeleton), model())
    assert diagnosis.joint_set == "smpl"
    assert diagnosis.verdict != "wrong"
    assert diagnosis.joints_mm_max == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("noise_px", [0.5, 2, 5, 15])
@pytest.mark.parametrize("units", [1.0, ASPECT])
@pytest.mark.parametrize("seed", range(3))
def test_noisy_keypoints_are_no_fault(noise_px: float, units: float, seed: int) -> None:
    rng = np.random.default_rng(SEED + seed)
    noise = rng.normal(0, noise_px / 1080, (70, 19, 2))
    diagnosis = diagnosed(with_changes(keypoints=lambda k: (k + noise) / [units, 1.0]), model())
    assert (diagnosis.verdict, diagnosis.findings) == ("ok", ())
    assert diagnosis.keypoint_units == ("height" if units == 1.0 else "frame")
    assert diagnosis.refitted_px == pytest.approx(noise_px * 1.1, rel=0.15)
    if units != 1.0:
        assert diagnosis.aspect == pytest.approx(ASPECT, rel=0.05)


@pytest.mark.parametrize("seed", range(25))
def test_people_of_any_size_in_any_frame_are_not_called_wrong(seed: int) -> None:
    """Far from the frame's left edge a small error in the aspect is many pixels."""
    rng = np.random.default_rng(SEED + seed)
    kept = np.sort(rng.choice(70, rng.integers(5, 71), replace=False))
    content = rows_of(sample_content(), kept)
    aspect = rng.choice([1.0, ASPECT, 4 / 3, 1 / ASPECT])
    scale = content["cameras"][:, :1] * rng.uniform(0.15, 1.2)
    centre = content["cameras"][:, :1] * content["cameras"][:, 1:]
    content["cameras"] = np.hstack([scale, centre / scale])
    seen = scale[:, None] * content[JOINTS][:, :19, :2] + centre[:, None]
    noise = rng.normal(0, rng.uniform(0, 10) / 1080, seen.shape)
    content[KEYPOINTS] = (seen + noise) / [aspect, 1.0]
    content[JOINTS] = content[JOINTS] + rng.normal(0, 0.004, content[JOINTS].shape)
    diagnosis = diagnosed(content)
    assert diagnosis.verdict != "wrong"
    assert diagnosis.camera_convention == "inside"
    assert diagnosis.aspect == (None if aspect == 1.0 else pytest.approx(aspect, rel=0.02))


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_gaps_are_no_fault(share: float) -> None:
    kept = np.flatnonzero(np.random.default_rng(SEED).random(70) < share)
    diagnosis = diagnosed(rows_of(sample_content(), kept), model())
    assert (diagnosis.verdict, diagnosis.findings) == ("ok", ())
    assert diagnosis.frames == len(kept)


def test_jitter_takes_no_step_over_a_gap() -> None:
    """Every second row left out in the middle: its neighbours' distance is not a movement."""
    whole = diagnosed(sample_content())
    parts = diagnosed(rows_of(sample_content(), [*range(20), *range(30, 70)]))
    assert whole.jitter_mm == pytest.approx(16.0, abs=0.5)
    assert parts.jitter_mm == pytest.approx(16.0, abs=3.0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_clips(count: int) -> None:
    diagnosis = diagnosed(rows_of(sample_content(), range(count)), model())
    assert (diagnosis.verdict, diagnosis.findings) == ("ok", ())
    assert (diagnosis.jitter_mm is None) == (count < 3)


def test_unknown_joints_are_left_out() -> None:
    def forgotten(array: Array) -> Array:
        array[np.random.default_rng(SEED).random(array.shape[:2]) < 0.3] = np.nan
        return array

    diagnosis = diagnosed(with_changes(joints=forgotten, keypoints=forgotten), model())
    assert (diagnosis.verdict, diagnosis.findings) == ("ok", ())
    assert len(diagnosis.warnings) == 2
    assert diagnosis.joints_mm_max == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("units", [1.0, ASPECT])
def test_unseen_joints_at_the_origin_are_no_fault(units: float) -> None:
    def unseen(keypoints: Array) -> Array:
        keypoints[np.random.default_rng(SEED).random((70, 19)) < 0.15] = 0
        return keypoints / [units, 1.0]

    diagnosis = diagnosed(with_changes(keypoints=unseen), model())
    assert (diagnosis.verdict, diagnosis.findings) == ("ok", ())
    assert diagnosis.aspect == (None if units == 1.0 else pytest.approx(ASPECT, rel=0.01))


def test_a_burst_of_movement_before_a_gap_is_no_flip() -> None:
    """Someone who stood still starts to run in the last labelled frame: 3 m/s at once."""

    def moved(joints: Array) -> Array:
        joints[:] = joints[:1]
        joints[[42, 69]] += [0.12, 0, 0]
        return joints

    assert diagnosed(with_changes(joints=moved, keypoints=lambda k: k * np.nan)).jump_rows == ()


def test_no_known_keypoint_is_odd() -> None:
    diagnosis = diagnosed(with_changes(keypoints=lambda k: k * np.nan), model())
    assert (diagnosis.verdict, names(diagnosis)) == ("odd", ["joints-unknown"])
    assert (diagnosis.camera_convention, diagnosis.inside_px) == (None, None)


@pytest.mark.parametrize("size", [0.5, 1.3])
def test_children_and_giants_are_people(size: float) -> None:
    changes: dict[str, Callable[[Array], Array]] = {
        "joints": lambda j: j * size,
        "vertices": lambda v: v * np.float32(size),
        "cameras": lambda c: c * [1 / size, size, size],
    }
    assert diagnosed(with_changes(**changes)).findings == ()


# Planted faults

AXES: dict[str, tuple[str, str, Callable[[Array], Array], str]] = {
    "2D as (y, x)": ("2d-axes-swapped", "keypoints", lambda k: k[..., ::-1], "are (y, x)"),
    "3D as (y, x, z)": ("3d-axes-swapped", "joints", lambda j: j[..., [1, 0, 2]], "(y, x, z)"),
    "3D as (x, z, y)": ("3d-axes-swapped", "joints", lambda j: j[..., [0, 2, 1]], "(x, z, y)"),
    "3D as (z, y, x)": ("3d-axes-swapped", "joints", lambda j: j[..., [2, 1, 0]], "(z, y, x)"),
    "3D as (y, z, x)": ("3d-axes-swapped", "joints", lambda j: j[..., [1, 2, 0]], "(y, z, x)"),
    "y up": ("axes-flipped", "joints", lambda j: j * [1, -1, 1], "opposite y;"),
    "mirrored": ("axes-flipped", "joints", lambda j: j * [-1, 1, 1], "opposite x;"),
    "vertices y up": (
        "vertex-axes",
        "vertices",
        lambda v: v * np.array([1, -1, 1]),
        "(x, −y, z)",
    ),
    "vertices (z, x, y)": ("vertex-axes", "vertices", lambda v: v[..., [2, 0, 1]], "(z, x, y)"),
}


@pytest.mark.parametrize("noise_px", [0, 2])
@pytest.mark.parametrize("fault", AXES)
def test_axes(fault: str, noise_px: float) -> None:
    name, array, change, said = AXES[fault]
    content = with_changes(**{array: change})
    content[KEYPOINTS] += np.random.default_rng(SEED).normal(0, noise_px / 1080, (70, 19, 2))
    diagnosis = diagnosed(content, model())
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", [name])
    assert said in diagnosis.findings[0].message
    assert diagnosis.camera_convention == "inside"


UNITS: dict[str, tuple[Array, str, float | None]] = {
    "pixels of 360 lines": (np.array([360.0, 360.0]), "pixels of a frame of 360 lines", None),
    "pixels of 1080 lines": (np.array([1080.0, 1080.0]), "of 1080 lines", None),
    "width on both axes": (1 / np.array([ASPECT, ASPECT]), "on both axes", ASPECT),
    "sides exchanged": (1 / np.array([1, ASPECT]), "divided by the wrong sides", ASPECT),
    "portrait, width on both axes": (np.array([ASPECT, ASPECT]), "on both axes", 1 / ASPECT),
}


@pytest.mark.parametrize("noise_px", [0, 2])
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("fault", UNITS)
def test_keypoints_in_the_wrong_units(fault: str, outside: bool, noise_px: float) -> None:
    factors, said, aspect = UNITS[fault]
    noise = np.random.default_rng(SEED).normal(0, noise_px / 1080, (70, 19, 2))
    content = with_changes(keypoints=lambda k: (k + noise) * factors)
    if outside:
        content["cameras"][:, 1:] *= content["cameras"][:, :1]
    diagnosis = diagnosed(content, model())
    expected = ["keypoint-units"] + ["camera-outside"] * outside
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", expected)
    assert said in diagnosis.findings[0].message
    assert diagnosis.keypoint_units == "other"
    assert diagnosis.aspect == (None if aspect is None else pytest.approx(aspect, rel=0.02))


@pytest.mark.parametrize("aspect", [ASPECT, 1 / ASPECT, 4 / 3, 2.4, 640 / 272])
def test_units_of_the_frame_are_no_fault_and_tell_its_aspect(aspect: float) -> None:
    diagnosis = diagnosed(with_changes(keypoints=lambda k: k / [aspect, 1.0]))
    assert (diagnosis.verdict, diagnosis.keypoint_units) == ("ok", "frame")
    assert diagnosis.aspect == pytest.approx(aspect, rel=1e-3)


def test_an_offset_outside_the_scale() -> None:
    diagnosis = diagnosed(with_changes(cameras=lambda c: np.c_[c[:, :1], c[:, :1] * c[:, 1:]]))
    assert (diagnosis.verdict, names(diagnosis)) == ("odd", ["camera-outside"])
    assert diagnosis.camera_convention == "outside"
    assert diagnosis.outside_px == pytest.approx(0, abs=0.01)
    assert "s · xy + t holds" in diagnosis.findings[0].message


def test_cameras_of_another_clip() -> None:
    rng = np.random.default_rng(SEED)
    diagnosis = diagnosed(with_changes(cameras=lambda c: rng.uniform(0.3, 1.5, c.shape)))
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["camera-misfit"])
    assert diagnosis.camera_convention == "neither"
    assert diagnosis.refitted_px == pytest.approx(0, abs=0.01)


def test_keypoints_of_another_person() -> None:
    rng = np.random.default_rng(SEED)
    diagnosis = diagnosed(with_changes(keypoints=lambda k: rng.uniform(0, 1, k.shape)))
    assert diagnosis.verdict == "wrong"
    assert "joints-misfit" in names(diagnosis)


@pytest.mark.parametrize("moved_mm", [25, 60])
def test_a_regressor_that_is_not_the_datasets(moved_mm: float) -> None:
    """One joint of it lies elsewhere: the nose is taken partly from the neck."""
    own = model().cocoplus_regressor
    assert own is not None
    nose, neck = 14, 12
    joints = sample_content()[JOINTS][0]
    part = moved_mm / 1000 / np.linalg.norm(joints[nose] - joints[neck])
    other = own.copy()
    other[nose] = (1 - part) * own[nose] + part * own[neck]
    diagnosis = diagnosed(sample_content(), model(), regressor=other)
    assert (diagnosis.verdict, names(diagnosis)) == ("odd", ["regressor"])
    assert diagnosis.joints_mm_max == pytest.approx(moved_mm, rel=0.1)
    assert "nose is " in diagnosis.findings[0].message


def test_a_regressor_of_other_joints() -> None:
    own = model().cocoplus_regressor
    assert own is not None
    diagnosis = diagnosed(sample_content(), regressor=own[::-1].copy())
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["regressor"])


@pytest.mark.parametrize("row", [ROW, *RUN_ENDS])
def test_one_frames_orientation_flipped(row: int) -> None:
    diagnosis = diagnosed(with_changes(smpl_pose=in_row(row, turned_round)))
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["flipped-frame"])
    assert diagnosis.findings[0].rows == diagnosis.jump_rows == (row,)
    assert "global orientation" in diagnosis.findings[0].message


def test_one_frames_pose_negated() -> None:
    diagnosis = diagnosed(with_changes(smpl_pose=in_row(ROW, np.negative)))
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["flipped-frame"])
    assert diagnosis.jump_rows == (ROW,)


@pytest.mark.parametrize("row", [ROW, *RUN_ENDS])
def test_a_frames_pose_that_its_vertices_belie(row: int) -> None:
    diagnosis = diagnosed(with_changes(smpl_pose=in_row(row, np.negative)), model())
    assert (diagnosis.verdict, names(diagnosis)[0]) == ("wrong", "vertices-apart")
    assert {finding.rows for finding in diagnosis.findings} == {(row,)}


@pytest.mark.parametrize("row", [ROW, *RUN_ENDS])
def test_one_frames_joints_flipped(row: int) -> None:
    diagnosis = diagnosed(with_changes(joints=in_row(row, lambda j: j * [-1, 1, -1])))
    assert diagnosis.verdict == "wrong"
    assert names(diagnosis) == ["frames-apart", "flipped-frame"]
    assert {finding.rows for finding in diagnosis.findings} == {(row,)}


def test_a_frame_flipped_in_everything() -> None:
    """Nothing but the motion can tell: the frame agrees with itself."""
    content = with_changes(smpl_pose=in_row(ROW, turned_round))
    mesh, _ = model().forward(content["smpl_shape"], content["smpl_pose"])
    own = model().cocoplus_regressor
    assert own is not None
    joints = np.einsum("jv,tvc->tjc", own, mesh)
    scale, offset = content["cameras"][:, None, :1], content["cameras"][:, None, 1:]
    content |= {
        "vertices": mesh,
        JOINTS: joints,
        KEYPOINTS: scale * (joints[..., :2] + offset),
    }
    diagnosis = diagnosed(content, model())
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["flipped-frame"])
    assert diagnosis.jump_rows == (ROW,)


def test_a_lasting_turn_is_a_jump_and_no_flip() -> None:
    def mirrored(joints: Array) -> Array:
        joints[ROW:] *= [-1.6, 1.6, -1.6]
        return joints

    diagnosis = diagnosed(with_changes(joints=mirrored, keypoints=lambda k: k * np.nan))
    assert names(diagnosis) == ["joints-unknown", "jump"]
    assert diagnosis.jump_rows == (ROW,)


@pytest.mark.parametrize("has_model", [False, True])
@pytest.mark.parametrize(("factor", "unit"), [(1000, "millimetres"), (100, "centimetres")])
def test_vertices_in_other_units(has_model: bool, factor: float, unit: str) -> None:
    content = with_changes(vertices=lambda v: v * np.float32(factor))
    diagnosis = diagnosed(content, model() if has_model else None)
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["vertex-units"])
    assert unit in diagnosis.findings[0].message


def test_joints_in_millimetres() -> None:
    diagnosis = diagnosed(with_changes(joints=lambda j: j * 1000), model())
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["joint-units"])
    assert diagnosis.joints_mm_max == pytest.approx(0, abs=0.01)


def test_another_body() -> None:
    diagnosis = diagnosed(with_changes(smpl_shape=lambda s: s + 0.7), model())
    assert (diagnosis.verdict, names(diagnosis)) == ("odd", ["vertices-misfit"])


def test_time_not_ascending() -> None:
    def exchanged(time: Array) -> Array:
        time[[10, 11]] = time[[11, 10]]
        return time

    diagnosis = diagnosed(with_changes(time=exchanged), model())
    assert (diagnosis.verdict, names(diagnosis)) == ("wrong", ["time-order"])


@pytest.mark.parametrize(
    ("change", "verdict", "name"),
    [
        (lambda t: t + 10, "wrong", "time-outside"),  # since the start of the video
        (lambda t: t * 25, "wrong", "time-outside"),  # frame numbers
        (in_row(69, lambda t: t + 1), "odd", "time-outside"),
        (in_row(11, lambda t: t - 0.04), "odd", "time-repeated"),
    ],
)
def test_odd_times(change: Callable[[Array], Array], verdict: str, name: str) -> None:
    diagnosis = diagnosed(with_changes(time=change))
    assert (diagnosis.verdict, names(diagnosis)) == (verdict, [name])


def test_a_shape_that_changes() -> None:
    diagnosis = diagnosed(with_changes(smpl_shape=in_row(ROW, lambda s: s + 2)))
    assert (diagnosis.verdict, names(diagnosis)) == ("odd", ["shape"])
    assert diagnosis.shape_deviation == pytest.approx(2, abs=1e-3)
    assert diagnosis.findings[0].rows == (ROW,)


def test_shaking_joints() -> None:
    noise = np.random.default_rng(SEED).normal(0, 0.05, (70, 24, 3))
    diagnosis = diagnosed(with_changes(joints=lambda j: j + noise))
    assert {"jitter", "bones"} <= set(names(diagnosis))


# The command


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(["check_annotations.py", *(str(argument) for argument in arguments)])
        return code, *capfd.readouterr()

    return call


def small(content: Content) -> Content:
    """Without vertices: files that are quick to write."""
    return {key: array for key, array in content.items() if key != "vertices"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One clip of each verdict, in folders; one is no pickle at all."""
    root = tmp_path / "clips"
    good = small(sample_content())
    outside = small(with_changes(cameras=lambda c: np.c_[c[:, :1], c[:, :1] * c[:, 1:]]))
    swapped = small(with_changes(keypoints=lambda k: k[..., ::-1]))
    write_pickle(root / "a" / "sampleDanc0_10_14.pkl", good)
    write_pickle(root / "a" / "sampleDanc1_10_14.pkl", outside)
    write_pickle(root / "b" / "c" / "sampleDanc2_10_14.pkl", swapped)
    (root / "b" / "sampleDanc3_10_14.pkl").write_bytes(b"no pickle\n")
    (root / "b" / "._sampleDanc3_10_14.pkl").write_bytes(b"junk")
    return root


VERDICTS = ["ok", "odd", "broken", "wrong"]  # in the order of the paths


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_samples_table(run: Run) -> None:
    code, out, err = run(SAMPLE, "--smpl_model", MODEL)
    assert (code, err) == (0, "")
    header, row, summary = out.splitlines()
    assert header.split()[:2] == ["clip", "verdict"]
    assert row.split()[:6] == [CLIP, "ok", "70", "70%", "inside", "height"]
    assert summary == "1 clip: 1 ok"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder(run: Run, folder: Path, jobs: int) -> None:
    code, out, err = run(folder, "--jobs", str(jobs))
    assert (code, err) == (1, "")
    rows = [line.split() for line in out.splitlines()[1:-1] if not line.startswith(" ")]
    assert [row[1] for row in rows] == VERDICTS
    assert "    camera-outside: 2d = s · xy + t holds" in out
    assert "    2d-axes-swapped: " in out
    assert f"    {folder / 'b' / 'sampleDanc3_10_14.pkl'}: " in out
    assert out.splitlines()[-1].startswith("4 clips: 1 ok, 1 odd, 1 wrong, 1 broken (")


def test_json_in_a_file_and_on_stdout_are_the_same_in_any_number_of_processes(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "report.jsonl"
    assert run(folder, "--json", path, "--jobs=1")[0] == 1
    code, out, err = run(folder, "--json=-", "--jobs=2")
    assert code == 1
    assert out == path.read_text()
    assert err.startswith("4 clips: ")
    rows = json_lines(out)
    assert [row["verdict"] for row in rows] == VERDICTS
    assert [Path(row["file"]).parent.name for row in rows] == ["a", "a", "b", "c"]
    assert rows[2]["error"]["type"] == "AnnotationError"
    assert rows[2]["error"]["message"].startswith(rows[2]["file"])
    assert rows[3]["findings"][0]["name"] == "2d-axes-swapped"
    assert rows[0]["inside_px"] == pytest.approx(0, abs=0.01)
    assert rows[0]["vertices_mm_max"] is None


def test_an_archive(run: Run, folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "small.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "clips")
        link = tarfile.TarInfo("clips/link.pkl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link, io.BytesIO())
    code, out, _ = run(archive, "--json=-", "--jobs=2")
    assert code == 1
    rows = json_lines(out)
    assert sorted(row["verdict"] for row in rows) == sorted([*VERDICTS, "broken"])
    assert rows[-1]["file"] == f"{archive}/clips/link.pkl"


def test_odd_alone_is_no_failure(run: Run, folder: Path) -> None:
    code, out, _ = run(folder / "a")
    assert code == 0
    assert out.endswith("2 clips: 1 ok, 1 odd (camera-outside 1)\n")


def test_the_same_clip_of_two_folders_is_checked_twice(run: Run, tmp_path: Path) -> None:
    for name in ("small", "large"):
        write_pickle(tmp_path / name / f"{CLIP}.pkl", small(sample_content()))
    code, out, _ = run(tmp_path / "small", tmp_path / "large", "--jobs=1")
    assert code == 0
    assert out.endswith("2 clips: 2 ok\n")


def test_one_folder_may_hold_two_pickles_of_a_name(run: Run, tmp_path: Path) -> None:
    for name in ("small", "large"):
        write_pickle(tmp_path / name / f"{CLIP}.pkl", small(sample_content()))
    code, out, _ = run(tmp_path, tmp_path / "small", "--jobs=1")
    assert code == 0
    assert out.endswith("2 clips: 2 ok\n")


def test_a_name_that_begins_with_a_dash(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a shell makes of `*.pkl`."""
    monkeypatch.chdir(tmp_path)
    name = "-abcdefghij_10_14.pkl"
    write_pickle(tmp_path / name, small(sample_content()))
    code, out, err = run(name, "--jobs=1")
    assert (code, err) == (0, "")
    assert out.endswith("1 clip: 1 ok\n")


@pytest.mark.parametrize("missing", ["nowhere.pkl", "nowhere*.pkl", "nowhere.tar"])
def test_what_is_not_there_is_a_broken_row(run: Run, tmp_path: Path, missing: str) -> None:
    code, out, err = run(tmp_path / missing)
    assert (code, err) == (1, "")
    assert out.splitlines()[1].split()[-1] == "broken"
    assert missing in out.splitlines()[2]


def test_messages_keep_to_their_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "evil\n\x1b[31m.pkl"
    path.write_bytes(b"x")
    _, out, _ = run(path)
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to check"),
        ([SAMPLE, "--jobs=0"], "jobs"),
        ([SAMPLE, "--frobnicate"], "frobnicate"),
        ([SAMPLE, "--smpl_model", "nowhere.npz"], "nowhere.npz"),
        ([SAMPLE, "--joint_regressor", MODEL], "entries"),
        ([SAMPLE, "--json", MODEL / "report.jsonl"], "--json"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str | Path], said: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("check_annotations: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_regressor_of_another_body_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "regressor.npy", np.ones((19, 100), np.float32))
    code, _, err = run(
        SAMPLE, "--smpl_model", MODEL, "--joint_regressor", tmp_path / "regressor.npy"
    )
    assert code == 2
    assert "100 vertices" in err


def test_help(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "--smpl_model" in out


def test_the_script_shows_no_bar_in_a_pipe_and_stops_when_nobody_reads(folder: Path) -> None:
    command = [sys.executable, "check_annotations.py", str(folder), "--jobs=2"]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.splitlines()[-1].startswith("4 clips: ")
    piped = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert piped.stdout is not None
    assert piped.stderr is not None
    piped.stdout.close()
    assert piped.stderr.read() == ""
    piped.stderr.close()
    assert piped.wait(timeout=120) == 1
