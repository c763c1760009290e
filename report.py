"""What was done with one clip, as its `report.json` holds it.

    report = ClipReport(clip="KV4jIAq3WJo_155_165")
    write_report(report, Path("results/KV4jIAq3WJo_155_165/report.json"))

Covered by tests/test_visualise.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

from files import is_partial, output_error, whole_file

VERSION = "0.1.0"
REPORT_FILE = "report.json"


@dataclasses.dataclass
class ClipReport:
    """What was done with one clip, as `report.json` holds it; None for what is not known.

    Attributes that do not speak for themselves:
        jitter_mm: see `measures.jitter_mm`.
        person_size: see `measures.person_size`.
        version: of the tool.
        options: see `options.recorded_options`.
        inputs: what each file that was read was; see `inputs.file_stamp`.
        outputs: what was written: bytes of each file, number of files of each folder.
        earlier_files: what else lies in the clip's folder, which an earlier run wrote.
    """

    clip: str
    status: Literal["ok", "failed"] = "failed"
    video_id: str | None = None
    start_sec: int | None = None
    end_sec: int | None = None
    video_source: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: str | None = None
    frames_total: int = 0
    frames_labelled: int = 0
    frames_drawn: int = 0
    labels_dropped: int = 0
    camera_convention: str | None = None
    keypoint_units: str | None = None
    residual_px: dict[str, float | None] = dataclasses.field(
        default_factory=lambda: {"median": None, "max": None}
    )
    jitter_mm: float | None = None
    person_size: float | None = None
    vertices_source: str | None = None
    renderer: str | None = None
    version: str = VERSION
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: dict[str, dict[str, Any] | None] = dataclasses.field(default_factory=dict)
    outputs: dict[str, int] = dataclasses.field(default_factory=dict)
    earlier_files: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    warnings: list[str] = dataclasses.field(default_factory=list)
    error: dict[str, str] | None = None


def remove_report(path: Path) -> None:
    """Removes one that speaks for files which are about to be replaced.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def write_report(report: ClipReport, path: Path) -> None:
    """Writes it as JSON, whole or not at all, and notes what an earlier run left beside it.

    Raises:
        OutputError: it cannot be written.
    """
    with contextlib.suppress(OSError):
        beside = {entry.name for entry in path.parent.iterdir() if not is_partial(entry)}
        report.earlier_files = sorted(beside - {path.name, *report.outputs})
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n")
