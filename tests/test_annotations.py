from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from annotations import ClipAnnotations, parse_annotations, read_annotations, validate
from errors import AnnotationError, UnsafePickleError

Content = dict[Any, Any]
N = 4
SEED = 20190604
ARRAY_FIELDS = ("time", "shape", "pose", "joints_3d", "keypoints_2d", "cameras", "vertices")


def make_content(rows: int = 19, dtype: npt.DTypeLike = np.float64) -> Content:
    rng = np.random.default_rng(SEED)
    return {
        "time": np.arange(N).astype(dtype) / 25,
        "smpl_shape": rng.normal(size=(N, 10)).astype(dtype),
        "smpl_pose": rng.normal(size=(N, 72)).astype(dtype),
        "3d_keypoints": rng.normal(size=(N, rows, 3)).astype(dtype),
        "2d_keypoints": rng.normal(size=(N, 19, 2)).astype(dtype),
        "cameras": rng.normal(size=(N, 3)).astype(dtype),
        "vertices": rng.normal(size=(N, 7, 3)).astype(dtype),
    }


def refusal(content: object) -> str:
    """The message that `content` is refused with, after checking that it is one line."""
    with pytest.raises(AnnotationError) as caught:
        validate(content, "some/clip.pkl")
    message = str(caught.value)
    assert message.startswith("some/clip.pkl: ")
    assert "\n" not in message
    return message


def assert_holds(annotations: ClipAnnotations, content: Content) -> None:
    for field, key in zip(ARRAY_FIELDS, make_content(), strict=True):
        np.testing.assert_allclose(getattr(annotations, field), content[key], rtol=1e-6)


@pytest.mark.parametrize("rows", [19, 24])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.dtype(">f8")])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_what_is_in_the_file_comes_out(
    tmp_path: Path, rows: int, dtype: npt.DTypeLike, protocol: int
) -> None:
    content = make_content(rows, dtype)
    path = tmp_path / "-abc_EFGHIJ_3_13.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    annotations = read_annotations(path)
    assert_holds(annotations, content)
    assert annotations.joints_3d.shape == (N, rows, 3)
    assert annotations.name == "-abc_EFGHIJ_3_13"
    assert annotations.warnings == ()
    assert len(annotations) == N


def test_dtypes_and_layout_are_the_same_whatever_the_file_has() -> None:
    content = {key: np.asfortranarray(value) for key, value in make_content().items()}
    annotations = validate(content, "clip.pkl")
    for field in ARRAY_FIELDS:
        array = getattr(annotations, field)
        expected = np.float32 if field in {"shape", "pose", "vertices"} else np.float64
        assert array.dtype == expected, field
        assert array.flags.c_contiguous, field


def test_arrays_are_read_only_and_the_callers_own_stay_as_they_are() -> None:
    content = make_content()
    annotations = validate(content, "clip.pkl")
    for field in ARRAY_FIELDS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(annotations, field)[0] = 0
    assert all(value.flags.writeable for value in content.values())


def python2_pickle(arrays: Content, version: int) -> bytes:
    """What Python 2's cPickle wrote at protocol 2, opcode by opcode: all strings are `str`."""

    def text(value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value  # SHORT_BINSTRING
        return b"T" + struct.pack("<i", len(value)) + value  # BINSTRING

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def array(value: npt.NDArray[Any]) -> bytes:
        shape = b"(" + b"".join(number(n) for n in value.shape) + b"t"
        dtype = b"cnumpy\ndtype\n" + text(value.dtype.str[1:].encode())
        dtype += number(0) + number(1) + b"\x87R"
        dtype += b"(" + number(3) + text(b"<") + b"NNN" + number(-1) + number(-1) + number(0)
        dtype += b"tb"
        start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        start += number(0) + b"\x85" + text(b"b") + b"\x87R"
        state = number(version) + shape + dtype + b"\x89" + text(value.tobytes())
        return start + b"(" + state + b"tb"

    items = b"".join(text(key.encode()) + array(value) for key, value in arrays.items())
    return b"\x80\x02}(" + items + b"u."


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_2_pickle(dtype: npt.DTypeLike) -> None:
    content = make_content(24, dtype)
    data = python2_pickle(content, 1)
    assert pickle.loads(data, encoding="bytes").keys() == {key.encode() for key in content}  # noqa: S301 ours
    assert_holds(parse_annotations(data, "clip.pkl"), content)


def test_bytes_keys() -> None:
    content = make_content()
    data = pickle.dumps({key.encode(): value for key, value in content.items()})
    assert_holds(parse_annotations(data, "clip.pkl"), content)


@pytest.mark.parametrize("name", ["camera", b"camera", b"cameras"])
def test_both_names_of_the_camera(name: str | bytes) -> None:
    content = make_content()
    cameras = content["cameras"].copy()
    content[name] = content.pop("cameras")
    np.testing.assert_array_equal(validate(content, "clip.pkl").cameras, cameras)


def test_two_cameras_are_refused_rather_than_one_picked() -> None:
    content = make_content()
    content["camera"] = content["cameras"] + 1
    assert "`cameras` twice" in refusal(content)


def test_the_small_archive_has_no_vertices() -> None:
    without = make_content()
    del without["vertices"]
    assert validate(without, "clip.pkl").vertices is None
    assert validate(without | {"vertices": None}, "clip.pkl").vertices is None


@pytest.mark.parametrize("key", [key for key in make_content() if key != "vertices"])
def test_a_missing_key_is_named(key: str) -> None:
    content = make_content()
    del content[key]
    message = refusal(content)
    assert message.startswith(f"some/clip.pkl: lacks `{key}`; it has ")
    assert "`vertices`" in message


def test_unknown_keys_are_ignored_with_a_warning() -> None:
    content = make_content() | {"extra": [1, "a"], b"\xff\nx": None, 7: 8}
    annotations = validate(content, "clip.pkl")
    assert_holds(annotations, make_content())
    assert annotations.warnings == (r"unknown keys are ignored: `7`, `\xff\nx`, `extra`",)


def test_a_thousand_unknown_keys_make_one_short_warning() -> None:
    content = make_content() | {f"extra{i:04d}": 0 for i in range(1000)}
    (warning,) = validate(content, "clip.pkl").warnings
    assert warning.startswith("unknown keys are ignored: `extra0000`, ")
    assert warning.endswith("`extra0009` and 990 more")


def test_lengths_that_disagree() -> None:
    content = make_content()
    content["smpl_pose"] = content["smpl_pose"][:-1]
    message = refusal(content)
    assert "disagree on the number of labelled frames" in message
    assert "`smpl_pose` 3" in message
    assert "`time` 4" in message


def test_no_labelled_frame() -> None:
    assert "N = 0" in refusal({key: value[:0] for key, value in make_content().items()})


@pytest.mark.parametrize(
    ("key", "shape", "expected"),
    [
        ("time", (N, 2), "(4,)"),
        ("smpl_shape", (N, 11), "(4, 10)"),
        ("smpl_pose", (N, 24, 3), "(4, 72)"),
        ("3d_keypoints", (N, 20, 3), "(4, 19 or 24, 3)"),
        ("3d_keypoints", (N, 19, 2), "(4, 19 or 24, 3)"),
        ("2d_keypoints", (N, 24, 2), "(4, 19, 2)"),
        ("cameras", (N, 4), "(4, 3)"),
        ("vertices", (N, 6890), "(4, 6890, 3)"),
        ("vertices", (N, 0, 3), "(4, 6890, 3)"),
    ],
)
def test_a_wrong_shape_is_named(key: str, shape: tuple[int, ...], expected: str) -> None:
    message = refusal(make_content() | {key: np.zeros(shape)})
    assert message == f"some/clip.pkl: `{key}` has shape {shape}; expected {expected}"


def test_a_number_in_place_of_an_array() -> None:
    assert "`time` 0" in refusal(make_content() | {"time": 0.04})


def test_an_axis_for_a_single_person_is_dropped() -> None:
    content = make_content()
    assert_holds(validate({k: v[:, None] for k, v in content.items()}, "clip.pkl"), content)


@pytest.mark.parametrize(
    "value",
    [
        [[0.0] * 3, [0.0] * 2, [0.0] * 3, [0.0] * 3],
        np.full((N, 3), None),
        np.full((N, 3), "1.0"),
        np.full((N, 3), 1j),
        np.full((N, 3), True),
        {"a": 1},
        None,
    ],
    ids=["ragged", "objects", "text", "complex", "bool", "dict", "None"],
)
def test_what_is_no_array_of_real_numbers(value: object) -> None:
    message = refusal(make_content() | {"cameras": value})
    assert "`cameras` is not an array of real numbers" in message
    assert "expected shape (N, 3)" in message


def test_plain_lists_and_whole_numbers_are_read() -> None:
    annotations = validate(make_content() | {"cameras": [[1, 2, 3]] * N}, "clip.pkl")
    np.testing.assert_array_equal(annotations.cameras, [[1.0, 2.0, 3.0]] * N)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", ["time", "smpl_shape", "smpl_pose", "cameras", "vertices"])
def test_not_finite_where_a_number_is_needed(key: str, value: float) -> None:
    content = make_content()
    content[key].reshape(N, -1)[2, -1] = value
    index = [2, *(n - 1 for n in content[key].shape[1:])]
    message = refusal(content)
    assert f"`{key}` is {value} at index {index} (1 values in all" in message


def test_too_large_for_float32_is_not_finite_either() -> None:
    content = make_content()
    content["vertices"][1, 2, 0] = 1e39
    assert "`vertices` is inf at index [1, 2, 0]" in refusal(content)


@pytest.mark.parametrize("key", ["2d_keypoints", "3d_keypoints"])
def test_unknown_joints_are_kept_with_a_warning(key: str) -> None:
    content = make_content()
    content[key][1, 3, 0] = np.nan
    content[key][3, :, 1] = np.inf
    annotations = validate(content, "clip.pkl")
    (warning,) = annotations.warnings
    assert warning.startswith(f"`{key}` is not finite in 2 frames (first in row 1)")
    assert_holds(annotations, content)


def test_rows_are_sorted_by_time_all_together() -> None:
    content = make_content()
    order = [1, 3, 0, 2]
    annotations = validate({key: value[order] for key, value in content.items()}, "clip.pkl")
    assert_holds(annotations, content)
    assert annotations.warnings == (
        "`time` is not ascending (first at row 2); the rows were sorted by time",
    )


def test_rows_of_one_time_keep_their_order_when_sorted() -> None:
    content = {key: np.repeat(value, 20, 0) for key, value in make_content().items()}
    content["time"] = np.tile([1.0, 0.0], 2 * 20)
    content["cameras"][:, 0] = np.arange(80)
    order = validate(content, "clip.pkl").cameras[:, 0]
    assert order.tolist() == [*range(1, 80, 2), *range(0, 80, 2)]


def test_equal_times_stay_in_order_without_a_warning() -> None:
    content = make_content() | {"time": np.zeros(N)}
    annotations = validate(content, "clip.pkl")
    assert_holds(annotations, content)
    assert annotations.warnings == ()


@pytest.mark.parametrize("content", [[1, 2], np.zeros(3), None, "text"])
def test_not_a_dictionary(content: object) -> None:
    message = refusal(content)
    assert f"holds a {type(content).__name__}; expected a dictionary" in message


def test_errors_of_the_safe_reader_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsafePickleError, match=r"clip\.pkl: refused: it asks for `os\.system`"):
        read_annotations(path)


def test_cameras_under_both_names_may_agree() -> None:
    content = make_content()
    content["camera"] = content["cameras"].copy()
    assert validate(content, "clip.pkl").warnings == ()
