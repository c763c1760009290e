"""A clip's body as glTF: a skinned and animated mesh, or without a body model an animated one.

    write_glb(path, scene, LIGHT_BLUE)

Axes are glTF's: x right, y up, z towards the camera, metres; time is the clip's. Every vertex of
every label lies within `TOLERANCE_M` of the clip's own. What joints alone cannot do is done by
morph targets, as many as that takes (morphs.py). Where no label is, the person's scale is 0, which
is how glTF hides things. Covered by tests/test_export_glb.py.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from animation import Animation, animate
from body_model import JOINT_NAMES
from camera import y_up
from colour import linear_rgb
from gltf import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, LINEAR, STEP, GlbFile
from morphs import Morphs, find_morphs
from renderer import Colour
from scene import ClipScene
from skinning import SkinnedClip, fit_skin

Array = npt.NDArray[Any]

TOLERANCE_M = 1e-4
"""How far a vertex may be from the clip's own, in any frame."""

_FIT_TOLERANCE_M = 8e-5  # the rest is for rounding, the reader's included


def write_glb(path: Path, scene: ClipScene, colour: Colour) -> None:
    """Writes the body of a scene that has a mesh.

    Args:
        path: the `.glb`.
        scene: the clip.
        colour: the mesh's, RGB in 0…1.
    """
    annotations, body = scene.annotations, scene.body
    if body.vertices is None or body.faces is None:
        raise ValueError("a scene without a mesh")
    animation = animate(annotations.time, scene.duration, scene.frame_rate)
    document = _Document(scene.name, animation, body.faces, colour)
    if body.model is not None:
        skin = fit_skin(
            body.model, annotations.shape, annotations.pose, body.vertices, _FIT_TOLERANCE_M
        )
        if skin.error <= TOLERANCE_M:
            document.add_skinned_body(_upright(skin), body.model.parents)
            document.write(path)
            return
    document.add_body(y_up(body.vertices))
    document.write(path)


class _Document:
    """A glTF document with one person, whose body is to be added."""

    def __init__(self, name: str, animation: Animation, faces: Array, colour: Colour) -> None:
        self._file = GlbFile()
        self._name = name
        self._animation = animation
        self._faces = faces
        self._colour = colour
        self._nodes: list[dict[str, Any]] = [{"name": "person", "children": []}]
        self._roots = [0]
        self._meshes: list[dict[str, Any]] = []
        self._skins: list[dict[str, Any]] = []
        self._channels: list[dict[str, Any]] = []
        self._samplers: list[dict[str, Any]] = []
        self._times = self._file.add(animation.times.astype(np.float32), bounds=True)
        self._hide_between_labels()

    def add_body(self, vertices: Array) -> None:
        """A mesh that changes its form, (N, V, 3)."""
        base = vertices[len(vertices) // 2]
        morphs = find_morphs(vertices - base, _FIT_TOLERANCE_M)
        normals = np.stack([_vertex_normals(frame, self._faces) for frame in vertices])
        changes = normals - normals[len(normals) // 2]
        fitted = np.linalg.lstsq(morphs.weights, changes.reshape(len(changes), -1), rcond=None)[0]
        normal_targets = fitted.reshape(morphs.targets.shape).astype(np.float32)
        self._add_mesh(base, {}, morphs, normal_targets)
        self._nodes.append({"name": "body", "mesh": 0})
        self._nodes[0]["children"].append(1)
        self._animate(1, "weights", morphs.weights)

    def add_skinned_body(self, skin: SkinnedClip, parents: tuple[int, ...]) -> None:
        """A mesh on a skeleton."""
        first = len(self._nodes)
        for joint, (name, parent) in enumerate(zip(JOINT_NAMES, parents, strict=True)):
            self._nodes.append({"name": name})
            owner = self._nodes[0 if parent < 0 else first + parent]
            owner.setdefault("children", []).append(first + joint)
            self._move(first + joint, "translation", skin.translations[:, joint])
            self._move(first + joint, "rotation", skin.rotations[:, joint])
        inverse_binds = np.tile(np.eye(4, dtype=np.float32), (len(JOINT_NAMES), 1, 1))
        inverse_binds[:, 3, :3] = -skin.joints  # column by column
        joints = range(first, len(self._nodes))
        binds = self._file.add(inverse_binds)
        self._skins.append({"joints": list(joints), "inverseBindMatrices": binds})
        attributes = {
            "JOINTS_0": self._file.add(skin.influences, ARRAY_BUFFER),
            "WEIGHTS_0": self._file.add(skin.weights, ARRAY_BUFFER),
        }
        self._add_mesh(skin.rest, attributes, skin.morphs)
        # A skinned mesh goes where its joints are, wherever its own node is.
        self._roots.append(len(self._nodes))
        self._nodes.append({"name": "body", "mesh": 0, "skin": 0})
        self._animate(len(self._nodes) - 1, "weights", skin.morphs.weights)

    def write(self, path: Path) -> None:
        """Writes the document."""
        surface = {
            "baseColorFactor": [*linear_rgb(self._colour), 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": 0.7,
        }
        animation = {"name": self._name, "channels": self._channels, "samplers": self._samplers}
        document = {
            "asset": {"version": "2.0", "generator": "Temporal-3D-Pose-Kinetics"},
            "scene": 0,
            "scenes": [{"name": self._name, "nodes": self._roots}],
            "nodes": self._nodes,
            "meshes": self._meshes,
            "materials": [{"name": "body", "pbrMetallicRoughness": surface}],
            "animations": [animation],
        }
        if self._skins:
            document["skins"] = self._skins
        self._file.write(path, document)

    def _add_mesh(
        self,
        vertices: Array,
        attributes: dict[str, int],
        morphs: Morphs,
        normal_targets: Array | None = None,
    ) -> None:
        file = self._file
        normals = _vertex_normals(vertices, self._faces)
        targets = [{"POSITION": file.add(t, ARRAY_BUFFER, bounds=True)} for t in morphs.targets]
        if normal_targets is not None:
            for target, change in zip(targets, normal_targets, strict=True):
                target["NORMAL"] = file.add(change, ARRAY_BUFFER)
        index_type = np.uint16 if len(vertices) < 2**16 else np.uint32
        primitive = {
            "attributes": {
                "POSITION": file.add(vertices, ARRAY_BUFFER, bounds=True),
                "NORMAL": file.add(normals, ARRAY_BUFFER),
                **attributes,
            },
            "indices": file.add(self._faces.ravel().astype(index_type), ELEMENT_ARRAY_BUFFER),
            "material": 0,
            "targets": targets,
        }
        names = [f"correction_{i:02d}" for i in range(len(targets))]
        self._meshes.append(
            {"name": "body", "primitives": [primitive], "extras": {"targetNames": names}}
        )

    def _move(self, node: int, path: str, values: Array) -> None:
        """Animates a node's translation or rotation, if it changes at all."""
        self._nodes[node][path] = values[0].tolist()
        if (values != values[0]).any():
            self._animate(node, path, values)

    def _animate(self, node: int, path: str, values: Array) -> None:
        """Animates something of a node that `values`, (N, ...), has for each label."""
        keys = values[self._animation.rows]
        flat = keys.ravel() if path == "weights" else keys
        self._add_channel(node, path, self._times, flat, LINEAR)

    def _hide_between_labels(self) -> None:
        """Also makes the animation as long as the clip."""
        spans, duration = self._animation.spans, self._animation.duration
        is_seen = {0.0: 0.0, duration: 0.0}
        for start, end in spans.tolist():
            is_seen[start], is_seen[end] = 1.0, 0.0
        times = np.array(sorted(is_seen), np.float32)
        scales = np.array([[is_seen[time]] * 3 for time in sorted(is_seen)], np.float32)
        self._add_channel(0, "scale", self._file.add(times, bounds=True), scales, STEP)

    def _add_channel(
        self, node: int, path: str, times: int, values: Array, interpolation: str
    ) -> None:
        output = self._file.add(values)
        self._channels.append(
            {"sampler": len(self._samplers), "target": {"node": node, "path": path}}
        )
        self._samplers.append({"input": times, "output": output, "interpolation": interpolation})


def _upright(skin: SkinnedClip) -> SkinnedClip:
    """Turns what camera axes hold by 180° about x; the body at rest is y-up in any case."""
    x, y, z, w = np.moveaxis(skin.rotations[:, 0], -1, 0)
    rotations, translations = skin.rotations.copy(), skin.translations.copy()
    rotations[:, 0] = np.stack([w, -z, y, -x], -1)
    translations[:, 0] = y_up(translations[:, 0])
    return dataclasses.replace(skin, rotations=rotations, translations=translations)


def _vertex_normals(vertices: Array, faces: Array) -> Array:
    """(V, 3) float32 unit normals, the mean of the triangles around, weighted by their areas."""
    corners = vertices[faces].astype(np.float64)
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.column_stack(
        [np.bincount(faces.ravel(), area.repeat(3), len(vertices)) for area in areas.T]
    )
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1.0), [0.0, 0.0, 1.0])
    return normals.astype(np.float32)
