"""Many small clips that share one video, one mesh and one pickle."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import body, write_faces, write_pickle, write_video

SIZE = (64, 48)
FRAMES = 4  # two a second


def name_of(number: int) -> str:
    """The clip's name."""
    return f"clip{number:07d}_{number}_{number + 2}"


def grey_picture(number: int, width: int, height: int) -> Any:
    del number
    return np.full((height, width, 3), 120, np.uint8)


def write_clips(folder: Path, count: int, prefix: str = "") -> list[Path]:
    """Makes `count` clips in a folder; returns their pickles."""
    folder.mkdir(parents=True, exist_ok=True)
    one_pickle, one_video = folder / "one.bin", folder / "one.video"
    write_pickle(one_pickle, body([0.0, 0.5, 1.0, 1.5], SIZE).content)
    path = one_video.with_suffix(".mp4")
    write_video(path, range(FRAMES), Fraction(1, 2), size=SIZE, picture=grey_picture)
    path.rename(one_video)
    write_faces(folder / "smpl_faces.npy")
    pickles = []
    for number in range(count):
        pickle_path = folder / f"{prefix}{name_of(number)}.pkl"
        pickle_path.hardlink_to(one_pickle)
        pickle_path.with_suffix(".mp4").hardlink_to(one_video)
        pickles.append(pickle_path)
    return pickles


def write_archive(path: Path, members: Sequence[tuple[str, bytes]], mode: str = "w:gz") -> Path:
    """A tar archive of named bytes."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # any mode
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def log_lines(output_dir: Path) -> list[dict[str, Any]]:
    """`batch.jsonl`, every line of which must parse."""
    text = (output_dir / "batch.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def status_of(output_dir: Path, name: str) -> tuple[str, str | None]:
    """What a clip's report says: its status and the error's type."""
    report = json.loads((output_dir / name / "report.json").read_text())
    return report["status"], (report["error"] or {}).get("type")


def left_behind(output_dir: Path) -> list[Path]:
    """Files that were never finished."""
    return list(output_dir.rglob("*.partial"))
