from __future__ import annotations

import collections
import io
import pickle
import pickletools
import random
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pickle_bytes as pb
import pytest

import safe_pickle
from errors import AnnotationError, UnsafePickleError

SEED = 20190606
SMALL = pb.whole(pb.mapping({"time": pb.array(np.array([0.5, -1.0])), "n": pb.integer(3)}))


def loads(data: bytes, *admit: str) -> Any:
    return safe_pickle.loads(data, "clip.pkl", frozenset(admit))


# What Python 2.7's cPickle and numpy 1.16 wrote for
# {"time": array([0.5, -1.0]), u"k\xe9": array([[1, 2, 3]], ">f4"), "n": 3, "s": "a\x00\xe9'\n",
#  "l": [True, None, 2.5, 10**12]}
PYTHON2 = {
    0: (
        b"(dp1\nVk\xe9\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\n"
        b"tS'b'\ntRp5\n(I1\n(I1\nI3\ntcnumpy\ndtype\np6\n(S'f4'\nI0\nI1\ntRp7\n(I3\nS'>'\nNNNI-1\n"
        b"I-1\nI0\ntbI00\nS'?\\x80\\x00\\x00@\\x00\\x00\\x00@@\\x00\\x00'\ntbsS'n'\nI3\nsS'l'\n(lp8\n"
        b"I01\naNaF2.5\naI1000000000000\nasS's'\nS\"a\\x00\\xe9'\\n\"\np9\nsS'time'\np10\ng3\n(g4\n"
        b"(I0\ntS'b'\ntRp11\n(I1\n(I2\ntg6\n(S'f8'\nI0\nI1\ntRp12\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nS'\\x00\\x00\\x00\\x00\\x00\\x00\\xe0?\\x00\\x00\\x00\\x00\\x00\\x00\\xf0\\xbf'\ntbs."
    ),
    1: (
        b"}q\x01(X\x03\x00\x00\x00k\xc3\xa9q\x02cnumpy.core.multiarray\n_reconstruct\nq\x03(cnumpy\n"
        b"ndarray\nq\x04(K\x00tU\x01btRq\x05(K\x01(K\x01K\x03tcnumpy\ndtype\nq\x06(U\x02f4K\x00K\x01"
        b"tRq\x07(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbI00\nU\x0c?\x80\x00\x00@\x00"
        b"\x00\x00@@\x00\x00tbU\x01nK\x03U\x01l]q\x08(I01\nNG@\x04\x00\x00\x00\x00\x00\x00"
        b"I1000000000000\neU\x01sU\x05a\x00\xe9'\nq\tU\x04timeq\nh\x03(h\x04(K\x00tU\x01btRq\x0b(K"
        b"\x01(K\x02th\x06(U\x02f8K\x00K\x01tRq\x0c(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tbI00\nU\x10\x00\x00\x00\x00\x00\x00\xe0?\x00\x00\x00\x00\x00\x00\xf0\xbftbu."
    ),
    2: (
        b"\x80\x02}q\x01(X\x03\x00\x00\x00k\xc3\xa9q\x02cnumpy.core.multiarray\n_reconstruct\nq\x03"
        b"cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x01K\x03\x86cnumpy\ndtype\nq\x06U"
        b"\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c"
        b"?\x80\x00\x00@\x00\x00\x00@@\x00\x00tbU\x01nK\x03U\x01l]q\x08(\x88NG@\x04\x00\x00\x00\x00"
        b"\x00\x00I1000000000000\neU\x01sU\x05a\x00\xe9'\nq\tU\x04timeq\nh\x03h\x04K\x00\x85U\x01b"
        b"\x87Rq\x0b(K\x01K\x02\x85h\x06U\x02f8K\x00K\x01\x87Rq\x0c(K\x03U\x01<NNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK\x00tb\x89U\x10\x00\x00\x00\x00\x00\x00\xe0?\x00\x00\x00\x00\x00\x00\xf0"
        b"\xbftbu."
    ),
}


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_a_pickle_written_by_python_2(protocol: int) -> None:
    data = loads(PYTHON2[protocol])
    assert list(data["time"]) == [0.5, -1.0]
    assert data["ké"].dtype == np.dtype("float32")
    assert data["ké"].tolist() == [[1, 2, 3]]
    assert data["n"] == 3
    assert data["s"] == "a\x00\xe9'\n"
    assert data["l"] == [True, None, 2.5, 10**12]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_written_by_this_python_and_numpy(protocol: int) -> None:
    given = {
        "float64": np.arange(24.0).reshape(2, 3, 4),
        "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
        "big": np.arange(6, dtype=">f8").reshape(2, 3),
        "little": np.arange(6, dtype="<u2"),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "turned": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        "strided": np.arange(10)[::3],
        "bool": np.array([True, False]),
        "text": np.array(["a", "bcd"]),
        "bytes": np.array([b"a", b"bcd"]),
        "empty": np.zeros((0, 19, 2)),
        "single": np.array(4.0),
    }
    rest = {
        "f": np.float32(0.1),
        "i": np.int64(-5),
        "list": [1, -(2**70), 0.5, "é€", b"\xff", None],
    }
    got = loads(pickle.dumps({**given, **rest, "ordered": collections.OrderedDict(a=1)}, protocol))
    for key, array in given.items():
        assert type(got[key]) is np.ndarray, key
        assert got[key].dtype == array.dtype.newbyteorder("="), key
        assert got[key].shape == array.shape, key
        assert (got[key] == array).all(), key
        assert got[key].flags.writeable, key
    assert (got["f"], got["i"], got["list"]) == (rest["f"], rest["i"], rest["list"])
    assert type(got["f"]) is np.float32
    assert got["ordered"] == {"a": 1}


@pytest.mark.parametrize("protocol", range(3))
def test_bytes_keys_and_text_keys_both_arrive(protocol: int) -> None:
    assert loads(pickle.dumps({b"time": 1, "cameras": 2}, protocol)) == {b"time": 1, "cameras": 2}


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<i8", ">u4", "|u1", "|b1"])
def test_arrays_of_numpy_1_and_2_in_both_byte_orders(module: str, dtype: str) -> None:
    array = np.array([[1, 0, 3], [4, 5, 6]]).astype(dtype)
    got = loads(pb.whole(pb.array(array, module)))
    assert got.dtype == array.dtype.newbyteorder("=")
    assert (got == array).all()


@pytest.mark.parametrize("module", ["numpy.core.numeric", "numpy._core.numeric"])
@pytest.mark.parametrize(
    ("order", "axes"), [(b"C", b""), (b"F", b""), (b"K", pb.fixed(pb.integer(1), pb.integer(0)))]
)
def test_protocol_5_arrays_of_numpy_1_and_2(module: str, order: bytes, axes: bytes) -> None:
    values = np.arange(6, dtype="<f4")
    shape = pb.fixed(pb.integer(2), pb.integer(3))
    buffer = b"\x96" + struct.pack("<Q", values.nbytes) + values.tobytes()
    parts = (buffer, pb.dtype("f4", "<"), shape, pb.string(order), *([axes] if axes else []))
    got = loads(b"\x80\x05" + pb.call(pb.name(f"{module}._frombuffer"), *parts) + b".")
    want = values.reshape(2, 3, order="F" if order == b"F" else "C")
    assert (got == (want.T if axes else want)).all()


def test_hand_built_pickles_are_what_the_standard_library_reads() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    data = pb.whole(pb.mapping({"a": pb.array(array), "b": pb.sequence(pb.integer(1), pb.NONE)}))
    standard = pickle.loads(data, encoding="latin1")  # noqa: S301  # our own bytes, made above
    assert (standard["a"] == array).all()
    assert standard["b"] == [1, None]


def test_a_shared_array_stays_shared() -> None:
    array = np.arange(3.0)
    data = loads(pickle.dumps([array, {"again": array}]))
    assert data[0] is data[1]["again"]


def test_ordered_dictionaries_and_sets_of_python_2() -> None:
    pair = pb.sequence(pb.string("a"), pb.integer(1))
    ordered = pb.call(pb.name("collections.OrderedDict"), pb.sequence(pair))
    names = pb.call(pb.name("__builtin__.set"), pb.sequence(pb.string("x"), pb.string("y")))
    assert loads(pb.whole(ordered)) == {"a": 1}
    assert loads(pb.whole(names)) == {"x", "y"}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert loads(pickle.dumps({"x", "y"}, protocol)) == {"x", "y"}


# Files that are no pickle, or no longer one.


def test_every_cut_is_noticed() -> None:
    newest = pickle.dumps({"time": np.arange(3.0)}, pickle.HIGHEST_PROTOCOL)
    for data in (SMALL, newest, *PYTHON2.values()):
        loads(data)
        for length in range(len(data)):
            with pytest.raises(AnnotationError):
                loads(data[:length])


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
def test_any_changed_byte_gives_data_or_an_error_of_ours() -> None:
    dice = random.Random(SEED)  # noqa: S311  # for variety, not for secrets
    newest = pickle.dumps({"time": np.arange(3.0), "s": {"x"}}, pickle.HIGHEST_PROTOCOL)
    refused = 0
    for data in (SMALL, newest, *PYTHON2.values()):
        for place in range(len(data)):
            for _ in range(4):
                changed = bytearray(data)
                changed[place] = dice.randrange(256)
                try:
                    loads(bytes(changed))
                except AnnotationError as error:
                    assert "\n" not in str(error)
                    refused += 1
    assert refused > 1000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 100,
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"<html><body>404</body></html>",
        b"PK\x03\x04",
        b"version https://git-lfs.github.com/spec/v1\n",
        b".",
        b"0.",
        b"1.",
        b"t.",
        b"}s.",
        b"}N(u.",
        b"(U\x01ad.",
        b"h\x07.",
        b"g-1\n.",
        b"N\x93.",
        b"S'no quote\n.",
        b"S\n.",
        b"Ix\n.",
        b"I" + b"9" * 5000 + b"\n.",
        b"\x8a\x01",
        b"T\xff\xff\xff\xff.",
    ],
)
def test_junk_is_an_annotation_error_in_one_line(data: bytes) -> None:
    with pytest.raises(AnnotationError, match=r"^clip\.pkl: ") as caught:
        loads(data)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"absent\.pkl: cannot be read: No such file"):
        safe_pickle.load(tmp_path / "absent.pkl")
    with pytest.raises(AnnotationError, match="cannot be read: Is a directory"):
        safe_pickle.load(tmp_path)
    (tmp_path / "clip.pkl").write_bytes(SMALL)
    assert safe_pickle.load(tmp_path / "clip.pkl")["n"] == 3


def test_arrays_whose_parts_disagree() -> None:
    kind = pb.dtype("f8", "<")
    two = pb.fixed(pb.integer(2))
    for shape, data in (
        (two, pb.string(b"\0" * 15)),
        (two, pb.string(b"\0" * 17)),
        (pb.fixed(pb.integer(-2), pb.integer(-1)), pb.string(b"\0" * 16)),
        (pb.fixed(pb.string("2")), pb.string(b"\0" * 16)),
        (pb.sequence(pb.integer(2)), pb.string(b"\0" * 16)),
        (pb.fixed(*[pb.integer(1)] * 33), pb.string(b"\0" * 8)),
        (pb.fixed(b"\x8a\x09" + b"\xff" * 8 + b"\x00"), pb.string(b"")),
        (two, b"X" + struct.pack("<I", 32) + "\u0100".encode() * 16),
    ):
        with pytest.raises(AnnotationError, match=r"^clip\.pkl: is not a whole pickle: "):
            loads(pb.whole(pb.raw_array(shape, kind, data)))
    with pytest.raises(
        AnnotationError, match=r"shape \(2,\) and dtype float64 needs 16 bytes; it "
    ):
        loads(pb.whole(pb.raw_array(two, kind, pb.string(b"\0" * 15))))


# Pickles that want to run something.

SYSTEM = pb.name("os.system")


def attacks(command: str) -> dict[str, bytes]:
    line = pb.string(command)
    posix = b"X\x05\x00\x00\x00posixX\x06\x00\x00\x00system\x93"
    return {
        "reduce": pb.call(SYSTEM, line),
        "stack_global": posix + pb.fixed(line) + b"R",
        "python 2 name": pb.call(pb.name("posix.system"), line),
        "inst": b"(" + line + b"ios\nsystem\n",
        "obj": b"(" + SYSTEM + line + b"o",
        "newobj": SYSTEM + pb.fixed(line) + b"\x81",
        "newobj_ex": SYSTEM + pb.fixed(line) + b"}\x92",
        "eval": pb.call(pb.name("builtins.eval"), line),
        "eval of python 2": pb.call(pb.name("__builtin__.eval"), line),
        "getattr": pb.call(pb.name("builtins.getattr"), SYSTEM, line),
        "numpy.load": pb.call(pb.name("numpy.load"), line),
        "attribute of a plain name": pb.name("numpy.ndarray.tofile"),
        "attribute through stack_global": b"U\x05numpyU\x0fndarray.__new__\x93",
        "globals of a stand-in": pb.name("numpy.core.multiarray._reconstruct.__globals__"),
        "in a container": pb.sequence(pb.mapping({"time": pb.call(SYSTEM, line)})),
        "as a dictionary of pairs": pb.call(
            pb.name("collections.OrderedDict"), pb.sequence(pb.call(SYSTEM, line))
        ),
        "never called": pb.fixed(SYSTEM),
        "popped": SYSTEM + b"0" + pb.NONE,
        "in an array's state": pb.raw_array(pb.fixed(), pb.call(SYSTEM, line), line),
        "extension": b"\x82\x01",
        "persistent": line + b"Q",
        "persistent of protocol 0": b"Prm\n",
        "out-of-band buffer": b"\x97",
    }


@pytest.mark.parametrize("attack", attacks(""))
def test_nothing_in_a_pickle_runs(attack: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(UnsafePickleError, match=r"^clip\.pkl: refused: .*Nothing in it was run"):
        loads(pb.whole(attacks(f"touch {marker}")[attack]), "chumpy.ch.Ch")
    assert not marker.exists()


def test_the_attacks_above_are_real(tmp_path: Path) -> None:
    for attack in ("reduce", "stack_global", "inst", "in a container"):
        marker = tmp_path / attack.replace(" ", "_")
        pickle.loads(pb.whole(attacks(f"touch {marker}")[attack]))  # noqa: S301  # ours, harmless
        assert marker.exists(), attack


def test_the_refused_name_is_shown_without_control_characters() -> None:
    with pytest.raises(UnsafePickleError, match=r"it asks for `os\.system`"):
        loads(pb.whole(pb.call(SYSTEM, pb.string("true"))))
    name = "evil\n\x1b[2J" + "x" * 10_000
    data = pb.whole(b"X\x01\x00\x00\x00aX" + struct.pack("<I", len(name)) + name.encode() + b"\x93")
    with pytest.raises(UnsafePickleError) as caught:
        loads(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_nothing_is_imported() -> None:
    before = set(sys.modules)
    for module in ("antigravity", "this", "chumpy.ch"):
        with pytest.raises(UnsafePickleError):
            loads(pb.whole(pb.name(f"{module}.x")))
    loads(pb.whole(pb.chumpy_array(np.zeros(2))), "chumpy.ch.Ch")
    assert set(sys.modules) == before


STAND_INS = [
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
    "collections.OrderedDict",
    "builtins.bytes",
    "builtins.object",
    "builtins.set",
    "copyreg._reconstructor",
]


@pytest.mark.parametrize("name", STAND_INS)
def test_build_overwrites_nothing_of_ours(name: str) -> None:
    before = loads(SMALL)
    for state in (
        pb.mapping({"function": pb.name("numpy.dtype")}),
        pb.mapping({"__class__": pb.name("numpy.dtype")}),
        pb.fixed(pb.NONE, pb.mapping({"function": pb.name("numpy.dtype")})),
        pb.fixed(pb.NONE, pb.mapping({"__call__": pb.NONE})),
    ):
        with pytest.raises(UnsafePickleError, match="it changes something that is no object"):
            loads(pb.whole(pb.name(name) + state + b"b"))
    assert (loads(SMALL)["time"] == before["time"]).all()


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_is_no_data(name: str) -> None:
    with pytest.raises(UnsafePickleError, match="it holds a function"):
        loads(pb.whole(pb.mapping({"time": pb.name(name)})))


def test_stand_ins_take_only_what_real_pickles_give_them() -> None:
    one, ndarray = pb.integer(1), pb.name("numpy.ndarray")
    for data in (
        pb.call(ndarray, pb.fixed(one)),
        pb.call(pb.name("builtins.object")),
        pb.call(pb.name("builtins.bytes"), pb.integer(10**9)),
        pb.call(pb.name("_codecs.encode"), pb.string("a"), pb.string("rot13")),
        pb.call(pb.name("_codecs.encode"), pb.string("a"), pb.fixed(one)),
        pb.call(pb.name("collections.OrderedDict"), pb.string("abc")),
        pb.call(pb.name("collections.OrderedDict"), pb.sequence(pb.fixed(one))),
        pb.call(pb.name("builtins.set"), pb.string("abc")),
        pb.call(pb.name("copyreg._reconstructor"), ndarray, pb.name("builtins.object"), pb.NONE),
        pb.call(one, one),
        pb.name("numpy.dtype") + pb.sequence(pb.string("f8")) + b"R",
        ndarray + b")\x81",
        pb.sequence() + b"}b",
        pb.call(pb.name("numpy.dtype"), pb.sequence()),
        pb.call(pb.name("numpy.core.multiarray.scalar"), one, pb.string("")),
        b"(" + one + b"t" + one + b"a",
        b"}" + one + b"a",
        b"](" + pb.string("a") + one + b"u",
        b"](" + pb.string("a") + b"\x90",
    ):
        with pytest.raises(UnsafePickleError):
            loads(pb.whole(data))


def test_arrays_of_objects_structures_and_dates_are_refused() -> None:
    for array in (
        np.array([None, {}], dtype=object),
        np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]),
        np.zeros(2, dtype="M8[s]"),
        np.zeros(2, dtype="V8"),
    ):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(UnsafePickleError, match="an array of"):
                loads(pickle.dumps(array, protocol))
    shape, numbers = pb.fixed(pb.integer(1)), pb.sequence(pb.integer(1))
    with pytest.raises(UnsafePickleError, match="an array of objects"):
        loads(pb.whole(pb.raw_array(shape, pb.dtype("f8", "<"), numbers)))
    fields = pb.fixed(
        pb.integer(3), pb.string("<"), pb.NONE, pb.fixed(pb.string("a")), pb.mapping({})
    )
    structured = pb.call(pb.name("numpy.dtype"), pb.string("f8")) + fields + b"b"
    with pytest.raises(UnsafePickleError, match="structured dtype"):
        loads(pb.whole(pb.raw_array(shape, structured, pb.string(b"\0" * 8))))
    with pytest.raises(UnsafePickleError, match="an array whose dtype is a str"):
        loads(pb.whole(pb.raw_array(shape, pb.string("f8"), pb.string(b"\0" * 8))))


# Pickles that want memory, time, or the end of the process.


def declared_sizes() -> dict[str, bytes]:
    huge = struct.pack("<Q", 2**40)
    million = b"J" + struct.pack("<i", 10**6)
    shape = pb.fixed(million, million)
    start = pb.fixed(pb.name("numpy.ndarray"), shape, pb.string(b"b"))
    return {
        "bytes": b"\x8e" + huge,
        "bytearray": b"\x96" + huge,
        "text": b"\x8d" + huge,
        "string": b"T" + struct.pack("<i", 2**31 - 1),
        "integer": b"\x8b" + struct.pack("<i", 2**31 - 1),
        "memo entry": pb.string("a") + b"r" + struct.pack("<I", 2**31 - 1) + b"]i",
        "memo entry of protocol 0": pb.string("a") + b"p2147483647\n]i",
        "frame": b"\x95" + huge,
        "array": pb.raw_array(shape, pb.dtype("f8", "<"), pb.string(b"\0" * 8)),
        "array to start with": pb.name("numpy.core.multiarray._reconstruct") + start + b"R",
        "bytes from a number": pb.call(pb.name("builtins.bytes"), million),
        "list from a number": pb.call(pb.name("collections.OrderedDict"), million),
    }


@pytest.mark.parametrize("what", declared_sizes())
def test_memory_that_is_only_declared_is_never_reserved(what: str) -> None:
    data = b"\x80\x04" + declared_sizes()[what] + b"."
    tracemalloc.start()
    try:
        with pytest.raises(AnnotationError):
            loads(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_arrays_cannot_all_be_made_of_the_same_bytes() -> None:
    content = pb.string(b"\0" * 8000) + b"q\x010"
    one = pb.raw_array(pb.fixed(pb.integer(1000)), pb.dtype("f8", "<"), b"h\x01")
    assert loads(pb.whole(content + pb.sequence(one)))[0].shape == (1000,)
    with pytest.raises(UnsafePickleError, match="more memory than the file has bytes"):
        loads(pb.whole(content + pb.sequence(*[one] * 10)))


def nested(depth: int) -> bytes:
    return b")" + b"\x85" * depth


def doubled(times: int) -> bytes:
    return b")" + b"q\x00h\x00\x86" * times


BOMBS = {
    "deep key": pb.whole(b"}" + nested(300_000) + b"Ns"),
    "endless key": pb.whole(b"}" + doubled(200) + b"Ns"),
    "deep member": pb.whole(b"(" + nested(300_000) + b"\x91"),
    "deep member of python 2": pb.whole(
        pb.call(pb.name("builtins.set"), pb.sequence(nested(300_000)))
    ),
    "deep pair": pb.whole(
        pb.call(pb.name("collections.OrderedDict"), pb.sequence(pb.fixed(nested(300_000), pb.NONE)))
    ),
    "endless shape": pb.whole(
        pb.raw_array(pb.fixed(doubled(200)), pb.dtype("f8", "<"), pb.string(b""))
    ),
    "deep value": pb.whole(nested(300_000)),
    "value that holds itself": pb.whole(b"]q\x00h\x00a"),
    "object that holds itself": pb.whole(
        pb.name("chumpy.ch.Ch") + b")\x81q\x00}" + pb.string("x") + b"h\x00sb"
    ),
    "endless number of memo entries": b"\x80\x04N" + b"\x94" * 1_000_000 + b"0.",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end_in_an_error_and_not_in_a_crash(bomb: str, tmp_path: Path) -> None:
    """In a process of its own: the standard unpickler dies of some of these."""
    (tmp_path / "bomb.pkl").write_bytes(BOMBS[bomb])
    script = (
        "import sys, pathlib, errors, safe_pickle\n"
        "try: safe_pickle.load(pathlib.Path(sys.argv[1]), frozenset({'chumpy.ch.Ch'}))\n"
        "except errors.AnnotationError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bomb.pkl")],
        cwd=Path(__file__).parents[1],
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("refused\n", "", 0)


def test_a_value_named_many_times_is_read_once() -> None:
    data = loads(pb.whole(b"]" + b"q\x00]h\x00ah\x00a" * 200))
    assert data[0] is data[1]


# Objects that a caller admits as data.


def test_admitted_objects_are_read_without_their_class() -> None:
    values = np.arange(6.0).reshape(2, 3)
    got = loads(pb.whole(pb.mapping({"v": pb.chumpy_array(values)})), "chumpy.ch.Ch")["v"]
    assert isinstance(got, safe_pickle.PickledObject)
    assert got.name == "chumpy.ch.Ch"
    assert (got.state["x"] == values).all()
    assert got.state["_dirty_vars"] == {"x"}


def test_admitted_objects_of_protocols_0_and_1() -> None:
    made = pb.call(
        pb.name("copy_reg._reconstructor"),
        pb.name("chumpy.ch.Ch"),
        pb.name("__builtin__.object"),
        pb.NONE,
    )
    got = loads(pb.whole(made + pb.mapping({"x": pb.integer(1)}) + b"b"), "chumpy.ch.Ch")
    assert (got.name, got.state) == ("chumpy.ch.Ch", {"x": 1})


def test_objects_are_admitted_by_their_full_name_only() -> None:
    data = pb.whole(pb.chumpy_array(np.zeros(2)))
    for admitted in ((), ("Ch",), ("chumpy.ch",), ("chumpy.Ch",), ("chumpy.ch.Ch.__init__",)):
        with pytest.raises(UnsafePickleError, match=r"it asks for `chumpy\.ch\.Ch`"):
            loads(data, *admitted)


@pytest.mark.parametrize(
    "payload",
    [
        pb.instance("chumpy.ch.Ch", pb.mapping({"x": pb.call(SYSTEM, pb.string("true"))})),
        pb.instance("chumpy.ch.Ch", pb.call(SYSTEM, pb.string("true"))),
        pb.instance("chumpy.ch.Ch", pb.mapping({"x": SYSTEM})),
        pb.instance("chumpy.ch.Ch", pb.mapping({"__reduce__": SYSTEM})),
        pb.instance("chumpy.ch.Ch", pb.mapping({"x": pb.name("chumpy.ch.Ch")})),
        pb.call(pb.name("chumpy.ch.Ch"), pb.string("true")),
        pb.name("chumpy.ch.Ch") + pb.fixed(pb.string("true")) + b"\x81",
        pb.name("chumpy.ch.Ch") + pb.mapping({"__new__": pb.NONE}) + b"b" + b")\x81",
        pb.name("chumpy.ch.Ch"),
    ],
)
def test_an_admitted_object_with_a_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(UnsafePickleError):
        loads(pb.whole(pb.mapping({"v_template": payload})), "chumpy.ch.Ch")


def test_every_instruction_of_pickle_is_either_known_or_refused() -> None:
    refused = {
        opcode.name for opcode in pickletools.opcodes if opcode.name not in known_instructions()
    }
    assert refused == {
        *("DUP", "INST", "OBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4"),
        *("NEXT_BUFFER", "READONLY_BUFFER"),
    }


def known_instructions() -> set[str]:
    """By trying each: a refused one says so."""
    known = set()
    for opcode in pickletools.opcodes:
        argument = b"0\n0\n" if opcode.arg and opcode.arg.n < 0 else b"\0" * 8
        try:
            loads(opcode.code.encode("latin1") + argument)
        except UnsafePickleError as error:
            if f"uses the instruction {opcode.name};" in str(error):
                continue
        except AnnotationError:
            pass
        known.add(opcode.name)
    return known


def test_genops_agrees_that_hand_built_pickles_are_whole() -> None:
    for data in (SMALL, pb.whole(pb.chumpy_selection(np.zeros((2, 3)), np.s_[:, :2]))):
        assert list(pickletools.genops(io.BytesIO(data)))[-1][0].name == "STOP"
