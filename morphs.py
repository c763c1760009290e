"""A mesh that moves, as a few shapes added to it with weights that change: morph targets.

    morphs = find_morphs(displacements, tolerance=8e-5)
    morphs.displacements()                 # (T, V, 3), within 80 µm of what was given

Covered by tests/test_morphs.py.
"""

from __future__ import annotations

import bisect
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Morphs:
    """Shapes to add to a mesh.

    Attributes:
        targets: (K, V, 3) float32, each a displacement of every vertex, K > 0.
        weights: (T, K) float32 in 0…1; the first is always 1.
    """

    targets: Array
    weights: Array

    def displacements(self, frames: slice = slice(None)) -> Array:
        """(T, V, 3) float32, what the weights of some frames make of the targets."""
        flat: Array = self.weights[frames] @ self.targets.reshape(len(self.targets), -1)
        return flat.reshape(-1, *self.targets.shape[1:])


def find_morphs(displacements: Array, tolerance: float) -> Morphs:
    """As many principal components as bring every vertex of every frame near enough.

    Weights stay within 0…1, because many programs limit them to that: the first target, always
    at full weight, holds the mean and whatever the others' smallest weights leave.

    Args:
        displacements: (T, V, 3).
        tolerance: the greatest distance that may be left, in the unit of the displacements.
    """
    count = len(displacements)
    flat = displacements.reshape(count, -1).astype(np.float64)
    mean = flat.mean(0)
    flat -= mean
    variances, modes = np.linalg.eigh(flat @ flat.T)
    modes = modes[:, np.argsort(variances)[::-1]]
    components = modes.T @ flat

    def is_enough(used: int) -> bool:
        left = (modes[:, used:] @ components[used:]).reshape(-1, 3)
        return float(np.einsum("va,va->v", left, left).max()) <= tolerance**2

    used = bisect.bisect_left(range(count - 1), True, key=is_enough)  # all but the mean
    modes, components = modes[:, :used], components[:used]
    low, span = modes.min(0), np.ptp(modes, axis=0)
    targets = np.concatenate([[mean + low @ components], span[:, None] * components])
    weights = np.concatenate([np.ones((count, 1)), (modes - low) / span], 1)
    return Morphs(
        targets.reshape(-1, *displacements.shape[1:]).astype(np.float32),
        weights.astype(np.float32),
    )
