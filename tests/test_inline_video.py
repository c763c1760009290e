from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import CLIP
from nbclient import NotebookClient
from synthetic import decode
from viewing import ROOT

import inline_video
from downloaders import DownloadOptions
from errors import InputError, VideoNotFoundError
from visualise import ClipReport, VisualiseOptions, show, visualise_clip

MakeClip = Callable[..., Path]

# What an import must not bring: optional, or slow to import.
NOT_IMPORTED = {
    "rerun",
    "dask",
    "distributed",
    "IPython",
    "ipykernel",
    "opendr",
    "chumpy",
    "yt_dlp",
}


def options(tmp_path: Path, **changes: Any) -> VisualiseOptions:
    offline = DownloadOptions(downloader="none", cache_dir=tmp_path / "cache")
    return VisualiseOptions(output_dir=tmp_path / "results", download=offline, **changes)


def embedded(html: str) -> bytes:
    """The video inside the HTML."""
    (data,) = re.findall(r'<video [^>]*src="data:video/mp4;base64,([^"]+)"></video>', html)
    return base64.b64decode(data, validate=True)


# What is shown


@pytest.mark.parametrize("as_text", [False, True])
def test_a_pickle_is_drawn_and_leaves_nothing_behind(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_text: bool
) -> None:
    pickle_path = make_clip()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.chdir(scratch)
    shown = show(str(pickle_path) if as_text else pickle_path)
    assert list(scratch.iterdir()) == []
    video = embedded(shown._repr_html_())
    assert video == shown.video
    (tmp_path / "shown.mp4").write_bytes(video)
    pictures = decode(tmp_path / "shown.mp4").pictures
    assert len(pictures) == 25
    assert pictures[0].min() < 100  # the video is white but for what is drawn
    assert f"{CLIP}: 9 of 25 frames drawn" in shown._repr_html_()


def test_with_options_the_result_stays(make_clip: MakeClip, tmp_path: Path) -> None:
    drawn = options(tmp_path, show_keypoints=False, outputs=frozenset({"frames"}))
    shown = show(make_clip(), drawn)
    assert shown.path == tmp_path / "results" / CLIP / f"{CLIP}.mp4"
    assert shown.path.read_bytes() == embedded(shown._repr_html_())
    assert (tmp_path / "results" / CLIP / "frames").is_dir()


def test_a_report_and_a_folder_show_what_was_drawn(make_clip: MakeClip, tmp_path: Path) -> None:
    drawn = options(tmp_path)
    report = visualise_clip(make_clip(), drawn)
    path = tmp_path / "results" / CLIP / f"{CLIP}.mp4"
    before = path.stat()
    for shown in (show(report, drawn), show(path.parent), show(str(path.parent))):
        assert embedded(shown._repr_html_()) == path.read_bytes()
        assert shown.report == report
    assert path.stat() == before


def test_a_report_without_options_is_looked_for_where_it_is_by_default(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = visualise_clip(make_clip(), options(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert show(report).path == Path("results") / CLIP / f"{CLIP}.mp4"


def test_warnings_are_shown_as_text(make_clip: MakeClip, tmp_path: Path) -> None:
    report = visualise_clip(make_clip(), options(tmp_path))
    path = tmp_path / "results" / CLIP / "report.json"
    warning = "<script>alert(1)</script> & more"
    path.write_text(json.dumps({**vars(report), "warnings": [warning]}))
    html = show(path.parent)._repr_html_()
    assert "warning: &lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in html
    assert "<script>" not in html


def test_a_large_video_is_not_put_into_a_notebook(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline_video, "EMBEDDED_BYTES", 1000)
    shown = show(make_clip(), options(tmp_path))
    html = shown._repr_html_()
    assert shown.video is None
    assert "<video" not in html
    assert str(shown.path) in html
    assert "video_crf" in html
    assert len(html) < 1000


def test_without_html_it_is_short(make_clip: MakeClip, tmp_path: Path) -> None:
    shown = show(make_clip(), options(tmp_path))
    assert repr(shown) == f"ShownClip(path={shown.path!r})"


# What goes wrong


def test_a_clip_that_cannot_be_drawn(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    with pytest.raises(VideoNotFoundError):
        show(pickle_path, options(tmp_path))


@pytest.mark.parametrize("content", [None, "{}", "[]", "not JSON", '{"clip": "x", "more": 1}'])
def test_a_folder_without_a_result(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if content is not None:
        (folder / "report.json").write_text(content)
        (folder / "empty.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty: holds no drawn clip .* draw it with"):
        show(folder)


def test_a_report_of_frames_alone(make_clip: MakeClip, tmp_path: Path) -> None:
    drawn = options(tmp_path, outputs=frozenset({"frames"}))
    report = visualise_clip(make_clip(), drawn)
    with pytest.raises(InputError, match=f"expected {CLIP}.mp4"):
        show(report, drawn)


# In a notebook


def test_a_real_notebook_holds_the_video(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    source = f"from visualise import show\nshow({str(make_clip())!r})"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(book, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (output,) = book.cells[0].outputs
    assert output.output_type == "execute_result"
    (tmp_path / "shown.mp4").write_bytes(embedded(output.data["text/html"]))
    assert len(decode(tmp_path / "shown.mp4").pictures) == 25


# Importing


def test_importing_has_no_side_effects(tmp_path: Path) -> None:
    """In a process of its own: no file, flag, thread or changed environment; nothing optional."""
    program = """
        import json, os, sys, threading
        import cv2  # sets a variable of its own
        from absl import flags
        before = set(flags.FLAGS), dict(os.environ)
        from visualise import BodyOptions, ClipReport, VisualiseOptions, show, visualise_clip
        print(json.dumps({
            "flags": sorted(set(flags.FLAGS) - before[0]),
            "environment": dict(os.environ) == before[1],
            "threads": [thread.name for thread in threading.enumerate()],
            "modules": sorted({name.partition(".")[0] for name in sys.modules}),
        }))
    """
    before = _files(ROOT)
    ran = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(program)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    met = json.loads(ran.stdout)
    assert met["flags"] == []
    assert met["environment"]
    assert met["threads"] == ["MainThread"]
    assert not NOT_IMPORTED & set(met["modules"])
    assert list(tmp_path.iterdir()) == []
    assert _files(ROOT) == before


def _files(folder: Path) -> set[Path]:
    """But for what other processes may be writing at the same time."""
    return {
        path
        for path in folder.rglob("*")
        if not {".git", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"}
        & set(path.relative_to(folder).parts)
    }


def test_the_readmes_names_are_there() -> None:
    shown = re.findall(r"^from visualise import (.+)$", (ROOT / "README.md").read_text(), re.M)
    assert shown
    for names in shown:
        assert set(names.split(", ")) <= {
            name.__name__ for name in (ClipReport, VisualiseOptions, show, visualise_clip)
        } | {"BodyOptions"}
