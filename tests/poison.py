"""Clips that end, bug or hang the process that reads them.

The processes of a batch are real and cannot be patched from here, so they are started with a
`sitecustomize.py` that obeys what a pickle's first or last bytes say when its digest is taken.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from many_clips import SIZE
from synthetic import body, write_video

BAD_KINDS = 14
KINDS = {"kill": "SIGKILL", "segfault": "SIGSEGV", "exit": "exit code 3", "abort": "SIGABRT"}
_SITE = """
import faulthandler, hashlib, os, signal, time
_sha256 = hashlib.sha256
def sha256(data=b""):
    word = b"once" if bytes(data[-5:]) == b"!once" else bytes(data[:16]).partition(b"!")[0]
    if word == b"kill": os.kill(os.getpid(), signal.SIGKILL)
    if word == b"segfault": faulthandler._sigsegv()
    if word == b"exit": os._exit(3)
    if word == b"abort": os.abort()
    if word == b"bug": 1 / 0
    if word == b"memory": raise MemoryError("no more")
    if word == b"hang": time.sleep(3600)
    if word == b"once" and not os.path.exists(os.environ["POISONED_ONCE"]):
        open(os.environ["POISONED_ONCE"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return _sha256(data)
hashlib.sha256 = sha256
"""


def obey_poison(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes processes that are started from now on obey."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITE)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("POISONED_ONCE", str(folder / "once"))


def spoil(pickles: Sequence[Path]) -> dict[str, str]:
    """Makes each clip bad in a way of its own; returns the error that each must have.

    There are to be `BAD_KINDS` of them, which are whole.
    """
    content = body([0.0, 0.5, 1.0, 1.5], SIZE).content
    data = pickles[0].read_bytes()
    changed: dict[str, object] = {
        "cameras": np.full((4, 3), np.nan),
        "smpl_pose": np.zeros((3, 72)),
        "vertices": np.zeros((4, 5, 3)),
        "time": np.arange(4) + 100.0,
    }
    pickled = {
        b"cos\nsystem\n(S'exit 1'\ntR.": "UnsafePickleError",
        data[:-100]: "AnnotationError",
        b"": "AnnotationError",
        pickle.dumps({key: value[:0] for key, value in content.items()}, 2): "AnnotationError",
        pickle.dumps({"time": content["time"]}, 2): "AnnotationError",
        **{
            pickle.dumps({**content, key: value}, 2): (
                "FacesError" if key == "vertices" else "AnnotationError"
            )
            for key, value in changed.items()
        },
    }
    videos = {b"": "VideoNotFoundError", b"<html>": "VideoNotFoundError"}
    expected = {}
    rest = iter(pickles)
    for made, error in pickled.items():
        path = next(rest)
        path.unlink()
        path.write_bytes(made)
        expected[path.stem] = error
    for made, error in videos.items():
        path = next(rest)
        path.with_suffix(".mp4").unlink()
        path.with_suffix(".mp4").write_bytes(made)
        expected[path.stem] = error
    path = next(rest)
    path.with_suffix(".mp4").unlink()
    expected[path.stem] = "VideoNotFoundError"
    path = next(rest)
    video = path.with_suffix(".mp4")
    video.unlink()
    write_video(video, range(100), container_options={"movflags": "faststart"})
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.6)])
    expected[path.stem] = "VideoTruncatedError"
    path = next(rest)
    path.rename(path.with_name("no_clip.pkl"))
    expected["no_clip"] = "ClipNameError"
    return expected


def poisoned(path: Path, kind: str) -> Path:
    """Writes a pickle of that kind."""
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)  # nobody ever writes to it
    else:
        path.write_bytes(f"{kind}!".encode())
    return path
