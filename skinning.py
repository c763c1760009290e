"""A clip's mesh as a body at rest, a skeleton that moves it, and what that alone leaves out.

    skin = fit_skin(model, clip.shape, clip.pose, vertices)
    skin.rest, skin.rotations, skin.morphs         # what glTF calls mesh, animation, morph targets
    skin.error                                     # metres, the greatest of all vertices and frames

SMPL corrects the body at rest for each pose, and for each shape, before its joints move it. Here
those corrections are whatever brings the skinned body onto the clip's own vertices, so neither a
shape that changes nor vertices from elsewhere are lost. Covered by tests/test_skinning.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from body_model import JOINT_COUNT, BodyModel
from morphs import Morphs, find_morphs

Array = npt.NDArray[Any]

INFLUENCES = 4
"""Joints that move a vertex; more than this many is what few programs read."""

# Where joints that a vertex hangs on are turned against each other by 180° some displacements
# have no effect; this keeps them small, at a cost below its root times half of what they were.
_DAMPING = 1e-7

_FRAMES_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class SkinnedClip:
    """A body and how it moves; T frames, V vertices, 24 joints.

    Vertex v of frame t lies at Σ weights[v, i] · G(t, j) · (rest[v] + correction[t, v]) with
    j = influences[v, i], where G(t, j) is the joint's place and turn in frame t, relative to
    `joints`: that of its parent, then `translations`, then `rotations`.

    Attributes:
        rest: (V, 3) float32, metres: the body at rest, with the mean of the clip's shapes.
        joints: (24, 3) float32, metres: its joints.
        influences: (V, 4) uint8, the joints that move a vertex.
        weights: (V, 4) float32, how much; each row sums to 1.
        rotations: (T, 24, 4) float32, unit quaternions (x, y, z, w), relative to the parent;
          neighbours in time lie on the same side.
        translations: (T, 24, 3) float32, metres, relative to the parent.
        morphs: the corrections.
        error: metres, how far a vertex is from the given one at most.
    """

    rest: Array
    joints: Array
    influences: Array
    weights: Array
    rotations: Array
    translations: Array
    morphs: Morphs
    error: float


def fit_skin(
    model: BodyModel, shape: Array, pose: Array, vertices: Array, tolerance: float
) -> SkinnedClip:
    """Finds the body at rest, its motion and its corrections.

    Args:
        model: the body's.
        shape: (T, 10) shape components.
        pose: (T, 72) axis-angle in radians, each joint's relative to its parent.
        vertices: (T, V, 3) metres, where the vertices are to be.
        tolerance: metres, what the corrections may leave.
    """
    rest = model.v_template + model.shapedirs @ shape.mean(0)
    joints_by_frame = _joints_at_rest(model, shape)
    influences, weights = _strongest(model.weights)
    skin = SkinnedClip(
        rest=rest.astype(np.float32),
        joints=joints_by_frame.mean(0).astype(np.float32),
        influences=influences,
        weights=weights,
        rotations=_quaternions(pose.reshape(-1, JOINT_COUNT, 3)).astype(np.float32),
        translations=_from_parents(joints_by_frame, model.parents).astype(np.float32),
        morphs=Morphs(np.zeros((1, *rest.shape), np.float32), np.ones((len(pose), 1), np.float32)),
        error=np.inf,
    )
    by_joint = _joint_transforms(skin, model.parents)
    corrections = np.empty(vertices.shape)
    for frames in _chunks(len(vertices)):
        turns, uncorrected = _posed(skin, by_joint[frames])
        corrections[frames] = _solved(turns, vertices[frames] - uncorrected)
    morphs = find_morphs(corrections, tolerance)
    error = 0.0
    for frames in _chunks(len(vertices)):
        turns, uncorrected = _posed(skin, by_joint[frames])
        posed = uncorrected + _turned(turns, morphs.displacements(frames))
        error = max(error, float(np.linalg.norm(posed - vertices[frames], axis=-1).max()))
    return dataclasses.replace(skin, morphs=morphs, error=error)


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + _FRAMES_AT_ONCE) for start in range(0, count, _FRAMES_AT_ONCE)]


def _joints_at_rest(model: BodyModel, shape: Array) -> Array:
    """(T, 24, 3) float64."""
    regressor = model.J_regressor.astype(np.float64)
    directions = np.einsum("jv,vak->jak", regressor, model.shapedirs)
    joints: Array = regressor @ model.v_template + np.einsum("jak,tk->tja", directions, shape)
    return joints


def _from_parents(joints: Array, parents: tuple[int, ...]) -> Array:
    offsets = joints.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            offsets[:, joint] -= joints[:, parent]
    return offsets


def _strongest(weights: Array) -> tuple[Array, Array]:
    """The joints that move each vertex most, and their shares; unused places name joint 0."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    strongest = np.take_along_axis(weights, joints, 1).clip(0.0)
    strongest = (strongest / strongest.sum(1, keepdims=True)).astype(np.float32)
    strongest[:, 0] = 1.0 - strongest[:, 1:].sum(1)
    return np.where(strongest > 0, joints, 0).astype(np.uint8), strongest


def _quaternions(pose: Array) -> Array:
    """Axis-angle (T, J, 3) to unit quaternions (T, J, 4), (x, y, z, w)."""
    pose = pose.astype(np.float64)
    half = np.linalg.norm(pose, axis=-1, keepdims=True) / 2
    turned = np.concatenate([pose * np.sinc(half / np.pi) / 2, np.cos(half)], -1)
    with_last = np.einsum("tja,tja->tj", turned[1:], turned[:-1])
    turned[1:] *= np.cumprod(np.where(with_last < 0, -1.0, 1.0), axis=0)[..., None]
    return turned


def _matrices(quaternions: Array) -> Array:
    """(..., 4) to (..., 3, 3)."""
    x, y, z, w = np.moveaxis(quaternions.astype(np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def _joint_transforms(skin: SkinnedClip, parents: tuple[int, ...]) -> Array:
    """(T, 24, 12) float64: the rows of what takes a point at rest to where each joint moves it."""
    turns = _matrices(skin.rotations)
    places = skin.translations.astype(np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            places[:, joint] = places[:, parent] + _turned(turns[:, parent], places[:, joint])
            turns[:, joint] = turns[:, parent] @ turns[:, joint]
    shifts = places - _turned(turns, skin.joints)
    return np.concatenate([turns, shifts[..., None]], -1).reshape(len(turns), JOINT_COUNT, 12)


def _posed(skin: SkinnedClip, by_joint: Array) -> tuple[Array, Array]:
    """How each vertex is turned, (T, V, 3, 3), and where it comes to lie uncorrected, (T, V, 3)."""
    weights = np.zeros((len(skin.rest), JOINT_COUNT))
    for i in range(INFLUENCES):
        weights[np.arange(len(weights)), skin.influences[:, i]] += skin.weights[:, i]
    blended = (weights @ by_joint).reshape(len(by_joint), -1, 3, 4)
    turns = blended[..., :3]
    return turns, _turned(turns, skin.rest) + blended[..., 3]


def _turned(turns: Array, points: Array) -> Array:
    turned: Array = (turns @ points[..., None])[..., 0]
    return turned


def _solved(turns: Array, displacements: Array) -> Array:
    """What to add before turning so that `displacements` result, by damped least squares."""
    transposed = turns.swapaxes(-1, -2)
    squared = transposed @ turns + _DAMPING * np.eye(3)
    solved: Array = np.linalg.solve(squared, _turned(transposed, displacements)[..., None])[..., 0]
    return solved
