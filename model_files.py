"""Arrays out of the files that body models come in: `.pkl` with chumpy or scipy objects, `.npz`.

    arrays = read_arrays(Path("SMPL_NEUTRAL.pkl"), {"v_template", "f"})   # {"v_template": ...}

Neither chumpy nor scipy is imported: their objects are read as data and evaluated here.
Covered by tests/test_body_model.py.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import safe_pickle
from errors import AnnotationError, BodyModelError, UnsafePickleError

Array = npt.NDArray[Any]

_MOST_NUMBERS = 10_000_000  # in a sparse matrix made dense; SMPL-X's largest has 600,000


def read_arrays(path: Path, keys: Collection[str]) -> dict[str, Array]:
    """Those of `keys` that the file has, as it has them: any shape, any kind of number.

    Raises:
        BodyModelError: the file cannot be read, has no keys, or one of `keys` is no array.
        UnsafePickleError: the pickle asks for more than plain data, chumpy and scipy matrices.
    """
    content = _content(path, keys)
    if not isinstance(content, dict):
        raise BodyModelError(
            f"{path}: holds one {_kind(content)}; expected a body model, which has a dictionary of "
            "arrays: give SMPL's .pkl or .npz"
        )
    return {key: _array(path, key, content[key]) for key in keys if key in content}


def read_array(path: Path) -> Array:
    """The only array of a file: `.npy`, `.npz` or `.pkl`, alone or in a dictionary.

    Raises:
        BodyModelError: the file cannot be read, or holds something else or more.
        UnsafePickleError: the pickle asks for more than plain data, chumpy and scipy matrices.
    """
    content = _content(path, None)
    if isinstance(content, dict):
        if len(content) != 1:
            raise BodyModelError(f"{path}: holds {len(content)} entries; expected a single array")
        ((key, content),) = content.items()
        return _array(path, str(key), content)
    return _array(path, "the file's content", content)


def _content(path: Path, keys: Collection[str] | None) -> Any:
    """What the file holds, whatever its name; of an `.npz` only `keys`, unless they are None."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise BodyModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    if start == b"\x93NUMPY" or start[:4] == b"PK\x03\x04":
        return _numpy_content(path, keys)
    try:
        return safe_pickle.load(path, frozenset(_EVALUATED))
    except UnsafePickleError:
        raise
    except AnnotationError as error:
        raise BodyModelError(str(error)) from error


# What numpy and zipfile raise on a damaged file; neither promises a narrower set.
_DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, MemoryError),
    *(SyntaxError, ArithmeticError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def _numpy_content(path: Path, keys: Collection[str] | None) -> Any:
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.lib.npyio.NpzFile):
                return {key: loaded[key] for key in loaded if keys is None or key in keys}
            return loaded
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BodyModelError(
            f"{path}: cannot be read: {reason}; give the .pkl, or an .npz of plain arrays"
        ) from error


# What the state of an object can make `_evaluate` raise when it is not what chumpy or scipy wrote.
_UNFIT = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError),
    *(TypeError, ValueError),
)


def _array(path: Path, key: str, value: object) -> Array:
    try:
        array = _evaluate(value)
    except _UNFIT as error:
        raise BodyModelError(
            f"{path}: `{key}` is a {_kind(value)} that cannot be evaluated: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(array, np.ndarray):
        raise BodyModelError(f"{path}: `{key}` is a {_kind(value)}; expected an array")
    return array


def _evaluate(value: object) -> object:
    if isinstance(value, safe_pickle.PickledObject):
        return _EVALUATED[value.name](value.state)
    return value


def _chumpy_constant(state: Mapping[str, Any]) -> object:
    return state["x"]


def _chumpy_select(state: Mapping[str, Any]) -> object:
    picked = _operand(state).ravel()[state["idxs"]]
    return picked.reshape(state["preferred_shape"]) if "preferred_shape" in state else picked


def _chumpy_reshape(state: Mapping[str, Any]) -> object:
    return _operand(state).reshape(state["newshape"])


def _chumpy_transpose(state: Mapping[str, Any]) -> object:
    return _operand(state).transpose(state.get("axes"))


def _operand(state: Mapping[str, Any]) -> Array:
    operand = _evaluate(state["a"])
    if not isinstance(operand, np.ndarray):
        raise TypeError(f"its operand is a {_kind(operand)}")
    return operand


def _compressed_columns(state: Mapping[str, Any]) -> object:
    rows, columns = state["_shape"]
    return _dense(rows, columns, state["indices"], _expanded(state, columns), state["data"])


def _compressed_rows(state: Mapping[str, Any]) -> object:
    rows, columns = state["_shape"]
    return _dense(rows, columns, _expanded(state, rows), state["indices"], state["data"])


def _coordinates(state: Mapping[str, Any]) -> object:
    rows, columns = state["_shape"]
    row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
    return _dense(rows, columns, row, column, state["data"])


def _expanded(state: Mapping[str, Any], lines: int) -> Array:
    """The line (row or column) of each stored number, from where each line's numbers begin."""
    starts: Array = state["indptr"]
    if starts.shape != (lines + 1,) or starts[-1] != len(state["data"]):
        raise ValueError("its `indptr` does not fit its shape and data")
    return np.repeat(np.arange(lines), np.diff(starts))


def _dense(rows: int, columns: int, row: Array, column: Array, data: Array) -> Array:
    if math.prod((rows, columns)) > _MOST_NUMBERS:
        raise ValueError(f"it has shape {(rows, columns)}, more than any joint regressor")
    if not (row.shape == column.shape == data.shape == (len(data),)):
        raise ValueError("its indices and data have different lengths")
    if len(data) and min(row.min(), column.min()) < 0:
        raise ValueError("it has a negative index")
    dense = np.zeros((rows, columns), data.dtype)
    np.add.at(dense, (row, column), data)
    return dense


_EVALUATED: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "chumpy.ch.Ch": _chumpy_constant,
    "chumpy.reordering.Select": _chumpy_select,
    "chumpy.reordering.Reshape": _chumpy_reshape,
    "chumpy.reordering.transpose": _chumpy_transpose,
    **{
        f"scipy.sparse.{module}.{name}": evaluate
        for module, names, evaluate in (
            ("csc", ("csc_matrix",), _compressed_columns),
            ("csr", ("csr_matrix",), _compressed_rows),
            ("coo", ("coo_matrix",), _coordinates),
            ("_csc", ("csc_matrix", "csc_array"), _compressed_columns),
            ("_csr", ("csr_matrix", "csr_array"), _compressed_rows),
            ("_coo", ("coo_matrix", "coo_array"), _coordinates),
        )
        for name in names
    },
}


def _kind(value: object) -> str:
    return value.name if isinstance(value, safe_pickle.PickledObject) else type(value).__name__
