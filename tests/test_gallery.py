from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from errors import OutputError
from gallery import write_gallery

HOSTILE = "</script><script>alert(1)</script><!--"


def report(folder: Path, clip: str, **changes: Any) -> None:
    content = {
        "clip": clip,
        "status": "ok",
        "frames_total": 250,
        "frames_labelled": 200,
        "residual_px": {"median": 0.5, "max": 3.0},
        "jitter_mm": 12.0,
        "person_size": 0.61,
        "width": 640,
        "height": 360,
        "outputs": {f"{clip}.mp4": 10, "poster.jpg": 5},
        "warnings": [],
        "seconds": 2.5,
        "error": None,
    }
    (folder / clip).mkdir(parents=True)
    (folder / clip / "report.json").write_text(json.dumps({**content, **changes}))


def clips(page: Path) -> list[dict[str, Any]]:
    """What the page's script is given."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    return [dict(zip(data["fields"], row, strict=True)) for row in data["rows"]]


def test_every_report_is_a_clip(tmp_path: Path) -> None:
    report(tmp_path, "b")
    report(tmp_path, "a", status="failed", error={"type": "E", "message": "m"}, outputs={})
    report(tmp_path, "c", status="failed")  # interrupted
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "report.json").write_text("{")
    page = write_gallery(tmp_path)
    assert page == tmp_path / "index.html"
    failed, drawn = clips(page)
    assert drawn == {
        "clip": "b",
        "failed": 0,
        "labelled": 0.8,
        "residual": 0.5,
        "jitter": 12.0,
        "size": 0.61,
        "poster": 1,
        "video": 1,
        "frames": 250,
        "seconds": 2.5,
        "resolution": "640×360",
        "warnings": [],
        "reason": None,
        "message": None,
    }
    assert (failed["failed"], failed["reason"], failed["message"]) == (1, "E", "m")
    assert (failed["poster"], failed["video"]) == (0, 0)


def test_reports_without_numbers(tmp_path: Path) -> None:
    report(tmp_path, "a", frames_total=0, residual_px=None, person_size=None, width=None)
    (clip,) = clips(write_gallery(tmp_path))
    assert clip["labelled"] is clip["residual"] is clip["size"] is clip["resolution"] is None


def test_names_and_messages_cannot_leave_the_script(tmp_path: Path) -> None:
    report(tmp_path, "a", warnings=[HOSTILE], error={"type": "E", "message": HOSTILE})
    page = write_gallery(tmp_path)
    assert HOSTILE not in page.read_text()
    (clip,) = clips(page)
    assert clip["warnings"] == [HOSTILE]


def test_the_page_asks_nobody(tmp_path: Path) -> None:
    page = write_gallery(tmp_path).read_text()
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page.replace("// ", ""))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    (tmp_path / "index.html" / "kept").touch()
    with pytest.raises(OutputError, match=r"index\.html"):
        write_gallery(tmp_path)
