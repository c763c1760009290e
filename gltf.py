"""Writes glTF 2.0's binary form: numbers in, one `.glb` out.

    glb = GlbFile()
    places = glb.add(vertices, bounds=True)        # the index of an accessor
    glb.write(path, {"meshes": [...], ...})        # the rest of the document refers to it

https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. Covered by tests/test_export_glb.py.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
LINEAR, STEP = "LINEAR", "STEP"

_COMPONENT_TYPES = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
_TYPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942


class GlbFile:
    """The numbers of a document, and the document around them."""

    def __init__(self) -> None:
        """Begins without numbers."""
        self._parts: list[bytes] = []
        self._length = 0
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []

    def add(self, array: Array, target: int | None = None, bounds: bool = False) -> int:
        """Adds an accessor.

        Args:
            array: (N), (N, 3), (N, 4) or (N, 4, 4), the last column by column; uint8, uint16,
              uint32 or float32.
            target: `ARRAY_BUFFER` for vertices, `ELEMENT_ARRAY_BUFFER` for indices.
            bounds: whether to note the least and the greatest, which positions and times need.

        Returns:
            Its index.
        """
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": len(data)}
        accessor = {
            "bufferView": len(self._views),
            "componentType": _COMPONENT_TYPES[array.dtype.name],
            "count": len(array),
            "type": _TYPES[array.shape[1:]],
        }
        if target is not None:
            view["target"] = target
        if bounds:
            accessor["min"] = np.atleast_1d(array.min(0)).tolist()
            accessor["max"] = np.atleast_1d(array.max(0)).tolist()
        padded = data + bytes(-len(data) % 4)
        self._parts.append(padded)
        self._length += len(padded)
        self._views.append(view)
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def write(self, path: Path, document: dict[str, Any]) -> None:
        """Writes a document, completed by its accessors and their buffer."""
        text = json.dumps(
            {
                **document,
                "accessors": self._accessors,
                "bufferViews": self._views,
                "buffers": [{"byteLength": self._length}],
            },
            separators=(",", ":"),
        ).encode()
        text += b" " * (-len(text) % 4)
        with path.open("wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, 28 + len(text) + self._length))
            file.write(struct.pack("<II", len(text), _JSON_CHUNK) + text)
            file.write(struct.pack("<II", self._length, _BINARY_CHUNK))
            file.writelines(self._parts)
