"""One pickle of the dataset, read safely and validated into frozen arrays.

    annotations = read_annotations(Path("KV4jIAq3WJo_155_165.pkl"))
    annotations.time, annotations.keypoints_2d      # (N,), (N, 19, 2)

Covered by tests/test_annotations.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import safe_pickle
from errors import AnnotationError

Array = npt.NDArray[Any]

NUM_KEYPOINTS = 19
JOINT_ROWS = (19, 24)
TIME_NOT_ASCENDING = "`time` is not ascending"
"""How the warning of a clip whose rows had to be sorted begins."""

_FIELDS: Mapping[str, tuple[str, tuple[int | None, ...]]] = {
    # key in the file: (field of ClipAnnotations, shape after N; None stands for any length)
    "time": ("time", ()),
    "smpl_shape": ("shape", (10,)),
    "smpl_pose": ("pose", (72,)),
    "3d_keypoints": ("joints_3d", (None, 3)),
    "2d_keypoints": ("keypoints_2d", (NUM_KEYPOINTS, 2)),
    "cameras": ("cameras", (3,)),
    "vertices": ("vertices", (None, 3)),
}
_OTHER_NAMES = {"camera": "cameras"}  # the dataset's page says `cameras`, its code `camera`
_LISTED = 10  # unknown keys that a warning names
_OPTIONAL = frozenset({"vertices"})
_MAY_BE_UNKNOWN = frozenset({"2d_keypoints", "3d_keypoints"})


@dataclasses.dataclass(frozen=True)
class ClipAnnotations:
    """What one pickle says of one person in one clip, one row per labelled frame.

    Camera axes are x right, y down, z away from the camera. All arrays are read-only.

    Attributes:
        name: the pickle's file name without `.pkl`.
        time: (N,) float64, seconds since the start of the clip, ascending.
        shape: (N, 10) float32, SMPL shape coefficients.
        pose: (N, 72) float32, axis-angle of 24 joints; the first is the global orientation.
        joints_3d: (N, 19 or 24, 3) float64, metres, camera axes. Not finite where unknown.
        keypoints_2d: (N, 19, 2) float64, (x, y) in the file's own units. Not finite where unknown.
        cameras: (N, 3) float64, scale and the x and y offset of a weak-perspective camera.
        vertices: (N, V, 3) float32, metres, camera axes; None in the small archive.
        warnings: what was found odd and put right while reading.
    """

    name: str
    time: Array
    shape: Array
    pose: Array
    joints_3d: Array
    keypoints_2d: Array
    cameras: Array
    vertices: Array | None
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        """The number of labelled frames, N."""
        return len(self.time)


def read_annotations(path: Path) -> ClipAnnotations:
    """Reads and validates one pickle.

    Raises:
        UnsafePickleError: the pickle holds more than arrays and plain containers.
        AnnotationError: the file cannot be read, or a field is missing, misshapen or not finite.
    """
    return validate(safe_pickle.load(path), str(path))


def parse_annotations(data: bytes | memoryview, name: str) -> ClipAnnotations:
    """Like `read_annotations`, from the bytes of a pickle that is called `name`."""
    return validate(safe_pickle.loads(data, name), name)


def validate(content: object, path: str) -> ClipAnnotations:
    """Checks the unpickled content of the file at `path` against the dataset's schema.

    Arrays that are as they should be are taken over without a copy.
    """
    if not isinstance(content, dict):
        raise AnnotationError(
            f"{path}: holds a {type(content).__name__}; expected a dictionary with the keys "
            f"{', '.join(_FIELDS)}: this is not a pickle of the dataset"
        )
    fields, warnings = _known_fields(content, path)
    arrays = {key: _array(value, key, path) for key, value in fields.items()}
    arrays = _dropping_single_axes(arrays)
    count = _frame_count(arrays, path)
    for key, array in arrays.items():
        _check_shape(array, key, count, path)
        arrays[key] = _converted(array, key)
        warnings += _check_finite(arrays[key], key, path)
    arrays, order_warnings = _in_time_order(arrays)
    for array in arrays.values():
        array.setflags(write=False)
    return ClipAnnotations(
        name=Path(path).name.removesuffix(".pkl"),
        warnings=tuple(warnings + order_warnings),
        **{field: arrays.get(key) for key, (field, _) in _FIELDS.items()},  # type: ignore[arg-type]  # only `vertices` may be None
    )


def _known_fields(content: Mapping[Any, Any], path: str) -> tuple[dict[str, Any], list[str]]:
    fields: dict[str, Any] = {}
    unknown = []
    for raw_key, value in content.items():
        text = raw_key.decode("latin1") if isinstance(raw_key, bytes) else raw_key
        key = _OTHER_NAMES.get(text, text)
        if key not in _FIELDS:
            unknown.append(ascii(str(text)[:40])[1:-1])  # keys can hold line breaks
        elif key in fields and not _is_same(fields[key], value):
            raise AnnotationError(
                f"{path}: holds `{key}` twice, under different names; keep the right one"
            )
        elif not (key in _OPTIONAL and value is None):
            fields[key] = value
    missing = [key for key in _FIELDS if key not in fields and key not in _OPTIONAL]
    if missing:
        raise AnnotationError(
            f"{path}: lacks {_quoted(missing)}; it has {_quoted(sorted(fields)) or 'no other'}: "
            "fetch the file again, or check that it is a pickle of the dataset"
        )
    return fields, [_about_unknown(sorted(unknown))] if unknown else []


def _about_unknown(keys: list[str]) -> str:
    more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return f"unknown keys are ignored: {_quoted(keys[:_LISTED])}{more}"


def _is_same(first: object, second: object) -> bool:
    """Some exports give the cameras under both of their names."""
    try:
        return bool(np.array_equal(np.asarray(first), np.asarray(second)))
    except ValueError:
        return False


def _quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _array(value: object, key: str, path: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise AnnotationError(
            f"{path}: `{key}` is not an array of real numbers (met {type(value).__name__} of "
            f"{array.dtype}); expected shape {_expected_shape(key, 'N')}"
        )
    return array


def _dropping_single_axes(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Some exports keep a person axis of length 1: (N, 1, 72) is read as (N, 72)."""
    return {
        key: array.squeeze(axis=1)
        if array.ndim == len(_FIELDS[key][1]) + 2 and array.shape[1] == 1
        else array
        for key, array in arrays.items()
    }


def _frame_count(arrays: Mapping[str, Array], path: str) -> int:
    counts = {key: array.shape[0] if array.ndim else 0 for key, array in arrays.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"`{key}` {count}" for key, count in counts.items())
        raise AnnotationError(
            f"{path}: its arrays disagree on the number of labelled frames: {listed}; "
            "expected one number for all: fetch the file again"
        )
    count = next(iter(counts.values()))
    if count == 0:
        raise AnnotationError(
            f"{path}: has no labelled frame (N = 0); there is nothing to draw: leave this clip out"
        )
    return count


def _check_shape(array: Array, key: str, count: int, path: str) -> None:
    expected = (count, *_FIELDS[key][1])
    fits = array.ndim == len(expected) and all(
        want is None or met == want for met, want in zip(array.shape, expected, strict=True)
    )
    if key == "3d_keypoints" and fits:
        fits = array.shape[1] in JOINT_ROWS
    if key == "vertices" and fits:
        fits = array.shape[1] > 0
    if not fits:
        raise AnnotationError(
            f"{path}: `{key}` has shape {array.shape}; expected {_expected_shape(key, str(count))}"
        )


def _expected_shape(key: str, count: str) -> str:
    any_length = {"3d_keypoints": "19 or 24", "vertices": "6890"}.get(key, "any")
    parts = [count, *(any_length if n is None else str(n) for n in _FIELDS[key][1])]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _converted(array: Array, key: str) -> Array:
    # The rest of the arithmetic is done in float64; these three are large.
    large = key in {"smpl_shape", "smpl_pose", "vertices"}
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused
        converted: Array = np.asarray(array, np.float32 if large else np.float64, order="C")
    return converted.view()  # it becomes read-only; the array that was given does not


def _check_finite(array: Array, key: str, path: str) -> list[str]:
    is_finite = np.isfinite(array)
    if is_finite.all():
        return []
    bad = np.argwhere(~is_finite)
    where = tuple(int(i) for i in bad[0])
    if key in _MAY_BE_UNKNOWN:
        return [
            f"`{key}` is not finite in {len(np.unique(bad[:, 0]))} frames (first in row "
            f"{where[0]}); those joints are left out"
        ]
    raise AnnotationError(
        f"{path}: `{key}` is {array[where]} at index {list(where)} ({len(bad)} values in all are "
        "not finite); expected finite numbers: fetch the file again"
    )


def _in_time_order(arrays: dict[str, Array]) -> tuple[dict[str, Array], list[str]]:
    time = arrays["time"]
    if np.all(np.diff(time) >= 0):
        return arrays, []
    order = np.argsort(time, kind="stable")
    first = int(np.argmax(np.diff(time) < 0)) + 1
    warning = f"{TIME_NOT_ASCENDING} (first at row {first}); the rows were sorted by time"
    return {key: array[order] for key, array in arrays.items()}, [warning]
