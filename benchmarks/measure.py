"""Times several things in turn, each in a process of its own, so that noise meets all alike."""

from __future__ import annotations

import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.workload import Workload

Array = npt.NDArray[Any]
Maker = Callable[[Workload], Callable[[], Array]]

_WARM_UP_SEC = 0.5
_ROUND_SEC = 0.05  # how long each is called for in a round, once at least
_START_SEC = 180
_PROBE_SEC = 2.0
_PAUSE_SEC = 0.001  # a process that only looks at the clock does so far more often
_LEAST_OVERLAP = 0.9


@dataclasses.dataclass(frozen=True)
class Timing:
    """Milliseconds per picture, one number for each round.

    Attributes:
        rounds: the median of each round's calls.
        covered: pixels that the body covers in the picture.
    """

    rounds: Sequence[float]
    covered: int

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the last decile."""
        low, high = np.percentile(self.rounds, [10, 90])
        return float(low), float(high)


def ratio(first: Timing, second: Timing) -> float:
    """How many times as long the first takes: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(first.rounds, second.rounds, strict=True))


def share_taken_away() -> float:
    """Of the time, in which this process did not run although it had something to do.

    Other programs take it, or other guests of the host. Calls longer than a slice of the scheduler
    suffer more from such pauses than shorter ones, so they spoil ratios too.
    """
    taken, before = 0.0, time.perf_counter()
    end = before + _PROBE_SEC
    while before < end:
        now = time.perf_counter()
        taken += now - before if now - before > _PAUSE_SEC else 0.0
        before = now
    return taken / _PROBE_SEC


def measure(
    makers: Mapping[str, Maker], works: Mapping[str, Workload], rounds: int
) -> tuple[dict[str, Timing], dict[str, str]]:
    """Draws with every maker in turn, `rounds` times; the first one's picture is the right one.

    Args:
        makers: what to time, by name.
        works: what each is to draw, by the same names.
        rounds: how often everything is timed.

    Returns:
        Timings, and the reason for each that could not be timed, by name.
    """
    workers: dict[str, _Worker] = {}
    failed: dict[str, str] = {}
    try:
        for name, maker in makers.items():
            worker = _Worker(maker, works[name])
            workers[name] = worker
            reason = worker.start()
            if reason is None and not _overlaps(worker, next(iter(workers.values()))):
                reason = "draws another picture"
            if reason is not None:
                failed[name] = reason
                workers.pop(name).stop()
        times: dict[str, list[float]] = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                times[name].append(worker.round())
        return {name: Timing(times[name], workers[name].covered) for name in workers}, failed
    finally:
        for worker in workers.values():
            worker.stop()


def _overlaps(worker: _Worker, right: _Worker) -> bool:
    if worker.mask.shape != right.mask.shape:
        return True  # another size: nothing to compare
    both, either = (worker.mask & right.mask).sum(), (worker.mask | right.mask).sum()
    return bool(both >= _LEAST_OVERLAP * either)


class _Worker:
    """A process that draws when told to."""

    def __init__(self, maker: Maker, work: Workload) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, maker, work), daemon=True)
        self._process.start()
        theirs.close()
        self.mask: Array = np.zeros((0, 0), bool)

    @property
    def covered(self) -> int:
        return int(self.mask.sum())

    def start(self) -> str | None:
        """Waits until it is ready; why it is not, else None."""
        if not self._pipe.poll(_START_SEC):
            return f"not ready after {_START_SEC} s"
        try:
            reply = self._pipe.recv()
        except EOFError:
            self._process.join()
            return f"its process ended with code {self._process.exitcode}"
        if isinstance(reply, str):
            return reply
        self.mask = reply
        return None

    def round(self) -> float:
        self._pipe.send(None)
        milliseconds: float = self._pipe.recv()
        return milliseconds

    def stop(self) -> None:
        self._pipe.close()
        self._process.join(5)
        self._process.kill()


def _serve(pipe: Connection, maker: Maker, work: Workload) -> None:
    try:
        draw = maker(work)
        picture = draw()
    except Exception as error:  # whatever it is, the table names it
        pipe.send(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        return
    end = time.perf_counter() + _WARM_UP_SEC
    while time.perf_counter() < end:
        draw()
    pipe.send((picture > 0).any(-1))
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        seconds: list[float] = []
        while not seconds or sum(seconds) < _ROUND_SEC:
            started = time.perf_counter()
            draw()
            seconds.append(time.perf_counter() - started)
        pipe.send(statistics.median(seconds) * 1000)
