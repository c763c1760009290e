"""Scenes for tests of exports: the sample's dance, without its video."""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations import read_annotations
from bodies import BodyOptions, resolve_body
from camera import resolve_camera
from scene import ClipScene

Array = npt.NDArray[Any]

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
PICKLE = SAMPLES / "sampleDance_10_14.pkl"
MODEL = SAMPLES / "body_model.npz"
NAME = "sampleDance_10_14"
GAPS = [(43, 61), (83, 95)]  # frames without a label: from the first up to the second
CLIP_SEC = 4.0


@functools.cache
def sample_scene(with_model: bool = True) -> ClipScene:
    """The sample at 640 × 360 and 25 frames per second, 70 of 100 frames labelled."""
    annotations = read_annotations(PICKLE)
    body = resolve_body(annotations, SAMPLES, BodyOptions(smpl_model=MODEL if with_model else None))
    return ClipScene(
        name=NAME,
        annotations=annotations,
        body=body,
        camera=resolve_camera(annotations, 640, 360),
        width=640,
        height=360,
        frame_rate=Fraction(25),
        duration=CLIP_SEC,
        video=None,
    )


def part_of(scene: ClipScene, rows: slice, **changes: Any) -> ClipScene:
    """Some of a scene's labels; `changes` are fields of its annotations, `vertices` included."""
    fields: dict[str, Any] = {
        name: value[rows]
        for name, value in vars(scene.annotations).items()
        if isinstance(value, np.ndarray)
    }
    annotations = dataclasses.replace(scene.annotations, **(fields | changes))
    body = dataclasses.replace(scene.body, vertices=annotations.vertices)
    return dataclasses.replace(scene, annotations=annotations, body=body)


def upright(vertices: Array) -> Array:
    """Camera axes turned by 180° about x: y up, z towards the camera."""
    x, y, z = np.moveaxis(vertices.astype(np.float64), -1, 0)
    return np.stack([x, -y, -z], -1)


def mesh_of(scene: ClipScene) -> tuple[Array, Array]:
    """The scene's vertices and faces, which are known to be there."""
    assert scene.body.vertices is not None
    assert scene.body.faces is not None
    return scene.body.vertices, scene.body.faces
