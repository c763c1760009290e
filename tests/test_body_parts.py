"""Parts of the body, held against the sample's own skinning weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scenes import mesh_of, part_of, sample_scene

from body_parts import PARTS, parts_from_joints, parts_from_weights
from errors import AnnotationError
from keypoints import JOINT_NAMES

Array = npt.NDArray[Any]

HAND, WRIST = PARTS.index("left_hand"), JOINT_NAMES.index("left_wrist")

# Where two parts meet is a matter of definition; which parts meet is not.
NEIGHBOURS = {
    frozenset(pair)
    for side in ("left", "right")
    for pair in (
        ("head", "torso"),
        ("torso", f"{side}_upper_arm"),
        (f"{side}_upper_arm", f"{side}_forearm"),
        (f"{side}_forearm", f"{side}_hand"),
        ("torso", f"{side}_thigh"),
        (f"{side}_thigh", f"{side}_shin"),
        (f"{side}_shin", f"{side}_foot"),
    )
}


def from_weights() -> Array:
    model = sample_scene().body.model
    assert model is not None
    return parts_from_weights(model.weights)


def from_joints(rows: slice = slice(None)) -> Array:
    scene = part_of(sample_scene(), rows)
    return parts_from_joints(mesh_of(scene)[0], scene.annotations.joints_3d[:, :19])


def test_parts_are_those_of_the_joint_with_the_greatest_weight() -> None:
    weights = np.full((4, 24), 0.01)
    weights[range(4), [0, 15, 18, 11]] = 0.77
    expected = ["torso", "head", "left_forearm", "right_foot"]
    assert [PARTS[part] for part in parts_from_weights(weights)] == expected


def test_every_part_is_found() -> None:
    assert set(from_weights()) == set(from_joints()) == set(range(len(PARTS)))


@pytest.mark.parametrize("rows", [slice(0, 1), slice(20, 21), slice(None)], ids=str)
def test_joints_give_the_parts_that_weights_give(rows: slice) -> None:
    """But for where two parts meet."""
    derived, given = from_joints(rows), from_weights()
    assert (derived == given).mean() > 0.85
    differs = derived != given
    pairs = {
        frozenset((PARTS[a], PARTS[b]))
        for a, b in zip(derived[differs], given[differs], strict=True)
    }
    assert pairs <= NEIGHBOURS


def test_left_is_the_left_of_the_joints() -> None:
    scene = sample_scene()
    names = [name.replace("left_", "right_*").replace("right_", "left_") for name in JOINT_NAMES]
    swapped = [JOINT_NAMES.index(name.replace("left_*", "right_")) for name in names]
    joints = scene.annotations.joints_3d[:, :19]
    parts = parts_from_joints(mesh_of(scene)[0], joints[:, swapped])
    sides = {part: name.partition("_")[0] for part, name in enumerate(PARTS)}
    opposite = {"left": "right", "right": "left"}
    given = from_joints()
    assert all(
        sides[part] == opposite.get(sides[before], sides[before])
        for part, before in zip(parts.tolist(), given.tolist(), strict=True)
    )


def test_what_touches_in_one_frame_is_told_apart_by_others() -> None:
    """The left hand lies on the right forearm in the first of five frames."""
    scene = part_of(sample_scene(), slice(0, 50, 10))
    vertices, joints = mesh_of(scene)[0].copy(), scene.annotations.joints_3d[:, :19].copy()
    hand = from_weights() == HAND
    forearm = [JOINT_NAMES.index(f"right_{name}") for name in ("elbow", "wrist")]
    onto = joints[0, forearm].mean(0) - joints[0, WRIST]
    vertices[0, hand] += onto.astype(np.float32)
    joints[0, WRIST] += onto
    mistaken = parts_from_joints(vertices[:1], joints[:1])[hand] == PARTS.index("right_forearm")
    assert mistaken.any()
    assert (parts_from_joints(vertices, joints)[hand] == HAND).all()


def test_frames_with_unknown_joints_are_passed_over() -> None:
    scene = part_of(sample_scene(), slice(0, 5))
    joints = scene.annotations.joints_3d[:, :19].copy()
    joints[[0, 2, 4], WRIST, 1] = np.nan
    joints[:, JOINT_NAMES.index("left_ear")] = np.nan  # of the face nothing is needed
    vertices = mesh_of(scene)[0]
    known = [1, 3]
    np.testing.assert_array_equal(
        parts_from_joints(vertices, joints), parts_from_joints(vertices[known], joints[known])
    )


def test_no_frame_with_all_limbs() -> None:
    scene = part_of(sample_scene(), slice(0, 2))
    joints = scene.annotations.joints_3d[:, :19].copy()
    joints[0, WRIST], joints[1, JOINT_NAMES.index("neck")] = np.nan, np.inf
    with pytest.raises(AnnotationError, match=r"no frame in which all limbs.*--smpl_model"):
        parts_from_joints(mesh_of(scene)[0], joints)


def test_joints_of_another_body() -> None:
    scene = part_of(sample_scene(), slice(0, 2))
    joints = 1000 * scene.annotations.joints_3d[:, :19]  # millimetres
    with pytest.raises(AnnotationError, match=r"m outside `vertices`.*--smpl_model"):
        parts_from_joints(mesh_of(scene)[0], joints)
