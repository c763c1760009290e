"""What a glTF file means at a moment, worked out from the specification with pygltflib.

    clip = GltfClip(path)
    clip.vertices(1.4), clip.length                # (V, 3) in the world, seconds

Nothing here knows how the project writes such files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pygltflib

Array = npt.NDArray[Any]

_DTYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_SHAPES: dict[str, tuple[int, ...]] = {
    "SCALAR": (),
    "VEC3": (3,),
    "VEC4": (4,),
    "MAT4": (4, 4),
}


class GltfClip:
    """One animation of one mesh with one primitive."""

    def __init__(self, path: Path) -> None:
        self.document = pygltflib.GLTF2().load(str(path))
        self._blob = self.document.binary_blob()
        (self.mesh,) = self.document.meshes
        (self.primitive,) = self.mesh.primitives
        self.animation = self.document.animations[0]
        (self._mesh_node,) = (i for i, n in enumerate(self.document.nodes) if n.mesh is not None)
        self._tracks = {
            (channel.target.node, channel.target.path): self.animation.samplers[channel.sampler]
            for channel in self.animation.channels
        }
        self._parents = {
            child: parent
            for parent, node in enumerate(self.document.nodes)
            for child in node.children or []
        }

    @property
    def length(self) -> float:
        """Seconds: the last key of all."""
        return max(float(self.array(s.input).max()) for s in self.animation.samplers)

    @property
    def key_times(self) -> Array:
        """Of the mesh's weights."""
        return self.array(self._tracks[self._mesh_node, "weights"].input)

    def array(self, index: int) -> Array:
        accessor = self.document.accessors[index]
        view = self.document.bufferViews[accessor.bufferView]
        assert view.byteStride is None
        shape = _SHAPES[accessor.type]
        array = np.frombuffer(
            self._blob,
            _DTYPES[accessor.componentType],
            accessor.count * int(np.prod(shape)),
            (view.byteOffset or 0) + (accessor.byteOffset or 0),
        ).reshape(-1, *shape)
        if accessor.max:
            assert np.array_equal(np.float32(accessor.max), np.atleast_1d(array.max(0)))
            assert np.array_equal(np.float32(accessor.min), np.atleast_1d(array.min(0)))
        return array

    def vertices(self, seconds: float, weighted: bool = True) -> Any:
        """(V, 3) float64 at a moment; `weighted=False` leaves the morph targets out."""
        places = self.array(self.primitive.attributes.POSITION).astype(np.float64)
        if weighted:
            weights = self._value(self._mesh_node, "weights", seconds)
            for weight, target in zip(weights, self.primitive.targets, strict=True):
                places = places + weight * self.array(target["POSITION"])
        points = np.concatenate([places, np.ones((len(places), 1))], 1)
        skin = self.document.nodes[self._mesh_node].skin
        if skin is None:
            return (points @ self._world(self._mesh_node, seconds).T)[:, :3]
        joints = self.document.skins[skin].joints
        binds = self.array(self.document.skins[skin].inverseBindMatrices).swapaxes(1, 2)
        moves = np.stack(
            [self._world(joint, seconds) @ bind for joint, bind in zip(joints, binds, strict=True)]
        )
        influences = self.array(self.primitive.attributes.JOINTS_0)
        shares = self.array(self.primitive.attributes.WEIGHTS_0).astype(np.float64)
        assert np.abs(shares.sum(1) - 1).max() < 1e-6
        blended = np.einsum("vi,viab->vab", shares, moves[influences])
        return np.einsum("vab,vb->va", blended, points)[:, :3]

    def joints(self, seconds: float) -> Array:
        """(J, 3) places of the skin's joints."""
        return np.stack([self._world(j, seconds)[:3, 3] for j in self.document.skins[0].joints])

    def _world(self, node: int, seconds: float) -> Any:
        local = np.eye(4)
        local[:3, 3] = self._value(node, "translation", seconds)
        local[:3, :3] = _matrix(self._value(node, "rotation", seconds))
        local[:3, :3] *= self._value(node, "scale", seconds)
        parent = self._parents.get(node)
        return local if parent is None else self._world(parent, seconds) @ local

    def _value(self, node: int, path: str, seconds: float) -> Any:
        sampler = self._tracks.get((node, path))
        if sampler is None:
            rest = getattr(self.document.nodes[node], path)
            unmoved = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
            return np.array(unmoved[path] if rest is None else rest, np.float64)
        times, values = self.array(sampler.input), self.array(sampler.output)
        assert (np.diff(times) > 0).all() and times[0] >= 0
        values = values.reshape(len(times), -1).astype(np.float64)
        before = int(np.clip(np.searchsorted(times, seconds, "right") - 1, 0, len(times) - 1))
        after = min(before + 1, len(times) - 1)
        if sampler.interpolation == "STEP" or before == after or seconds <= times[0]:
            return values[before]
        share = (seconds - times[before]) / (times[after] - times[before])
        if path == "rotation":
            return _slerp(values[before], values[after], share)
        return (1 - share) * values[before] + share * values[after]


def _slerp(first: Array, second: Array, share: float) -> Any:
    cosine = float(first @ second)
    angle = np.arccos(min(abs(cosine), 1.0))
    if angle < 1e-6:
        return first
    away = np.copysign(np.sin(share * angle), cosine)
    return (np.sin((1 - share) * angle) * first + away * second) / np.sin(angle)


def _matrix(quaternion: Array) -> Any:
    """By turning the three axes: v + 2 w (u × v) + 2 u × (u × v)."""
    u, w = quaternion[:3], quaternion[3]
    axes = np.eye(3)
    crossed = np.cross(u, axes)
    return (axes + 2 * w * crossed + 2 * np.cross(u, crossed)).T
