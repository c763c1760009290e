"""A clip's result as a notebook shows it: the video itself, and what to know of it.

    read_result(Path("results/KV4jIAq3WJo_155_165"))     # last line of a cell

Nothing of a notebook is needed to import it. Covered by tests/test_inline_video.py.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import json
from pathlib import Path

from errors import InputError
from report import ClipReport

EMBEDDED_BYTES = 20_000_000
"""A larger video is not put into a notebook, which holds it as text and is read as a whole."""


@dataclasses.dataclass(frozen=True)
class ShownClip:
    """One drawn clip.

    Attributes:
        path: the video's file; it may be gone if it was drawn for the notebook alone.
        video: the video, H.264 in an mp4; None where it is larger than `EMBEDDED_BYTES`.
        report: what was done.
    """

    path: Path
    video: bytes | None = dataclasses.field(repr=False)
    report: ClipReport = dataclasses.field(repr=False)

    def _repr_html_(self) -> str:
        """What Jupyter asks for."""
        report = self.report
        drawn = f"{report.clip}: {report.frames_drawn} of {report.frames_total} frames drawn"
        lines = [drawn, *(f"warning: {warning}" for warning in report.warnings)]
        caption = "<br>".join(html.escape(line) for line in lines)
        return f"<figure>{self._player()}<figcaption>{caption}</figcaption></figure>"

    def _player(self) -> str:
        if self.video is None:
            return html.escape(
                f"{self.path} is larger than the {EMBEDDED_BYTES / 1e6:.0f} MB that a notebook "
                "holds well: open the file, or draw it again with a higher `video_crf`"
            )
        data = base64.b64encode(self.video).decode()
        return (
            '<video controls loop playsinline style="max-width: 100%" '
            f'src="data:video/mp4;base64,{data}"></video>'
        )


def read_result(folder: Path) -> ShownClip:
    """Reads what was drawn into `<output_dir>/<clip>`.

    Raises:
        InputError: there is no report or no video in it.
    """
    path = folder / f"{folder.absolute().name}.mp4"
    try:
        report = ClipReport(**json.loads((folder / "report.json").read_text()))
        is_small = path.stat().st_size <= EMBEDDED_BYTES
        video = path.read_bytes() if is_small else None
    except (OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder}: holds no drawn clip ({error}); expected {path.name} and report.json: draw "
            "it with visualise_clip, with `video` among its outputs"
        ) from error
    return ShownClip(path, video, report)
