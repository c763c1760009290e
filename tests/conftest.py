from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import (
    HEIGHT,
    WIDTH,
    Sound,
    body,
    write_faces,
    write_pickle,
    write_video,
)

from bodies import BodyOptions
from options import VisualiseOptions
from visualise import visualise_clip

VIDEO_ID = "KV4jI_q3W-o"
CLIP = f"{VIDEO_ID}_155_156"
TIMES = [0.0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.6, 0.64, 0.8]


def white_picture(number: int, width: int, height: int) -> Any:
    del number
    return np.full((height, width, 3), 250, np.uint8)


def pytest_configure() -> None:
    """What a shell runs in the background ignores Ctrl-C, and so would all that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is fetched from the web, and the user's own cache is not looked into."""
    monkeypatch.setattr("bodies.FACES_URL", "http://127.0.0.1:9/smpl_faces.npy")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def white_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of white, with sound."""
    path = tmp_path_factory.mktemp("video") / "white.mp4"
    return write_video(path, picture=white_picture, sound=Sound())


@pytest.fixture(scope="session")
def compiled(white_video: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Draws a clip, so that all is compiled, here and in every later process: it takes seconds."""
    folder = tmp_path_factory.mktemp("compiled")
    pickle_path = write_pickle(folder / f"{CLIP}.pkl", body(TIMES, (WIDTH, HEIGHT)).content)
    options = VisualiseOptions(
        output_dir=folder,
        video=white_video,
        body=BodyOptions(faces_path=write_faces(folder / "faces.npy")),
    )
    visualise_clip(pickle_path, options)


@pytest.fixture
def make_clip(tmp_path: Path, white_video: Path) -> Callable[..., Path]:
    """Makes a pickle with its faces and video beside it; returns the pickle's path."""

    def make(name: str = CLIP, **changes: Any) -> Path:
        folder = tmp_path / "clips"
        folder.mkdir(exist_ok=True)
        shutil.copy(white_video, folder / f"{name}.mp4")
        write_faces(folder / "smpl_faces.npy")
        content = {**body(TIMES).content, **changes}
        return write_pickle(folder / f"{name}.pkl", content)

    return make
