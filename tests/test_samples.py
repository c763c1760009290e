"""The embedded sample: its body is a sound mesh, its labels fit the clip and each other."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

import safe_pickle
from body_model import BodyModel, load_body_model

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
PICKLE = SAMPLES / "sampleDance_10_14.pkl"
VIDEO = SAMPLES / "sampleDance_000010_000014.mp4"
SIZE_LIMIT = 8_000_000
BODY_SIZE_LIMIT = 1_500_000
HEIGHT = 360
N_LABELLED = 70
GAPS = [(43, 61), (83, 95)]
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
COCOPLUS = [
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
]

Arrays = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def body() -> Arrays:
    with np.load(SAMPLES / "body_model.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_body_model(SAMPLES / "body_model.npz")


@pytest.fixture(scope="module")
def labels() -> Arrays:
    loaded = safe_pickle.load(PICKLE)
    return {_text(key): np.asarray(value) for key, value in loaded.items()}


def _text(key: object) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def _mirrored(rows: int, pairs: list[tuple[int, int]]) -> list[int]:
    order = list(range(rows))
    for a, b in pairs:
        order[a], order[b] = b, a
    return order


# ---- the body ------------------------------------------------------------------------------


def test_body_has_the_arrays_of_an_smpl_file(body: Arrays) -> None:
    assert {key: (value.shape, value.dtype.str) for key, value in body.items()} == {
        "v_template": ((6890, 3), "<f4"),
        "shapedirs": ((6890, 3, 10), "<f4"),
        "posedirs": ((6890, 3, 207), "<f4"),
        "J_regressor": ((24, 6890), "<f4"),
        "weights": ((6890, 24), "<f4"),
        "kintree_table": ((2, 24), "<u4"),
        "f": ((13776, 3), "<u4"),
        "cocoplus_regressor": ((19, 6890), "<f4"),
    }
    assert all(np.isfinite(value).all() for value in body.values())
    assert body["kintree_table"][0, 0] == 2**32 - 1
    assert body["kintree_table"][0, 1:].tolist() == PARENTS[1:]
    assert body["kintree_table"][1].tolist() == list(range(24))


def test_mesh_is_one_closed_oriented_surface_without_holes(body: Arrays) -> None:
    faces = body["f"].astype(np.int64)
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    keys = directed[:, 0] * 6890 + directed[:, 1]
    assert len(np.unique(keys)) == len(keys), "two faces run along one edge the same way"
    assert set(keys) == set(directed[:, 1] * 6890 + directed[:, 0]), "an edge has one face"
    assert 6890 - len(keys) // 2 + len(faces) == 2, "Euler characteristic of a sphere"
    parent = np.arange(6890)
    for _ in range(200):  # labels spread along edges until every vertex has the smallest
        before = parent.copy()
        np.minimum.at(parent, directed[:, 0], before[directed[:, 1]])
        if np.array_equal(parent, before):
            break
    assert set(parent) == {0}, "the mesh is in pieces"


def test_normals_point_outwards_and_triangles_are_well_shaped(body: Arrays) -> None:
    corners = body["v_template"].astype(np.float64)[body["f"].astype(np.int64)]
    a, b, c = corners.transpose(1, 0, 2)
    litres = np.einsum("ij,ij->", a, np.cross(b, c)) / 6 * 1000
    assert 50 < litres < 80
    sides = np.stack([b - a, c - b, a - c])
    lengths = np.linalg.norm(sides, axis=2)
    cosines = -(sides * np.roll(sides, 1, 0)).sum(2) / (lengths * np.roll(lengths, 1, 0))
    smallest = np.degrees(np.arccos(np.clip(cosines, -1, 1))).min(0)
    assert smallest.min() > 10
    assert np.percentile(smallest, 1) > 30
    assert lengths.max() < 0.04


def test_body_stands_as_smpl_does(body: Arrays) -> None:
    vertices, joints = body["v_template"], body["J_regressor"] @ body["v_template"]
    low, high = vertices.min(0), vertices.max(0)
    assert 1.65 < high[1] - low[1] < 1.80
    assert 1.6 < high[0] - low[0] < 1.85
    assert np.linalg.norm(joints[0]) < 0.3
    nose = body["cocoplus_regressor"][COCOPLUS.index("nose")] @ vertices
    toes = vertices[vertices[:, 1] < low[1] + 0.05]
    assert nose[2] > 0.08
    assert toes[:, 2].max() > 0.12 > -toes[:, 2].min()


def test_left_and_right_mirror_each_other(body: Arrays) -> None:
    vertices = body["v_template"]
    places = {tuple(v) for v in vertices.tolist()}
    assert all((-x + 0.0, y, z) in places for x, y, z in vertices.tolist())
    joints = body["J_regressor"] @ vertices
    pairs = [(1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21), (22, 23)]
    assert all(joints[left, 0] > 0.05 for left, _ in pairs)
    assert joints == pytest.approx(joints[_mirrored(24, pairs)] * [-1, 1, 1], abs=1e-4)


def test_cocoplus_joints_are_on_their_side_and_at_their_height(body: Arrays) -> None:
    joints = dict(zip(COCOPLUS, body["cocoplus_regressor"] @ body["v_template"], strict=True))
    for name, place in joints.items():
        side = {"left": 1, "right": -1}.get(name.split("_")[0], 0)
        assert np.sign(np.round(place[0], 3)) == side, name
    for higher, lower in (
        ("head_top", "left_eye"),
        ("left_eye", "nose"),
        ("nose", "neck"),
        ("neck", "left_shoulder"),
        ("left_shoulder", "left_hip"),
        ("left_hip", "left_knee"),
        ("left_knee", "left_ankle"),
    ):
        assert joints[higher][1] > joints[lower][1], (higher, lower)
    out = [joints[f"left_{name}"][0] for name in ("shoulder", "elbow", "wrist")]
    assert out == sorted(out)


def test_regressors_and_weights_are_means(body: Arrays) -> None:
    for rows in (body["J_regressor"], body["cocoplus_regressor"], body["weights"]):
        assert (rows >= 0).all()
        assert rows.sum(1) == pytest.approx(1, abs=1e-5)
    assert (body["weights"] > 0).sum(1).max() <= 4
    far = np.linalg.norm(
        body["v_template"][None] - (body["J_regressor"] @ body["v_template"])[:, None], axis=2
    )
    assert far[body["J_regressor"] > 0].max() < 0.25


def test_every_shape_and_pose_direction_does_something(body: Arrays) -> None:
    assert (np.abs(body["shapedirs"]).max((0, 1)) > 0.003).all()
    assert (np.abs(body["shapedirs"]).max((0, 1)) < 0.06).all()
    per_joint = np.abs(body["posedirs"]).reshape(-1, 23, 9).max((0, 2))
    assert (per_joint > 0.001).all()
    assert (per_joint < 0.06).all()


def test_faces_file_is_the_bodys(body: Arrays) -> None:
    faces = np.load(SAMPLES / "smpl_faces.npy")
    assert faces.dtype == np.uint32
    assert np.array_equal(faces, body["f"])


# ---- the pickle ----------------------------------------------------------------------------


def test_labels_have_the_datasets_schema(labels: Arrays) -> None:
    n = N_LABELLED
    assert {key: (value.shape, value.dtype.str) for key, value in labels.items()} == {
        "time": ((n,), "<f8"),
        "smpl_shape": ((n, 10), "<f4"),
        "smpl_pose": ((n, 72), "<f4"),
        "3d_keypoints": ((n, 24, 3), "<f4"),
        "2d_keypoints": ((n, 19, 2), "<f4"),
        "cameras": ((n, 3), "<f4"),
        "vertices": ((n, 6890, 3), "<f4"),
    }
    assert all(np.isfinite(value).all() for value in labels.values())


def test_pickle_is_written_as_python_2_wrote_it(labels: Arrays) -> None:
    data = PICKLE.read_bytes()
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(data)}
    assert {"PROTO", "SHORT_BINSTRING", "BINSTRING"} <= opcodes
    assert not {"BINUNICODE", "BINBYTES", "SHORT_BINBYTES"} & opcodes
    loaded = _NumpyOnly(io.BytesIO(data), encoding="latin1").load()
    assert set(loaded) == set(labels)
    for key, value in loaded.items():
        assert np.array_equal(value, labels[key]), key


class _NumpyOnly(pickle.Unpickler):
    """The standard unpickler, for what numpy 2 makes of names that numpy 1 wrote."""

    def find_class(self, module: str, name: str) -> Any:
        assert (module, name) in {
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
        }
        if name == "_reconstruct" and int(np.__version__.split(".")[0]) >= 2:
            module = "numpy._core.multiarray"
        return super().find_class(module, name)


def test_labels_leave_two_gaps(labels: Arrays) -> None:
    frames = np.rint(labels["time"] * 25).astype(int)
    assert labels["time"] == pytest.approx(frames / 25, abs=1e-12)
    missing = {frame for start, end in GAPS for frame in range(start, end)}
    assert frames.tolist() == [frame for frame in range(100) if frame not in missing]


def test_vertices_are_what_the_body_model_gives(labels: Arrays, model: BodyModel) -> None:
    vertices, _ = model.forward(labels["smpl_shape"], labels["smpl_pose"])
    assert vertices == pytest.approx(labels["vertices"], abs=1e-5)


def test_first_19_keypoints_are_the_cocoplus_joints(labels: Arrays, body: Arrays) -> None:
    joints = body["cocoplus_regressor"] @ labels["vertices"]
    assert joints == pytest.approx(labels["3d_keypoints"][:, :19], abs=1e-5)
    toes, thumbs = labels["3d_keypoints"][:, 19:21], labels["3d_keypoints"][:, 21:23]
    ankles, wrists = labels["3d_keypoints"][:, [5, 0]], labels["3d_keypoints"][:, [11, 6]]
    assert np.linalg.norm(toes - ankles, axis=2).max() < 0.30
    assert np.linalg.norm(thumbs - wrists, axis=2).max() < 0.20


def test_keypoints_reproject_with_the_offset_inside_and_the_height_as_unit(
    labels: Arrays,
) -> None:
    scale, offset = labels["cameras"][:, None, :1], labels["cameras"][:, None, 1:]
    xy = labels["3d_keypoints"][:, :19, :2]
    residual = np.abs(scale * (xy + offset) - labels["2d_keypoints"]) * HEIGHT
    assert residual.max() < 1e-3
    outside = np.abs(scale * xy + offset - labels["2d_keypoints"]) * HEIGHT
    assert np.median(outside) > 20, "the sample must tell the two conventions apart"


def test_figure_is_in_the_frame_and_upright(labels: Arrays) -> None:
    x, y = np.moveaxis(labels["2d_keypoints"] * HEIGHT, -1, 0)
    assert (x > 0).all()
    assert (x < 640).all()
    assert (y > 0).all()
    assert (y < HEIGHT).all()
    head, ankles = COCOPLUS.index("head_top"), [0, 5]
    assert (y[:, ankles] - y[:, [head]] > 150).all()


# ---- the video -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames() -> list[npt.NDArray[np.uint8]]:
    with av.open(str(VIDEO)) as container:
        return [np.asarray(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


@pytest.fixture
def container() -> Iterator[av.container.InputContainer]:
    with av.open(str(VIDEO)) as opened:
        yield opened


def test_video_has_100_frames_at_25_fps_with_sound(
    container: av.container.InputContainer,
) -> None:
    video, audio = container.streams.video[0], container.streams.audio[0]
    assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
    assert (video.width, video.height, video.pix_fmt) == (640, 360, "yuv420p")
    assert video.average_rate == Fraction(25)
    times = [frame.time for frame in container.decode(video)]
    assert times == pytest.approx([i / 25 for i in range(100)], abs=1e-6)
    container.seek(0)
    sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio)], axis=1)
    assert sound.shape[1] / audio.rate == pytest.approx(4.0, abs=0.05)
    assert np.abs(sound).max() > 0.2


def test_index_stands_before_the_pictures() -> None:
    data = VIDEO.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")


def test_figure_in_the_video_is_where_the_labels_say(
    labels: Arrays, frames: list[npt.NDArray[np.uint8]]
) -> None:
    """The yellow shirt covers the middle between shoulders and hips and nothing far from it."""
    for row in range(0, N_LABELLED, 6):
        picture = frames[round(labels["time"][row] * 25)].astype(int)
        red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
        yellow = (red > 90) & (green > 0.55 * red) & (blue < 0.35 * red)
        centre = np.argwhere(yellow).mean(0)[::-1]
        waist = labels["2d_keypoints"][row, [2, 3, 8, 9]].mean(0) * HEIGHT
        assert yellow.sum() > 500
        assert np.linalg.norm(centre - waist) < 15, labels["time"][row]


def test_sample_is_small() -> None:
    assert (SAMPLES / "body_model.npz").stat().st_size < BODY_SIZE_LIMIT
    files = [p for p in SAMPLES.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) <= SIZE_LIMIT
