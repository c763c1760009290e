"""Reads pickles from strangers: numpy arrays and plain containers come out, nothing else runs.

    data = safe_pickle.load(Path("KV4jIAq3WJo_155_165.pkl"))   # {"time": array([...]), ...}

A pickle is a program for a small machine. Here that machine may only fetch the names listed in
`_PLAIN_NAMES`, and each of them gives a stand-in of ours, never the real thing: an array is put
together from its bytes, dtype and shape only after all of them have been checked against each
other. Covered by tests/test_safe_pickle.py.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from errors import AnnotationError, UnsafePickleError

_PLAIN_DTYPE = re.compile(r"\|?(\?|[biufcSU]\d{1,4})")


class PickledObject:
    """Stands in for an instance of a class that is admitted as data and never imported.

    `state` is what the pickle would have handed to the instance: usually its `__dict__`.
    """

    name = "object"
    state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def load(path: Path, admit_objects: frozenset[str] = frozenset()) -> Any:
    """Reads one pickle, written by Python 2 or 3 and numpy 1 or 2.

    Args:
        path: the file.
        admit_objects: full names of classes, such as `chumpy.ch.Ch`, whose instances are read
          as `PickledObject`; the classes themselves are neither imported nor needed.

    Returns:
        Plain containers, numbers, text and numpy arrays of numbers or text. Python 2's `str`
        arrives as `str`, one character a byte.

    Raises:
        UnsafePickleError: the pickle asks for a name that is not admitted. Nothing has run.
        AnnotationError: the file cannot be read, is not a pickle, or is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read: {error.strerror or error}") from error
    return loads(data, str(path), admit_objects)


def loads(data: bytes, name: str, admit_objects: frozenset[str] = frozenset()) -> Any:
    """Like `load`, from bytes; `name` is what messages call them."""
    try:
        _check_opcodes(data)
        return _Materialiser().plain(_Unpickler(data, admit_objects).load())
    except _RefusedError as error:
        raise UnsafePickleError(
            f"{name}: refused: {error}; a pickle of this dataset holds only numpy arrays and "
            "plain containers. Nothing in it was run: fetch the file again from a source you trust"
        ) from error
    except _DAMAGE as error:
        raise AnnotationError(
            f"{name}: is not a whole pickle: {str(error) or type(error).__name__}; "
            "fetch the file again"
        ) from error


class _RefusedError(Exception):
    """The pickle wants something that plain data does not need."""


# What the standard unpickler raises on bytes that are no pickle: it promises no narrower set.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def _check_opcodes(data: bytes) -> None:
    """Refuses pickles that are cut short, or whose declared sizes exceed the bytes there are.

    The standard unpickler reserves memory for what a pickle declares before it looks at what is
    there, both for strings and for memo entries; a file of 20 bytes could ask for gigabytes.
    """
    stopped = False
    for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
        if "PUT" in opcode.name and int(argument or 0) > count:
            raise _RefusedError(f"memo entry {argument} after {count} steps")
        stopped = opcode.name == "STOP"
    if not stopped:
        raise EOFError("it ends before its STOP mark")


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, admit_objects: frozenset[str]) -> None:
        # latin1 keeps every byte of Python 2's strings, which is where array data lives.
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._admit_objects = admit_objects

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        name = f"{module_name}.{global_name}"
        if name in self._admit_objects:
            return type(global_name, (PickledObject,), {"name": name})
        if name not in _PLAIN_NAMES:
            raise _RefusedError(f"it asks for `{name}`")
        return _Callable(_PLAIN_NAMES[name])

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("it refers to data outside the file")


class _Callable:
    """A function as a pickle gets to see it: to be called, with nothing on it to overwrite."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: object) -> Any:
        return self.function(*arguments)


class _Dtype:
    def __init__(self, code: object, *_: object) -> None:
        self.code = _text(code)
        self.byte_order = "="
        if not _PLAIN_DTYPE.fullmatch(self.code):
            raise _RefusedError(f"it holds an array of dtype {self.code!r}")

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(state[2:5]):
            raise _RefusedError("it holds an array of a structured dtype")
        self.byte_order = {"<": "<", ">": ">"}.get(_text(state[1]), "=")

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder("S" if self._is_foreign() else "=")

    def _is_foreign(self) -> bool:
        return self.byte_order not in {"=", "<" if sys.byteorder == "little" else ">"}


class _Array:
    def __init__(self) -> None:
        self.state: tuple[object, ...] = ()

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in {4, 5}:
            raise ValueError("an array's state is not (version, shape, dtype, order, data)")
        self.state = state[-4:]

    def array(self) -> npt.NDArray[Any]:
        if not self.state:
            raise ValueError("an array without content")
        shape, dtype, fortran, data = self.state
        return _array_from_bytes(data, dtype, shape, "F" if fortran else "C")


class _Scalar:
    def __init__(self, dtype: object, data: object) -> None:
        self.dtype = dtype
        self.data = data

    def value(self) -> Any:
        return _array_from_bytes(self.data, self.dtype, (), "C")[()]


class _Buffer:
    """An array as protocol 5 writes it."""

    def __init__(
        self, data: object, dtype: object, shape: object, order: object, axes: object = None
    ) -> None:
        self.parts = (data, dtype, shape, order)
        self.axes = axes

    def array(self) -> npt.NDArray[Any]:
        data, dtype, shape, order = self.parts
        array = _array_from_bytes(data, dtype, shape, "F" if order == "F" else "C")
        return array.transpose(self.axes) if isinstance(self.axes, tuple) else array


def _array_from_bytes(data: object, dtype: object, shape: object, order: str) -> npt.NDArray[Any]:
    if not isinstance(dtype, _Dtype):
        raise _RefusedError(f"an array whose dtype is a {type(dtype).__name__}")
    kind = dtype.dtype()
    if isinstance(data, str):
        data = data.encode("latin1")
    if isinstance(data, bytearray):
        data = bytes(data)
    if not isinstance(data, bytes):
        raise _RefusedError("an array of objects")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"an array of shape {shape!r}")
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(
            f"an array of shape {shape} and dtype {kind} needs {math.prod(shape) * kind.itemsize} "
            f"bytes; it has {len(data)}"
        )
    array = np.ndarray(shape, kind, data, order="F" if order == "F" else "C")
    return array.astype(kind.newbyteorder("="), order="K", copy=True)


def _start_array(kind: object, shape: object, code: object) -> _Array:
    # numpy itself would allocate `shape` here, before any data has been seen.
    if not _names(kind, _ndarray) or shape != (0,):
        raise _RefusedError(f"it reserves an array of shape {shape!r}")
    return _Array()


def _ndarray(*_: object) -> None:
    """Stands for `numpy.ndarray`, which pickles name as an argument and never need to call."""
    raise _RefusedError("it makes an array out of nothing")


def _object(*_: object) -> None:
    """Stands for `object`, which pickles name as a base class and never need to call."""
    raise _RefusedError("it makes an object of an unknown kind")


def _names(value: object, function: Callable[..., Any]) -> bool:
    return isinstance(value, _Callable) and value.function is function


def _start_object(kind: object, base: object, _: object) -> PickledObject:
    if not (isinstance(kind, type) and issubclass(kind, PickledObject) and _names(base, _object)):
        raise _RefusedError("it makes an object of an unknown kind")
    return kind()


def _bytes_from_text(text: object, encoding: object) -> bytes:
    """How Python 3 writes `bytes` in protocols that have none."""
    if not isinstance(text, str) or encoding not in {"latin1", "latin-1"}:
        raise _RefusedError("it converts text in an unusual way")
    return text.encode("latin1")


def _empty_bytes(*arguments: object) -> bytes:
    if arguments:
        raise _RefusedError("it calls `bytes`")
    return b""


def _plain_mapping(*arguments: object) -> dict[Any, Any]:
    if any(arguments):
        raise _RefusedError("it builds a dictionary from something else")
    return {}


_PLAIN_NAMES: Mapping[str, Callable[..., Any]] = {
    **{
        f"{module}.{name}": stand_in
        for name, stand_in, modules in (
            ("_reconstruct", _start_array, ("numpy.core.multiarray", "numpy._core.multiarray")),
            ("scalar", _Scalar, ("numpy.core.multiarray", "numpy._core.multiarray")),
            ("_frombuffer", _Buffer, ("numpy.core.numeric", "numpy._core.numeric")),
            ("ndarray", _ndarray, ("numpy",)),
            ("dtype", _Dtype, ("numpy",)),
        )
        for module in modules
    },
    "_codecs.encode": _bytes_from_text,
    "collections.OrderedDict": _plain_mapping,
    "builtins.bytes": _empty_bytes,
    "__builtin__.bytes": _empty_bytes,
    "builtins.object": _object,
    "__builtin__.object": _object,
    "copyreg._reconstructor": _start_object,
    "copy_reg._reconstructor": _start_object,
}


class _Materialiser:
    """Turns stand-ins into arrays throughout nested containers, each shared one once."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}  # the original is kept so its id stays taken

    def plain(self, value: Any) -> Any:
        if id(value) not in self._done:
            self._done[id(value)] = (value, self._convert(value))
        return self._done[id(value)][1]

    def _convert(self, value: Any) -> Any:
        if isinstance(value, (_Array, _Buffer)):
            return value.array()
        if isinstance(value, _Scalar):
            return value.value()
        if isinstance(value, dict):
            return {_hashable(self.plain(key)): self.plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return type(value)(self.plain(item) for item in value)
        if isinstance(value, PickledObject):
            value.state = self.plain(value.state)
            return value
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, bytearray)):
            return value
        raise _RefusedError(f"it holds a {type(value).__name__.lstrip('_')}")


def _hashable(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, str):
        return value
    raise _RefusedError(f"a dtype written as {type(value).__name__}")
