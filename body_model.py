"""SMPL: a person's shape and pose become the vertices and joints of a mesh.

    body = load_body_model(Path("neutral_smpl_with_cocoplus_reg.pkl"))
    vertices, joints = body.forward(clip.smpl_shape, clip.smpl_pose)   # (T, V, 3), (T, 24, 3)

The model and its notation are those of Loper et al., "SMPL: A Skinned Multi-Person Linear Model"
(SIGGRAPH Asia 2015). A frame's numbers are the same bit for bit whichever frames are computed
with it: every sum below runs in one fixed order, which no BLAS promises.
Covered by tests/test_body_model.py.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from errors import BodyModelError
from kernels import kernel
from model_files import Array, read_array, read_arrays

JOINT_COUNT = 24
SHAPE_COUNT = 10
POSE_SIZE = 3 * JOINT_COUNT
POSE_FEATURE_COUNT = 9 * (JOINT_COUNT - 1)
COCOPLUS_COUNT = 19
JOINT_NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar"),
    *("right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "left_hand", "right_hand"),
)
"""SMPL's 24 joints, in order; left and right are the person's own."""

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_FRAMES_AT_ONCE = 4
_TILE = 256  # columns whose blend shapes, 217 of float32, fit a core's cache together
_WEIGHT_TOLERANCE = 1e-3
_COEFFICIENT_COUNT = SHAPE_COUNT + POSE_FEATURE_COUNT + 1  # one of padding: they go in pairs


@dataclasses.dataclass(frozen=True, eq=False)
class BodyModel:
    """An SMPL body: V vertices in metres, 24 joints, 10 shape components.

    Attributes:
        v_template: (V, 3) float32, the mean body at rest.
        shapedirs: (V, 3, 10) float32, displacement per unit of each shape component.
        posedirs: (V, 3, 207) float32, displacement per unit of each element of the 23 relative
          rotation matrices less the identity, row by row.
        J_regressor: (24, V) float32, the joints at rest from the vertices at rest.
        weights: (V, 24) float32, skinning weights; each row sums to 1.
        parents: the parent of each of the 24 joints, before it in the order; -1 for the root.
        faces: (F, 3) int32, vertex indices of the triangles.
        cocoplus_regressor: (19, V) float32, or None where the file has none.
    """

    v_template: Float32
    shapedirs: Float32
    posedirs: Float32
    J_regressor: Float32
    weights: Float32
    parents: tuple[int, ...]
    faces: npt.NDArray[np.int32]
    cocoplus_regressor: Float32 | None = None

    def forward(
        self, shape: npt.NDArray[np.floating[Any]], pose: npt.NDArray[np.floating[Any]]
    ) -> tuple[Float32, Float32]:
        """Poses the body in each of T frames.

        The blend shapes are read once for all frames, so a whole clip at once costs a fraction of
        its frames one by one; beyond the result it takes next to no memory. A caller who wants
        less may cut a clip anywhere: the numbers stay the same.

        Args:
            shape: (T, 10) shape components, dimensionless.
            pose: (T, 72) axis-angle rotations in radians, each joint's relative to its parent;
              the first three numbers are the global orientation.

        Returns:
            (T, V, 3) vertices and (T, 24, 3) joints, float32, metres, in the body's own axes
            turned by the global orientation, which acts about the root joint.
        """
        frames = len(shape)
        if shape.shape != (frames, SHAPE_COUNT) or pose.shape != (frames, POSE_SIZE):
            raise ValueError(
                f"shape {shape.shape} and pose {pose.shape}; "
                f"expected (T, {SHAPE_COUNT}) and (T, {POSE_SIZE})"
            )
        parts = self._parts
        rotations = _rotations(np.array(pose, np.float64, order="C").reshape(-1, JOINT_COUNT, 3))
        rest = parts.joint_template + np.zeros((frames, 1, 1))
        for k in range(SHAPE_COUNT):
            rest += shape[:, k, None, None].astype(np.float64) * parts.joint_shapedirs[..., k]
        joints, transforms = _chain(rotations, rest, parts.parents)
        padded = -(-frames // _FRAMES_AT_ONCE) * _FRAMES_AT_ONCE
        coefficients = np.zeros((padded, _COEFFICIENT_COUNT), np.float32)
        coefficients[:frames, :SHAPE_COUNT] = shape
        features = (rotations[:, 1:] - np.eye(3)).reshape(-1, POSE_FEATURE_COUNT)
        coefficients[:frames, SHAPE_COUNT:-1] = features
        vertices = np.empty((frames, *self.v_template.shape), np.float32)
        _blend(
            parts.template,
            parts.directions,
            coefficients,
            vertices.reshape(-1, self.v_template.size),
        )
        _skin(*parts.weights, transforms, vertices)
        return vertices, joints

    @functools.cached_property
    def _parts(self) -> _Parts:
        regressor = self.J_regressor.astype(np.float64)
        size = self.v_template.size
        tiles = -(-size // _TILE)
        padded = np.zeros((1 + _COEFFICIENT_COUNT, tiles * _TILE), np.float32)
        padded[0, :size] = self.v_template.ravel()
        padded[1 : 1 + SHAPE_COUNT, :size] = self.shapedirs.reshape(size, SHAPE_COUNT).T
        padded[1 + SHAPE_COUNT : -1, :size] = self.posedirs.reshape(size, POSE_FEATURE_COUNT).T
        tiled = padded.reshape(-1, tiles, _TILE).transpose(1, 0, 2)
        return _Parts(
            joint_template=regressor @ self.v_template.astype(np.float64),
            joint_shapedirs=np.einsum("jv,vak->jak", regressor, self.shapedirs),
            parents=np.array(self.parents),
            template=tiled[:, 0].copy(),
            directions=tiled[:, 1:].copy(),
            weights=_nonzero_by_row(self.weights),
        )


class _Parts(NamedTuple):
    """What the kernels read, laid out in the order in which they read it."""

    joint_template: Float64  # (24, 3)
    joint_shapedirs: Float64  # (24, 3, 10)
    parents: npt.NDArray[np.int64]  # (24,)
    template: Float32  # (tiles, _TILE)
    directions: Float32  # (tiles, _COEFFICIENT_COUNT, _TILE): shape, pose, padding
    weights: _Rows


class _Rows(NamedTuple):
    """What is not zero in a matrix, row after row."""

    starts: npt.NDArray[np.int64]  # (rows + 1,)
    columns: npt.NDArray[np.int64]
    values: Float32


def _nonzero_by_row(matrix: Float32) -> _Rows:
    row, column = np.nonzero(matrix)
    counts = np.bincount(row, minlength=len(matrix))
    return _Rows(np.concatenate(([0], np.cumsum(counts))), column, matrix[row, column])


@kernel
def _rotations(pose: Float64) -> Float64:
    """Axis-angle (T, 24, 3) to matrices (T, 24, 3, 3).

    Rodrigues' formula; the half angle keeps it exact near 0, where 1 - cos would cancel.
    """
    matrices = np.empty((*pose.shape, 3))
    for t in range(pose.shape[0]):
        for j in range(pose.shape[1]):
            x, y, z = pose[t, j]
            angle = np.sqrt(x * x + y * y + z * z)
            a, b = 1.0, 0.5  # sin(angle) / angle and (1 - cos(angle)) / angle²
            if angle > 0.0:
                a = np.sin(angle) / angle
                b = 0.5 * (np.sin(0.5 * angle) / (0.5 * angle)) ** 2
            out = matrices[t, j]
            out[0, 0] = 1.0 - b * (y * y + z * z)
            out[0, 1] = b * x * y - a * z
            out[0, 2] = b * x * z + a * y
            out[1, 0] = b * x * y + a * z
            out[1, 1] = 1.0 - b * (x * x + z * z)
            out[1, 2] = b * y * z - a * x
            out[2, 0] = b * x * z - a * y
            out[2, 1] = b * y * z + a * x
            out[2, 2] = 1.0 - b * (x * x + y * y)
    return matrices


@kernel
def _chain(
    rotations: Float64, rest: Float64, parents: npt.NDArray[np.int64]
) -> tuple[Float32, Float32]:
    """Follows the kinematic tree.

    Args:
        rotations: (T, 24, 3, 3), each joint's relative to its parent.
        rest: (T, 24, 3), the joints at rest.
        parents: (24,), each before its children; -1 for the root.

    Returns:
        (T, 24, 3) joints, and (T, 24, 12), for each joint the rows of the 3 × 4 transform that
        takes a point at rest to where that joint alone would move it.
    """
    joints = np.empty(rest.shape, np.float32)
    transforms = np.empty((*rest.shape[:2], 12), np.float32)
    turn = np.empty((rest.shape[1], 3, 3))
    place = np.empty((rest.shape[1], 3))
    for t in range(rest.shape[0]):
        for j in range(rest.shape[1]):
            p = parents[j]
            for a in range(3):
                place[j, a] = rest[t, j, a] if p < 0 else place[p, a]
                for b in range(3):
                    turn[j, a, b] = rotations[t, j, a, b] if p < 0 else 0.0
                    if p >= 0:
                        place[j, a] += turn[p, a, b] * (rest[t, j, b] - rest[t, p, b])
                        for c in range(3):
                            turn[j, a, b] += turn[p, a, c] * rotations[t, j, c, b]
            for a in range(3):
                joints[t, j, a] = place[j, a]
                shift = place[j, a]
                for b in range(3):
                    transforms[t, j, 4 * a + b] = turn[j, a, b]
                    shift -= turn[j, a, b] * rest[t, j, b]
                transforms[t, j, 4 * a + 3] = shift
    return joints, transforms


@kernel
def _blend(template: Float32, directions: Float32, coefficients: Float32, out: Float32) -> None:
    """Sums template and blend shapes into `out` (T, 3 V), in the order of the coefficients.

    A tile of blend shapes is read from memory once, and from the cache for all frames; four
    frames share each reading. The vectors run along columns, so no sum depends on its neighbours.
    """
    tiles, count, width = directions.shape
    frames, size = out.shape
    sums = np.empty((4, width), np.float32)
    a, b, c, d = sums[0], sums[1], sums[2], sums[3]
    for tile in range(tiles):
        start = tile * width
        used = min(width, size - start)
        for t in range(0, frames, 4):
            for i in range(4):
                sums[i] = template[tile]
            for k in range(0, count, 2):
                p, q = directions[tile, k], directions[tile, k + 1]
                ap, aq = coefficients[t, k], coefficients[t, k + 1]
                bp, bq = coefficients[t + 1, k], coefficients[t + 1, k + 1]
                cp, cq = coefficients[t + 2, k], coefficients[t + 2, k + 1]
                dp, dq = coefficients[t + 3, k], coefficients[t + 3, k + 1]
                for j in range(width):
                    x, y = p[j], q[j]
                    a[j] = (a[j] + ap * x) + aq * y
                    b[j] = (b[j] + bp * x) + bq * y
                    c[j] = (c[j] + cp * x) + cq * y
                    d[j] = (d[j] + dp * x) + dq * y
            for i in range(min(4, frames - t)):
                out[t + i, start : start + used] = sums[i, :used]


@kernel
def _skin(
    starts: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    weights: Float32,
    transforms: Float32,
    vertices: Float32,
) -> None:
    """Moves `vertices` (T, V, 3), in place, by the weighted mean of their joints' transforms."""
    zero = np.float32(0)
    for t in range(vertices.shape[0]):
        g = transforms[t]
        out = vertices[t]
        for v in range(vertices.shape[1]):
            xx, xy, xz, xt = zero, zero, zero, zero
            yx, yy, yz, yt = zero, zero, zero, zero
            zx, zy, zz, zt = zero, zero, zero, zero
            for i in range(starts[v], starts[v + 1]):
                j, w = joints[i], weights[i]
                xx, xy, xz = xx + w * g[j, 0], xy + w * g[j, 1], xz + w * g[j, 2]
                yx, yy, yz = yx + w * g[j, 4], yy + w * g[j, 5], yz + w * g[j, 6]
                zx, zy, zz = zx + w * g[j, 8], zy + w * g[j, 9], zz + w * g[j, 10]
                xt, yt, zt = xt + w * g[j, 3], yt + w * g[j, 7], zt + w * g[j, 11]
            x, y, z = out[v, 0], out[v, 1], out[v, 2]
            out[v, 0] = xx * x + xy * y + xz * z + xt
            out[v, 1] = yx * x + yy * y + yz * z + yt
            out[v, 2] = zx * x + zy * y + zz * z + zt


@kernel
def _regress(
    starts: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    weights: Float32,
    vertices: Float32,
    joints: Float32,
) -> None:
    """Fills `joints` (T, J, 3) with weighted sums of `vertices` (T, V, 3)."""
    for t in range(joints.shape[0]):
        for j in range(joints.shape[1]):
            x, y, z = 0.0, 0.0, 0.0
            for i in range(starts[j], starts[j + 1]):
                v, w = columns[i], np.float64(weights[i])
                x += w * vertices[t, v, 0]
                y += w * vertices[t, v, 1]
                z += w * vertices[t, v, 2]
            joints[t, j, 0], joints[t, j, 1], joints[t, j, 2] = x, y, z


def load_body_model(path: Path) -> BodyModel:
    """Reads a body model.

    Args:
        path: HMR's `neutral_smpl_with_cocoplus_reg.pkl`, SMPL 1.0 or 1.1's `.pkl`, or an `.npz`
          of the same keys: `v_template`, `shapedirs`, `posedirs`, `J_regressor`, `weights`,
          `kintree_table`, `f` and, where there is one, `cocoplus_regressor`. Of more than ten
          shape components the first ten are kept: the dataset's shapes have ten.

    Raises:
        BodyModelError: the file cannot be read, or a key is missing, misshapen or not finite.
        UnsafePickleError: the pickle asks for more than plain data, chumpy and scipy matrices.
    """
    arrays = read_arrays(path, _KEYS)
    template = _numbers(path, arrays, "v_template", (None, 3))
    count = len(template)
    cocoplus = arrays.get("cocoplus_regressor")
    return BodyModel(
        v_template=template,
        shapedirs=_shapedirs(path, arrays, count),
        posedirs=_numbers(path, arrays, "posedirs", (count, 3, POSE_FEATURE_COUNT)),
        J_regressor=_numbers(path, arrays, "J_regressor", (JOINT_COUNT, count)),
        weights=_weights(path, arrays, count),
        parents=_parents(path, arrays),
        faces=_faces(path, arrays, count),
        cocoplus_regressor=(
            None if cocoplus is None else _regressor(path, "cocoplus_regressor", cocoplus, count)
        ),
    )


def load_joint_regressor(path: Path) -> Float32:
    """Reads a joint regressor, such as the dataset's `custom_joint_regressor.pkl`.

    Args:
        path: a `.pkl`, `.npy` or `.npz` with a single array or scipy sparse matrix, (V, 19) or
          (19, V).

    Returns:
        (19, V) float32: each cocoplus joint as a weighted sum of the vertices.

    Raises:
        BodyModelError: the file cannot be read, or holds something else.
        UnsafePickleError: the pickle asks for more than plain data, chumpy and scipy matrices.
    """
    return _regressor(path, "the joint regressor", read_array(path), None)


def regress_joints(regressor: Float32, vertices: npt.NDArray[np.floating[Any]]) -> Float32:
    """The joints of posed bodies, each frame the same bit for bit whatever it comes with.

    Args:
        regressor: (J, V), from `load_joint_regressor` or `BodyModel.cocoplus_regressor`.
        vertices: (T, V, 3), any unit and axes.

    Returns:
        (T, J, 3) float32, in the unit and axes of the vertices.

    Raises:
        BodyModelError: the regressor and the vertices are not of the same body.
    """
    if vertices.shape[1] != regressor.shape[1]:
        raise BodyModelError(
            f"the joint regressor is for a body of {regressor.shape[1]} vertices, the mesh has "
            f"{vertices.shape[1]}: give the regressor that belongs to this body"
        )
    joints = np.empty((len(vertices), len(regressor), 3), np.float32)
    _regress(*_nonzero_by_row(regressor), np.array(vertices, np.float32, order="C"), joints)
    return joints


_KEYS = (
    *("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f"),
    "cocoplus_regressor",
)
_REMEDY = "give a whole SMPL model; SMPL+H, SMPL-X and MANO are other bodies"


def _given(path: Path, arrays: Mapping[str, Array], key: str) -> Array:
    if key not in arrays:
        raise BodyModelError(f"{path}: `{key}` is missing: {_REMEDY}")
    return arrays[key]


def _numbers(
    path: Path, arrays: Mapping[str, Array], key: str, expected: tuple[int | None, ...]
) -> Float32:
    return _checked_numbers(path, key, _given(path, arrays, key), expected)


def _checked_numbers(
    path: Path, key: str, array: Array, expected: tuple[int | None, ...]
) -> Float32:
    """As float32; None in the expected shape is any length from 1."""
    _check_shape(path, key, array, expected)
    if array.dtype.kind not in "fiu":
        raise BodyModelError(
            f"{path}: `{key}` has dtype {array.dtype}; expected numbers: {_REMEDY}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.ascontiguousarray(array, np.float32)
    broken = numbers.size - np.count_nonzero(np.isfinite(numbers))
    if broken:
        raise BodyModelError(
            f"{path}: `{key}` has {broken} numbers that are not finite; expected none: {_REMEDY}"
        )
    return numbers


def _check_shape(path: Path, key: str, array: Array, expected: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(expected) and all(
        length == wanted or (wanted is None and length > 0)
        for length, wanted in zip(array.shape, expected, strict=True)
    )
    if not fits:
        shown = ", ".join("any" if wanted is None else str(wanted) for wanted in expected)
        raise BodyModelError(
            f"{path}: `{key}` has shape {array.shape}; expected ({shown}): {_REMEDY}"
        )


def _shapedirs(path: Path, arrays: Mapping[str, Array], count: int) -> Float32:
    key = "shapedirs"
    array = _given(path, arrays, key)
    if array.ndim == 3 and array.shape[2] < SHAPE_COUNT:
        raise BodyModelError(
            f"{path}: `{key}` has {array.shape[2]} shape components; expected at least "
            f"{SHAPE_COUNT}: {_REMEDY}"
        )
    return _checked_numbers(path, key, array[..., :SHAPE_COUNT], (count, 3, SHAPE_COUNT))


def _weights(path: Path, arrays: Mapping[str, Array], count: int) -> Float32:
    weights = _numbers(path, arrays, "weights", (count, JOINT_COUNT))
    sums = weights.sum(axis=1, dtype=np.float64)
    if not np.allclose(sums, 1.0, rtol=0.0, atol=_WEIGHT_TOLERANCE):
        raise BodyModelError(
            f"{path}: `weights` has rows that sum to {sums.min():.4g}…{sums.max():.4g}; "
            f"expected 1: {_REMEDY}"
        )
    return weights


def _parents(path: Path, arrays: Mapping[str, Array]) -> tuple[int, ...]:
    table = _integers(
        path, "kintree_table", _given(path, arrays, "kintree_table"), (2, JOINT_COUNT)
    )
    parents, joints = table.tolist()
    if joints != list(range(JOINT_COUNT)):
        raise BodyModelError(
            f"{path}: `kintree_table` lists the joints {joints}; expected 0…{JOINT_COUNT - 1} in "
            f"order: {_REMEDY}"
        )
    for joint, parent in enumerate(parents[1:], 1):
        if not 0 <= parent < joint:
            raise BodyModelError(
                f"{path}: `kintree_table` gives joint {joint} the parent {parent}; expected one of "
                f"the joints before it, 0…{joint - 1}: {_REMEDY}"
            )
    return (-1, *parents[1:])  # files write the root's as -1 in whichever unsigned type


def _faces(path: Path, arrays: Mapping[str, Array], count: int) -> npt.NDArray[np.int32]:
    faces = _integers(path, "f", _given(path, arrays, "f"), (None, 3))
    if faces.min() < 0 or faces.max() >= count:
        raise BodyModelError(
            f"{path}: `f` has vertex indices {faces.min()}…{faces.max()}; expected 0…{count - 1}, "
            f"as `v_template` has {count} vertices: {_REMEDY}"
        )
    return np.ascontiguousarray(faces, np.int32)


def _integers(path: Path, key: str, array: Array, expected: tuple[int | None, ...]) -> Array:
    _check_shape(path, key, array, expected)
    if array.dtype.kind not in "iu":
        raise BodyModelError(
            f"{path}: `{key}` has dtype {array.dtype}; expected integers: {_REMEDY}"
        )
    return array


def _regressor(path: Path, key: str, array: Array, count: int | None) -> Float32:
    if array.ndim == 2 and array.shape[1] == COCOPLUS_COUNT != array.shape[0]:
        array = array.T
    return _checked_numbers(path, key, array, (COCOPLUS_COUNT, count))
