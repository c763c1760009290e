"""Clips that end, bug or hang the process that reads them.

The processes of a batch are real and cannot be patched from here, so they are started with a
`sitecustomize.py` that obeys what a pickle's first or last bytes say when its digest is taken.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

KINDS = {"kill": "SIGKILL", "segfault": "SIGSEGV", "exit": "exit code 3", "abort": "SIGABRT"}
_SITE = """
import faulthandler, hashlib, os, signal, time
_sha256 = hashlib.sha256
def sha256(data=b""):
    word = b"once" if data.endswith(b"!once") else bytes(data[:16]).partition(b"!")[0]
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


def poisoned(path: Path, kind: str) -> Path:
    """Writes a pickle of that kind."""
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)  # nobody ever writes to it
    else:
        path.write_bytes(f"{kind}!".encode())
    return path
