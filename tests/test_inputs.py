from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from many_clips import write_archive

import inputs
from errors import AnnotationError, InputError
from inputs import (
    ClipInputs,
    ClipSource,
    Refused,
    file_stamp,
    find_clip,
    is_batch,
    is_same_file,
    without_leading_dashes,
)


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def clips(*names: str | Path) -> list[str]:
    met = list(ClipInputs([str(name) for name in names]))
    assert all(isinstance(item, ClipSource) for item in met), met
    return [item.name for item in met]


def refusals(*names: str | Path) -> list[str]:
    met = ClipInputs([str(name) for name in names])
    return [str(item.error) for item in met if isinstance(item, Refused)]


# Files, folders, globs


def test_files_come_as_given(tmp_path: Path) -> None:
    assert clips(tmp_path / "b.pkl", tmp_path / "a.pkl") == [
        str(tmp_path / "b.pkl"),
        str(tmp_path / "a.pkl"),
    ]


def test_a_pickle_is_read_whole_whatever_its_size_says(tmp_path: Path) -> None:
    path = tmp_path / "clip.pkl"
    path.write_bytes(content := os.urandom(100_000))
    assert bytes(ClipSource(path).read()) == content
    path.write_bytes(b"")
    assert bytes(ClipSource(path).read()) == b""
    ours, theirs = os.pipe()  # a pipe says that it has no bytes
    os.write(theirs, b"some bytes")
    os.close(theirs)
    assert bytes(ClipSource(Path(f"/dev/fd/{ours}")).read()) == b"some bytes"
    os.close(ours)


def test_a_folder_is_searched_to_its_depths_in_order(tmp_path: Path) -> None:
    touched(tmp_path, "b/2.pkl", "b/1.pkl", "a/x/3.pkl", "0.pkl", "b/no.mp4", "b/._1.pkl")
    assert [Path(name).name for name in clips(tmp_path)] == ["0.pkl", "3.pkl", "1.pkl", "2.pkl"]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    touched(tmp_path, "a/1.pkl")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert len(clips(tmp_path)) == 1


def test_globs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "a/1.pkl", "a/b/2.pkl", "c/3.pkl", "[x].pkl")
    monkeypatch.chdir(tmp_path)
    assert clips("*/*.pkl") == ["a/1.pkl", "c/3.pkl"]
    assert sorted(clips("**/[0-9].pkl")) == ["a/1.pkl", "a/b/2.pkl", "c/3.pkl"]
    assert clips("[x].pkl") == ["[x].pkl"]  # it is the name of a file


def test_a_file_given_twice_counts_once(tmp_path: Path) -> None:
    path = touched(tmp_path, "1.pkl") / "1.pkl"
    assert clips(path, tmp_path, path) == [str(path)]


def test_two_pickles_of_one_name(tmp_path: Path) -> None:
    touched(tmp_path, "a/1.pkl", "b/1.pkl")
    assert refusals(tmp_path) == [
        f"{tmp_path}/b/1.pkl: has the name of {tmp_path}/a/1.pkl, which is drawn"
    ]


def test_two_pickles_of_one_name_that_are_wanted(tmp_path: Path) -> None:
    touched(tmp_path, "a/1.pkl", "b/1.pkl")
    given = ClipInputs([str(tmp_path), str(tmp_path / "a")], one_of_a_name=False)
    assert [item.name for item in given] == [f"{tmp_path}/a/1.pkl", f"{tmp_path}/b/1.pkl"]


def test_names_that_begin_with_a_dash_are_no_flags() -> None:
    given = ["-abcdefghij_1_2.pkl", "--jobs=2", "-a_b-c_d-ef_10_20.pkl", "-h", "a/-b.pkl"]
    made = ["./-abcdefghij_1_2.pkl", "--jobs=2", "./-a_b-c_d-ef_10_20.pkl", "-h", "a/-b.pkl"]
    assert without_leading_dashes(given) == made


def test_inputs_without_a_clip(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert refusals(folder) == [f"{folder}: this folder holds no .pkl file"]
    assert refusals(f"{folder}/*.pkl") == [f"{folder}/*.pkl: this pattern holds no .pkl file"]
    archive = f"{folder}/a.tar"
    assert refusals(archive) == [
        f"{archive}: cannot be read: No such file or directory; fetch it again"
    ]


def test_one_plain_file_is_no_batch(tmp_path: Path) -> None:
    touched(tmp_path, "1.pkl", "a.tar", "x*.pkl")
    for name in ("1.pkl", "missing.pkl", "x*.pkl"):
        assert not is_batch([str(tmp_path / name)])
    for name in ("", "a.tar", "*.pkl", "a.TAR.GZ"):
        assert is_batch([str(tmp_path / name)])
    assert is_batch([str(tmp_path / "1.pkl")] * 2)


# Archives


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_an_archive_is_read_whatever_packs_it(tmp_path: Path, suffix: str) -> None:
    mode = {"": "w", "gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}
    members = [("x/1.pkl", b"one"), ("README", b"no"), ("x/._1.pkl", b"no"), ("2.pkl", b"two")]
    path = write_archive(
        tmp_path / f"a{suffix}", members, mode[suffix.removeprefix(".tar").lstrip(".")]
    )
    met = list(ClipInputs([str(path)]))
    assert met == [ClipSource(path, "x/1.pkl", b"one"), ClipSource(path, "2.pkl", b"two")]
    first = met[0]
    assert isinstance(first, ClipSource)
    assert (first.clip, first.name, first.folder) == ("1", f"{path}/x/1.pkl", tmp_path)
    assert first.read() == b"one"


def test_members_that_must_not_be_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, target in (
            ("/etc/1.pkl", tarfile.REGTYPE, ""),
            ("a/../../2.pkl", tarfile.REGTYPE, ""),
            ("3.pkl", tarfile.SYMTYPE, "/etc/passwd"),
            ("4.pkl", tarfile.LNKTYPE, "good.pkl"),
            ("5.pkl", tarfile.FIFOTYPE, ""),
            ("6.pkl", tarfile.CHRTYPE, ""),
            ("folder", tarfile.DIRTYPE, ""),
            ("good.pkl", tarfile.REGTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    met = list(ClipInputs([str(path)]))
    assert [item.name for item in met if isinstance(item, ClipSource)] == [f"{path}/good.pkl"]
    reasons = [str(item.error) for item in met if isinstance(item, Refused)]
    assert len(reasons) == 6
    for reason, part in zip(
        reasons, ["absolute", "`..`", "/etc/passwd", "link", "plain", "plain"], strict=True
    ):
        assert part in reason
        assert reason.startswith(f"{path}/")


def test_a_member_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_LARGEST_MEMBER", 10)
    path = write_archive(tmp_path / "a.tar.gz", [("1.pkl", b"x" * 11), ("2.pkl", b"x" * 10)])
    assert refusals(path) == [f"{path}/1.pkl: refused: 11 bytes; expected at most 10"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_an_archive_cut_short_gives_what_it_still_has(tmp_path: Path, suffix: str) -> None:
    data = os.urandom(50_000)
    mode = "w" if suffix == ".tar" else "w:gz"
    members = [(f"{number}.pkl", data) for number in range(4)]
    path = write_archive(tmp_path / f"a{suffix}", members, mode)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    met = list(ClipInputs([str(path)]))
    assert [item.name for item in met[:2]] == [f"{path}/0.pkl", f"{path}/1.pkl"]
    assert isinstance(met[-1], Refused)
    assert "cannot be read on after 2 clips" in str(met[-1].error)
    assert len(met) == 3


@pytest.mark.parametrize(
    "data", [b"", b"<html>Not found</html>", gzip.compress(b"no archive", mtime=0)]
)
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(data)
    (reason,) = refusals(path)
    assert reason.startswith(f"{path}: cannot be read")


def test_one_clip_is_held_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(100):
            info = tarfile.TarInfo(f"{number}.pkl")
            info.size = 1_000_000
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    tracemalloc.start()
    try:
        count = sum(isinstance(item, ClipSource) for item in ClipInputs([str(path)]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100
    assert peak < 20_000_000


# How many to expect, and finding one


def test_how_many_clips_to_expect(tmp_path: Path) -> None:
    touched(tmp_path / "in", "1.pkl", "2.pkl")
    assert ClipInputs([str(tmp_path / "in"), "other.pkl"]).expected == 3
    members = [(f"a{number}.pkl", os.urandom(20_000)) for number in range(50)]
    archive = write_archive(tmp_path / "a.tar", members, "w")
    given = ClipInputs([str(archive), str(tmp_path / "in")])
    assert given.expected is None
    met = [given.expected for _ in given]
    assert all(45 <= (expected or 0) <= 60 for expected in met[24:])
    assert met[-1] == 52


def test_one_clip_out_of_many(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", [("x/1.pkl", b"one"), ("x/2.pkl", b"two")])
    touched(tmp_path, "3.pkl")
    given = [str(archive), str(tmp_path)]
    assert find_clip(given, "2").read() == b"two"
    assert find_clip(given, "3").path == tmp_path / "3.pkl"
    with pytest.raises(InputError, match=r"a\.tar\.gz, .*: holds no 4\.pkl"):
        find_clip(given, "4")


# Stamps


def test_a_stamp_tells_whether_a_file_is_the_same(tmp_path: Path) -> None:
    path = touched(tmp_path, "1") / "1"
    stamp = file_stamp(path)
    assert stamp == {
        "path": str(path),
        "size": 1,
        "mtime_ns": path.stat().st_mtime_ns,
        "sha256": hashlib.sha256(b"1").hexdigest(),
    }
    assert is_same_file(stamp)
    os.utime(path, (1, 1))
    assert is_same_file(stamp)  # the same content at another time
    path.write_text("2")
    assert not is_same_file(stamp)
    path.write_text("22")
    assert not is_same_file(stamp)
    path.unlink()
    assert not is_same_file(stamp)
    assert file_stamp(path) is None


@pytest.mark.parametrize("stamp", [None, 3, {}, {"path": 3}, {"path": "/no/such"}])
def test_what_is_no_stamp(stamp: object) -> None:
    assert not is_same_file(stamp)


def test_a_pickle_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"1\.pkl: cannot be read: No such file"):
        ClipSource(tmp_path / "1.pkl").read()
