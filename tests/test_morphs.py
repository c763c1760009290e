from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from morphs import find_morphs

SEED = 4
TOLERANCE = 1e-4


def greatest(difference: npt.NDArray[Any]) -> float:
    return float(np.linalg.norm(difference, axis=-1).max())


def motion(frames: int, shapes: int, noise: float = 0.0) -> Any:
    """A mesh of 200 vertices that moves by `shapes` shapes."""
    rng = np.random.default_rng(SEED)
    moved = np.einsum(
        "tk,kva->tva", rng.normal(size=(frames, shapes)), rng.normal(size=(shapes, 200, 3))
    )
    return moved + rng.normal(size=moved.shape) * noise + 0.3


def test_as_many_targets_as_there_are_shapes_and_the_mean() -> None:
    given = motion(40, 5)
    morphs = find_morphs(given, TOLERANCE)
    assert morphs.targets.shape == (6, 200, 3)
    assert greatest(morphs.displacements() - given) <= TOLERANCE
    assert greatest(morphs.displacements(slice(3, 5)) - given[3:5]) <= TOLERANCE


def test_what_is_small_enough_is_left_out() -> None:
    given = motion(40, 5, noise=1e-5)
    morphs = find_morphs(given, TOLERANCE)
    assert len(morphs.targets) == 6
    assert greatest(morphs.displacements() - given) <= TOLERANCE


def test_no_more_targets_than_needed() -> None:
    given = motion(40, 30) * np.geomspace(1, 1e-6, 40)[:, None, None]
    used = [len(find_morphs(given, tolerance).targets) for tolerance in (1.0, 1e-2, 1e-4, 0.0)]
    assert used == sorted(set(used))
    assert used[0] < 10
    assert used[-1] <= 40


def test_weights_stay_between_0_and_1() -> None:
    weights = find_morphs(motion(40, 5), TOLERANCE).weights
    assert weights.dtype == np.float32
    assert (weights.min(), weights.max()) == (0, 1)
    assert (weights[:, 0] == 1).all()
    assert (weights[:, 1:].min(0) == 0).all()
    assert (weights[:, 1:].max(0) == 1).all()


@pytest.mark.parametrize("frames", [1, 2])
def test_few_frames_are_exact(frames: int) -> None:
    given = motion(frames, 3)
    morphs = find_morphs(given, 0.0)
    assert len(morphs.targets) == frames
    assert greatest(morphs.displacements() - given) < 1e-5


def test_what_does_not_move_needs_one_target() -> None:
    morphs = find_morphs(np.repeat(motion(1, 3), 20, 0), TOLERANCE)
    assert morphs.targets.shape == (1, 200, 3)
