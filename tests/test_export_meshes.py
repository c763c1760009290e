"""Covers export_meshes.py: files are read back by trimesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scenes import mesh_of, sample_scene, upright

from errors import OptionError
from export_meshes import chosen_rows, write_meshes

TIMES = np.array([0.0, 0.04, 0.08, 1.0, 1.04, 2.0])


def test_vertices_and_triangles_in_their_order(tmp_path: Path) -> None:
    scene = sample_scene()
    write_meshes(tmp_path, scene, ["obj", "ply"], [0, 35])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *["0000.obj", "0000.ply", "0035.obj", "0035.ply"]
    ]
    for row in (0, 35):
        for kind in ("obj", "ply"):
            mesh = trimesh.load_mesh(
                tmp_path / f"{row:04d}.{kind}", process=False, maintain_order=True
            )
            assert mesh.vertices == pytest.approx(upright(mesh_of(scene)[0][row]), abs=1e-6)
            assert np.array_equal(mesh.faces, mesh_of(scene)[1])
            assert mesh.volume > 0.03  # not inside out


@pytest.mark.parametrize(
    ("choices", "rows"),
    [
        (["middle"], [3]),
        (["all"], [0, 1, 2, 3, 4, 5]),
        (["5", "0", "5"], [0, 5]),
        (["0s"], [0]),
        (["0.07s"], [2]),
        (["1.9s", "1"], [1, 5]),
        (["100s"], [5]),
        (["middle", "3", "1s"], [3]),
    ],
)
def test_chosen_rows(choices: list[str], rows: list[int]) -> None:
    assert chosen_rows(choices, TIMES) == rows


@pytest.mark.parametrize("choice", ["", "last", "-1", "1.5", "s", "1e3s", "1 s", "٣"])
def test_what_is_not_a_choice(choice: str) -> None:
    with pytest.raises(OptionError, match="expected middle, all, a row"):
        chosen_rows([choice], TIMES)


def test_a_row_that_the_clip_does_not_have() -> None:
    with pytest.raises(OptionError, match="row 6: this clip has the rows 0 to 5"):
        chosen_rows(["0", "6"], TIMES)
