from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scenes import MODEL, sample_scene

from body_model import BodyModel, load_body_model
from skinning import INFLUENCES, fit_skin

Array = npt.NDArray[Any]
SEED = 24
TOLERANCE = 8e-5
LIMIT = 1e-4


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_body_model(MODEL)


def some_frames(count: int) -> tuple[Array, Array]:
    annotations = sample_scene().annotations
    return annotations.shape[:count].copy(), annotations.pose[:count].copy()


def test_the_models_own_vertices(model: BodyModel) -> None:
    shape, pose = some_frames(20)
    skin = fit_skin(model, shape, pose, model.forward(shape, pose)[0], TOLERANCE)
    assert 0 < skin.error <= LIMIT
    assert skin.rest == pytest.approx(model.forward(shape[:1], np.zeros((1, 72)))[0][0], abs=1e-6)
    assert len(skin.morphs.targets) < 20
    assert np.abs(skin.morphs.targets).max() < 0.1  # corrections, not bodies


def test_without_morphs_the_skeleton_alone_is_not_enough(model: BodyModel) -> None:
    shape, pose = some_frames(20)
    skin = fit_skin(model, shape, pose, model.forward(shape, pose)[0], tolerance=1.0)
    assert len(skin.morphs.targets) == 1
    assert skin.error > 10 * LIMIT


def test_a_shape_that_changes(model: BodyModel) -> None:
    shape, pose = some_frames(12)
    shape += np.random.default_rng(SEED).normal(0, 0.5, shape.shape).astype(np.float32)
    vertices, joints = model.forward(shape, pose)
    skin = fit_skin(model, shape, pose, vertices, TOLERANCE)
    assert skin.error <= LIMIT
    assert np.ptp(skin.translations, axis=0).max() > 1e-3
    assert skin.translations[:, 0] == pytest.approx(joints[:, 0], abs=1e-6)


def test_vertices_that_are_not_quite_the_models(model: BodyModel) -> None:
    shape, pose = some_frames(12)
    vertices = model.forward(shape, pose)[0]
    moved = vertices + np.random.default_rng(SEED).normal((0, 0.1, 0.3), 0.01, vertices.shape)
    skin = fit_skin(model, shape, pose, moved, TOLERANCE)
    assert skin.error <= LIMIT


def test_more_joints_than_programs_read(model: BodyModel) -> None:
    spread = np.tile(np.linspace(1, 3, 24, dtype=np.float32), (len(model.weights), 1))
    model = dataclasses.replace(model, weights=0.7 * model.weights + 0.3 * spread / spread[0].sum())
    shape, pose = some_frames(6)
    skin = fit_skin(model, shape, pose, model.forward(shape, pose)[0], TOLERANCE)
    assert skin.influences.shape == skin.weights.shape == (len(model.weights), INFLUENCES)
    assert skin.weights.sum(1) == pytest.approx(1.0, abs=1e-6)
    assert skin.error <= LIMIT


def test_joints_turned_against_each_other(model: BodyModel) -> None:
    """A wrist twisted by half a turn pulls vertices onto the bone, from wherever they were."""
    shape, pose = some_frames(8)
    elbow, wrist = 18, 20
    bone = model.forward(shape[:1], np.zeros((1, 72)))[1][0][[elbow, wrist]]
    axis = (bone[1] - bone[0]) / np.linalg.norm(bone[1] - bone[0])
    pose[:, 3 * wrist : 3 * wrist + 3] = axis * np.linspace(0, np.pi, 8)[:, None]
    skin = fit_skin(model, shape, pose, model.forward(shape, pose)[0], TOLERANCE)
    assert skin.error <= LIMIT
    assert np.abs(skin.morphs.displacements()).max() < 0.2


def test_rotations_do_not_change_sides(model: BodyModel) -> None:
    shape, pose = np.zeros((30, 10), np.float32), np.zeros((30, 72), np.float32)
    pose[:, 48] = np.linspace(0, 4 * np.pi, 30)  # twice about x
    skin = fit_skin(model, shape, pose, model.forward(shape, pose)[0], TOLERANCE)
    assert skin.error <= LIMIT
    turned = skin.rotations[:, 16]
    assert np.linalg.norm(turned, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert (np.einsum("ta,ta->t", turned[1:], turned[:-1]) > 0).all()
