"""Many clips: drawn side by side, each at most once, whatever happens on the way.

    summary = visualise_batch(ClipInputs(["annotations/"]), options, BatchOptions(jobs=8))
    summary.written, summary.skipped, summary.failures      # 9980, 12, {"AnnotationError": …}

Every attempt adds a line to `<output_dir>/batch.jsonl`; `<output_dir>/index.html` shows all clips.
Covered by tests/test_batch.py.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tqdm

from clip_worker import ClipTask, Outcome
from errors import ClipCrashError, ClipTimeoutError, PoseKineticsError
from executors import DaskExecutor, Executor, LocalExecutor
from files import make_folder, output_error
from gallery import write_gallery
from inputs import ClipInputs, ClipSource, Refused
from messages import duration, one_line
from options import VisualiseOptions
from resume import write_failure

REPORT_FILE = "batch.jsonl"
_MOST_ATTEMPTS = 2  # for a clip whose process died: it may have been another's fault
_TICK_SEC = 1.0
_LINE_SEC = 60.0


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """How to go through many clips.

    Attributes:
        jobs: clips drawn at a time on this machine; None for one a core.
        scheduler: address of a Dask scheduler whose workers draw instead.
        clip_timeout: seconds that one clip may take; None for any time.
        overwrite: draw finished clips again.
        retry_failed: draw clips again that failed before.
        max_failures: stop after so many; None to go on.
    """

    jobs: int | None = None
    scheduler: str | None = None
    clip_timeout: float | None = None
    overwrite: bool = False
    retry_failed: bool = False
    max_failures: int | None = None


@dataclasses.dataclass
class BatchSummary:
    """What became of a batch.

    Attributes:
        written: clips that were drawn.
        skipped: clips that were finished before.
        failures: how often each type of error was met.
        examples: a message of each type.
        failed_before: clips among the failures that an earlier run had tried.
        seconds: how long it took.
        end: why it ended early: `interrupted` or `max_failures`; None where it did not.
    """

    written: int = 0
    skipped: int = 0
    failures: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    examples: dict[str, str] = dataclasses.field(default_factory=dict)
    failed_before: int = 0
    seconds: float = 0.0
    end: str | None = None

    @property
    def failed(self) -> int:
        """The number of failures."""
        return self.failures.total()

    @property
    def done(self) -> int:
        """The number of clips that are settled."""
        return self.written + self.skipped + self.failed

    @property
    def clips_per_hour(self) -> float:
        """How fast clips were drawn."""
        return 3600 * self.written / self.seconds if self.seconds else 0.0


def visualise_batch(
    inputs: ClipInputs, options: VisualiseOptions, batch: BatchOptions
) -> BatchSummary:
    """Draws every clip that is not finished yet.

    Raises:
        MissingDependencyError: Dask is wanted and not installed.
        SchedulerError: the cluster cannot be reached, or is lost.
        OutputError: the report cannot be written.
    """
    jobs = batch.jobs or cores()
    threads = 0 if jobs == 1 and batch.scheduler is None else 1
    options = dataclasses.replace(
        options, outputs=options.outputs | {"poster"}, codec_threads=threads
    )
    make_folder(options.output_dir)
    with (
        _Log(options.output_dir / REPORT_FILE) as log,
        _Progress(inputs) as progress,
        contextlib.closing(_executor(jobs, batch)) as executor,
    ):
        run = _Run(executor, options, batch, log, progress)
        try:
            run.through(iter(inputs))
        except KeyboardInterrupt:
            run.summary.end = "interrupted"
    if run.summary.end != "interrupted":  # who interrupts does not want to wait
        write_gallery(options.output_dir)
    return run.summary


def cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _executor(jobs: int, batch: BatchOptions) -> Executor:
    if batch.scheduler is not None:
        return DaskExecutor(batch.scheduler, batch.clip_timeout)
    return LocalExecutor(jobs, batch.clip_timeout)


class _Run:
    """One way through the inputs: no more clips are held than the executor has slots, and one."""

    def __init__(
        self,
        executor: Executor,
        options: VisualiseOptions,
        batch: BatchOptions,
        log: _Log,
        progress: _Progress,
    ) -> None:
        self.summary = BatchSummary()
        self._started = time.monotonic()
        self._executor = executor
        self._options = options
        self._batch = batch
        self._log = log
        self._progress = progress
        self._folder = str(Path.cwd())
        self._attempts: collections.Counter[str] = collections.Counter()  # of what is running
        self._again: list[ClipTask] = []

    def through(self, items: Iterator[ClipSource | Refused]) -> None:
        upcoming = self._next(items)
        while upcoming is not None or self._attempts:
            while upcoming is not None and len(self._attempts) < self._executor.slots:
                self._submit(upcoming)
                upcoming = self._next(items)
            for task, outcome in self._executor.wait(_TICK_SEC):
                self._settle(task, outcome)
            while self._again:
                self._submit(self._again.pop())
            self.summary.seconds = time.monotonic() - self._started
            self._progress.show(self.summary)
            if self._has_failed_enough():
                self.summary.end = "max_failures"
                return

    def _next(self, items: Iterator[ClipSource | Refused]) -> ClipTask | None:
        for item in items:
            if isinstance(item, ClipSource):
                return ClipTask(
                    item,
                    self._options,
                    self._folder,
                    overwrite=self._batch.overwrite,
                    retry_failed=self._batch.retry_failed,
                )
            self._fail(type(item.error).__name__, str(item.error))
            self._progress.say(f"failed: {one_line(str(item.error))}")
            self._log.add(source=item.name, status="refused", error=_error(item.error))
        return None

    def _submit(self, task: ClipTask) -> None:
        self._attempts[task.source.clip] += 1
        self._executor.submit(task)

    def _settle(self, task: ClipTask, outcome: Outcome) -> None:
        clip = task.source.clip
        attempt = self._attempts[clip]
        if outcome.was_tried:
            self._record(task, outcome, attempt)
        if outcome.has_crashed and attempt < _MOST_ATTEMPTS:
            self._again.append(task)
            return
        del self._attempts[clip]
        if outcome.status == "written":
            self.summary.written += 1
        elif outcome.status == "skipped":
            self.summary.skipped += 1
            if clip not in self._log.written:  # finished in the moment in which a run was killed
                self._record(task, dataclasses.replace(outcome, status="written"), attempt)
        elif outcome.error is not None:
            self._fail(*outcome.error)
            self._tell(outcome)
            self.summary.failed_before += not outcome.was_tried
            kinds = {kind.__name__: kind for kind in (ClipCrashError, ClipTimeoutError)}
            if outcome.was_tried and outcome.error[0] in kinds:
                error = kinds[outcome.error[0]](outcome.error[1])
                write_failure(task.source, task.options, error)

    def _record(self, task: ClipTask, outcome: Outcome, attempt: int) -> None:
        entry: dict[str, Any] = {
            "clip": task.source.clip,
            "source": task.source.name,
            "status": outcome.status,
            "attempt": attempt,
            "seconds": round(outcome.seconds, 3),
            "worker": outcome.worker,
        }
        if outcome.error is not None:
            entry["error"] = {"type": outcome.error[0], "message": outcome.error[1]}
        if outcome.trace is not None:
            entry["trace"] = outcome.trace
        self._log.add(**entry)

    def _fail(self, kind: str, message: str) -> None:
        self.summary.failures[kind] += 1
        self.summary.examples.setdefault(kind, message)

    def _tell(self, outcome: Outcome) -> None:
        if outcome.trace is not None and not outcome.has_crashed:  # a bug
            self._progress.say(outcome.trace)
        if outcome.was_tried and outcome.error is not None:
            self._progress.say(f"failed: {one_line(outcome.error[1])}")

    def _has_failed_enough(self) -> bool:
        most = self._batch.max_failures
        return most is not None and self.summary.failed - self.summary.failed_before >= most


def _error(error: PoseKineticsError) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


class _Log:
    """Appends whole lines to a file that other runs may append to as well.

    Attributes:
        written: the clips that it says were written before it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Log:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._cut_torn_line()
            with self._path.open("rb") as lines:
                self.written = {clip for line in lines if (clip := _written_clip(line))}
        except OSError as error:
            raise output_error(self._path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def add(self, **entry: object) -> None:
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **entry}).encode() + b"\n"
        try:
            written = os.write(self._descriptor, line)  # in one piece: nobody comes between
            if written < len(line):
                written += os.write(self._descriptor, line[written:])  # says why it cannot
        except OSError as error:
            raise output_error(self._path, error) from error

    def _cut_torn_line(self) -> None:
        """A full disk or a power cut may have left half a line at the end."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            size = os.fstat(self._descriptor).st_size
            end = size
            while end and os.pread(self._descriptor, 1, end - 1) != b"\n":
                end -= 1
            if end < size:
                os.ftruncate(self._descriptor, end)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def _written_clip(line: bytes) -> str | None:
    """The clip that a line says was written."""
    with contextlib.suppress(ValueError):
        entry = json.loads(line)
        if isinstance(entry, dict) and entry.get("status") == "written":
            return str(entry.get("clip"))
    return None


class _Progress:
    """A bar on a terminal, a line a minute elsewhere; both on stderr."""

    def __init__(self, inputs: ClipInputs) -> None:
        self._inputs = inputs
        self._last_line = time.monotonic()

    def __enter__(self) -> _Progress:
        # disable=None: no bar where nobody watches.
        self._bar = tqdm.tqdm(
            total=self._inputs.expected, unit="clip", disable=None, dynamic_ncols=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, summary: BatchSummary) -> None:
        self._bar.total = self._total(summary)
        self._bar.set_postfix(failed=summary.failed, refresh=False)
        self._bar.update(summary.done - self._bar.n)
        if self._bar.disable and time.monotonic() - self._last_line >= _LINE_SEC:
            self._last_line = time.monotonic()
            self.say(progress_line(summary, self._total(summary)))

    def say(self, line: str) -> None:
        self._bar.write(line.rstrip("\n"), file=sys.stderr)

    def _total(self, summary: BatchSummary) -> int | None:
        expected = self._inputs.expected
        return None if expected is None else max(expected, summary.done)


def progress_line(summary: BatchSummary, total: int | None) -> str:
    """Where a batch stands, in one line."""
    of = "" if total is None else f" of {total}"
    left = ""
    if total is not None and summary.written:
        left = (
            f", about {duration((total - summary.done) * summary.seconds / summary.written)} left"
        )
    return (
        f"{summary.done}{of} clips: {summary.written} written, {summary.skipped} skipped, "
        f"{summary.failed} failed, {summary.clips_per_hour:.0f} clips per hour{left}"
    )


def table(summary: BatchSummary, output_dir: Path) -> str:
    """What became of a batch, for the end of a run."""
    lines = [
        f"written {summary.written:8d}   in {duration(summary.seconds)}, "
        f"{summary.clips_per_hour:.0f} clips per hour",
        f"skipped {summary.skipped:8d}   finished before",
        f"failed  {summary.failed:8d}"
        + (
            f"   {summary.failed_before} of them before; --retry_failed tries those again"
            if summary.failed_before
            else ""
        ),
    ]
    lines += [
        f"  {count:6d} {kind}: {one_line(summary.examples[kind])}"
        for kind, count in summary.failures.most_common()
    ]
    if summary.end == "interrupted":
        lines.append("interrupted: the same command goes on where it stopped")
    elif summary.end == "max_failures":
        lines.append("stopped at --max_failures; the same command goes on where it stopped")
    return "\n".join([*lines, f"report  {output_dir / REPORT_FILE}"])
