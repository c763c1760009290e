"""Reads pickles from strangers: numpy arrays and plain containers come out, nothing else runs.

    data = safe_pickle.load(Path("KV4jIAq3WJo_155_165.pkl"))   # {"time": array([...]), ...}

A pickle is a program for a small machine. The machine here is our own: it knows the instructions
that data needs, and the names in `_PLAIN_NAMES`, each of which gives a stand-in of ours, never
the real thing. An array is put together from its bytes, dtype and shape only after all of them
have been checked against each other and against the size of the file. The standard library's
machine would not do even with such names alone: a file of 3 MB can make it overflow the C stack,
and one of 20 bytes can make it reserve gigabytes. Covered by tests/test_safe_pickle.py.
"""

from __future__ import annotations

import codecs
import io
import math
import pickletools
import re
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from errors import AnnotationError, UnsafePickleError

_PLAIN_DTYPE = re.compile(r"\|?(\?|[biufcSU]\d{1,4})")
_OPCODES = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
_MOST_AXES = 32


class PickledObject:
    """Stands in for an instance of a class that is admitted as data and never imported.

    Attributes:
        name: the class, as in `chumpy.ch.Ch`.
        state: what the pickle would have handed to the instance: usually its `__dict__`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None


def load(path: Path, admit_objects: frozenset[str] = frozenset()) -> Any:
    """Reads one pickle, written by Python 2 or 3 and numpy 1 or 2, in any protocol.

    Args:
        path: the file.
        admit_objects: full names of classes, such as `chumpy.ch.Ch`, whose instances are read
          as `PickledObject`; the classes themselves are neither imported nor needed.

    Returns:
        Plain containers, numbers, text and numpy arrays of numbers or text. Python 2's `str`
        arrives as `str`, one character a byte. The keys of every `dict` are text.

    Raises:
        UnsafePickleError: the pickle asks for more than data. Nothing has run.
        AnnotationError: the file cannot be read, is not a pickle, or is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read: {error.strerror or error}") from error
    return loads(data, str(path), admit_objects)


def loads(data: bytes | memoryview, name: str, admit_objects: frozenset[str] = frozenset()) -> Any:
    """Like `load`, from bytes; `name` is what messages call them."""
    try:
        return _Materialiser(len(data)).plain(_Machine(admit_objects).run(data))
    except _RefusedError as error:
        raise UnsafePickleError(
            f"{name}: refused: {error}; data needs only numpy arrays and plain containers. "
            "Nothing in it was run: fetch the file again from a source you trust"
        ) from error
    except _DAMAGE as error:
        raise AnnotationError(
            f"{name}: is not a whole pickle: {_printable(str(error)) or type(error).__name__}; "
            "fetch the file again"
        ) from error


class _RefusedError(Exception):
    """The pickle wants something that plain data does not need."""


# What bytes that are no pickle can make `pickletools`, numpy and the machine below raise.
_DAMAGE = (ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


def _opcodes(data: bytes | memoryview) -> Iterator[tuple[str, Any]]:
    """The instructions, up to but without STOP, each with the argument that is part of it."""
    stream = _Stream(data)
    while code := stream.read(1):
        opcode = _OPCODES.get(code)
        if opcode is None:
            raise ValueError(f"byte {stream.tell() - 1} is no instruction")
        if opcode.name == "STOP":
            return
        if opcode.name == "STRING":
            yield opcode.name, _python2_string(stream.readline())
        elif opcode.name == "BINSTRING":
            yield opcode.name, _python2_text(stream)
        else:
            # A reader needs no more of a file than `_Stream` has.
            yield opcode.name, opcode.arg.reader(stream) if opcode.arg else None  # type: ignore[arg-type]
    raise ValueError("it ends before its STOP mark")


class _Stream:
    """What `pickletools` needs of a file, on bytes that are never copied as a whole.

    It lends long stretches of them: vertices are most of a pickle.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data)
        self._at = 0
        self._lines: io.BytesIO | None = None

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> Any:
        piece = self._view[self._at : self._at + size]
        self._at += len(piece)
        return bytes(piece) if size < _LONG else piece

    def readline(self) -> bytes:
        if self._lines is None:  # only pickles of protocol 0 are made of lines
            self._lines = io.BytesIO(self._view)
        self._lines.seek(self._at)
        line = self._lines.readline()
        self._at += len(line)
        return line


_LONG = 1 << 16  # bytes


def _python2_text(stream: _Stream) -> str | memoryview:
    """Python 2 writes an array's content as text; where it is long it stays the bytes it is."""
    (length,) = struct.unpack("<i", stream.read(4))
    content = stream.read(length) if length >= 0 else b""
    if len(content) != length:
        raise ValueError(f"a string of {length} bytes; {len(content)} are left")
    return content if isinstance(content, memoryview) else content.decode("latin1")


def _python2_string(line: bytes) -> str:
    """A quoted, escaped string of protocol 0; `pickletools` reads only those that are ASCII."""
    quote, text, end = line[:1], line[1:-2], line[-2:]
    if quote not in {b"'", b'"'} or end != quote + b"\n":
        raise ValueError("a string without its quotes")
    return codecs.escape_decode(text)[0].decode("latin1")


class _Machine:
    """Runs instructions on stand-ins. An instruction that is not in `_INSTRUCTIONS` is refused."""

    def __init__(self, admit_objects: frozenset[str]) -> None:
        self._admit_objects = admit_objects
        self._stack: list[Any] = []
        self._below_marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes | memoryview) -> Any:
        for name, argument in _opcodes(data):
            instruction = _INSTRUCTIONS.get(name)
            if instruction is None:
                raise _RefusedError(f"it uses the instruction {name}")
            instruction(self, argument)
        return self._stack.pop()

    def nothing(self, _: object) -> None:
        """Protocol numbers and frames help those who read from a stream."""

    def push(self, value: object) -> None:
        self._stack.append(value)

    def pop(self, _: object) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def mark(self, _: object) -> None:
        self._below_marks.append(self._stack)
        self._stack = []

    def pop_mark(self, _: object) -> None:
        self._since_mark()

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, index: int) -> None:
        self.push(self._memo[index])

    def list_(self, _: object) -> None:
        self.push(self._since_mark())

    def append(self, _: object) -> None:
        self._extend(self._last(1))

    def appends(self, _: object) -> None:
        self._extend(self._since_mark())

    def tuple_(self, _: object) -> None:
        self.push(tuple(self._since_mark()))

    def tuple1(self, _: object) -> None:
        self.push(tuple(self._last(1)))

    def tuple2(self, _: object) -> None:
        self.push(tuple(self._last(2)))

    def tuple3(self, _: object) -> None:
        self.push(tuple(self._last(3)))

    def dict_(self, _: object) -> None:
        items = self._since_mark()
        self.push({})
        self._set_items(items)

    def setitem(self, _: object) -> None:
        self._set_items(self._last(2))

    def setitems(self, _: object) -> None:
        self._set_items(self._since_mark())

    def additems(self, _: object) -> None:
        items = _text_only(self._since_mark())
        self._top(set).update(items)

    def frozenset_(self, _: object) -> None:
        self.push(frozenset(_text_only(self._since_mark())))

    def global_(self, names: str) -> None:
        self._push_name(names.replace(" ", ".", 1))

    def stack_global(self, _: object) -> None:
        module, name = self._last(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a name that is not text")
        self._push_name(f"{module}.{name}")

    def reduce(self, _: object) -> None:
        function, arguments = self._last(2)
        if not (isinstance(function, _Function) and isinstance(arguments, tuple)):
            raise _RefusedError("it calls something that is no function")
        self.push(function.function(*arguments))

    def newobj(self, _: object) -> None:
        kind, arguments = self._last(2)
        if not isinstance(kind, _Class) or arguments != ():
            raise _RefusedError("it makes an object of an unknown kind")
        self.push(PickledObject(kind.name))

    def build(self, _: object) -> None:
        (state,) = self._last(1)
        target = self._stack[-1]
        if isinstance(target, PickledObject):
            target.state = state
        elif isinstance(target, (_Array, _Dtype)):
            target.set_state(state)
        else:
            raise _RefusedError("it changes something that is no object")

    def _push_name(self, name: str) -> None:
        if name in self._admit_objects:
            self.push(_Class(name))
        elif name in _PLAIN_NAMES:
            self.push(_Function(_PLAIN_NAMES[name]))
        else:
            raise _RefusedError(f"it asks for `{_printable(name)}`")

    def _last(self, count: int) -> list[Any]:
        items = self._stack[-count:]
        if len(items) < count:
            raise ValueError("an instruction without its operands")
        del self._stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._below_marks.pop()
        return items

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise _RefusedError(f"it adds to something that is no {kind.__name__}")
        return self._stack[-1]

    def _extend(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _set_items(self, items: list[Any]) -> None:
        keys, values = _text_only(items[::2]), items[1::2]
        self._top(dict).update(zip(keys, values, strict=True))


def _text_only(keys: list[Any]) -> list[Any]:
    """Only text is safe to hash: nested tuples can overflow the C stack or never come to an end."""
    for key in keys:
        if not isinstance(key, (str, bytes)):
            raise _RefusedError(f"it uses a {_kind(key)} as a key")
    return keys


_INSTRUCTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.nothing,
    "FRAME": _Machine.nothing,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(
        (
            *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
            *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "BINUNICODE8"),
            *("SHORT_BINUNICODE", "BINBYTES", "BINBYTES8", "SHORT_BINBYTES", "BYTEARRAY8"),
        ),
        _Machine.push,
    ),
    "POP": _Machine.pop,
    "MARK": _Machine.mark,
    "POP_MARK": _Machine.pop_mark,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": _Machine.list_,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": _Machine.tuple_,
    "TUPLE1": _Machine.tuple1,
    "TUPLE2": _Machine.tuple2,
    "TUPLE3": _Machine.tuple3,
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": _Machine.dict_,
    "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems,
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "ADDITEMS": _Machine.additems,
    "FROZENSET": _Machine.frozenset_,
    "GLOBAL": _Machine.global_,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.newobj,
    "BUILD": _Machine.build,
}


class _Function:
    """A function of `_PLAIN_NAMES` as the pickle gets to see it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class _Class:
    """A class that is admitted as data, as the pickle gets to see it."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Dtype:
    def __init__(self, code: object, *_: object) -> None:
        self.code = _text(code)
        self.byte_order = "="
        if not _PLAIN_DTYPE.fullmatch(self.code):
            raise _RefusedError(f"it holds an array of dtype '{_printable(self.code)}'")

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(state[2:5]):
            raise _RefusedError("it holds an array of a structured dtype")
        self.byte_order = {"<": "<", ">": ">"}.get(_text(state[1]), "=")

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder("S" if self._is_foreign() else "=")

    def _is_foreign(self) -> bool:
        return self.byte_order not in {"=", "<" if sys.byteorder == "little" else ">"}


class _Array:
    """An array's parts as a pickle gives them, in whichever order; nothing is made of them yet."""

    is_scalar = False

    def __init__(
        self,
        data: object = None,
        dtype: object = None,
        shape: object = (),
        order: object = "C",
        axes: object = None,
    ) -> None:
        self.data = data
        self.dtype = dtype
        self.shape = shape
        self.order = order
        self.axes = axes

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in {4, 5}:
            raise ValueError("an array's state is not (version, shape, dtype, order, data)")
        self.shape, self.dtype, is_fortran, self.data = state[-4:]
        self.order = "F" if is_fortran else "C"

    def array(self, most_bytes: int) -> npt.NDArray[Any]:
        if not isinstance(self.dtype, _Dtype):
            raise _RefusedError(f"it holds an array whose dtype is a {_kind(self.dtype)}")
        if not isinstance(self.data, (str, bytes, bytearray, memoryview)):
            raise _RefusedError("it holds an array of objects")
        dtype = self.dtype.dtype()
        shape = _checked_shape(self.shape)
        size = math.prod(shape) * dtype.itemsize
        if size != len(self.data):
            raise ValueError(
                f"an array of shape {shape} and dtype {dtype} needs {size} bytes; "
                f"it has {len(self.data)}"
            )
        if size > most_bytes:
            raise _RefusedError("its arrays need more memory than the file has bytes")
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        array = np.ndarray(shape, dtype, data, order="F" if self.order == "F" else "C")
        array = array.astype(dtype.newbyteorder("="), order="K", copy=True)
        return array.transpose(self.axes) if isinstance(self.axes, tuple) else array


class _Scalar(_Array):
    is_scalar = True

    def __init__(self, dtype: object, data: object) -> None:
        super().__init__(data, dtype)


def _checked_shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > _MOST_AXES:
        raise ValueError("an array whose shape is no tuple of at most 32 numbers")
    if not all(isinstance(n, int) and 0 <= n <= sys.maxsize for n in shape):
        raise ValueError("an array whose shape holds something else than lengths")
    return shape


def _start_array(kind: object, shape: object, code: object) -> _Array:
    # numpy itself would allocate `shape` here, before any data has been seen.
    if not _stands_for(kind, _ndarray) or shape != (0,):
        raise _RefusedError("it reserves an array before its content is known")
    return _Array()


def _ndarray(*_: object) -> None:
    """Stands for `numpy.ndarray`, which pickles name as an argument and never need to call."""
    raise _RefusedError("it makes an array out of nothing")


def _object(*_: object) -> None:
    """Stands for `object`, which pickles name as a base class and never need to call."""
    raise _RefusedError("it makes an object of an unknown kind")


def _stands_for(value: object, function: Callable[..., Any]) -> bool:
    return isinstance(value, _Function) and value.function is function


def _start_object(kind: object, base: object, _: object) -> PickledObject:
    if not (isinstance(kind, _Class) and _stands_for(base, _object)):
        raise _RefusedError("it makes an object of an unknown kind")
    return PickledObject(kind.name)


def _bytes_from_text(text: object, encoding: object) -> bytes:
    """How Python 3 writes `bytes` in protocols that have none."""
    if not (isinstance(text, str) and isinstance(encoding, str) and encoding == "latin1"):
        raise _RefusedError("it converts text in an unusual way")
    return text.encode("latin1")


def _empty_bytes(*arguments: object) -> bytes:
    if arguments:
        raise _RefusedError("it calls `bytes`")
    return b""


def _dict_of_pairs(pairs: object = ()) -> dict[Any, Any]:
    """How Python 2 writes an `OrderedDict`; Python 3 starts with an empty one."""
    if not isinstance(pairs, (list, tuple)):
        raise _RefusedError("it builds a dictionary from something else")
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise _RefusedError("it builds a dictionary from something else")
    keys = _text_only([key for key, _ in pairs])
    return dict(zip(keys, (value for _, value in pairs), strict=True))


def _set_of_text(items: object = ()) -> set[Any]:
    if not isinstance(items, (list, tuple)):
        raise _RefusedError("it builds a set from something else")
    return set(_text_only(list(items)))


_PLAIN_NAMES: Mapping[str, Callable[..., Any]] = {
    **{
        f"{module}.{name}": stand_in
        for name, stand_in, modules in (
            ("_reconstruct", _start_array, ("numpy.core.multiarray", "numpy._core.multiarray")),
            ("scalar", _Scalar, ("numpy.core.multiarray", "numpy._core.multiarray")),
            ("_frombuffer", _Array, ("numpy.core.numeric", "numpy._core.numeric")),
            ("ndarray", _ndarray, ("numpy",)),
            ("dtype", _Dtype, ("numpy",)),
            ("bytes", _empty_bytes, ("builtins", "__builtin__")),
            ("object", _object, ("builtins", "__builtin__")),
            ("set", _set_of_text, ("builtins", "__builtin__")),
            ("_reconstructor", _start_object, ("copyreg", "copy_reg")),
        )
        for module in modules
    },
    "_codecs.encode": _bytes_from_text,
    "collections.OrderedDict": _dict_of_pairs,
}


class _Materialiser:
    """Turns stand-ins into arrays throughout nested containers, each shared one once.

    The arrays together get no more bytes than the file has: in a whole one each has its own.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._done: dict[int, tuple[Any, Any]] = {}  # the original is kept so its id stays taken

    def plain(self, value: Any) -> Any:
        if id(value) not in self._done:
            self._done[id(value)] = (value, self._convert(value))
        return self._done[id(value)][1]

    def _convert(self, value: Any) -> Any:
        if isinstance(value, _Array):
            array = value.array(self._most_bytes)
            self._most_bytes -= array.nbytes
            return array[()] if value.is_scalar else array
        if isinstance(value, dict):
            return {key: self.plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.plain(item) for item in value)
        if isinstance(value, PickledObject):
            value.state = self.plain(value.state)
            return value
        if isinstance(value, memoryview):
            return bytes(value)
        if value is None or isinstance(value, _PLAIN_TYPES):
            return value
        raise _RefusedError(f"it holds a {_kind(value)}")


_PLAIN_TYPES = (bool, int, float, str, bytes, bytearray, set, frozenset)


def _kind(value: object) -> str:
    return type(value).__name__.lstrip("_").lower()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, str):
        return value
    raise _RefusedError(f"a dtype written as {_kind(value)}")


def _printable(text: str) -> str:
    """What a stranger's text may put on a terminal: one short line, no control characters."""
    return ascii(text[:200])[1:-1]
