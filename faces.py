"""The triangles of a mesh, from `smpl_faces.npy`.

    faces = load_faces(Path("smpl_faces.npy"), vertex_count=6890)      # (13776, 3) int32

Covered by tests/test_faces.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from errors import FacesError


def load_faces(path: Path, vertex_count: int) -> npt.NDArray[Any]:
    """Reads triangles and checks that they fit a mesh.

    Returns:
        (F, 3) int32, vertex indices.

    Raises:
        FacesError: the file is missing or not such an array, or it uses vertices past the mesh's.
    """
    if not path.is_file():
        raise FacesError(f"{path}: no such file; it holds SMPL's faces")
    try:
        faces = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FacesError(f"{path}: cannot be read: {error}") from error
    if int(faces.max()) >= vertex_count:
        raise FacesError(
            f"{path}: uses vertex {int(faces.max())}; the mesh has {vertex_count} vertices"
        )
    return np.asarray(faces)
