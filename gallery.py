"""One page that shows all clips of an output folder, without a server and without a network.

    write_gallery(Path("results"))              # results/index.html

The page is `gallery.html` with what the clips' reports say put into it. Covered by
tests/test_gallery.py and, in a real browser, tests/test_gallery_in_browser.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from files import whole_file
from outputs import POSTER_FILE
from report import VERSION
from resume import read_report

GALLERY_FILE = "index.html"
_TEMPLATE = Path(__file__).resolve().parent / "gallery.html"
_PLACE = "/*clips*/null"
_FIELDS = (
    *["clip", "failed", "labelled", "residual", "jitter", "size", "poster", "video"],
    *["frames", "seconds", "resolution", "warnings", "reason", "message"],
)


def write_gallery(output_dir: Path) -> Path:
    """Writes `index.html` from every clip's `report.json`; returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    reports = (read_report(folder) for folder in sorted(output_dir.iterdir()) if folder.is_dir())
    rows = [_row(report) for report in reports if report is not None and _is_settled(report)]
    page = _TEMPLATE.read_text(encoding="utf-8")
    data = {"version": VERSION, "fields": _FIELDS, "rows": rows}
    path = output_dir / GALLERY_FILE
    with whole_file(path) as temporary:
        temporary.write_text(page.replace(_PLACE, _json_for_script(data)), encoding="utf-8")
    return path


def _is_settled(report: dict[str, Any]) -> bool:
    """An interrupted clip is neither drawn nor failed."""
    return report.get("status") == "ok" or isinstance(report.get("error"), dict)


def _row(report: dict[str, Any]) -> list[object]:
    """A clip as the values of `_FIELDS`: names once in the page, not once a clip."""
    clip, error = str(report.get("clip")), report.get("error") or {}
    outputs = report.get("outputs") or {}
    is_drawn = report.get("status") == "ok"
    total, labelled = report.get("frames_total") or 0, report.get("frames_labelled") or 0
    video = f"{clip}.mp4"
    return [
        clip,
        int(not is_drawn),
        round(labelled / total, 4) if total else None,
        (report.get("residual_px") or {}).get("median"),
        report.get("jitter_mm"),
        report.get("person_size"),
        int(is_drawn and POSTER_FILE in outputs),
        int(is_drawn and video in outputs),
        total,
        report.get("seconds"),
        f"{report.get('width')}×{report.get('height')}" if report.get("width") else None,
        report.get("warnings") or [],
        error.get("type"),
        error.get("message"),
    ]


def _json_for_script(data: object) -> str:
    """JSON that may stand in a page: nothing in it ends the script or begins a comment."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")
