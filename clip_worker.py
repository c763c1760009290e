"""A process that draws one clip after another for whoever holds the other end of its pipe.

    python clip_worker.py 5                     # the pipe is file descriptor 5

It ends at once, with every process that it started, when the pipe is closed: nobody waits for its
clips any more. Covered by tests/test_executors.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import os
import pickle
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Literal

import cv2

from errors import PoseKineticsError
from inputs import ClipSource
from options import VisualiseOptions
from resume import earlier_report
from visualise import visualise_clip

READY = b"ready"


@dataclasses.dataclass(frozen=True)
class ClipTask:
    """One clip to draw.

    Attributes:
        source: its pickle.
        options: what to draw and where to write it.
        working_folder: what relative paths start from.
        overwrite: whether to draw it though it is finished.
        retry_failed: whether to draw it though it failed before.
    """

    source: ClipSource
    options: VisualiseOptions
    working_folder: str
    overwrite: bool = False
    retry_failed: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        status: `skipped` where the clip was finished before.
        seconds: how long it took.
        error: the error's type and message.
        trace: where it happened, for an error that is a bug.
        was_tried: False where an earlier run says how it went.
        has_crashed: its process ended without a word, so that another try may succeed.
        worker: the host and process that drew it.
    """

    status: Literal["written", "skipped", "failed"]
    seconds: float = 0.0
    error: tuple[str, str] | None = None
    trace: str | None = None
    was_tried: bool = True
    has_crashed: bool = False
    worker: str = ""


def failure(error: Exception, seconds: float, trace: str | None = None) -> Outcome:
    """The outcome of a clip that could not be drawn."""
    name = (type(error).__name__, str(error))
    return Outcome("failed", seconds, name, trace, worker=_name())


def run_task(task: ClipTask) -> Outcome:
    """Draws a clip in this process, unless it is done already."""
    started = time.monotonic()
    try:
        os.chdir(task.working_folder)
        earlier = None if task.overwrite else earlier_report(task.source, task.options)
        if earlier is not None and earlier["status"] == "ok":
            return Outcome("skipped", was_tried=False)
        if earlier is not None and not task.retry_failed:
            error = earlier["error"]
            name = (str(error.get("type")), str(error.get("message")))
            return Outcome("failed", error=name, was_tried=False)
        visualise_clip(task.source, task.options)
    except PoseKineticsError as error:
        return failure(error, time.monotonic() - started)
    except Exception as error:  # a bug, which must not end the batch, and keeps its traceback
        return failure(error, time.monotonic() - started, traceback.format_exc())
    return Outcome("written", time.monotonic() - started, worker=_name())


def serve(descriptor: int) -> None:
    """Draws what comes through the pipe, until it is closed or a SIGINT comes."""
    faulthandler.enable()
    cv2.setNumThreads(1)
    connection = Connection(descriptor)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        connection.send_bytes(READY)
        while True:
            task = pickle.loads(tasks.get())  # noqa: S301 from our own parent
            connection.send_bytes(pickle.dumps(run_task(task)))


def _listen(connection: Connection, tasks: queue.SimpleQueue[bytes]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(connection.recv_bytes())
    os.killpg(os.getpid(), signal.SIGKILL)  # the parent made us the leader of our own group


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


if __name__ == "__main__":
    import clip_worker  # what is pickled must belong to the module, not to `__main__`

    clip_worker.serve(int(sys.argv[1]))
