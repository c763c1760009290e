"""What body a clip shows: its mesh and its joints, from the pickle or from a body model.

    body = resolve_body(annotations, Path("pickles"), BodyOptions(smpl_model=Path("model.pkl")))
    body.vertices, body.faces, body.source         # (N, 6890, 3), (13776, 3), "model"

Covered by tests/test_bodies.py.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
import platformdirs

from annotations import ClipAnnotations
from body_model import BodyModel, load_body_model, load_joint_regressor, regress_joints
from errors import AnnotationError, BodyModelError, FacesError
from faces import FACES_FILE, FACES_URL, fetch_faces, load_faces

Array = npt.NDArray[Any]
VertexSource = Literal["file", "model"]

SMPL_VERTEX_COUNT = 6890


@dataclasses.dataclass(frozen=True)
class BodyOptions:
    """Where a body comes from.

    Attributes:
        smpl_model: a body model; its faces are used, and it computes what the pickle lacks.
        joint_regressor: (6890, 19), in place of the model's own.
        vertices: the pickle's, the model's, or the pickle's where it has them.
        faces_path: (F, 3) triangles as `.npy`; None for the model's, else `smpl_faces.npy` beside
          the pickle, in the working folder, or fetched once into `cache_dir`.
        cache_dir: where fetched faces are kept.
    """

    smpl_model: Path | None = None
    joint_regressor: Path | None = None
    vertices: Literal["auto", "file", "model"] = "auto"
    faces_path: Path | None = None
    cache_dir: Path = dataclasses.field(
        default_factory=lambda: platformdirs.user_cache_path("temporal-3d-pose-kinetics")
    )


@dataclasses.dataclass(frozen=True)
class ClipBody:
    """A clip's body, one row per labelled frame.

    Attributes:
        vertices: (N, V, 3) float32, metres, camera axes; None where nothing gives them.
        source: where they come from; None where nothing does.
        faces: (F, 3) int32, or None without vertices.
        joints: (N, 19, 3) float32, the cocoplus joints regressed from the vertices; None without
          vertices or without a regressor.
        files: what was read beside the pickle: `model`, `joint_regressor`, `faces`.
        model: the body model of this mesh; None without vertices, where none is given, or where
          the one given is of another body.
    """

    vertices: Array | None
    source: VertexSource | None
    faces: Array | None
    joints: Array | None
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    model: BodyModel | None = None


def resolve_body(
    annotations: ClipAnnotations, pickle_folder: Path, options: BodyOptions
) -> ClipBody:
    """Takes the body from the pickle or computes it, as the options say.

    Raises:
        AnnotationError: the pickle's own vertices are asked for and it has none.
        BodyModelError: the model or the regressor is missing, broken, or of another body.
        FacesError: no faces, or those of another body.
    """
    model = None if options.smpl_model is None else _model(options.smpl_model)
    vertices, source = _vertices(annotations, model, options.vertices)
    if vertices is None:
        return ClipBody(None, None, None, None)
    regressor = None if model is None else model.cocoplus_regressor
    files = {} if options.smpl_model is None else {"model": options.smpl_model}
    if options.joint_regressor is not None:
        regressor = _regressor(options.joint_regressor)
        files["joint_regressor"] = options.joint_regressor
    faces, faces_path = _faces(vertices.shape[1], model, pickle_folder, options)
    if faces_path is not None:
        files["faces"] = faces_path
    return ClipBody(
        vertices=vertices,
        source=source,
        faces=faces,
        joints=None if regressor is None else regress_joints(regressor, vertices),
        files=files,
        model=model if _is_of(model, vertices) else None,
    )


def _is_of(model: BodyModel | None, vertices: Array) -> bool:
    return model is not None and len(model.v_template) == vertices.shape[1]


def _vertices(
    annotations: ClipAnnotations, model: BodyModel | None, wanted: str
) -> tuple[Array | None, VertexSource | None]:
    if wanted == "model" and model is None:
        raise BodyModelError("--vertices=model needs a body model: give one with --smpl_model")
    if wanted == "file" and annotations.vertices is None:
        raise AnnotationError(
            f"{annotations.name}: has no `vertices` (it is from the small archive), and "
            "--vertices=file asks for them: give --smpl_model and leave --vertices out"
        )
    if annotations.vertices is not None and wanted != "model":
        return annotations.vertices, "file"
    if model is None:
        return None, None
    return model.forward(annotations.shape, annotations.pose)[0], "model"


def _faces(
    vertex_count: int, model: BodyModel | None, pickle_folder: Path, options: BodyOptions
) -> tuple[Array, Path | None]:
    """The triangles and the file that they are from, where that is not the model's."""
    if options.faces_path is not None:
        return load_faces(options.faces_path, vertex_count), options.faces_path
    if model is not None:
        if len(model.v_template) != vertex_count:
            raise FacesError(
                f"{options.smpl_model}: is a body of {len(model.v_template)} vertices, the mesh of "
                f"the pickle has {vertex_count}: give the model that the pickle was made with"
            )
        return model.faces, None
    for folder in (pickle_folder, Path()):
        path = folder / FACES_FILE
        if path.is_file():
            return load_faces(path, vertex_count), path
    if vertex_count != SMPL_VERTEX_COUNT:
        raise FacesError(
            f"{FACES_FILE}: not found, and the mesh has {vertex_count} vertices, which is not "
            f"SMPL's {SMPL_VERTEX_COUNT}: give its faces with --smpl_face_path"
        )
    path = fetch_faces(options.cache_dir, FACES_URL)
    return load_faces(path, vertex_count), path


# A batch draws many clips with one model; reading it takes longer than drawing a clip.
_model = functools.lru_cache(maxsize=1)(load_body_model)
_regressor = functools.lru_cache(maxsize=1)(load_joint_regressor)
