"""Which clips are done already, as their own `report.json` says.

    report = earlier_report(source, options)    # None: draw it; else its `status` says how it went

Covered by tests/test_resume.py.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from errors import AnnotationError, OutputError, PoseKineticsError
from inputs import ClipSource, is_same_file, pickle_stamp
from options import VisualiseOptions, recorded_options
from outputs import output_size
from report import REPORT_FILE, VERSION, ClipReport, write_report


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report in a clip's folder; None where there is none that can be read."""
    try:
        report = json.loads((folder / REPORT_FILE).read_text())
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def earlier_report(source: ClipSource, options: VisualiseOptions) -> dict[str, Any] | None:
    """The report of a clip that need not be drawn again; None where it must be.

    The pickle, the options and the tool's version must be those of the report. A file is the same
    if its size and its time are, or else its size and its digest. For a clip that was drawn the
    video and all that the body came from must be the same too, and everything written must be
    there in its size.
    """
    folder = options.output_dir / source.clip
    report = read_report(folder)
    if (
        report is None
        or report.get("version") != VERSION
        or report.get("options") != recorded_options(options)
    ):
        return None
    inputs, outputs = report.get("inputs"), report.get("outputs")
    if not isinstance(inputs, dict) or not isinstance(outputs, dict):
        return None
    if not _is_same_pickle(inputs.pop("pickle", None), source):
        return None
    if report.get("status") == "failed":  # without an error it was interrupted
        return report if isinstance(report.get("error"), dict) else None
    is_whole = all(output_size(folder / name) == size for name, size in outputs.items())
    is_same = all(is_same_file(stamp) for stamp in inputs.values())
    return report if is_whole and is_same else None


def write_failure(source: ClipSource, options: VisualiseOptions, error: PoseKineticsError) -> None:
    """Writes the report of a clip whose process could not write it any more."""
    report = ClipReport(
        clip=source.clip,
        options=recorded_options(options),
        error={"type": type(error).__name__, "message": str(error)},
    )
    # Reading its file may be what the process hung in.
    report.inputs["pickle"] = pickle_stamp(source, source.data)
    with contextlib.suppress(OutputError):
        write_report(report, options.output_dir / source.clip / REPORT_FILE)


def _is_same_pickle(stamp: object, source: ClipSource) -> bool:
    if not isinstance(stamp, dict):
        return False
    now = pickle_stamp(source, None)
    if source.data is not None:
        now["size"] = len(source.data)
    if now["size"] is None or now["size"] != stamp.get("size"):
        return False
    if now["mtime_ns"] is not None and now["mtime_ns"] == stamp.get("mtime_ns"):
        return True
    return stamp.get("sha256") is not None and stamp["sha256"] == _digest(source)


def _digest(source: ClipSource) -> str | None:
    with contextlib.suppress(AnnotationError):
        return str(pickle_stamp(source, source.read())["sha256"])
    return None
