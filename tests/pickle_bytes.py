"""Pickles put together by hand, byte for byte what Python 2's cPickle writes in protocol 2.

    data = pickle_bytes.whole(pickle_bytes.mapping({"time": pickle_bytes.array(time)}))

Each function gives the bytes that leave one value on the stack; only cPickle's memo is left out.
Covered by tests/test_safe_pickle.py, which holds real ones too.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

FALSE = b"\x89"
NONE = b"N"


def whole(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def string(value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    if len(data) < 256:
        return b"U" + bytes([len(data)]) + data
    return b"T" + struct.pack("<i", len(data)) + data


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def sequence(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def fixed(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def mapping(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(string(key) + value for key, value in items.items()) + b"u"


def name(full: str) -> bytes:
    module, _, last = full.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + fixed(*arguments) + b"R"


def instance(full_name: str, state: bytes) -> bytes:
    return name(full_name) + b")\x81" + state + b"b"


def dtype(code: str, order: str) -> bytes:
    made = call(name("numpy.dtype"), string(code), integer(0), integer(1))
    rest = (NONE, NONE, NONE, integer(-1), integer(-1), integer(0))
    return made + fixed(integer(3), string(order), *rest) + b"b"


def raw_array(
    shape: bytes, kind: bytes, data: bytes, module: str = "numpy.core.multiarray"
) -> bytes:
    start = fixed(name("numpy.ndarray"), fixed(integer(0)), string(b"b"))
    made = name(f"{module}._reconstruct") + start + b"R"
    return made + fixed(integer(1), shape, kind, FALSE, data) + b"b"


def array(values: npt.NDArray[Any], module: str = "numpy.core.multiarray") -> bytes:
    """An array of numbers, in its own byte order."""
    order = "|" if values.itemsize == 1 else ">" if values.dtype.str[0] == ">" else "<"
    return raw_array(
        fixed(*map(integer, values.shape)),
        dtype(values.dtype.str[1:], order),
        string(values.tobytes()),
        module,
    )


def chumpy_state(**terms: bytes) -> bytes:
    """The `__dict__` of a chumpy object, less what chumpy 0.70's `__getstate__` takes out."""
    dirty = call(name("__builtin__.set"), sequence(*map(string, terms)))
    return mapping(
        {
            "_make_sparse": FALSE,
            "_dirty_vars": dirty,
            "_itr": NONE,
            "_depends_on_deps": mapping({}),
            "_make_dense": FALSE,
            "_status": string("new"),
            **terms,
        }
    )


def chumpy_array(values: npt.NDArray[Any]) -> bytes:
    return instance("chumpy.ch.Ch", chumpy_state(x=array(values.astype("<f8"))))


def chumpy_selection(values: npt.NDArray[Any], key: Any) -> bytes:
    """What `chumpy.array(values)[key]` is: a selection that has not been computed."""
    picked = np.arange(values.size).reshape(values.shape)[key]
    state = chumpy_state(
        a=chumpy_array(values),
        idxs=array(picked.ravel().astype("<i8")),
        preferred_shape=fixed(*map(integer, picked.shape)),
    )
    return instance("chumpy.reordering.Select", state)


def sparse_matrix(values: npt.NDArray[Any], kind: str = "scipy.sparse.csc.csc_matrix") -> bytes:
    """`kind(values)`, for the compressed formats csc and csr."""
    by_column = "csc" in kind
    lines = values.T if by_column else values
    line, place = np.nonzero(lines)
    starts = np.concatenate(([0], np.cumsum(np.count_nonzero(lines, axis=1))))
    state = {
        "indices": array(place.astype("<i4")),
        "indptr": array(starts.astype("<i4")),
        "data": array(lines[line, place]),
        "_shape": fixed(*map(integer, values.shape)),
        "maxprint": integer(50),
    }
    return instance(kind, mapping(state))
