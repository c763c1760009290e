from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CLIP

import resume
from bodies import BodyOptions
from downloaders import DownloadOptions
from errors import ClipCrashError, VideoNotFoundError
from inputs import ClipSource
from options import VisualiseOptions
from renderer import LIGHT_PINK
from report import ClipReport, write_report
from resume import earlier_report, write_failure
from visualise import visualise_clip

MakeClip = Callable[..., Path]
BOTH = frozenset({"video", "poster"})


def drawn(
    make_clip: MakeClip, tmp_path: Path, **changes: Any
) -> tuple[ClipSource, VisualiseOptions]:
    source = ClipSource(make_clip())
    options = VisualiseOptions(output_dir=tmp_path / "results", outputs=BOTH, **changes)
    visualise_clip(source, options)
    return source, options


def plain_options(tmp_path: Path) -> VisualiseOptions:
    return VisualiseOptions(
        output_dir=tmp_path / "results", download=DownloadOptions(downloader="none")
    )


def status(source: ClipSource, options: VisualiseOptions) -> str | None:
    report = earlier_report(source, options)
    return None if report is None else report["status"]


def rewritten(path: Path, data: bytes) -> None:
    """With the time that it had."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_clip_that_was_drawn_is_done(make_clip: MakeClip, tmp_path: Path) -> None:
    source, options = drawn(make_clip, tmp_path, frames="labelled")
    assert status(source, options) == "ok"
    elsewhere = dataclasses.replace(
        options,
        codec_threads=1,
        video_dirs=(tmp_path,),
        download=DownloadOptions(retry_failed=True),
        body=BodyOptions(cache_dir=tmp_path),
    )
    assert status(source, elsewhere) == "ok"


def test_a_clip_of_which_nothing_is_known(make_clip: MakeClip, tmp_path: Path) -> None:
    assert status(ClipSource(make_clip()), VisualiseOptions(output_dir=tmp_path)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"video_crf": 21},
        {"mesh_colour": LIGHT_PINK},
        {"outputs": frozenset({"video"})},
        {"body": BodyOptions(faces_path=Path("other.npy"))},
        {"camera_convention": "inside"},
    ],
)
def test_other_options(make_clip: MakeClip, tmp_path: Path, change: dict[str, Any]) -> None:
    source, options = drawn(make_clip, tmp_path)
    assert status(source, dataclasses.replace(options, **change)) is None


def test_another_version(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, options = drawn(make_clip, tmp_path)
    monkeypatch.setattr(resume, "VERSION", "9.9")
    assert status(source, options) is None


def test_the_pickle_is_known_by_its_digest(make_clip: MakeClip, tmp_path: Path) -> None:
    source, options = drawn(make_clip, tmp_path)
    data = source.path.read_bytes()
    os.utime(source.path, (1, 1))
    assert status(source, options) == "ok"  # another time, the same bytes
    source.path.write_bytes(data[:-2] + b"xx")
    assert status(source, options) is None
    rewritten(source.path, data + b" ")
    assert status(source, options) is None
    source.path.unlink()
    assert status(source, options) is None


def test_a_pickle_of_an_archive(make_clip: MakeClip, tmp_path: Path) -> None:
    file, options = drawn(make_clip, tmp_path)
    data = file.path.read_bytes()
    archive = file.folder / "a.tar"
    assert status(ClipSource(archive, f"x/{CLIP}.pkl", data), options) == "ok"
    assert status(ClipSource(archive, f"x/{CLIP}.pkl", data[:-1] + b"x"), options) is None
    assert status(ClipSource(archive, f"x/{CLIP}.pkl", data + b"x"), options) is None


@pytest.mark.parametrize("name", [f"{CLIP}.mp4", "smpl_faces.npy"])
def test_another_video_or_mesh(make_clip: MakeClip, tmp_path: Path, name: str) -> None:
    source, options = drawn(make_clip, tmp_path)
    path = source.folder / name
    os.utime(path, (1, 1))
    assert status(source, options) == "ok"  # another time, the same bytes
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert status(source, options) is None
    path.unlink()
    assert status(source, options) is None


@pytest.mark.parametrize("name", [f"{CLIP}.mp4", "poster.jpg", "report.json"])
@pytest.mark.parametrize("change", ["gone", "cut"])
def test_results_that_are_not_whole(
    make_clip: MakeClip, tmp_path: Path, name: str, change: str
) -> None:
    source, options = drawn(make_clip, tmp_path)
    path = options.output_dir / CLIP / name
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    assert status(source, options) is None


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": None},
        {"inputs": {}},
        {"inputs": {"pickle": 3}},
        {"outputs": []},
        {"options": None},
        {"status": 7, "inputs": {"pickle": {"path": 3}}},
    ],
)
def test_a_report_that_somebody_changed(
    make_clip: MakeClip, tmp_path: Path, change: dict[str, Any]
) -> None:
    source, options = drawn(make_clip, tmp_path)
    path = options.output_dir / CLIP / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert status(source, options) is None
    path.write_text("[1]")
    assert status(source, options) is None


def test_a_clip_that_failed_is_known_too(make_clip: MakeClip, tmp_path: Path) -> None:
    source, options = ClipSource(make_clip()), plain_options(tmp_path)
    source.path.with_suffix(".mp4").unlink()
    with pytest.raises(VideoNotFoundError):
        visualise_clip(source, options)
    report = earlier_report(source, options)
    assert report is not None
    assert (report["status"], report["error"]["type"]) == ("failed", "VideoNotFoundError")


def test_an_interrupted_clip_is_not_done(make_clip: MakeClip, tmp_path: Path) -> None:
    source, options = ClipSource(make_clip()), plain_options(tmp_path)

    def interrupt(done: int, expected: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        visualise_clip(source, options, interrupt)
    assert status(source, options) is None


def test_a_report_for_a_process_that_died(make_clip: MakeClip, tmp_path: Path) -> None:
    source, options = drawn(make_clip, tmp_path)
    write_failure(source, options, ClipCrashError("it was killed"))
    report = earlier_report(source, options)
    assert report is not None
    assert report["error"] == {"type": "ClipCrashError", "message": "it was killed"}


def test_a_new_attempt_takes_the_old_report_away_first(make_clip: MakeClip, tmp_path: Path) -> None:
    """A process killed in between must not leave a report that speaks of other files."""
    source, options = drawn(make_clip, tmp_path)
    path = options.output_dir / CLIP / "report.json"

    def is_gone(done: int, expected: int) -> None:
        assert not path.exists()

    visualise_clip(source, dataclasses.replace(options, video_crf=30), is_gone)
    assert path.exists()


def test_reports_hold_any_name(tmp_path: Path) -> None:
    report = ClipReport(clip="\udcff")
    write_report(report, tmp_path / "report.json")
    assert resume.read_report(tmp_path) == dataclasses.asdict(report)
