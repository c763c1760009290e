"""Covers lanes.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kernels import kernel
from lanes import add_to_row, mixed_bytes, triangle_normal

Array = npt.NDArray[Any]


@kernel
def _normal(vertices: Array, a: int, b: int, c: int) -> Any:
    return triangle_normal(vertices, np.uint64(a), np.uint64(b), np.uint64(c))


@kernel
def _add(rows: Array, row: int, x: float, y: float, z: float) -> None:
    add_to_row(rows, np.uint64(row), np.float32(x), np.float32(y), np.float32(z))


@kernel
def _mix(colours: Array, shares: Array) -> Any:
    a, b, c = np.uint64(0), np.uint64(1), np.uint64(2)
    return mixed_bytes(colours, a, b, c, shares[0], shares[1], shares[2])


def _rows(*rows: tuple[float, ...]) -> Array:
    return np.array(rows, np.float32)


def test_a_normal_is_the_cross_product_of_the_sides() -> None:
    vertices = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    a, b, c = vertices[[4, 1, 2], :3].astype(float)
    *normal, share = _normal(vertices, 4, 1, 2)
    right = np.cross(b - a, c - a)
    np.testing.assert_allclose(normal, right, atol=1e-6)
    np.testing.assert_allclose(share, a @ right, atol=1e-6)


def test_the_product_with_a_corner_is_six_times_the_volume() -> None:
    vertices = _rows((1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 3, 0))
    assert _normal(vertices, 0, 1, 2)[3] == 6
    assert _normal(vertices, 0, 2, 1)[3] == -6


def test_what_is_not_finite_shows_in_the_product() -> None:
    for wrong in (np.nan, np.inf):
        vertices = _rows((1, 0, 0, 0), (0, wrong, 0, 0), (0, 0, 3, 0))
        assert not np.isfinite(_normal(vertices, 0, 1, 2)[3])


def test_adding_changes_one_row_alone() -> None:
    rows = np.ones((3, 4), np.float32)
    _add(rows, 1, 1, 2, 3)
    np.testing.assert_array_equal(rows, _rows((1, 1, 1, 1), (2, 3, 4, 1), (1, 1, 1, 1)))


def test_colours_are_mixed_and_rounded() -> None:
    colours = _rows((0, 255, 100.4, 9), (0, 255, 100.4, 9), (100, 0, 100.4, 9))
    assert _mix(colours, _rows((0.5, 0.25, 0.25))[0]) == (25, 191, 100)
    colours[:, 2] = 100.6
    assert _mix(colours, _rows((0.5, 0.25, 0.25))[0])[2] == 101


def test_mixed_colours_stay_within_a_byte() -> None:
    colours = _rows((255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0))
    assert _mix(colours, _rows((1.5, -0.5, 0))[0]) == (255, 0, 0)
