"""Runs other programs, never through a shell, so that they and their children end when we do.

    finished = run(["ffmpeg", "-i", "in.mp4", "out.mp4"], timeout_sec=60)
    finished.exit_code, finished.lines[-1]

The program runs below a small guard (this file as a script). The guard reads a pipe that only we
hold open: however we die, the system closes it, and the guard ends the program and itself.
Covered by tests/test_processes.py.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_KEPT_LINES = 200
_LINE_END = re.compile(rb"[\r\n]+")


@dataclass(frozen=True)
class Finished:
    """How a program ended.

    Attributes:
        exit_code: 0 for success; above 128 where a signal ended it.
        timed_out: it was ended because its time was up.
        lines: the last lines that it wrote to standard output and standard error.
    """

    exit_code: int
    timed_out: bool
    lines: Sequence[str]


def run(
    argv: Sequence[str],
    *,
    timeout_sec: float,
    on_line: Callable[[str], None] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Runs a program to its end.

    Args:
        argv: the program and its arguments.
        timeout_sec: after this many seconds the program and its children are ended.
        on_line: is given each line as it comes; a progress line drawn over itself counts anew.
        cwd: the folder the program runs in; ours by default.
        env: its environment; ours by default.
    """
    timed_out = threading.Event()
    guard = subprocess.Popen(  # noqa: S603 a list of arguments and no shell
        [sys.executable, "-I", "-S", str(Path(__file__).absolute()), *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )

    def end() -> None:
        os.killpg(guard.pid, signal.SIGKILL)

    def time_is_up() -> None:
        timed_out.set()
        end()

    timer = threading.Timer(timeout_sec, time_is_up)
    timer.daemon = True
    timer.start()
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    with guard:
        try:
            assert guard.stdout is not None  # noqa: S101 it is a pipe: see above
            for line in _read_lines(guard.stdout):
                lines.append(line)
                if on_line is not None:
                    on_line(line)
        except BaseException:
            end()
            raise
        finally:
            # Only then may the guard be waited for, which frees its number for other programs.
            timer.cancel()
            timer.join()
    return Finished(guard.returncode % 256, timed_out.is_set(), list(lines))


def _read_lines(stream: IO[bytes]) -> Iterator[str]:
    pending = b""
    while chunk := os.read(stream.fileno(), 1 << 16):
        *complete, pending = _LINE_END.split(pending + chunk)
        yield from (line.decode(errors="replace") for line in complete if line)
    if pending:
        yield pending.decode(errors="replace")


def _guard(argv: Sequence[str]) -> None:
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)  # noqa: S603 no shell
    threading.Thread(target=_end_with_our_user, daemon=True).start()
    exit_code = program.wait()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # whatever the program left running
    os._exit(exit_code if exit_code >= 0 else 128 - exit_code)


def _end_with_our_user() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    _guard(sys.argv[1:])
