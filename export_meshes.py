"""Single labelled frames of a clip as meshes for any 3D program: OBJ and PLY.

    write_meshes(folder, scene, kinds=("obj",), rows=[35])     # folder/0035.obj

Axes are x right, y up, z towards the camera, metres; vertices and triangles keep their order.
Covered by tests/test_export_meshes.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camera import y_up
from errors import OptionError
from optional_packages import load_package
from scene import ClipScene

Array = npt.NDArray[Any]

FRAME_CHOICE = re.compile(r"middle|all|(?P<row>[0-9]{1,9})|(?P<seconds>[0-9]{1,9}(\.[0-9]{1,9})?)s")
"""What each of `--export_frames` may be."""


def write_meshes(folder: Path, scene: ClipScene, kinds: Sequence[str], rows: Sequence[int]) -> None:
    """Writes `<row>.<kind>` for every row and kind.

    Args:
        folder: an existing one.
        scene: the clip; it has a mesh.
        kinds: of `obj` and `ply`.
        rows: labels of the clip.

    Raises:
        MissingDependencyError: trimesh is not installed.
    """
    trimesh = load_trimesh(kinds[0])
    vertices, faces = scene.body.vertices, scene.body.faces
    if vertices is None or faces is None:
        raise ValueError("a scene without a mesh")
    for row in rows:
        mesh = trimesh.Trimesh(y_up(vertices[row]), faces, process=False)
        for kind in kinds:
            with (folder / f"{row:04d}.{kind}").open("wb") as file:
                mesh.export(file, file_type=kind)


def load_trimesh(kind: str) -> Any:
    """The package that writes meshes.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return load_package("trimesh", f"--outputs={kind}", "requirements-export.txt")


def chosen_rows(choices: Sequence[str], times: Array) -> list[int]:
    """The labels that `--export_frames` names, ascending, each once.

    Args:
        choices: `middle`, `all`, a row such as `35`, or seconds such as `1.4s`, which mean the
          nearest label.
        times: (N,) of the labels, seconds since the start of the clip, ascending.

    Raises:
        OptionError: one is none of these, or a row that the clip does not have.
    """
    rows: set[int] = set()
    for choice in choices:
        match = FRAME_CHOICE.fullmatch(choice)
        if match is None:
            raise OptionError(
                f"--export_frames: {choice!r}: expected middle, all, a row of the pickle such as "
                "35, or seconds such as 1.4s"
            )
        if choice == "all":
            rows.update(range(len(times)))
        elif match["seconds"]:
            rows.add(int(np.abs(times - float(match["seconds"])).argmin()))
        else:
            rows.add(int(match["row"]) if match["row"] else len(times) // 2)
    if max(rows) >= len(times):
        raise OptionError(
            f"--export_frames: row {max(rows)}: this clip has the rows 0 to {len(times) - 1}; give "
            "one of these, or seconds such as 1.4s"
        )
    return sorted(rows)
