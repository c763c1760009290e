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
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

import safe_pickle
from errors import AnnotationError, BodyModelError, UnsafePickleError

JOINT_COUNT = 24
SHAPE_COUNT = 10
POSE_SIZE = 3 * JOINT_COUNT
POSE_FEATURE_COUNT = 9 * (JOINT_COUNT - 1)

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_FRAMES_AT_ONCE = 4
_TILE = 256  # columns whose blend shapes, 217 of float32, fit a core's cache together
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
        rotations = _rotations(np.array(pose, np.float64).reshape(frames, JOINT_COUNT, 3))
        rest = parts.joint_template + np.zeros((frames, 1, 1))
        for k in range(SHAPE_COUNT):
            rest += shape[:, k, None, None].astype(np.float64) * parts.joint_shapedirs[..., k]
        joints, transforms = _chain(rotations, rest, parts.parents)
        padded = -(-frames // _FRAMES_AT_ONCE) * _FRAMES_AT_ONCE
        coefficients = np.zeros((padded, _COEFFICIENT_COUNT), np.float32)
        coefficients[:frames, :SHAPE_COUNT] = shape
        features = (rotations[:, 1:] - np.eye(3)).reshape(frames, -1)
        coefficients[:frames, SHAPE_COUNT:-1] = features
        vertices = np.empty((frames, *self.v_template.shape), np.float32)
        _blend(parts.template, parts.directions, coefficients, vertices.reshape(frames, -1))
        _skin(parts.weight_starts, parts.weight_joints, parts.weights, transforms, vertices)
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
        vertex, joint = np.nonzero(self.weights)
        counts = np.bincount(vertex, minlength=len(self.weights))
        return _Parts(
            joint_template=regressor @ self.v_template.astype(np.float64),
            joint_shapedirs=np.einsum("jv,vak->jak", regressor, self.shapedirs),
            parents=np.array(self.parents),
            template=tiled[:, 0].copy(),
            directions=tiled[:, 1:].copy(),
            weight_starts=np.concatenate(([0], np.cumsum(counts))),
            weight_joints=joint,
            weights=self.weights[vertex, joint],
        )


class _Parts(NamedTuple):
    """What the kernels read, laid out in the order in which they read it."""

    joint_template: Float64  # (24, 3)
    joint_shapedirs: Float64  # (24, 3, 10)
    parents: npt.NDArray[np.int64]  # (24,)
    template: Float32  # (tiles, _TILE)
    directions: Float32  # (tiles, _COEFFICIENT_COUNT, _TILE): shape, pose, padding
    weight_starts: npt.NDArray[np.int64]  # (V + 1,) where each vertex's weights begin
    weight_joints: npt.NDArray[np.int64]  # (weights that are not zero,)
    weights: Float32  # likewise


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
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


def load_body_model(path: Path) -> BodyModel:
    """Reads a body model, `.npz` or `.pkl`.

    Raises:
        BodyModelError: the file cannot be read, or a key is missing, misshapen or not finite.
        UnsafePickleError: the pickle asks for more than plain data.
    """
    data = _read(path)
    template = _numbers(path, data, "v_template", (None, 3))
    count = len(template)
    weights = _numbers(path, data, "weights", (count, JOINT_COUNT))
    cocoplus = "cocoplus_regressor"
    return BodyModel(
        v_template=template,
        shapedirs=_numbers(path, data, "shapedirs", (count, 3, None))[..., :SHAPE_COUNT],
        posedirs=_numbers(path, data, "posedirs", (count, 3, POSE_FEATURE_COUNT)),
        J_regressor=_numbers(path, data, "J_regressor", (JOINT_COUNT, count)),
        weights=weights,
        parents=(-1, *(int(p) for p in np.asarray(data["kintree_table"])[0, 1:])),
        faces=np.asarray(data["f"]).astype(np.int32),
        cocoplus_regressor=_numbers(path, data, cocoplus, (19, count))
        if cocoplus in data
        else None,
    )


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise BodyModelError(f"{path}: cannot be read: {error}") from error
    try:
        return dict(safe_pickle.load(path))
    except UnsafePickleError:
        raise
    except AnnotationError as error:
        raise BodyModelError(str(error)) from error


def _numbers(
    path: Path, data: Mapping[str, Any], key: str, expected: tuple[int | None, ...]
) -> Float32:
    if key not in data:
        raise BodyModelError(f"{path}: `{key}` is missing")
    array = np.asarray(data[key])
    if array.ndim != len(expected) or any(
        n is not None and n != m for n, m in zip(expected, array.shape, strict=True)
    ):
        raise BodyModelError(f"{path}: `{key}` has shape {array.shape}; expected {expected}")
    return np.ascontiguousarray(array, np.float32)
