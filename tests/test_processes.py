from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import processes

PROJECT = Path(processes.__file__).parent
_LIMIT_SEC = 10


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT_SEC
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_exit_code_and_lines() -> None:
    code = (
        "import sys; print('one\\rtwo'); sys.stdout.flush(); print('é', file=sys.stderr); exit(3)"
    )
    seen: list[str] = []
    finished = processes.run(_python(code), timeout_sec=_LIMIT_SEC, on_line=seen.append)
    assert (finished.exit_code, finished.timed_out) == (3, False)
    assert finished.lines == seen == ["one", "two", "é"]


def test_arguments_reach_the_program_as_they_are() -> None:
    hostile = ["$(touch x)", "; touch x", "-rf", "a b", '"', "\n", "é"]
    finished = processes.run(
        [*_python("import sys; print(ascii(sys.argv[1:]))"), *hostile], timeout_sec=_LIMIT_SEC
    )
    assert finished.lines == [ascii(hostile)]


def test_a_signal_shows_in_the_exit_code() -> None:
    code = "import os; os.kill(os.getpid(), 15)"
    assert processes.run(_python(code), timeout_sec=_LIMIT_SEC).exit_code == 128 + 15


def test_time_is_up_for_the_children_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))\n"
        "time.sleep(60)"
    )
    finished = processes.run(_python(code), timeout_sec=1)
    assert finished.timed_out
    assert finished.exit_code != 0
    _wait_until(lambda: not _is_running(int(pid_file.read_text())))


def test_what_the_program_left_running_ends(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))\n"
    )
    assert processes.run(_python(code), timeout_sec=_LIMIT_SEC).exit_code == 0
    _wait_until(lambda: not _is_running(int(pid_file.read_text())))


def test_an_error_in_the_caller_ends_the_program(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
        "print('ready', flush=True); time.sleep(60)"
    )

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match="ready"):
        processes.run(_python(code), timeout_sec=_LIMIT_SEC, on_line=interrupt)
    _wait_until(lambda: not _is_running(int(pid_file.read_text())))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_program_ends_when_its_user_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    inner = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    outer = (
        f"import sys, processes; processes.run([sys.executable, '-c', {inner!r}], timeout_sec=60)"
    )
    user = subprocess.Popen(_python(outer), cwd=PROJECT)
    try:
        _wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
        os.kill(user.pid, how)
    finally:
        user.kill()
        user.wait()
    _wait_until(lambda: not _is_running(int(pid_file.read_text())))
