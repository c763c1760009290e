"""What every renderer in the benchmarks draws: the sample's body, standing in the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations import read_annotations
from camera import NEAR_ORTHOGRAPHIC_DISTANCE, WeakPerspectiveCamera

Array = npt.NDArray[Any]
SAMPLES = Path(__file__).parents[1] / "samples"
_SHARE_OF_HEIGHT = 0.8


@dataclasses.dataclass(frozen=True)
class Workload:
    """One body in one picture.

    Attributes:
        vertices: (6890, 3) float32 metres, camera axes.
        faces: (13776, 3) int32.
        camera: puts the body into the middle, four fifths of the picture high.
        width: columns.
        height: rows.
    """

    vertices: Array
    faces: Array
    camera: WeakPerspectiveCamera
    width: int
    height: int

    @property
    def moved(self) -> Array:
        """(V, 3) float64: as far away from the camera as they are drawn."""
        moved: Array = self.vertices + np.array([0.0, 0.0, NEAR_ORTHOGRAPHIC_DISTANCE])
        return moved

    @property
    def focal(self) -> float:
        """Focal length in pixels of the pinhole camera that this is."""
        return self.camera.scale * NEAR_ORTHOGRAPHIC_DISTANCE

    def picture(self) -> Array:
        """(H, W, 3) uint8 to draw into."""
        return np.full((self.height, self.width, 3), 255, np.uint8)


def workload(width: int, height: int) -> Workload:
    """The body of the sample's first labelled frame."""
    annotations = read_annotations(SAMPLES / "sampleDance_10_14.pkl")
    vertices = np.ascontiguousarray(np.asarray(annotations.vertices)[0], np.float32)
    faces = np.load(SAMPLES / "smpl_faces.npy").astype(np.int32)
    low, high = vertices.min(0), vertices.max(0)
    scale = _SHARE_OF_HEIGHT * height / float(high[1] - low[1])
    x, y = np.array([width, height]) / 2 - scale * (low + high)[:2] / 2
    camera = WeakPerspectiveCamera(scale, float(x), float(y))
    return Workload(vertices, faces, camera, width, height)
