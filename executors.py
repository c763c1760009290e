"""Where the clips of a batch are drawn: processes of this machine, or a Dask cluster.

    executor = LocalExecutor(jobs=4, clip_timeout=1800)
    executor.submit(task)
    for task, outcome in executor.wait(1.0):
        ...

Each process is held by its own pipe and shares no lock with the others, so one that is killed in
any place takes nothing with it but its clip; pools that share a queue cannot promise that. Covered
by tests/test_executors.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import multiprocessing
import multiprocessing.connection
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from clip_worker import READY, ClipTask, Outcome, failure
from errors import ClipCrashError, ClipTimeoutError, MissingDependencyError, SchedulerError
from files import remove_left_behind

Finished = list[tuple[ClipTask, Outcome]]

_ROOT = Path(__file__).resolve().parent
_CHILD = _ROOT / "clip_worker.py"
_FAILED_STARTS = 3  # in a row: then it is not the clips' fault
_MOST_CLIPS = 1000  # of one process: what libraries leak, some kB a clip, stays bounded
_GRACE_SEC = 2.0  # for interrupted processes to remove what they were writing
_LOG_BYTES = 4000
# A process is one of many: else each would start as many threads for linear algebra as there are
# cores.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Executor(Protocol):
    """Draws clips somewhere, several at a time."""

    @property
    def slots(self) -> int:
        """How many tasks it wants to have at a time."""

    def submit(self, task: ClipTask) -> None:
        """Takes a task; it must have a free slot."""

    def wait(self, timeout: float) -> Finished:
        """Returns tasks that have ended, as soon as there is one, at most after `timeout` s."""

    def close(self) -> None:
        """Ends whatever is still running."""


class WorkerProcess:
    """One process that draws clips, and the pipe that holds it."""

    def __init__(self) -> None:
        """Starts the process; it imports what it needs while we go on."""
        self.connection, theirs = multiprocessing.Pipe()
        self.task: ClipTask | None = None
        self.is_ready = False
        self.clips = 0
        self.log = ""
        self._since = 0.0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 it lives as long as the process
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 our own script
                [sys.executable, str(_CHILD), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**_ONE_THREAD, **os.environ},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # a Ctrl-C is ours to pass on
            )

    def submit(self, task: ClipTask) -> None:
        """Hands over a clip; `receive` brings what became of it."""
        self.task, self._since = task, time.monotonic()
        os.ftruncate(self._log.fileno(), 0)
        with contextlib.suppress(OSError):  # it has died: `receive` says so
            self.connection.send_bytes(pickle.dumps(task))

    def receive(self) -> Outcome | None:
        """What the pipe brings: the outcome, or None from a process that is ready to begin."""
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError):
            return self._crash()
        if message == READY:
            self.is_ready, self._since = True, time.monotonic()
            return None
        self.task = None
        self.clips += 1
        if self.clips >= _MOST_CLIPS:
            self.kill()
        outcome: Outcome = pickle.loads(message)  # noqa: S301 from our own child
        return outcome

    @property
    def has_ended(self) -> bool:
        """Whether it draws no more clips."""
        return self.connection.closed

    def run(self, task: ClipTask, timeout: float | None) -> Outcome:
        """Draws one clip, and waits for it."""
        self.submit(task)
        while True:
            if not self.connection.poll(self.time_left(timeout)):
                return self.end_overdue(timeout or 0)
            outcome = self.receive()
            if outcome is not None:
                return outcome

    def time_left(self, timeout: float | None) -> float | None:
        """Seconds that the clip still has."""
        return None if timeout is None else max(0.0, self._since + timeout - time.monotonic())

    def end_overdue(self, timeout: float) -> Outcome:
        """Ends the process, whose clip takes too long."""
        task = self._ended()
        return failure(
            ClipTimeoutError(
                f"{task.source.name}: was not drawn within {timeout:g} s and was ended; a longer "
                "--clip_timeout gives it more"
            ),
            timeout,
        )

    def interrupt(self) -> None:
        """Asks the process to end and to remove what it is writing."""
        self._signal(signal.SIGINT)

    def kill(self, grace_sec: float = 0.0) -> int:
        """Ends the process and all that it started, within some seconds; returns its code."""
        if not self.connection.closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_sec)
            self._signal(signal.SIGKILL)
            self._process.wait()
            self.connection.close()
            self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _LOG_BYTES))
            self.log = self._log.read().decode(errors="replace")
            self._log.close()
        return self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _crash(self) -> Outcome:
        seconds = time.monotonic() - self._since
        code = self.kill(grace_sec=1.0)
        task = self._ended()
        error = ClipCrashError(f"{task.source.name}: the process that drew it {_cause(code)}")
        return dataclasses.replace(failure(error, seconds, self.log or None), has_crashed=True)

    def _ended(self) -> ClipTask:
        self.kill()
        task, self.task = self.task, None
        if task is None:
            raise RuntimeError("a process without a clip was ended")
        remove_left_behind(Path(task.working_folder, task.options.output_dir, task.source.clip))
        return task


def _cause(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "an unknown signal"
    more = "; systems do that where memory runs out: try fewer --jobs"
    return f"was killed by {name} ({-code}){more if -code == signal.SIGKILL else ''}"


class LocalExecutor:
    """Processes of this machine, started when they are needed and used again."""

    def __init__(self, jobs: int, clip_timeout: float | None) -> None:
        """Starts nothing yet.

        Args:
            jobs: how many clips to draw at a time.
            clip_timeout: seconds that a clip may take; None for any time.
        """
        self.slots = jobs
        self._timeout = clip_timeout
        self._workers: list[WorkerProcess] = []
        self._failed_starts = 0

    def submit(self, task: ClipTask) -> None:
        """See `Executor`."""
        idle = next((worker for worker in self._workers if worker.task is None), None)
        if idle is None:
            idle = WorkerProcess()
            self._workers.append(idle)
        idle.submit(task)

    def wait(self, timeout: float) -> Finished:
        """See `Executor`."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        left = [worker.time_left(self._timeout) for worker in busy.values()]
        soonest = min([timeout, *(seconds for seconds in left if seconds is not None)])
        finished: Finished = []
        for connection in multiprocessing.connection.wait(list(busy), soonest):
            worker = busy.pop(connection)  # type: ignore[call-overload]  # only ours were given
            self._receive(worker, finished)
        for worker in busy.values():
            if self._timeout is not None and worker.time_left(self._timeout) == 0:
                task = _task(worker)
                finished.append((task, worker.end_overdue(self._timeout)))
                self._workers.remove(worker)
        return finished

    def _receive(self, worker: WorkerProcess, finished: Finished) -> None:
        task, outcome = _task(worker), worker.receive()
        if worker.has_ended:
            self._workers.remove(worker)
        if outcome is None:
            self._failed_starts = 0
            return
        if outcome.has_crashed:
            self._failed_starts += not worker.is_ready
            if self._failed_starts >= _FAILED_STARTS:
                raise RuntimeError(
                    f"{_FAILED_STARTS} processes in a row ended before their first clip: "
                    f"{outcome.error}\n{outcome.trace or ''}"
                )
        finished.append((task, outcome))

    def close(self) -> None:
        """See `Executor`."""
        for worker in self._workers:
            worker.interrupt()
        until = time.monotonic() + _GRACE_SEC
        for worker in self._workers:
            worker.kill(max(0.0, until - time.monotonic()))
        self._workers.clear()


def _task(worker: WorkerProcess) -> ClipTask:
    if worker.task is None:
        raise RuntimeError("a process without a clip was waited for")
    return worker.task


# What follows runs inside a Dask worker: each of its threads has a process of its own, so that a
# clip that crashes or hangs is dealt with there as it is here.

_idle_workers: list[WorkerProcess] = []


def run_in_process(payload: bytes, clip_timeout: float | None) -> bytes:
    """Draws a pickled `ClipTask` in a process that waits for the next one afterwards."""
    task: ClipTask = pickle.loads(payload)  # noqa: S301 from our own client
    try:
        worker = _idle_workers.pop()
    except IndexError:
        worker = WorkerProcess()
    outcome = worker.run(task, clip_timeout)
    if not worker.has_ended:
        _idle_workers.append(worker)
    elif not worker.is_ready:
        raise RuntimeError(f"{outcome.error}: {worker.log}")
    return pickle.dumps(outcome)


def _remote(root: str) -> Callable[[bytes, float | None], bytes]:
    """A function that Dask sends by value: its workers need not know where the tool is."""

    def visualise(payload: bytes, clip_timeout: float | None) -> bytes:
        import sys  # noqa: PLC0415 it runs elsewhere

        if root not in sys.path:
            sys.path.insert(0, root)
        import executors  # noqa: PLC0415 only there from now on

        return executors.run_in_process(payload, clip_timeout)

    return visualise


class DaskExecutor:
    """The workers of a Dask cluster, which see the same folders as we do.

    Tasks of workers that die are given to others by the scheduler, as often as its
    `distributed.scheduler.allowed-failures` says.
    """

    def __init__(self, address: str, clip_timeout: float | None) -> None:
        """Connects to a scheduler.

        Raises:
            MissingDependencyError: `distributed` is not installed.
            SchedulerError: nobody answers at this address.
        """
        try:
            import distributed  # noqa: PLC0415 optional
        except ImportError as error:
            raise MissingDependencyError(
                "--scheduler needs Dask: pip install -r requirements-cluster.txt"
            ) from error
        for name in ("distributed", "distributed.client"):  # our own errors say what it would log
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._killed_worker = distributed.KilledWorker
        try:
            connect: Any = distributed.Client
            self._client = connect(address, timeout=_CONNECT_SEC)
        except (OSError, ValueError) as error:
            raise SchedulerError(
                f"--scheduler={address}: no Dask scheduler answers: {error}"
            ) from error
        self._address = address
        self._timeout = clip_timeout
        self._function = _remote(str(_ROOT))
        self._running: dict[Any, ClipTask] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._slots, self._asked = 1, -_ASK_SEC

    @property
    def slots(self) -> int:
        """Two tasks for each thread of the cluster, so that none waits for us."""
        if time.monotonic() - self._asked > _ASK_SEC:
            try:
                self._slots = max(1, 2 * sum(self._client.nthreads().values()))
            except (OSError, TimeoutError) as error:
                raise self._gone() from error
            self._asked = time.monotonic()
        return self._slots

    def submit(self, task: ClipTask) -> None:
        """See `Executor`."""
        if self._client.status != "running":
            raise self._gone()
        with warnings.catch_warnings():
            # Sent with the task, its bytes survive a worker; what is scattered does not.
            warnings.filterwarnings("ignore", message="Sending large graph")
            future = self._client.submit(
                self._function,
                pickle.dumps(task),
                self._timeout,
                key=f"visualise-{task.source.clip}-{uuid.uuid4().hex}",
                pure=False,
            )
        self._running[future] = task
        future.add_done_callback(self._done.put)

    def wait(self, timeout: float) -> Finished:
        """See `Executor`."""
        try:
            futures = [self._done.get(timeout=timeout)]
        except queue.Empty:
            if self._client.status != "running":
                raise self._gone() from None
            return []
        with contextlib.suppress(queue.Empty):
            while True:
                futures.append(self._done.get_nowait())
        return [self._ended(future) for future in futures]

    def _ended(self, future: Any) -> tuple[ClipTask, Outcome]:
        task = self._running.pop(future)
        if future.status == "finished":
            outcome: Outcome = pickle.loads(future.result())  # noqa: S301 from our own process
            return task, outcome
        if future.status != "error":
            raise self._gone()
        error = future.exception()
        if not isinstance(error, self._killed_worker):
            raise SchedulerError(
                f"{self._address}: its workers cannot run the tool ({type(error).__name__}: "
                f"{error}); they need the same Python packages and must see {_ROOT} and "
                f"{task.working_folder}"
            )
        return task, failure(
            ClipCrashError(f"{task.source.name}: Dask workers died while they drew it: {error}"), 0
        )

    def _gone(self) -> SchedulerError:
        return SchedulerError(
            f"{self._address}: the scheduler is gone; the same command goes on where it stopped"
        )

    def close(self) -> None:
        """See `Executor`; a worker finishes the clip that it draws."""
        with contextlib.suppress(Exception):  # the cluster may be gone
            self._client.cancel(list(self._running), force=True)
        with contextlib.suppress(Exception):
            self._client.close(timeout=_GRACE_SEC)


_CONNECT_SEC = 10.0
_ASK_SEC = 10.0
