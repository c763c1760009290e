"""Starts `run_visualise.py --view=web`, says where it serves, and stops it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent


class Served(NamedTuple):
    """A running viewer: the page's address, the data's, and the process."""

    page: str
    data: str
    process: subprocess.Popen[str]

    @property
    def ports(self) -> tuple[int, int]:
        """Of the page and of the data."""
        ports = urlsplit(self.page).port, urlsplit(self.data).port
        assert ports[0] is not None
        assert ports[1] is not None
        return ports[0], ports[1]


@contextlib.contextmanager
def served(folder: Path, *arguments: str | Path) -> Iterator[Served]:
    """Its results go into `folder`; rerun leaves its settings there, and counts nothing."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "run_visualise.py", *arguments, "--view=web"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, "CI": "1", "XDG_CONFIG_HOME": str(folder / "config")},
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                (data,) = parse_qs(urlsplit(found[0]).query)["url"]
                yield Served(found[0], data, process)
                break
        else:
            raise AssertionError(f"no address: {said}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
