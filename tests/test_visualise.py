from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import CLIP, TIMES, VIDEO_ID, white_picture
from synthetic import (
    Sound,
    body,
    damage_pictures,
    decode,
    number_of,
    sound_packets,
    write_faces,
    write_pickle,
    write_video,
)

import layouts
from downloaders import DownloadOptions
from errors import (
    AnnotationError,
    ClipNameError,
    OutputError,
    VideoNotFoundError,
    VideoReadError,
    VideoTruncatedError,
)
from options import VisualiseOptions
from renderer import LIGHT_BLUE, LIGHT_PINK
from report import VERSION
from visualise import visualise_clip

MakeClip = Callable[..., Path]
REPORT_FIELDS = [
    "clip",
    "status",
    "video_id",
    "start_sec",
    "end_sec",
    "video_source",
    "width",
    "height",
    "frame_rate",
    "frames_total",
    "frames_labelled",
    "frames_drawn",
    "labels_dropped",
    "camera_convention",
    "keypoint_units",
    "residual_px",
    "jitter_mm",
    "person_size",
    "vertices_source",
    "renderer",
    "version",
    "options",
    "inputs",
    "outputs",
    "earlier_files",
    "seconds",
    "warnings",
    "error",
]
DARK = (0.2, 0.2, 0.2)  # a mesh that is dark even where all lights meet
EXACT = 1  # a constant rate factor that leaves the picture nearly as it is


def options(tmp_path: Path, **changes: Any) -> VisualiseOptions:
    """Without the line of numbers, which would hide what is drawn below it."""
    return VisualiseOptions(
        output_dir=tmp_path / "results",
        video_crf=EXACT,
        download=DownloadOptions(downloader="none", cache_dir=tmp_path / "cache"),
        **{"show_hud": False, **changes},
    )


def result(tmp_path: Path, name: str = CLIP) -> Path:
    return tmp_path / "results" / name / f"{name}.mp4"


def read_report(tmp_path: Path, name: str = CLIP) -> dict[str, Any]:
    report = json.loads((tmp_path / "results" / name / "report.json").read_text())
    assert isinstance(report, dict)
    return report


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def is_drawn(picture: Any) -> Any:
    """Where a white picture is no longer white."""
    return picture.max(axis=2) < 225


# The report


def test_the_report_of_a_clip_that_was_written(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    returned = visualise_clip(pickle_path, options(tmp_path))
    report = read_report(tmp_path)
    assert sorted(report) == sorted(REPORT_FIELDS)
    assert report.pop("seconds") == returned.seconds > 0
    assert report.pop("jitter_mm") == 0  # its joints move with the camera only
    assert 0.2 < report.pop("person_size") < 0.8
    inputs = report.pop("inputs")
    assert {name: Path(stamp["path"]).name for name, stamp in inputs.items()} == {
        "pickle": pickle_path.name,
        "faces": "smpl_faces.npy",
        "video": f"{CLIP}.mp4",
    }
    data = pickle_path.read_bytes()
    assert inputs["pickle"]["size"] == len(data)
    assert inputs["pickle"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert inputs["video"]["mtime_ns"] == pickle_path.with_suffix(".mp4").stat().st_mtime_ns
    recorded = report.pop("options")
    assert recorded["outputs"] == ["video"]
    assert recorded["video_crf"] == EXACT
    assert recorded["blank_size"] == [640, 360, "25"]
    assert recorded["body"]["smpl_model"] is None
    assert not {"output_dir", "video_dirs", "download", "codec_threads"} & set(recorded)
    residual = report.pop("residual_px")
    assert 0 <= residual["median"] <= residual["max"] < 0.01
    assert report == {
        "clip": CLIP,
        "status": "ok",
        "video_id": VIDEO_ID,
        "start_sec": 155,
        "end_sec": 156,
        "video_source": str(pickle_path.with_suffix(".mp4")),
        "width": 160,
        "height": 120,
        "frame_rate": "25/1",
        "frames_total": 25,
        "frames_labelled": len(TIMES),
        "frames_drawn": len(TIMES),
        "labels_dropped": 0,
        "camera_convention": "inside",
        "keypoint_units": "height",
        "vertices_source": "file",
        "renderer": "fast",
        "version": VERSION,
        "outputs": {f"{CLIP}.mp4": result(tmp_path).stat().st_size},
        "earlier_files": [],
        "warnings": [],
        "error": None,
    }
    assert files_in(tmp_path / "results") == [CLIP, f"{CLIP}.mp4", "report.json"]


def test_the_report_of_a_clip_that_failed(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    with pytest.raises(VideoNotFoundError) as met:
        visualise_clip(pickle_path, options(tmp_path))
    report = read_report(tmp_path)
    assert sorted(report) == sorted(REPORT_FIELDS)
    assert (report["status"], report["clip"], report["video_id"]) == ("failed", CLIP, VIDEO_ID)
    assert report["error"] == {"type": "VideoNotFoundError", "message": str(met.value)}
    assert report["video_source"] is report["width"] is report["frame_rate"] is None
    assert files_in(tmp_path / "results") == [CLIP, "report.json"]


def test_labels_past_the_end_and_two_on_one_frame_are_counted(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    times = [0.0, 0.04, 0.045, 0.5, 1.2, 7.0]
    report = visualise_clip(make_clip(**body(times).content), options(tmp_path))
    assert (report.frames_drawn, report.frames_labelled, report.labels_dropped) == (3, 3, 3)
    assert any("labels that were not drawn: 3" in warning for warning in report.warnings)
    drawn = [
        number
        for number, p in enumerate(decode(result(tmp_path)).pictures)
        if is_drawn(p)[60].any()
    ]
    assert drawn == [0, 1, 12]


def test_progress_is_told_for_every_frame(make_clip: MakeClip, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    visualise_clip(make_clip(), options(tmp_path), lambda *now: told.append(now))
    assert told == [(done, 25) for done in range(1, 26)]


@pytest.mark.parametrize("name", ["..pkl", "...pkl", ".pkl", ".."])
def test_names_that_would_leave_the_output_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClipNameError):
        visualise_clip(tmp_path / "clips" / name, options(tmp_path))
    assert files_in(tmp_path) == []


# The video


def test_frames_times_and_sound_are_the_clips(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    source = pickle_path.with_suffix(".mp4")
    write_video(source, range(30), Fraction(1001, 30000), sound=Sound(), b_frames=2)
    visualise_clip(pickle_path, options(tmp_path, show_mesh=False, show_keypoints=False))
    before, after = decode(source), decode(result(tmp_path))
    assert after.times == before.times
    assert after.numbers == list(range(30))
    contents = [[content for _, content in sound_packets(p)] for p in (source, result(tmp_path))]
    assert contents[0] == contents[1]


def test_only_labelled_frames_at_their_own_times(make_clip: MakeClip, tmp_path: Path) -> None:
    report = visualise_clip(make_clip(), options(tmp_path, frames="labelled"))
    assert (report.frames_total, report.frames_drawn) == (25, len(TIMES))
    out = decode(result(tmp_path))
    assert [float(time) for time in out.times] == pytest.approx(TIMES)
    assert all(is_drawn(picture)[60].any() for picture in out.pictures)


def test_unlabelled_frames_are_plain_but_for_the_mark_and_the_timeline(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    visualise_clip(make_clip(), options(tmp_path))
    labelled = {round(time * 25) for time in TIMES}
    for number, picture in enumerate(decode(result(tmp_path)).pictures):
        has_mark = bool(is_drawn(picture)[:20, 140:].any())
        has_body = bool(is_drawn(picture)[30:100].any())
        assert (has_body, has_mark) == (number in labelled, number not in labelled)
        assert is_drawn(picture)[-1].any()


@pytest.mark.parametrize("frames", ["all", "labelled"])
def test_no_labelled_frame_at_all_is_no_video(
    make_clip: MakeClip, tmp_path: Path, frames: str
) -> None:
    pickle_path = make_clip(time=np.linspace(5, 6, len(TIMES)))
    with pytest.raises(AnnotationError, match=r"none of its 9 labels .* \(0 to 1\.00 s\)"):
        visualise_clip(pickle_path, options(tmp_path, frames=frames))
    assert files_in(tmp_path / "results" / CLIP) == ["report.json"]
    assert read_report(tmp_path)["labels_dropped"] == 9


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (161, 121)], ids=str)
@pytest.mark.parametrize(
    ("convention", "units", "rows", "key"),
    [
        ("inside", "height", 19, "cameras"),
        ("outside", "height", 24, "camera"),
        ("inside", "frame", 24, "camera"),
        ("outside", "frame", 19, "cameras"),
    ],
)
def test_the_mesh_lands_where_it_was_put(
    make_clip: MakeClip,
    tmp_path: Path,
    size: tuple[int, int],
    convention: str,
    units: str,
    rows: int,
    key: str,
) -> None:
    """To a pixel: between the ellipse shrunk by one pixel and the ellipse grown by one."""
    made = body(TIMES, size, convention=convention, units=units, rows=rows, key=key)
    pickle_path = write_pickle(make_clip(), made.content)
    write_video(
        pickle_path.with_suffix(".mp4"), size=size, picture=white_picture, pix_fmt="yuv444p"
    )
    report = visualise_clip(pickle_path, options(tmp_path, show_keypoints=False, mesh_colour=DARK))
    assert (report.camera_convention, report.keypoint_units) == (convention, units)
    assert (report.width, report.height) == size
    pictures = decode(result(tmp_path)).pictures
    for row, time in enumerate(TIMES):
        mask = is_drawn(pictures[round(time * 25)])[8 : size[1] - 8, : size[0]]
        y, x = np.mgrid[8 : size[1] - 8, : size[0]]
        (centre_x, centre_y), (radius_x, radius_y) = made.centres[row], made.radii[row]
        smaller, larger = (
            np.hypot((x - centre_x) / (radius_x + grown), (y - centre_y) / (radius_y + grown)) <= 1
            for grown in (-1, 1)
        )
        assert np.all(mask <= larger)
        assert np.all(mask >= smaller)
        assert mask.sum() == pytest.approx(np.pi * radius_x * radius_y, rel=0.06)
        assert x[mask].mean() == pytest.approx(centre_x, abs=0.25)
        assert y[mask].mean() == pytest.approx(centre_y, abs=0.25)


@pytest.mark.parametrize("size", [(320, 240), (240, 320)], ids=str)
@pytest.mark.parametrize("units", ["height", "frame"])
def test_joints_land_where_they_were_put(
    make_clip: MakeClip, tmp_path: Path, size: tuple[int, int], units: str
) -> None:
    made = body(TIMES, size, units=units)
    shown = [0, 5, 6, 11, 13]  # no two of them share a limb
    hidden = np.setdiff1d(np.arange(19), shown)
    made.content["2d_keypoints"][:, hidden] = np.nan
    pickle_path = write_pickle(make_clip(), made.content)
    write_video(pickle_path.with_suffix(".mp4"), size=size, picture=white_picture)
    visualise_clip(pickle_path, options(tmp_path, show_mesh=False))
    pictures = decode(result(tmp_path)).pictures
    checked = 0
    for row, time in enumerate(TIMES):
        dark = 250.0 - pictures[round(time * 25)].astype(float).mean(axis=2)
        dark[dark < 12] = 0
        y, x = np.mgrid[: size[1], : size[0]]
        for joint in shown:
            apart = np.linalg.norm(made.joints[row, shown] - made.joints[row, joint], axis=1)
            if np.sort(apart)[1] < 12:
                continue  # two dots in one window
            near = np.hypot(x - made.joints[row, joint, 0], y - made.joints[row, joint, 1]) < 6
            weight = dark[near] / dark[near].sum()
            centroid = ((x[near] * weight).sum(), (y[near] * weight).sum())
            assert centroid == pytest.approx(made.joints[row, joint], abs=0.5)
            checked += 1
    assert checked >= 3 * len(TIMES)


def test_what_to_show(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    colourful, grey = {}, {}
    for mesh in (True, False):
        for keypoints in (True, False):
            chosen = options(tmp_path, show_mesh=mesh, show_keypoints=keypoints, mesh_colour=DARK)
            report = visualise_clip(pickle_path, chosen)
            assert report.renderer == ("fast" if mesh else None)
            picture = decode(result(tmp_path)).pictures[0].astype(int)[20:100]
            red_or_green = np.abs(picture[..., 0] - picture[..., 1]) > 60
            colourful[mesh, keypoints] = int(red_or_green.sum())
            grey[mesh, keypoints] = int(is_drawn(picture).sum())
    assert all((count > 20) == keypoints for (_, keypoints), count in colourful.items())
    assert grey[False, False] == 0
    assert grey[True, False] > 1.5 * grey[False, True] > 0


def test_opacity_and_colour_of_the_mesh(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    middle = {}
    for name, colour, alpha in (
        ("blue", LIGHT_BLUE, 1.0),
        ("pink", LIGHT_PINK, 1.0),
        ("half", LIGHT_BLUE, 0.5),
        ("none", LIGHT_BLUE, 0.0),
    ):
        chosen = options(tmp_path, show_keypoints=False, mesh_colour=colour, mesh_alpha=alpha)
        visualise_clip(pickle_path, chosen)
        centre = body(TIMES).centres[0].astype(int)
        picture = decode(result(tmp_path)).pictures[0].astype(float)
        middle[name] = picture[centre[1] - 3 : centre[1] + 4, centre[0] - 3 : centre[0] + 4]
        middle[name] = middle[name].mean(axis=(0, 1))
    assert middle["none"] == pytest.approx([250] * 3, abs=4)
    assert middle["half"] == pytest.approx((middle["blue"] + 250) / 2, abs=4)
    assert middle["blue"][2] - middle["blue"][0] > 25
    assert middle["pink"][0] - middle["pink"][2] > 25


def test_the_small_archive_shows_keypoints_and_says_why(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    pickle_path = write_pickle(make_clip(), body(TIMES, with_vertices=False).content)
    (pickle_path.parent / "smpl_faces.npy").unlink()  # not needed
    report = visualise_clip(pickle_path, options(tmp_path))
    assert (report.status, report.renderer, report.frames_drawn) == ("ok", None, len(TIMES))
    assert any("small archive" in warning for warning in report.warnings)
    assert is_drawn(decode(result(tmp_path)).pictures[0])[20:100].any()


# A JPEG per labelled frame


def test_frames_are_written_as_pictures(make_clip: MakeClip, tmp_path: Path) -> None:
    outputs = frozenset({"video", "frames"})
    visualise_clip(make_clip(), options(tmp_path, outputs=outputs))
    folder = result(tmp_path).parent / "frames"
    assert files_in(folder) == [f"{row:04d}.jpg" for row in range(len(TIMES))]
    pictures = decode(result(tmp_path)).pictures
    for row, time in enumerate(TIMES):
        jpeg = cv2.imread(str(folder / f"{row:04d}.jpg"))
        assert jpeg is not None
        difference = jpeg[:115, :, ::-1].astype(int) - pictures[round(time * 25)][:115]
        assert np.abs(difference).mean() < 3  # the same but for the timeline, RGB not swapped


def test_frames_alone_replace_the_older_ones(make_clip: MakeClip, tmp_path: Path) -> None:
    chosen = options(tmp_path, outputs=frozenset({"frames"}))
    folder = result(tmp_path).parent / "frames"
    visualise_clip(make_clip(), chosen)
    assert not result(tmp_path).exists()
    assert len(files_in(folder)) == len(TIMES)
    visualise_clip(make_clip(**body(TIMES[:3]).content), chosen)
    assert files_in(folder) == ["0000.jpg", "0001.jpg", "0002.jpg"]
    assert files_in(result(tmp_path).parent) == sorted(["frames", *files_in(folder), "report.json"])


# A poster


def brightness_coded(number: int, width: int, height: int) -> Any:
    return np.full((height, width, 3), 60 + 5 * number, np.uint8)


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ([0.04, 0.2, 0.4, 0.56, 0.8], 14),  # the first from the middle on
        ([0.2, 0.24, 0.28], 5),  # else the first
    ],
)
def test_a_poster(make_clip: MakeClip, tmp_path: Path, times: list[float], shown: int) -> None:
    pickle_path = make_clip(**body(times).content)
    write_video(pickle_path.with_suffix(".mp4"), picture=brightness_coded, size=(800, 600))
    outputs = frozenset({"poster"})
    chosen = options(tmp_path, outputs=outputs, show_mesh=False, show_keypoints=False)
    report = visualise_clip(pickle_path, chosen)
    assert list(report.outputs) == ["poster.jpg"]
    poster = cv2.imread(str(result(tmp_path).parent / "poster.jpg"))
    assert poster is not None
    assert poster.shape == (288, 384, 3)
    assert poster[40:200].mean() == pytest.approx(60 + 5 * shown, abs=1.5)


# Where the video comes from


@pytest.mark.parametrize("given", [False, True])
def test_a_part_of_an_untrimmed_video(tmp_path: Path, white_video: Path, given: bool) -> None:
    del white_video
    name = f"{VIDEO_ID}_2_4"
    folder = tmp_path / "clips"
    pickle_path = write_pickle(folder / f"{name}.pkl", body([0.0, 0.4, 1.0]).content)
    write_faces(folder / "smpl_faces.npy")
    untrimmed = folder / f"{VIDEO_ID}.mp4"
    write_video(untrimmed, range(125), sound=Sound(seconds=5), b_frames=2)
    chosen = options(tmp_path, video=untrimmed if given else None, show_keypoints=False)
    report = visualise_clip(pickle_path, chosen)
    assert (report.frames_total, report.frames_drawn, report.warnings) == (50, 3, [])
    out = decode(result(tmp_path, name))
    assert out.times == [Fraction(i, 25) for i in range(50)]
    assert out.numbers[13:25] == list(range(63, 75))


def test_an_untrimmed_video_that_is_not_this_one(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    short = pickle_path.parent / f"{VIDEO_ID}.mp4"
    pickle_path.with_suffix(".mp4").rename(short)
    with pytest.raises(VideoReadError, match="no frame between 155 s and 156 s"):
        visualise_clip(pickle_path, options(tmp_path, video=short))


def test_a_video_shorter_than_its_name_says_is_told(make_clip: MakeClip, tmp_path: Path) -> None:
    name = f"{VIDEO_ID}_155_165"
    report = visualise_clip(make_clip(name), options(tmp_path))
    assert report.warnings == ["the video lasts 1.00 s; the clip's name says 10 s"]


def test_a_video_that_does_not_say_how_long_it_is(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    video = pickle_path.with_suffix(".mkv")
    write_video(video, picture=white_picture, container_options={"live": "1"})
    told: list[tuple[int, int]] = []
    report = visualise_clip(pickle_path, options(tmp_path), lambda *now: told.append(now))
    assert (report.frames_total, report.warnings) == (25, [])
    assert told[0] == (1, 25)
    last_row = decode(result(tmp_path)).pictures[12][-1].astype(int)
    now = np.flatnonzero(last_row.min(axis=1) > 225)
    assert now.mean() == pytest.approx(160 * 12 / 25, abs=3)  # the marker stands in the middle


# Results


def test_the_version_is_the_projects() -> None:
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    assert f'\nversion = "{VERSION}"\n' in project


def test_two_clips_of_one_video_do_not_collide(make_clip: MakeClip, tmp_path: Path) -> None:
    names = [f"{VIDEO_ID}_155_156", f"{VIDEO_ID}_156_157"]
    for name in names:
        visualise_clip(make_clip(name), options(tmp_path))
    assert all(result(tmp_path, name).is_file() for name in names)
    assert [read_report(tmp_path, name)["start_sec"] for name in names] == [155, 156]


def test_a_second_run_replaces_the_result(make_clip: MakeClip, tmp_path: Path) -> None:
    visualise_clip(make_clip(), options(tmp_path))
    visualise_clip(make_clip(), options(tmp_path, frames="labelled"))
    assert len(decode(result(tmp_path)).times) == len(TIMES)
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    with pytest.raises(VideoNotFoundError):
        visualise_clip(pickle_path, options(tmp_path))
    assert read_report(tmp_path)["status"] == "failed"


def test_a_failed_run_keeps_the_older_result_and_says_so(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    pickle_path = make_clip()
    visualise_clip(pickle_path, options(tmp_path))
    older = result(tmp_path).read_bytes()
    pickle_path.with_suffix(".mp4").write_bytes(b"<html>")
    with pytest.raises(VideoNotFoundError):
        visualise_clip(pickle_path, options(tmp_path))
    assert result(tmp_path).read_bytes() == older
    report = read_report(tmp_path)
    assert (report["status"], report["outputs"]) == ("failed", {})
    assert report["earlier_files"] == [f"{CLIP}.mp4"]
    visualise_clip(make_clip(), options(tmp_path, outputs=frozenset({"frames"})))
    report = read_report(tmp_path)
    assert (report["status"], report["outputs"]) == ("ok", {"frames": len(TIMES)})
    assert report["earlier_files"] == [f"{CLIP}.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_cut_short_leaves_no_video(
    make_clip: MakeClip, tmp_path: Path, suffix: str
) -> None:
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    video = pickle_path.with_suffix(suffix)
    index = {"movflags": "faststart"} if suffix == ".mp4" else {}
    write_video(video, range(100), sound=Sound(seconds=4), container_options=index)
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.6)])
    outputs = frozenset({"video", "frames"})
    with pytest.raises(VideoTruncatedError):
        visualise_clip(pickle_path, options(tmp_path, outputs=outputs))
    assert files_in(result(tmp_path).parent) == ["report.json"]
    assert read_report(tmp_path)["error"]["type"] == "VideoTruncatedError"


@pytest.mark.parametrize("outputs", [{"video"}, {"frames"}, {"video", "frames"}])
def test_a_bug_keeps_its_own_error_and_leaves_no_video(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: set[str]
) -> None:
    calls = []

    def broken(*_: object) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise ZeroDivisionError("a bug")

    monkeypatch.setattr(layouts, "draw_keypoints", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        visualise_clip(make_clip(), options(tmp_path, outputs=frozenset(outputs)))
    assert files_in(result(tmp_path).parent) == ["report.json"]
    assert read_report(tmp_path)["error"] == {"type": "ZeroDivisionError", "message": "a bug"}


def test_an_output_folder_that_cannot_be_made(make_clip: MakeClip, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="cannot be written"):
        visualise_clip(make_clip(), options(tmp_path))
    assert (tmp_path / "results").read_text() == "a file, not a folder"


def test_damaged_packets_are_told(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    video = write_video(pickle_path.with_suffix(".mkv"), codec="mjpeg", pix_fmt="yuvj420p")
    damage_pictures(video, [9])
    report = visualise_clip(pickle_path, options(tmp_path, show_mesh=False, show_keypoints=False))
    assert report.frames_total == 24
    assert any(w.startswith("1 packets of the video could not be") for w in report.warnings)
    assert [number_of(p) for p in decode(result(tmp_path)).pictures][8:10] == [8, 10]


def test_a_missing_video_is_drawn_on_a_plain_background(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    pickle_path = make_clip()
    stored = visualise_clip(pickle_path, options(tmp_path))
    placed = decode(result(tmp_path)).pictures[1]
    pickle_path.with_suffix(".mp4").unlink()
    size = (stored.width or 0, stored.height or 0, Fraction(30000, 1001))
    report = visualise_clip(pickle_path, options(tmp_path, missing_video="blank", blank_size=size))
    assert (report.status, report.video_source, report.frame_rate) == ("ok", None, "30000/1001")
    assert report.frames_total == 30
    assert "no video file" in report.warnings[0]
    drawn = decode(result(tmp_path))
    assert [float(time) for time in drawn.times] == [i * 1001 / 30000 for i in range(30)]
    assert drawn.pictures[0].shape == placed.shape
    text = drawn.pictures[0][: placed.shape[0] // 2]
    assert (text.max(axis=2) < 150).sum() > 20  # the reason is written there


def test_a_broken_video_is_drawn_on_a_plain_background(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"<html>")
    report = visualise_clip(pickle_path, options(tmp_path, missing_video="blank", video=broken))
    assert report.status == "ok"
    assert (report.width, report.height, report.frame_rate) == (640, 360, "25/1")
    with pytest.raises(VideoReadError):
        visualise_clip(pickle_path, options(tmp_path, video=broken))
