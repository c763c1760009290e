from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dask_cluster import dask_cluster
from many_clips import left_behind, name_of, status_of, write_clips
from poison import KINDS, obey_poison, poisoned

from clip_worker import ClipTask, Outcome
from downloaders import DownloadOptions
from errors import MissingDependencyError, SchedulerError
from executors import DaskExecutor, Executor, LocalExecutor
from inputs import ClipSource
from options import VisualiseOptions

Start = Callable[..., Executor]
TIMEOUT_SEC = 4.0


@pytest.fixture(params=["local", "dask"], scope="module")
def start(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Starts an executor, of either kind, whose processes obey poison."""
    folder = tmp_path_factory.mktemp("executor")
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.ExitStack() as stack:
        obey_poison(folder / "site", monkeypatch)
        if request.param == "local":
            yield lambda timeout=None: LocalExecutor(2, timeout)
        else:
            cluster = stack.enter_context(dask_cluster(folder / "dask", workers=2))
            yield lambda timeout=None: DaskExecutor(cluster.address, timeout)


@pytest.fixture(scope="module")
def executor(start: Start) -> Iterator[Executor]:
    """One for all tests without a timeout: nothing that they do may harm the next."""
    with contextlib.closing(start()) as one:
        yield one


def task_of(pickle_path: Path, tmp_path: Path) -> ClipTask:
    offline = DownloadOptions(downloader="none")
    options = VisualiseOptions(output_dir=Path("results"), download=offline)
    return ClipTask(ClipSource(pickle_path), options, str(tmp_path))


def outcomes(executor: Executor, tasks: list[ClipTask]) -> dict[str, Outcome]:
    """Runs all tasks, no more at a time than there are slots."""
    met: dict[str, Outcome] = {}
    waiting, running = list(tasks), 0
    deadline = time.monotonic() + 90
    while waiting or running:
        assert time.monotonic() < deadline
        while waiting and running < executor.slots:
            executor.submit(waiting.pop(0))
            running += 1
        for task, outcome in executor.wait(0.5):
            met[task.source.clip] = outcome
            running -= 1
    return met


# What every executor promises


def test_each_clip_is_drawn_once(executor: Executor, tmp_path: Path) -> None:
    pickles = write_clips(tmp_path / "in", 5)
    met = outcomes(executor, [task_of(path, tmp_path) for path in pickles])
    again = outcomes(executor, [task_of(path, tmp_path) for path in pickles])
    assert sorted(met) == [name_of(number) for number in range(5)]
    assert {outcome.status for outcome in met.values()} == {"written"}
    assert {outcome.status for outcome in again.values()} == {"skipped"}
    for name in met:
        assert status_of(tmp_path / "results", name) == ("ok", None)


def test_processes_are_used_again(executor: Executor, tmp_path: Path) -> None:
    pickles = write_clips(tmp_path / "in", 8)
    met = outcomes(executor, [task_of(path, tmp_path) for path in pickles])
    assert 1 <= len({outcome.worker for outcome in met.values()}) <= 2


def test_a_pickle_comes_as_bytes(executor: Executor, tmp_path: Path) -> None:
    (path,) = write_clips(tmp_path / "in", 1)
    source = ClipSource(tmp_path / "in" / "a.tar", path.name, path.read_bytes())
    path.unlink()
    task = ClipTask(source, VisualiseOptions(output_dir=Path("results")), str(tmp_path))
    assert outcomes(executor, [task])[source.clip].status == "written"


def test_a_bad_clip_says_what_is_wrong(executor: Executor, tmp_path: Path) -> None:
    bad, missing, good = write_clips(tmp_path / "in", 3)
    poisoned(bad, "nothing")
    missing.with_suffix(".mp4").unlink()
    met = outcomes(executor, [task_of(path, tmp_path) for path in (bad, missing, good)])
    assert met[good.stem].status == "written"
    for path, kind in ((bad, "AnnotationError"), (missing, "VideoNotFoundError")):
        outcome = met[path.stem]
        assert outcome.error is not None
        assert (outcome.status, outcome.error[0], outcome.trace) == ("failed", kind, None)
        assert not outcome.has_crashed


@pytest.mark.parametrize("kind", ["bug", "memory"])
def test_a_bug_keeps_its_trace(executor: Executor, tmp_path: Path, kind: str) -> None:
    (path,) = write_clips(tmp_path / "in", 1)
    poisoned(path, kind)
    outcome = outcomes(executor, [task_of(path, tmp_path)])[path.stem]
    assert outcome.error is not None
    assert outcome.error[0] == {"bug": "ZeroDivisionError", "memory": "MemoryError"}[kind]
    assert outcome.trace is not None
    assert "in pickle_stamp" in outcome.trace


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_that_ends_its_process_takes_nothing_with_it(
    executor: Executor, tmp_path: Path, kind: str
) -> None:
    pickles = write_clips(tmp_path / "in", 5)
    poisoned(pickles[2], kind)
    met = outcomes(executor, [task_of(path, tmp_path) for path in pickles])
    bad = met.pop(pickles[2].stem)
    assert {outcome.status for outcome in met.values()} == {"written"}
    assert bad.has_crashed
    assert bad.error is not None
    assert bad.error[0] == "ClipCrashError"
    assert str(pickles[2]) in bad.error[1]
    assert KINDS[kind] in bad.error[1]
    if kind == "segfault":
        assert "Segmentation fault" in (bad.trace or "")


@pytest.mark.parametrize("kind", ["hang", "fifo"])
def test_a_clip_that_hangs_is_ended(
    start: Start, tmp_path: Path, kind: str, compiled: None
) -> None:
    del compiled  # the timeout is for drawing
    pickles = write_clips(tmp_path / "in", 5)
    poisoned(pickles[0], kind)
    began = time.monotonic()
    with contextlib.closing(start(TIMEOUT_SEC)) as executor:
        met = outcomes(executor, [task_of(path, tmp_path) for path in pickles])
    assert time.monotonic() - began < 60
    bad = met.pop(pickles[0].stem)
    assert {outcome.status for outcome in met.values()} == {"written"}
    assert bad.error is not None
    assert bad.error[0] == "ClipTimeoutError"
    assert "--clip_timeout" in bad.error[1]
    assert not bad.has_crashed


# Local processes


def process_of(executor: LocalExecutor) -> int:
    return executor._workers[0]._process.pid


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_closing_ends_a_process_at_once(tmp_path: Path) -> None:
    (path,) = write_clips(tmp_path / "in", 1)
    poisoned(path, "fifo")
    executor = LocalExecutor(1, None)
    executor.submit(task_of(path, tmp_path))
    executor.wait(5.0)
    pid = process_of(executor)
    began = time.monotonic()
    executor.close()
    assert time.monotonic() - began < 3.5
    assert not is_alive(pid)


def test_nothing_is_left_of_a_process_that_was_killed(tmp_path: Path) -> None:
    (path,) = write_clips(tmp_path / "in", 1)
    folder = tmp_path / "results" / path.stem
    folder.mkdir(parents=True)
    poisoned(path, "fifo")
    with contextlib.closing(LocalExecutor(1, None)) as executor:
        executor.submit(task_of(path, tmp_path))
        executor.wait(5.0)
        pid = process_of(executor)
        host = os.uname().nodename.split(".")[0]
        (folder / f".{path.stem}.mp4.{host}-{pid}.partial").write_text("half")
        os.kill(pid, signal.SIGKILL)
        ((_, outcome),) = executor.wait(5.0)
    assert outcome.has_crashed
    assert left_behind(tmp_path) == []


def test_processes_that_cannot_start_are_not_the_clips_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickles = write_clips(tmp_path / "in", 5)
    (tmp_path / "numba.py").write_text("raise ImportError('no numba here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        contextlib.closing(LocalExecutor(2, None)) as executor,
        pytest.raises(RuntimeError, match="no numba here"),
    ):
        outcomes(executor, [task_of(path, tmp_path) for path in pickles])


def test_a_process_ends_after_many_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executors._MOST_CLIPS", 2)
    tasks = [task_of(path, tmp_path) for path in write_clips(tmp_path / "in", 5)]
    with contextlib.closing(LocalExecutor(1, None)) as executor:
        met = outcomes(executor, tasks)
    assert {outcome.status for outcome in met.values()} == {"written"}
    assert len({outcome.worker for outcome in met.values()}) == 3


# Dask


def test_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executors._CONNECT_SEC", 0.5)
    with pytest.raises(SchedulerError, match=r"--scheduler=tcp://127\.0\.0\.1:1: no Dask"):
        DaskExecutor("tcp://127.0.0.1:1", None)


def test_a_clip_that_kills_dask_workers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    (path,) = write_clips(tmp_path / "in", 1)
    poisoned(path, "fifo")
    with (
        dask_cluster(tmp_path / "dask", workers=1) as cluster,
        contextlib.closing(DaskExecutor(cluster.address, None)) as executor,
    ):
        executor.submit(task_of(path, tmp_path))
        deadline = time.monotonic() + 30
        while not any(executor._client.processing().values()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(cluster.workers[0].pid, signal.SIGKILL)
        met: list[tuple[ClipTask, Outcome]] = []
        while not met:
            assert time.monotonic() < deadline
            met = executor.wait(1.0)
    ((_, outcome),) = met
    assert not outcome.has_crashed  # not to be tried again
    assert outcome.error is not None
    assert outcome.error[0] == "ClipCrashError"
    assert "Dask workers died" in outcome.error[1]


def test_a_scheduler_that_goes_away(tmp_path: Path) -> None:
    (path,) = write_clips(tmp_path / "in", 1)
    poisoned(path, "fifo")
    with (
        dask_cluster(tmp_path / "dask", workers=1) as cluster,
        contextlib.closing(DaskExecutor(cluster.address, None)) as executor,
    ):
        executor.submit(task_of(path, tmp_path))
        cluster.scheduler.kill()
        deadline = time.monotonic() + 60
        with pytest.raises(SchedulerError, match="goes on where it stopped"):
            while time.monotonic() < deadline:
                executor.wait(1.0)


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match="pip install -r requirements-cluster"):
        DaskExecutor("tcp://127.0.0.1:1", None)
