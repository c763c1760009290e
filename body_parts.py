"""Which part of the body each vertex of a mesh belongs to.

    parts = parts_from_weights(model.weights)            # (V,) rows of PARTS
    parts = parts_from_joints(vertices, joints)          # without a body model

Covered by tests/test_body_parts.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from errors import AnnotationError
from keypoints import JOINT_NAMES

Array = npt.NDArray[Any]

_LIMBS = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
PARTS = ("head", "torso", *(f"{side}_{limb}" for side in ("left", "right") for limb in _LIMBS))
"""Left and right are the person's own; the neck is part of the head."""

_SMPL_PARTS = (
    *("torso", "left_thigh", "right_thigh", "torso", "left_shin", "right_shin", "torso"),
    *("left_foot", "right_foot", "torso", "left_foot", "right_foot", "head", "torso", "torso"),
    *("head", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm"),
    *("left_hand", "right_hand", "left_hand", "right_hand"),
)
"""The part that each of SMPL's 24 joints moves."""

_BONES = {
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
}
_ENDS = {"forearm": "hand", "shin": "foot"}
_TORSO_LINES = 7  # from shoulders to hips, side by side
_BESIDE = 0.25  # of their length: forearm and shin are nowhere that thick
_FRAMES = 12  # more tell little more of where limbs are
_REACH_M = 0.3  # joints may stand out of the mesh, as the head's top does, but not that far

_NEEDED = [
    JOINT_NAMES.index(name)
    for name in JOINT_NAMES
    if not name.endswith(("eye", "ear")) and name != "nose"
]


def parts_from_weights(weights: Array) -> Array:
    """(V,) int rows of `PARTS`: that of the joint with the greatest skinning weight.

    Args:
        weights: (V, 24), as of `BodyModel.weights`.
    """
    rows = np.array([PARTS.index(name) for name in _SMPL_PARTS])
    parts: Array = rows[weights.argmax(axis=1)]
    return parts


def parts_from_joints(vertices: Array, joints: Array) -> Array:
    """(V,) int rows of `PARTS`: the part whose bone is nearest, on the mean over frames.

    What touches in one frame parts in another, so any frames in which the person moves tell limbs
    apart. The torso's "bones" are lines from the shoulders to the hips. Hand and foot begin where
    forearm and shin end, and hold what is too far beside these to be of them.

    Args:
        vertices: (N, V, 3) metres.
        joints: (N, 19, 3) in the same axes; frames in which one of the neck, the head's top,
          shoulders, elbows, wrists, hips, knees and ankles is not finite are passed over.

    Raises:
        AnnotationError: no frame has these joints, or they lie outside the mesh.
    """
    known = np.flatnonzero(np.isfinite(joints[:, _NEEDED]).all((1, 2)))
    if not len(known):
        raise AnnotationError(
            "`3d_keypoints` has no frame in which all limbs are known; colours by body part need "
            "one, or a body model: give one with --smpl_model"
        )
    rows = known[np.linspace(0, len(known) - 1, min(len(known), _FRAMES)).astype(int)]
    _check_reach(vertices[rows], joints[rows][:, _NEEDED])
    distances: dict[str, Array] = {}
    ends: dict[str, Array] = {}
    for row in rows:
        for part, lines in _bones(joints[row].astype(np.float64)).items():
            distance, is_past = _from_lines(vertices[row], lines)
            distances[part] = distances.get(part, 0.0) + distance
            ends[part] = ends.get(part, 0.0) + (is_past | (distance > _BESIDE * _length(lines)))
    rows_of_parts = np.array([PARTS.index(name) for name in distances])
    parts: Array = rows_of_parts[np.argmin(list(distances.values()), axis=0)]
    for side in ("left", "right"):
        for limb, end in _ENDS.items():
            bone = PARTS.index(f"{side}_{limb}")
            is_end = ends[f"{side}_{limb}"] > 0.5 * len(rows)
            parts[(parts == bone) & is_end] = PARTS.index(f"{side}_{end}")
    return parts


def _bones(joints: Array) -> dict[str, Array]:
    """For each part that has any, the lines through its middle: (L, 2, 3), from end to end."""
    place = dict(zip(JOINT_NAMES, joints, strict=True))
    share = np.linspace(0, 1, _TORSO_LINES)[:, None]
    top, bottom = (
        (1 - share) * place[f"left_{joint}"] + share * place[f"right_{joint}"]
        for joint in ("shoulder", "hip")
    )
    top[_TORSO_LINES // 2] = place["neck"]
    bones = {
        "head": np.array([[place["neck"], place["head_top"]]]),
        "torso": np.stack([top, bottom], 1),
    }
    for side in ("left", "right"):
        for limb, (first, last) in _BONES.items():
            ends = place[f"{side}_{first}"], place[f"{side}_{last}"]
            bones[f"{side}_{limb}"] = np.array([ends])
    return bones


def _from_lines(points: Array, lines: Array) -> tuple[Array, Array]:
    """(V,) distance from the nearest of these lines, and whether the point lies past its end."""
    starts, along = lines[:, 0], lines[:, 1] - lines[:, 0]
    offsets = points[:, None] - starts
    shares = (offsets * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    nearest = offsets - np.clip(shares, 0, 1)[..., None] * along
    distances = np.linalg.norm(nearest, axis=-1)
    return distances.min(1), shares[:, -1] > 1


def _length(lines: Array) -> float:
    return float(np.linalg.norm(lines[0, 1] - lines[0, 0]))


def _check_reach(vertices: Array, joints: Array) -> None:
    below = vertices.min(1)[:, None] - joints
    above = joints - vertices.max(1)[:, None]
    reach = float(np.median(np.maximum(below, above).max((1, 2))))
    if reach > _REACH_M:
        raise AnnotationError(
            f"`3d_keypoints` lie up to {reach:.2f} m outside `vertices`; colours by body part need "
            "joints that lie in the mesh, or a body model: give one with --smpl_model"
        )
