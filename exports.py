"""A clip's body for other programs: numbers, meshes and animations instead of pictures.

    check_exports(annotations, body, options)      # fails here, before anything is drawn
    write_exports(folder, scene, options)          # folder/clip.npz, clip.usd, meshes/0035.obj, ...

CONVENTIONS.md says what each file holds. Covered by tests/test_exports.py.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations import ClipAnnotations
from bodies import ClipBody
from errors import AnnotationError
from export_glb import write_glb
from export_meshes import chosen_rows, load_trimesh, write_meshes
from export_usd import load_usd, write_usd
from files import whole_file, whole_folder
from keypoints import JOINT_NAMES
from options import VisualiseOptions
from scene import ClipScene

Array = npt.NDArray[Any]

SINGLE_MESHES = ("obj", "ply")
MESH_EXPORTS = frozenset({*SINGLE_MESHES, "usd", "glb"})
"""Outputs that a clip without a mesh cannot have."""

EXPORTS = ("npz", "obj", "ply", "usd", "glb")
"""All that `--outputs` may name of what this module writes."""


def check_exports(annotations: ClipAnnotations, body: ClipBody, options: VisualiseOptions) -> None:
    """Finds what would keep the exports from being written, before any frame is drawn.

    Raises:
        MissingDependencyError: a format's package is not installed.
        AnnotationError: a format needs a mesh, and the clip has none.
        OptionError: a frame is chosen that the clip does not have.
    """
    check_export_packages(options)
    wanted = [name for name in EXPORTS if name in options.outputs & MESH_EXPORTS]
    if wanted and body.vertices is None:
        raise AnnotationError(
            f"{annotations.name}: has no `vertices` (it is from the small archive), and "
            f"--outputs={','.join(wanted)} needs a mesh: give a body model with --smpl_model"
        )
    if set(SINGLE_MESHES) & options.outputs:
        chosen_rows(options.export_frames, annotations.time)


def check_export_packages(options: VisualiseOptions) -> None:
    """The part of `check_exports` that is the same for all clips.

    Raises:
        MissingDependencyError: a format's package is not installed.
    """
    for kind in SINGLE_MESHES:
        if kind in options.outputs:
            load_trimesh(kind)
    if "usd" in options.outputs:
        load_usd()


def write_exports(folder: Path, scene: ClipScene, options: VisualiseOptions) -> list[Path]:
    """Writes what the options ask for; all of it, or on an error nothing.

    Args:
        folder: what they go into, named after the clip.
        scene: the clip, which passed `check_exports`.
        options: which outputs, and which frames.

    Returns:
        The files and folders written.

    Raises:
        OutputError: one of them cannot be written.
    """
    written = []
    with contextlib.ExitStack() as stack:

        def path(suffix: str) -> Path:
            written.append(folder / f"{folder.name}{suffix}")
            return stack.enter_context(whole_file(written[-1]))

        if "npz" in options.outputs:
            write_npz(path(".npz"), scene)
        kinds = [kind for kind in SINGLE_MESHES if kind in options.outputs]
        if kinds:
            written.append(folder / "meshes")
            meshes = stack.enter_context(whole_folder(written[-1]))
            rows = chosen_rows(options.export_frames, scene.annotations.time)
            write_meshes(meshes, scene, kinds, rows)
        if "usd" in options.outputs:
            write_usd(path(".usd"), scene, options.mesh_colour)
        if "glb" in options.outputs:
            write_glb(path(".glb"), scene, options.mesh_colour)
    return written


def write_npz(path: Path, scene: ClipScene) -> None:
    """Writes a clip's numbers; `numpy.load` reads them, without pickle.

    CONVENTIONS.md lists the keys with their shapes, axes, units and types. `vertices` and `faces`
    are absent where nothing gives the clip a mesh.

    Args:
        path: the file; its name may end in anything.
        scene: the clip.
    """
    annotations, body, camera = scene.annotations, scene.body, scene.camera
    arrays: dict[str, Array] = {
        "time": annotations.time,
        "pose": annotations.pose,
        "shape": annotations.shape,
        "joints": annotations.joints_3d,
        "joint_set": np.array(camera.joint_set),
        "keypoints": camera.keypoints_px,
        "keypoint_names": np.array(JOINT_NAMES),
        "cameras": camera.cameras_px,
        "camera_convention": np.array(camera.convention),
        "keypoint_units": np.array(camera.keypoint_units),
        "size": np.array([scene.width, scene.height]),
        "frame_rate": np.array([scene.frame_rate.numerator, scene.frame_rate.denominator]),
        "duration": np.array(scene.duration),
    }
    if body.vertices is not None and body.faces is not None:
        arrays |= {"vertices": body.vertices, "faces": body.faces}
    # In memory first: on a full disk, a zip file that numpy leaves open speaks of its own closing.
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]  # none is called allow_pickle
    path.write_bytes(data.getbuffer())
