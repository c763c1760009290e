"""What was done with one clip, as its `report.json` holds it.

    report = ClipReport(clip="KV4jIAq3WJo_155_165")
    write_report(report, Path("results/KV4jIAq3WJo_155_165/report.json"))

Covered by tests/test_visualise.py.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal

from files import whole_file


@dataclasses.dataclass
class ClipReport:
    """What was done with one clip, as `report.json` holds it; None for what is not known."""

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
    vertices_source: str | None = None
    renderer: str | None = None
    seconds: float = 0.0
    warnings: list[str] = dataclasses.field(default_factory=list)
    error: dict[str, str] | None = None


def write_report(report: ClipReport, path: Path) -> None:
    """Writes it as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n")
