from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from coded_video import write_coded_video

import local_videos
from clip_names import ClipName
from local_videos import find_local_video, video_not_found

Place = Callable[..., Path]
CLIP = ClipName("-V4_IAq3WJo", 2, 4)


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coded_video(tmp_path_factory.mktemp("video") / "clip.mp4", 2)


@pytest.fixture
def place(clip_file: Path, tmp_path: Path) -> Place:
    def put(name: str, content: bytes | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip_file.read_bytes() if content is None else content)
        return path

    return put


@pytest.mark.parametrize("suffix", [".mp4", ".MP4", ".Mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("stem", [CLIP.padded_stem, CLIP.stem])
def test_a_trimmed_clip_is_found_below_a_video_dir(
    place: Place, tmp_path: Path, stem: str, suffix: str
) -> None:
    path = place(f"k400/train/abseiling/{stem}{suffix}")
    video, warnings, places = find_local_video(CLIP, tmp_path, [tmp_path / "k400"])
    assert video is not None
    assert (video.path, video.start_sec, video.end_sec) == (path, None, None)
    assert video.source == "video_dir"
    assert warnings == []
    assert places == [f"{tmp_path} (beside the pickle)", f"{tmp_path / 'k400'} and below"]


@pytest.mark.parametrize("name", ["-V4_IAq3WJo_2_4.mp4", "-V4_IAq3WJo_000002_000004.WEBM"])
def test_beside_the_pickle_comes_first(place: Place, tmp_path: Path, name: str) -> None:
    path = place(f"pickles/{name}")
    place(f"k400/{CLIP.padded_stem}.mp4")
    video = find_local_video(CLIP, tmp_path / "pickles", [tmp_path / "k400"]).video
    assert video is not None
    assert (video.path, video.source) == (path, "beside the pickle")


def test_the_order_of_names(place: Place, tmp_path: Path) -> None:
    untrimmed = write_coded_video(tmp_path / f"{CLIP.video_id}.mp4", 5)
    unpadded = place(f"{CLIP.stem}.webm")
    padded_mkv = place(f"{CLIP.padded_stem}.mkv")
    padded_mp4 = place(f"{CLIP.padded_stem}.mp4")
    for expected in (padded_mp4, padded_mkv, unpadded, untrimmed):
        for folder, dirs in ((tmp_path, []), (None, [tmp_path])):
            local_videos._build_index.cache_clear()
            video = find_local_video(CLIP, folder, dirs).video
            assert video is not None
            assert video.path == expected
            assert (video.start_sec, video.end_sec) == (
                (2.0, 4.0) if expected is untrimmed else (None, None)
            )
        expected.unlink()


def test_an_untrimmed_video_that_ends_before_the_clip_is_passed_over(
    place: Place, tmp_path: Path
) -> None:
    place(f"{CLIP.video_id}.mp4")
    video, warnings, _ = find_local_video(CLIP, tmp_path, [])
    assert video is None
    assert "2.0 s long and the clip starts at 2 s" in warnings[0]
    assert f"name it {CLIP.stem}.mp4" in warnings[0]


def test_the_replacement_for_a_corrupted_file_overrides(place: Place, tmp_path: Path) -> None:
    place(f"a/train/{CLIP.padded_stem}.mp4")
    good = place(f"b/replacement_for_corrupted_k400/{CLIP.padded_stem}.mp4")
    video = find_local_video(CLIP, None, [tmp_path / "a", tmp_path / "b"]).video
    assert video is not None
    assert video.path == good


def test_what_is_no_video_is_passed_over_and_named(
    place: Place, tmp_path: Path, clip_file: Path
) -> None:
    whole = clip_file.read_bytes()
    empty = place(f"a/{CLIP.padded_stem}.mp4", b"")
    text = place(f"b/{CLIP.padded_stem}.mp4", b"<html>sorry</html>")
    junk = place(f"c/._{CLIP.padded_stem}.mp4", whole)
    no_index = place(f"d/{CLIP.padded_stem}.mp4", whole[:-100][64:])
    good = place(f"e/{CLIP.padded_stem}.mp4")
    dirs = [tmp_path / name for name in "abcde"]
    video, warnings, _ = find_local_video(CLIP, None, dirs)
    assert video is not None
    assert video.path == good
    assert len(warnings) == 4
    for warning, path, reason in zip(
        warnings,
        (empty, text, junk, no_index),
        ("the file is empty", "cannot be read", "macOS", "cannot be read"),
        strict=True,
    ):
        assert str(path) in warning
        assert reason in warning


def test_sound_without_picture_is_passed_over(clip_file: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{CLIP.stem}.mp4"
    with av.open(str(clip_file)) as whole, av.open(str(path), "w") as sound:
        stream = sound.add_stream_from_template(whole.streams.audio[0])
        for packet in whole.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                sound.mux(packet)
    video, warnings, _ = find_local_video(CLIP, tmp_path, [])
    assert video is None
    assert warnings == [f"passed over {path}: it has no video stream"]


def test_a_folder_is_listed_once_and_loops_of_links_end(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(f"k400/x/{CLIP.stem}.mp4")
    (tmp_path / "k400/x/again").symlink_to(tmp_path / "k400", target_is_directory=True)
    listed: list[Path] = []
    real = os.scandir

    def scandir(path: Path) -> object:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for start in range(3):
        find_local_video(ClipName(CLIP.video_id, start, 4), None, [tmp_path / "k400"])
    assert len(listed) == 2


def test_links_to_folders_are_followed(place: Place, tmp_path: Path) -> None:
    place(f"elsewhere/{CLIP.stem}.mp4")
    (tmp_path / "k400").mkdir()
    (tmp_path / "k400/train").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert find_local_video(CLIP, None, [tmp_path / "k400"]).video is not None


def test_a_missing_video_names_every_place_and_what_was_passed_over(
    place: Place, tmp_path: Path
) -> None:
    empty = place(f"pickles/{CLIP.stem}.mp4", b"")
    nowhere = tmp_path / "nowhere"
    error = video_not_found(CLIP, find_local_video(CLIP, tmp_path / "pickles", [nowhere]))
    assert isinstance(error, FileNotFoundError)
    for part in (
        CLIP.padded_stem,
        f"{tmp_path / 'pickles'} (beside the pickle)",
        f"{nowhere} and below",
        f"passed over {nowhere}: No such file",
        f"passed over {empty}",
        "--video_dir",
    ):
        assert part in str(error)
    assert "\n" not in str(error)
