from __future__ import annotations

import collections
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dask_cluster import dask_cluster
from many_clips import (
    left_behind,
    log_lines,
    name_of,
    status_of,
    write_archive,
    write_clips,
)
from poison import BAD_KINDS, KINDS, obey_poison, poisoned, spoil
from synthetic import decode

import batch
from batch import BatchOptions, BatchSummary, progress_line, table, visualise_batch
from downloaders import DownloadOptions
from errors import OutputError
from inputs import ClipInputs
from options import VisualiseOptions

ROOT = Path(__file__).resolve().parent.parent
WAIT_SEC = 90
TIMEOUT_SEC = 5.0
OFFLINE = DownloadOptions(downloader="none")


def run(tmp_path: Path, *given: Path, **changes: Any) -> BatchSummary:
    options = VisualiseOptions(output_dir=tmp_path / "results", download=OFFLINE)
    inputs = ClipInputs([str(path) for path in given or (tmp_path / "in",)])
    return visualise_batch(inputs, options, BatchOptions(**{"jobs": 2, **changes}))


def command(tmp_path: Path, *arguments: str) -> list[str]:
    given = [f"--filename={tmp_path / 'in'}", f"--output_dir={tmp_path / 'results'}"]
    return [sys.executable, str(ROOT / "run_visualise.py"), *given, *arguments]


def statuses(tmp_path: Path) -> dict[str, list[str]]:
    met = collections.defaultdict(list)
    for line in log_lines(tmp_path / "results"):
        met[line["clip"]].append(line["status"])
    return dict(met)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def logged(tmp_path: Path) -> int:
    path = tmp_path / "results" / "batch.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


# What it is for


def test_every_clip_is_written_once_and_shown(tmp_path: Path) -> None:
    write_clips(tmp_path / "in", 5)
    summary = run(tmp_path)
    assert (summary.written, summary.skipped, summary.failed, summary.end) == (5, 0, 0, None)
    names = [name_of(number) for number in range(5)]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(
        ["batch.jsonl", *names, "index.html"]
    )
    for name in names:
        folder = tmp_path / "results" / name
        assert sorted(path.name for path in folder.iterdir()) == [
            f"{name}.mp4",
            "poster.jpg",
            "report.json",
        ]
        assert len(decode(folder / f"{name}.mp4").times) == 4
        assert b" threads=1 " in (folder / f"{name}.mp4").read_bytes()  # x264 signs so
    assert statuses(tmp_path) == {name: ["written"] for name in names}
    (line,) = [line for line in log_lines(tmp_path / "results") if line["clip"] == names[0]]
    assert line["source"] == str(tmp_path / "in" / f"{names[0]}.pkl")
    assert line["attempt"] == 1
    assert line["seconds"] > 0


def test_a_second_run_has_nothing_to_do_unless_something_changed(tmp_path: Path) -> None:
    write_clips(tmp_path / "in", 3)
    assert run(tmp_path).written == 3
    summary = run(tmp_path)
    assert (summary.written, summary.skipped) == (0, 3)
    assert logged(tmp_path) == 3
    (tmp_path / "results" / name_of(1) / f"{name_of(1)}.mp4").unlink()
    summary = run(tmp_path)
    assert (summary.written, summary.skipped) == (1, 2)
    assert run(tmp_path, overwrite=True).written == 3


def test_an_archive_on_the_command_line(tmp_path: Path) -> None:
    pickles = write_clips(tmp_path / "in", 4)
    members = [(f"deep/{path.name}", path.read_bytes()) for path in pickles]
    write_archive(tmp_path / "in" / "a.tar.gz", [*members, ("/etc/x.pkl", b"")])
    for path in pickles:
        path.unlink()
    archive = str(tmp_path / "in" / "a.tar.gz")
    out = f"--output_dir={tmp_path / 'results'}"
    script = [sys.executable, str(ROOT / "run_visualise.py")]
    ran = subprocess.run([*script, archive, out], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stdout.startswith("written        4 ")
    assert "     1 InputError: " in ran.stdout
    assert (
        ran.stderr
        == f"failed: {archive}//etc/x.pkl: refused: a member with an absolute path or `..` in it\n"
    )
    assert logged(tmp_path) == 5
    one = [*script, archive, f"--clip={name_of(2)}", f"--output_dir={tmp_path / 'one'}"]
    ran = subprocess.run(one, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"{name_of(2)}: 4 of 4 frames drawn")
    assert [path.name for path in (tmp_path / "one").iterdir()] == [name_of(2)]
    one[3] = "--clip=other"
    ran = subprocess.run(one, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"run_visualise: {archive}: holds no other.pkl; {archive}//etc/x")
    assert ran.stderr.count("\n") == 1


def test_pickles_whose_names_begin_with_a_dash(tmp_path: Path) -> None:
    """What a shell makes of `*.pkl`."""
    for path in write_clips(tmp_path / "in", 2):
        for suffix in (".pkl", ".mp4"):
            path.with_suffix(suffix).rename(path.with_name(f"-{path.stem[1:]}{suffix}"))
    names = sorted(path.name for path in (tmp_path / "in").glob("-*.pkl"))
    ran = subprocess.run(
        [sys.executable, ROOT / "run_visualise.py", *names, "--output_dir", tmp_path / "results"],
        cwd=tmp_path / "in",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert logged(tmp_path) == 2


# Whatever happens on the way


def test_a_poisoned_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: None) -> None:
    del compiled  # the timeout is for drawing
    obey_poison(tmp_path / "site", monkeypatch)
    kinds = {
        **dict.fromkeys(KINDS, "ClipCrashError"),
        "hang": "ClipTimeoutError",
        "fifo": "ClipTimeoutError",
        "bug": "ZeroDivisionError",
        "memory": "MemoryError",
        "nothing": "AnnotationError",
    }
    pickles = write_clips(tmp_path / "in", BAD_KINDS + len(kinds) + 10)
    expected = spoil(pickles[5 : 5 + BAD_KINDS])
    for path, (kind, error) in zip(pickles[5 + BAD_KINDS :], kinds.items(), strict=False):
        poisoned(path, kind)
        expected[path.stem] = error
    summary = run(tmp_path, clip_timeout=TIMEOUT_SEC)
    good = [path.stem for path in pickles if path.exists() and path.stem not in expected]
    assert len(good) == 10
    assert (summary.written, summary.skipped, summary.failed) == (len(good), 0, len(expected))
    assert summary.failures == collections.Counter(expected.values())
    for name in good:
        assert status_of(tmp_path / "results", name) == ("ok", None)
    for name, error in expected.items():
        assert status_of(tmp_path / "results", name) == ("failed", error)
    tried = {name: len(lines) for name, lines in statuses(tmp_path).items()}
    crashed = [name for name, error in expected.items() if error == "ClipCrashError"]
    assert all(tried[name] == (2 if name in crashed else 1) for name in tried)
    assert left_behind(tmp_path) == []
    # and not for ever
    lines = logged(tmp_path)
    summary = run(tmp_path, clip_timeout=TIMEOUT_SEC)
    assert (summary.written, summary.skipped) == (0, len(good))
    assert (summary.failed, summary.failed_before) == (len(expected), len(expected))
    assert logged(tmp_path) == lines


def test_another_try_for_a_clip_whose_process_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obey_poison(tmp_path / "site", monkeypatch)
    path, _ = write_clips(tmp_path / "in", 2)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data + b"!once")
    summary = run(tmp_path)
    assert (summary.written, summary.failed) == (2, 0)
    lines = [line for line in log_lines(tmp_path / "results") if line["clip"] == path.stem]
    assert [(line["attempt"], line["status"]) for line in lines] == [(1, "failed"), (2, "written")]
    assert lines[0]["error"]["type"] == "ClipCrashError"


def test_failed_clips_are_tried_again_when_asked(tmp_path: Path) -> None:
    path, _ = write_clips(tmp_path / "in", 2)
    video = path.with_suffix(".mp4")
    video.rename(tmp_path / "moved.mp4")
    assert run(tmp_path).failures == {"VideoNotFoundError": 1}
    (tmp_path / "moved.mp4").rename(video)
    summary = run(tmp_path)
    assert (summary.skipped, summary.failed, summary.failed_before) == (1, 1, 1)
    summary = run(tmp_path, retry_failed=True)
    assert (summary.written, summary.skipped, summary.failed) == (1, 1, 0)


def test_max_failures(tmp_path: Path) -> None:
    for path in write_clips(tmp_path / "in", 20):
        path.with_suffix(".mp4").unlink()
    summary = run(tmp_path, max_failures=3)
    assert summary.end == "max_failures"
    assert 3 <= summary.failed <= 5


def test_kill_9_in_the_middle(tmp_path: Path) -> None:
    count = 30
    write_clips(tmp_path / "in", count)
    for part in (1, 2):
        process = subprocess.Popen(command(tmp_path, "--jobs=2"), stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda part=part: logged(tmp_path) >= 8 * part)  # type: ignore[misc]
        finally:
            process.kill()
            process.wait()
    before = statuses(tmp_path)
    ran = subprocess.run(command(tmp_path, "--jobs=2"), capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(before) < count
    names = [name_of(number) for number in range(count)]
    assert set(statuses(tmp_path)) == set(names)
    assert all(lines == ["written"] for lines in statuses(tmp_path).values())
    for name in names:
        assert status_of(tmp_path / "results", name) == ("ok", None)
        assert len(decode(tmp_path / "results" / name / f"{name}.mp4").times) == 4
    assert left_behind(tmp_path) == []


def test_ctrl_c_stops_within_seconds(tmp_path: Path) -> None:
    pickles = write_clips(tmp_path / "in", 40)
    poisoned(pickles[5], "fifo")
    process = subprocess.Popen(
        command(tmp_path, "--jobs=2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            wait_for(lambda: logged(tmp_path) >= 8)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert time.monotonic() - began < 6
    assert process.returncode == 130
    assert "interrupted: the same command goes on" in out
    assert err == ""
    finished = statuses(tmp_path)
    assert 8 <= len(finished) < 39
    for name in finished:
        assert status_of(tmp_path / "results", name) == ("ok", None)
    assert left_behind(tmp_path) == []


def test_a_dask_worker_that_is_killed(tmp_path: Path) -> None:
    count = 40
    write_clips(tmp_path / "in", count)
    with dask_cluster(tmp_path / "dask", workers=2) as cluster:
        process = subprocess.Popen(
            command(tmp_path, f"--scheduler={cluster.address}"), stdout=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: logged(tmp_path) >= 10)
            os.killpg(cluster.workers[0].pid, signal.SIGKILL)
            assert process.wait(WAIT_SEC) == 0
        finally:
            process.kill()
            process.wait()
    names = [name_of(number) for number in range(count)]
    for name in names:
        assert status_of(tmp_path / "results", name) == ("ok", None)
    assert sorted(statuses(tmp_path)) == names


def test_a_dask_scheduler_that_is_killed(tmp_path: Path) -> None:
    write_clips(tmp_path / "in", 100)
    with dask_cluster(tmp_path / "dask", workers=1) as cluster:
        process = subprocess.Popen(
            command(tmp_path, f"--scheduler={cluster.address}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                wait_for(lambda: logged(tmp_path) >= 5)
                cluster.scheduler.kill()
                out, err = process.communicate(timeout=WAIT_SEC)
            finally:
                process.kill()
    assert (process.returncode, out) == (1, "")
    assert err == (
        f"run_visualise: {cluster.address}: the scheduler is gone; the same command goes on where "
        "it stopped\n"
    )
    assert set(statuses(tmp_path)) < {name_of(number) for number in range(100)}


def test_two_runs_at_a_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    write_clips(tmp_path / "in", 10)
    processes = [
        subprocess.Popen(command(tmp_path, "--jobs=1"), stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    assert [process.wait(WAIT_SEC) for process in processes] == [0, 0]
    assert 10 <= logged(tmp_path) <= 20
    log_lines(tmp_path / "results")
    assert left_behind(tmp_path) == []


# The report and the table


def test_a_torn_line_is_cut(tmp_path: Path) -> None:
    write_clips(tmp_path / "in", 1)
    path = tmp_path / "results" / "batch.jsonl"
    path.parent.mkdir()
    path.write_text('{"clip": "a", "status": "written"}\n{"clip": "b", "sta')
    run(tmp_path)
    assert [line["clip"] for line in log_lines(path.parent)] == ["a", name_of(0)]


def test_a_line_that_a_kill_prevented_is_made_up_for(tmp_path: Path) -> None:
    write_clips(tmp_path / "in", 2)
    run(tmp_path)
    path = tmp_path / "results" / "batch.jsonl"
    path.write_text("[1]\n" + path.read_text().splitlines()[0] + "\n")
    assert run(tmp_path).skipped == 2
    first, *lines = path.read_text().splitlines()
    assert first == "[1]"
    assert sorted(json.loads(line)["clip"] for line in lines) == [name_of(0), name_of(1)]
    assert {json.loads(line)["status"] for line in lines} == {"written"}


def test_an_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "batch.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"batch\.jsonl: cannot be written"):
        run(tmp_path)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, *_ = write_clips(tmp_path / "in", 4)
    path.with_suffix(".mp4").unlink()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(tmp_path)
    shown = terminal.getvalue()
    assert "/4" in shown
    assert "failed=1" in shown
    assert f"failed: {path.stem}: no video file" in shown


def test_lines_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "_LINE_SEC", 0.0)
    write_clips(tmp_path / "in", 3)
    run(tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert all(" of 3 clips: " in line for line in lines)
    assert lines[-1].startswith("3 of 3 clips: 3 written, 0 skipped, 0 failed, ")


def summary_of_a_night() -> BatchSummary:
    return BatchSummary(
        written=7200,
        skipped=50,
        failures=collections.Counter({"AnnotationError": 2, "VideoNotFoundError": 30}),
        examples={"AnnotationError": "a\nb", "VideoNotFoundError": "c"},
        failed_before=3,
        seconds=7200.0,
    )


def test_the_table() -> None:
    assert table(summary_of_a_night(), Path("results")).splitlines() == [
        "written     7200   in 2 h 0 min, 3600 clips per hour",
        "skipped       50   finished before",
        "failed        32   3 of them before; --retry_failed tries those again",
        "      30 VideoNotFoundError: c",
        "       2 AnnotationError: a\\nb",
        "report  results/batch.jsonl",
    ]


def test_the_line() -> None:
    assert progress_line(summary_of_a_night(), 10882) == (
        "7282 of 10882 clips: 7200 written, 50 skipped, 32 failed, 3600 clips per hour, "
        "about 1 h 0 min left"
    )
    assert progress_line(BatchSummary(skipped=2), None) == (
        "2 clips: 0 written, 2 skipped, 0 failed, 0 clips per hour"
    )


def test_the_report_goes_on_after_a_line_that_is_longer_than_a_page(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(batch._Log(tmp_path / "batch.jsonl")) for _ in range(2)]
        for number in range(4):
            logs[number % 2].add(number=number, text="x" * 10_000)
    lines = (tmp_path / "batch.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1, 2, 3]
