from __future__ import annotations

import concurrent.futures
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pickle_bytes as pb
import pytest

from body_model import (
    BodyModel,
    load_body_model,
    load_joint_regressor,
    regress_joints,
)
from errors import BodyModelError, UnsafePickleError

Array = npt.NDArray[Any]

ROOT = Path(__file__).parents[1]
SEED = 1904_05266
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
VERTEX_COUNT = 61


def body_arrays(vertex_count: int = VERTEX_COUNT, shape_count: int = 10) -> dict[str, Array]:
    """A body of SMPL's kinematic tree whose every number is random: nothing cancels out."""
    random = np.random.default_rng(SEED)
    weights = np.zeros((vertex_count, 24))
    for row in weights:
        row[random.choice(24, 4, replace=False)] = random.dirichlet(np.ones(4))
    regressor = random.dirichlet(np.ones(vertex_count), 24) * random.integers(0, 2, vertex_count)
    roots = np.array([2**32 - 1, *SMPL_PARENTS[1:]])
    return {
        "v_template": random.normal(0, 0.5, (vertex_count, 3)),
        "shapedirs": random.normal(0, 0.03, (vertex_count, 3, shape_count)),
        "posedirs": random.normal(0, 0.01, (vertex_count, 3, 207)),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([roots, np.arange(24)], np.uint32),
        "f": random.integers(0, vertex_count, (97, 3)).astype(np.uint32),
        "cocoplus_regressor": random.dirichlet(np.ones(vertex_count), 19),
    }


def write_npz(path: Path, arrays: dict[str, Array]) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # one of its keywords is a bool
    return path


def body_of(tmp_path: Path, vertex_count: int = VERTEX_COUNT) -> BodyModel:
    return load_body_model(write_npz(tmp_path / "body.npz", body_arrays(vertex_count)))


@pytest.fixture
def body(tmp_path: Path) -> BodyModel:
    return body_of(tmp_path)


def random_shapes_and_poses(count: int) -> tuple[Array, Array]:
    """Among the poses rotations by next to nothing, by next to half a turn, and by more."""
    random = np.random.default_rng(SEED + 1)
    axes = random.normal(size=(count, 24, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    special = np.array(
        [0.0, 1e-300, 1e-12, 1e-8, 1e-6, 1e-4, 1e-2]
        + [np.pi + d for d in (-1e-2, -1e-6, -1e-9, 0.0, 1e-9, 1e-6)]
        + [2 * np.pi, 3 * np.pi, 7.5]
    )
    angles = random.uniform(0, np.pi, (count, 24))
    angles[::2] = random.choice(special, (len(angles[::2]), 24))
    return random.normal(0, 2, (count, 10)), (axes * angles[..., None]).reshape(count, 72)


def plain_forward(body: BodyModel, shape: Array, pose: Array) -> tuple[Array, Array]:
    """One frame, as the paper writes it, in float64 and 4 × 4 matrices."""
    rotations = np.array([cv2.Rodrigues(r.astype(np.float64))[0] for r in pose.reshape(24, 3)])
    shaped = body.v_template + body.shapedirs.astype(np.float64) @ shape
    rest = body.J_regressor.astype(np.float64) @ shaped
    feature = (rotations[1:] - np.eye(3)).ravel()
    posed = shaped + body.posedirs.astype(np.float64) @ feature
    world = np.zeros((24, 4, 4))
    for joint, parent in enumerate(body.parents):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = rest[joint] - (rest[parent] if parent >= 0 else 0)
        world[joint] = world[parent] @ local if parent >= 0 else local
    skinning = world.copy()
    skinning[:, :3, 3] -= np.einsum("jab,jb->ja", world[:, :3, :3], rest)
    blended = np.einsum("vj,jab->vab", body.weights.astype(np.float64), skinning)
    moved = np.einsum("vab,vb->va", blended, np.c_[posed, np.ones(len(posed))])
    return moved[:, :3], world[:, :3, 3]


# Forward.


def test_forward_is_the_paper_s_formula(body: BodyModel) -> None:
    shapes, poses = random_shapes_and_poses(40)
    vertices, joints = body.forward(shapes, poses)
    assert vertices.dtype == joints.dtype == np.float32
    assert vertices.shape == (40, VERTEX_COUNT, 3)
    assert joints.shape == (40, 24, 3)
    for t in range(40):
        want_vertices, want_joints = plain_forward(body, shapes[t], poses[t])
        np.testing.assert_allclose(vertices[t], want_vertices, rtol=0, atol=3e-6)
        np.testing.assert_allclose(joints[t], want_joints, rtol=0, atol=3e-7)


def test_forward_agrees_with_the_smplx_package() -> None:
    """On the sample's body; tests/reference/make_smplx_reference.py wrote what smplx gave."""
    body = load_body_model(ROOT / "samples" / "body_model.npz")
    assert np.abs(body.shapedirs).max() > 0.01
    assert np.abs(body.posedirs).max() > 0.01
    with np.load(ROOT / "tests" / "reference" / "smplx.npz") as reference:
        vertices, joints = body.forward(reference["shapes"], reference["poses"])
        vertices = vertices[:, reference["vertex_indices"]]
        np.testing.assert_allclose(vertices, reference["vertices"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(joints, reference["joints"], rtol=0, atol=1e-6)


def test_at_rest_the_body_is_its_template(body: BodyModel) -> None:
    vertices, joints = body.forward(np.zeros((1, 10)), np.zeros((1, 72)))
    np.testing.assert_allclose(vertices[0], body.v_template, rtol=0, atol=2e-7)
    np.testing.assert_allclose(joints[0], body.J_regressor @ body.v_template, rtol=0, atol=2e-7)


def test_the_global_orientation_turns_the_body_about_its_root(body: BodyModel) -> None:
    shapes, poses = random_shapes_and_poses(1)
    quarter = poses.copy()
    poses[:, :3] = 0
    quarter[:, :3] = [[0, 0, np.pi / 2]]
    (before, after), (joints, _) = body.forward(
        np.repeat(shapes, 2, axis=0), np.concatenate([poses, quarter])
    )
    x, y, z = (before - joints[0]).T
    np.testing.assert_allclose(after - joints[0], np.stack([-y, x, z], -1), rtol=0, atol=2e-6)


@pytest.mark.parametrize("angle", [1e-12, 1e-8, 1e-5, 1e-3, np.pi - 1e-8, np.pi, np.pi + 1e-8])
def test_rotations_are_exact_near_zero_and_half_a_turn(angle: float, tmp_path: Path) -> None:
    """One vertex a metre from the root, so that the smallest turn is not lost beside the rest."""
    arrays = body_arrays(3)
    arrays |= {key: np.zeros_like(arrays[key]) for key in ("shapedirs", "posedirs", "J_regressor")}
    arrays["v_template"] = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    arrays["weights"] = np.eye(3, 24) * 0 + np.eye(1, 24)
    body = load_body_model(write_npz(tmp_path / "body.npz", arrays))
    pose = np.zeros((1, 72))
    pose[0, 2] = angle
    vertices, _ = body.forward(np.zeros((1, 10)), pose)
    cos, sin = np.cos(angle), np.sin(angle)
    want = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    np.testing.assert_allclose(vertices[0], want, rtol=1e-7, atol=1e-20 if angle < 1 else 3e-16)
    pose[0, :3] = angle * np.sqrt([0.5, 0.5, 0])
    vertices, _ = body.forward(np.zeros((1, 10)), pose)
    second_order = np.sin(angle / 2) ** 2
    np.testing.assert_allclose(vertices[0, 1, 0], second_order, rtol=1e-7)


@pytest.mark.parametrize("vertex_count", [1, 61, 85, 86, 256])
def test_frames_do_not_depend_on_order_or_batch_size(vertex_count: int, tmp_path: Path) -> None:
    """Bit for bit, at and about the sizes at which the kernels begin a new tile or group."""
    body = body_of(tmp_path, vertex_count)
    shapes, poses = random_shapes_and_poses(23)
    vertices, joints = body.forward(shapes, poses)
    for size in (1, 2, 3, 4, 5, 7, 8, 22):
        for start in range(0, 23, size):
            frames = slice(start, start + size)
            some = body.forward(shapes[frames], poses[frames])
            assert np.array_equal(some[0], vertices[frames]), size
            assert np.array_equal(some[1], joints[frames]), size
    order = np.random.default_rng(SEED).permutation(23)
    shuffled = body.forward(shapes[order], poses[order])
    assert np.array_equal(shuffled[0], vertices[order])
    assert np.array_equal(shuffled[1], joints[order])


def test_frames_do_not_depend_on_threads(body: BodyModel) -> None:
    shapes, poses = random_shapes_and_poses(16)
    vertices, _ = body.forward(shapes, poses)
    fresh = dataclasses.replace(body)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        rows = pool.map(lambda t: fresh.forward(shapes[t : t + 1], poses[t : t + 1])[0], range(16))
        assert np.array_equal(np.concatenate(list(rows)), vertices)


def test_forward_takes_arrays_as_they_come_and_leaves_them_alone(body: BodyModel) -> None:
    shapes, poses = (array.astype(np.float32) for array in random_shapes_and_poses(6))
    want, _ = body.forward(shapes, poses)
    forms: list[tuple[Array, Array]] = [
        (shapes.astype(np.float64), poses.astype(np.float64)),
        (shapes.astype(">f4"), poses.astype(">f8")),
        (np.asfortranarray(shapes), np.repeat(poses, 2, axis=1)[:, ::2]),
    ]
    for given in forms:
        kept = [array.copy() for array in given]
        for array in given:
            array.setflags(write=False)
        vertices, _ = body.forward(*given)
        assert np.array_equal(vertices, want)
        assert vertices.flags.writeable
        assert all(np.array_equal(a, b) for a, b in zip(given, kept, strict=True))


def test_no_frames_give_no_bodies(body: BodyModel) -> None:
    vertices, joints = body.forward(np.zeros((0, 10)), np.zeros((0, 72)))
    assert vertices.shape == (0, VERTEX_COUNT, 3)
    assert joints.shape == (0, 24, 3)


def test_misshapen_parameters_are_a_bug(body: BodyModel) -> None:
    shapes = ((2, 9), (2, 72)), ((2, 10), (3, 72)), ((2, 10), (2, 24, 3)), ((10,), (72,))
    for shape, pose in shapes:
        with pytest.raises(ValueError, match=r"expected \(T, 10\) and \(T, 72\)"):
            body.forward(np.zeros(shape), np.zeros(pose))


def test_any_number_of_weights_per_vertex(tmp_path: Path) -> None:
    arrays = body_arrays()
    arrays["weights"] = np.random.default_rng(SEED).dirichlet(np.ones(24), VERTEX_COUNT)
    arrays["weights"][:30] = np.eye(24)[np.arange(30) % 24]
    body = load_body_model(write_npz(tmp_path / "body.npz", arrays))
    shapes, poses = random_shapes_and_poses(4)
    vertices, _ = body.forward(shapes, poses)
    for t in range(4):
        want, _ = plain_forward(body, shapes[t], poses[t])
        np.testing.assert_allclose(vertices[t], want, rtol=0, atol=3e-6)


# Files.

SPARSE_KINDS = (
    "scipy.sparse.csc.csc_matrix",
    "scipy.sparse.csr.csr_matrix",
    "scipy.sparse._csc.csc_matrix",
    "scipy.sparse._csc.csc_array",
    "scipy.sparse._csr.csr_matrix",
    "scipy.sparse._csr.csr_array",
)


def smpl_pickle(arrays: dict[str, Array], **other: bytes) -> bytes:
    """The layout of SMPL's own files: Python 2, chumpy, scipy, and more keys than needed."""
    values = {
        **{key: pb.chumpy_array(arrays[key]) for key in ("v_template", "posedirs", "weights")},
        "shapedirs": pb.chumpy_selection(arrays["shapedirs"], np.s_[:, :, :10]),
        "J_regressor": pb.sparse_matrix(arrays["J_regressor"]),
        **{key: pb.array(arrays[key]) for key in ("kintree_table", "f", "cocoplus_regressor")},
        "J": pb.chumpy_array(np.zeros((24, 3))),
        "bs_type": pb.string("lrotmin"),
        "pose_training_info": pb.mapping({"gender": pb.string("neutral"), "n": pb.sequence()}),
    }
    return pb.whole(pb.mapping({**values, **other}))


def assert_same_body(got: BodyModel, want: BodyModel) -> None:
    for field in dataclasses.fields(BodyModel):
        assert np.array_equal(getattr(got, field.name), getattr(want, field.name)), field.name
    for t in range(2):
        shapes, poses = random_shapes_and_poses(2)
        assert np.array_equal(got.forward(shapes, poses)[t], want.forward(shapes, poses)[t])


def test_the_model_s_arrays(body: BodyModel) -> None:
    arrays = body_arrays()
    for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
        assert getattr(body, key).dtype == np.float32
        assert np.array_equal(getattr(body, key), arrays[key].astype(np.float32))
    assert body.faces.dtype == np.int32
    assert np.array_equal(body.faces, arrays["f"])
    assert body.parents == SMPL_PARENTS
    assert body.cocoplus_regressor is not None
    assert np.array_equal(body.cocoplus_regressor, arrays["cocoplus_regressor"].astype(np.float32))


def test_a_pickle_of_python_2_and_chumpy(body: BodyModel, tmp_path: Path) -> None:
    path = tmp_path / "neutral_smpl_with_cocoplus_reg.pkl"
    path.write_bytes(smpl_pickle(body_arrays()))
    assert_same_body(load_body_model(path), body)


@pytest.mark.parametrize("kind", SPARSE_KINDS)
def test_sparse_regressors_of_old_and_new_scipy(kind: str, body: BodyModel, tmp_path: Path) -> None:
    arrays = body_arrays()
    path = tmp_path / "body.pkl"
    path.write_bytes(
        smpl_pickle(
            arrays,
            J_regressor=pb.sparse_matrix(arrays["J_regressor"], kind),
            cocoplus_regressor=pb.sparse_matrix(arrays["cocoplus_regressor"].T, kind),
        )
    )
    assert_same_body(load_body_model(path), body)


@pytest.mark.parametrize("is_new", [False, True])
def test_sparse_regressors_in_coordinates(is_new: bool, body: BodyModel, tmp_path: Path) -> None:
    regressor = body_arrays()["J_regressor"]
    row, column = (pb.array(index.astype("<i4")) for index in np.nonzero(regressor))
    places = {"coords": pb.fixed(row, column)} if is_new else {"row": row, "col": column}
    numbers = pb.array(regressor[np.nonzero(regressor)])
    shape = pb.fixed(pb.integer(24), pb.integer(VERTEX_COUNT))
    state = pb.mapping({"_shape": shape, "data": numbers, **places})
    name = "scipy.sparse._coo.coo_array" if is_new else "scipy.sparse.coo.coo_matrix"
    path = tmp_path / "body.pkl"
    path.write_bytes(smpl_pickle(body_arrays(), J_regressor=pb.instance(name, state)))
    assert_same_body(load_body_model(path), body)


def test_numbers_stored_twice_in_a_sparse_matrix_add_up(tmp_path: Path) -> None:
    half = pb.array(np.full(38, 0.5))
    column = pb.array(np.repeat(np.arange(19), 2).astype("<i4"))
    shape = pb.fixed(pb.integer(19), pb.integer(19))
    state = pb.mapping({"_shape": shape, "data": half, "row": column, "col": column})
    path = tmp_path / "regressor.pkl"
    path.write_bytes(pb.whole(pb.instance("scipy.sparse.coo.coo_matrix", state)))
    assert np.array_equal(load_joint_regressor(path), np.eye(19))


def test_chumpy_expressions(body: BodyModel, tmp_path: Path) -> None:
    arrays = body_arrays()
    weights = pb.chumpy_state(a=pb.chumpy_array(arrays["weights"].T))
    flat = pb.chumpy_array(arrays["v_template"].ravel())
    template = pb.chumpy_state(a=flat, newshape=pb.fixed(pb.integer(-1), pb.integer(3)))
    axes = pb.fixed(*map(pb.integer, (1, 2, 0)))
    posedirs = pb.chumpy_state(a=pb.array(arrays["posedirs"].transpose(2, 0, 1).copy()), axes=axes)
    path = tmp_path / "body.pkl"
    path.write_bytes(
        smpl_pickle(
            arrays,
            weights=pb.instance("chumpy.reordering.transpose", weights),
            v_template=pb.instance("chumpy.reordering.Reshape", template),
            posedirs=pb.instance("chumpy.reordering.transpose", posedirs),
        )
    )
    assert_same_body(load_body_model(path), body)


def test_a_pickle_of_plain_arrays(body: BodyModel, tmp_path: Path) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(pickle.dumps(body_arrays(), protocol))
        assert_same_body(load_body_model(path), body)


def test_the_content_decides_and_not_the_name(body: BodyModel, tmp_path: Path) -> None:
    write_npz(tmp_path / "body.npz", body_arrays()).rename(tmp_path / "body.pkl")
    (tmp_path / "body.npz").write_bytes(smpl_pickle(body_arrays()))
    assert_same_body(load_body_model(tmp_path / "body.pkl"), body)
    assert_same_body(load_body_model(tmp_path / "body.npz"), body)


def test_of_more_shape_components_the_first_ten_are_used(tmp_path: Path) -> None:
    arrays = body_arrays(shape_count=300)
    many = load_body_model(write_npz(tmp_path / "many.npz", arrays))
    arrays["shapedirs"] = arrays["shapedirs"][..., :10]
    assert_same_body(many, load_body_model(write_npz(tmp_path / "ten.npz", arrays)))


@pytest.mark.parametrize("root", [-1, 2**32 - 1, 2**63 - 1, 0])
def test_every_way_to_write_that_the_root_has_no_parent(
    root: int, body: BodyModel, tmp_path: Path
) -> None:
    arrays = body_arrays()
    arrays["kintree_table"] = arrays["kintree_table"].astype(np.int64)
    arrays["kintree_table"][0, 0] = root
    assert_same_body(load_body_model(write_npz(tmp_path / "root.npz", arrays)), body)


def test_a_model_without_cocoplus_regressor(tmp_path: Path) -> None:
    arrays = body_arrays()
    del arrays["cocoplus_regressor"]
    assert load_body_model(write_npz(tmp_path / "a.npz", arrays)).cocoplus_regressor is None


def test_keys_that_are_not_needed_may_hold_anything(body: BodyModel, tmp_path: Path) -> None:
    arrays = {**body_arrays(), "joint2num": np.array([{"pelvis": 0}], dtype=object)}
    assert_same_body(load_body_model(write_npz(tmp_path / "more.npz", arrays)), body)


# Files that are wrong.


@pytest.mark.parametrize("key", sorted(set(body_arrays()) - {"cocoplus_regressor"}))
def test_a_missing_key_is_named(key: str, tmp_path: Path) -> None:
    arrays = body_arrays()
    del arrays[key]
    path = write_npz(tmp_path / "body.npz", arrays)
    with pytest.raises(BodyModelError, match=rf"body\.npz: `{key}` is missing: give a whole SMPL"):
        load_body_model(path)


def cut(key: str) -> Callable[[dict[str, Array]], Array]:
    return lambda arrays: arrays[key][..., :-1]


def changed(key: str, place: tuple[int, ...], value: float) -> Callable[[dict[str, Array]], Array]:
    def change(arrays: dict[str, Array]) -> Array:
        arrays[key][place] = value
        return arrays[key]

    return change


WRONG: list[tuple[str, Callable[[dict[str, Array]], Array], str]] = [
    ("v_template", cut("v_template"), "shape (61, 2); expected (any, 3)"),
    ("v_template", lambda _: np.zeros((0, 3)), "shape (0, 3); expected (any, 3)"),
    ("v_template", lambda _: np.array(1.0), "shape (); expected (any, 3)"),
    ("v_template", changed("v_template", (5, 1), np.nan), "1 numbers that are not finite"),
    ("shapedirs", cut("shapedirs"), "9 shape components; expected at least 10"),
    ("shapedirs", lambda a: a["v_template"], "shape (61, 3); expected (61, 3, 10)"),
    ("shapedirs", changed("shapedirs", (0, 0, 9), np.inf), "1 numbers that are not finite"),
    ("posedirs", lambda _: np.zeros((61, 3, 459)), "shape (61, 3, 459); expected (61, 3, 207)"),
    ("posedirs", lambda a: a["posedirs"][1:], "shape (60, 3, 207); expected (61, 3, 207)"),
    ("posedirs", lambda a: a["posedirs"] + 1e39, "37881 numbers that are not finite"),
    ("J_regressor", lambda a: a["J_regressor"].T, "shape (61, 24); expected (24, 61)"),
    ("J_regressor", lambda a: a["J_regressor"] * 1j, "dtype complex128; expected numbers"),
    ("weights", lambda _: np.zeros((61, 55)), "shape (61, 55); expected (61, 24)"),
    ("weights", lambda a: a["weights"] * 1.01, "rows that sum to 1.01…1.01; expected 1"),
    ("weights", lambda a: a["weights"] > 0, "dtype bool; expected numbers"),
    ("kintree_table", cut("kintree_table"), "shape (2, 23); expected (2, 24)"),
    ("kintree_table", lambda a: a["kintree_table"] * 1.0, "dtype float64; expected integers"),
    ("kintree_table", changed("kintree_table", (1, 0), 5), "the joints [5, 1, 2, 3, 4, 5, "),
    ("kintree_table", changed("kintree_table", (0, 7), 9), "joint 7 the parent 9; expected one"),
    ("kintree_table", changed("kintree_table", (0, 7), 7), "joint 7 the parent 7; expected one"),
    ("kintree_table", changed("kintree_table", (0, 3), 2**32 - 1), "3 the parent 4294967295; "),
    ("f", lambda a: a["f"].ravel(), "shape (291,); expected (any, 3)"),
    ("f", lambda _: np.zeros((0, 3), int), "shape (0, 3); expected (any, 3)"),
    ("f", changed("f", (0, 0), 61), "…61; expected 0…60, as `v_template` has 61 vertices"),
    ("f", lambda a: a["f"].astype(int) - 61, "vertex indices -61…-1; expected 0…60"),
    ("f", lambda a: a["f"] * 1.0, "dtype float64; expected integers"),
    ("cocoplus_regressor", lambda _: np.zeros((14, 61)), "shape (14, 61); expected (19, 61)"),
    ("cocoplus_regressor", lambda _: np.zeros((19, 5)), "shape (19, 5); expected (19, 61)"),
    ("cocoplus_regressor", lambda _: np.array(["a"]), "shape (1,); expected (19, 61)"),
]


@pytest.mark.parametrize(("key", "replace", "message"), WRONG)
def test_what_is_wrong_with_a_key_is_said(
    key: str, replace: Callable[[dict[str, Array]], Array], message: str, tmp_path: Path
) -> None:
    arrays = body_arrays()
    arrays[key] = replace(arrays)
    path = write_npz(tmp_path / "body.npz", arrays)
    with pytest.raises(BodyModelError) as caught:
        load_body_model(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: `{key}` ")
    assert str(caught.value).endswith("SMPL-X and MANO are other bodies")


def sparse_state(**changes: bytes) -> bytes:
    state = {
        "_shape": pb.fixed(pb.integer(24), pb.integer(VERTEX_COUNT)),
        "indptr": pb.array(np.minimum(np.arange(VERTEX_COUNT + 1), 2).astype("<i4")),
        "indices": pb.array(np.array([3, 4], "<i4")),
        "data": pb.array(np.ones(2)),
    }
    return pb.instance("scipy.sparse.csc.csc_matrix", pb.mapping({**state, **changes}))


def numbers(*values: int) -> bytes:
    return pb.array(np.array(values, "<i4"))


INCONSISTENT = {
    "index past the rows": sparse_state(indices=numbers(3, 24)),
    "negative index": sparse_state(indices=numbers(3, -1)),
    "too few indices": sparse_state(indices=numbers(3)),
    "too few starts": sparse_state(indptr=numbers(0, 2)),
    "starts that fall": sparse_state(indptr=numbers(0, 2, *[1] * (VERTEX_COUNT - 2), 2)),
    "starts past the data": sparse_state(indptr=numbers(*range(VERTEX_COUNT + 1))),
    "text for data": sparse_state(data=pb.string("ab")),
    "list for data": sparse_state(data=pb.sequence(pb.integer(1), pb.integer(1))),
    "objects for indices": sparse_state(indices=pb.chumpy_array(np.zeros(2))),
    "huge shape": sparse_state(_shape=pb.fixed(pb.integer(2**30), pb.integer(VERTEX_COUNT))),
    "huge negative shape": sparse_state(
        _shape=pb.fixed(pb.integer(-(2**31)), pb.integer(VERTEX_COUNT))
    ),
    "three axes": sparse_state(_shape=pb.fixed(*[pb.integer(2)] * 3)),
    "no shape": pb.instance("scipy.sparse.csc.csc_matrix", pb.mapping({"data": numbers(1)})),
    "no state": pb.name("scipy.sparse.csc.csc_matrix") + b")\x81",
    "number for state": pb.instance("scipy.sparse.csc.csc_matrix", pb.integer(1)),
    "chumpy without a value": pb.instance("chumpy.ch.Ch", pb.chumpy_state()),
    "selection past the end": pb.instance(
        "chumpy.reordering.Select",
        pb.chumpy_state(a=pb.chumpy_array(np.zeros(2)), idxs=numbers(2)),
    ),
    "selection of another size": pb.instance(
        "chumpy.reordering.Select",
        pb.chumpy_state(
            a=pb.chumpy_array(np.zeros(2)), idxs=numbers(1), preferred_shape=pb.fixed(pb.integer(2))
        ),
    ),
    "reshaped text": pb.instance(
        "chumpy.reordering.Reshape", pb.chumpy_state(a=pb.string("ab"), newshape=pb.integer(1))
    ),
    "text": pb.string("ab"),
    "list": pb.sequence(pb.integer(1)),
    "value that is a list": pb.instance("chumpy.ch.Ch", pb.chumpy_state(x=pb.sequence())),
    "value that is chumpy's": pb.instance(
        "chumpy.ch.Ch", pb.chumpy_state(x=pb.chumpy_array(np.zeros(2)))
    ),
}


@pytest.mark.parametrize("what", INCONSISTENT)
def test_objects_that_contradict_themselves_are_a_body_model_error(
    what: str, tmp_path: Path
) -> None:
    path = tmp_path / "body.pkl"
    path.write_bytes(smpl_pickle(body_arrays(), J_regressor=INCONSISTENT[what]))
    with pytest.raises(BodyModelError, match=r"body\.pkl: `J_regressor` ") as caught:
        load_body_model(path)
    assert "\n" not in str(caught.value)


def test_a_chumpy_looking_pickle_with_a_payload_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    payload = pb.call(pb.name("os.system"), pb.string(f"touch {marker}"))
    for value in (
        pb.instance("chumpy.ch.Ch", pb.chumpy_state(x=payload)),
        pb.instance("chumpy.ch.Ch", payload),
        pb.call(pb.name("chumpy.ch.Ch"), payload),
        sparse_state(data=payload),
        pb.instance("chumpy.ch.ChLambda", pb.chumpy_state(x=pb.NONE)),
        pb.instance("chumpy.ch_ops.add", pb.chumpy_state(a=pb.NONE, b=pb.NONE)),
        pb.instance("scipy.sparse.dok.dok_matrix", pb.mapping({})),
    ):
        for key in ("v_template", "not_needed"):
            path = tmp_path / "body.pkl"
            path.write_bytes(smpl_pickle(body_arrays(), **{key: value}))
            with pytest.raises(UnsafePickleError, match=r"body\.pkl: refused: it asks for `"):
                load_body_model(path)
    assert not marker.exists()


def test_files_that_are_no_body_model(tmp_path: Path) -> None:
    with pytest.raises(BodyModelError, match=r"absent\.pkl: cannot be read: No such file"):
        load_body_model(tmp_path / "absent.pkl")
    with pytest.raises(BodyModelError, match="cannot be read: Is a directory"):
        load_body_model(tmp_path)
    for content, message in (
        (b"", "is not a whole pickle"),
        (b"<html>please log in</html>", "is not a whole pickle"),
        (pickle.dumps(np.zeros(3)), "holds one ndarray; expected a body model"),
        (b"PK\x03\x04 and no more", "cannot be read: File is not a zip file"),
        (b"\x93NUMPY\x01\x00", "cannot be read: "),
    ):
        path = tmp_path / "body.pkl"
        path.write_bytes(content)
        with pytest.raises(BodyModelError, match=message) as caught:
            load_body_model(path)
        assert str(caught.value).startswith(f"{path}: ")
    np.save(tmp_path / "body.npy", np.zeros(3))
    with pytest.raises(BodyModelError, match="holds one ndarray; expected a body model"):
        load_body_model(tmp_path / "body.npy")


def test_an_npz_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    arrays = body_arrays()
    arrays["J_regressor"] = np.array([{"sparse": 1}], dtype=object)
    path = write_npz(tmp_path / "body.npz", arrays)
    with pytest.raises(BodyModelError, match=r"cannot be read: Object arrays cannot be loaded"):
        load_body_model(path)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_damaged_npz_is_a_body_model_error(is_compressed: bool, tmp_path: Path) -> None:
    path = tmp_path / "body.npz"
    (np.savez_compressed if is_compressed else np.savez)(path, **body_arrays(3))  # type: ignore[arg-type]  # one of its keywords is a bool
    data = path.read_bytes()
    dice = np.random.default_rng(SEED)
    refused = 0
    for length in dice.integers(4, len(data), 50):
        path.write_bytes(data[:length])
        with pytest.raises(BodyModelError):
            load_body_model(path)
    for _ in range(300):
        changed_data = bytearray(data)
        changed_data[dice.integers(4, len(data))] = dice.integers(256)
        path.write_bytes(changed_data)
        try:
            load_body_model(path)
        except BodyModelError:
            refused += 1
    assert refused > 100


# Joint regressors.


@pytest.mark.parametrize("is_transposed", [False, True])
def test_joint_regressors_in_every_form(is_transposed: bool, tmp_path: Path) -> None:
    want = body_arrays()["cocoplus_regressor"]
    stored = want.T.copy() if is_transposed else want
    forms = {
        "python2.pkl": pb.whole(pb.array(stored)),
        "sparse.pkl": pb.whole(pb.sparse_matrix(stored)),
        "chumpy.pkl": pb.whole(pb.chumpy_array(stored)),
        "python3.pkl": pickle.dumps(stored),
        "named.pkl": pickle.dumps({"cocoplus_regressor": stored}),
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "a.npy", stored)
    np.savez(tmp_path / "a.npz", stored)
    for name in (*forms, "a.npy", "a.npz"):
        got = load_joint_regressor(tmp_path / name)
        assert got.dtype == np.float32, name
        assert got.flags.c_contiguous, name
        assert np.array_equal(got, want.astype(np.float32)), name


def test_a_regressor_of_as_many_vertices_as_joints_is_taken_as_it_is(tmp_path: Path) -> None:
    stored = np.arange(19 * 19.0).reshape(19, 19)
    np.save(tmp_path / "a.npy", stored)
    assert np.array_equal(load_joint_regressor(tmp_path / "a.npy"), stored)


def test_wrong_joint_regressors(tmp_path: Path) -> None:
    path = tmp_path / "regressor.pkl"
    for content, message in (
        (np.zeros((14, 61)), r"has shape \(14, 61\); expected \(19, any\)"),
        (np.zeros((19, 0)), r"has shape \(19, 0\); expected \(19, any\)"),
        (np.zeros(19), r"has shape \(19,\); expected \(19, any\)"),
        (np.full((61, 19), np.nan), "has 1159 numbers that are not finite"),
        ({"a": np.zeros((19, 61)), "b": 1}, "holds 2 entries; expected a single array"),
        ("text", "is a str; expected an array"),
        (None, "is a NoneType; expected an array"),
    ):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(BodyModelError, match=message) as caught:
            load_joint_regressor(path)
        assert str(caught.value).startswith(f"{path}: ")
    path.write_bytes(pb.whole(pb.call(pb.name("os.system"), pb.string("true"))))
    with pytest.raises(UnsafePickleError):
        load_joint_regressor(path)


def test_regressed_joints_are_weighted_sums(body: BodyModel) -> None:
    vertices, _ = body.forward(*random_shapes_and_poses(9))
    regressor = body.cocoplus_regressor
    assert regressor is not None
    sparse = regressor * (regressor > 0.02)
    for weights in (regressor, sparse, regressor[:1]):
        joints = regress_joints(weights, vertices)
        want = np.einsum("jv,tva->tja", weights.astype(np.float64), vertices.astype(np.float64))
        assert joints.dtype == np.float32
        np.testing.assert_allclose(joints, want, rtol=0, atol=1e-7)
        for t in range(9):
            alone = np.ascontiguousarray(vertices[t : t + 1])
            alone.setflags(write=False)
            assert np.array_equal(regress_joints(weights, alone)[0], joints[t])
        assert np.array_equal(regress_joints(weights, vertices[::-1]), joints[::-1])
    assert regress_joints(regressor, vertices[:0]).shape == (0, 19, 3)


def test_a_regressor_of_another_body_is_refused(body: BodyModel) -> None:
    assert body.cocoplus_regressor is not None
    with pytest.raises(BodyModelError, match="a body of 61 vertices, the mesh has 60"):
        regress_joints(body.cocoplus_regressor, np.zeros((2, 60, 3), np.float32))
