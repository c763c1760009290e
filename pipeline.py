"""Stages of a pipeline in threads of their own, with a few items between them and no more.

    with in_background(reader.frames()) as frames, BackgroundCalls(writer.write) as write:
        for frame in frames:
            draw(frame)
            write(frame)

Decoding, drawing and encoding release Python's lock, so they truly overlap; an error in a stage
is raised where its items are used. Covered by tests/test_pipeline.py.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

# Items between two stages: several, since no stage takes the same time for each of them; and few,
# to bound memory.
_DEPTH = 4


class _End:
    """Follows the last item: the stage's error, or None where it ended well."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextlib.contextmanager
def in_background(items: Iterable[Item]) -> Iterator[Iterator[Item]]:
    """Runs `items` in a thread, a few ahead; leaving the block stops it, whole or not."""
    ready: queue.Queue[Item | _End] = queue.Queue(_DEPTH)
    stopped = threading.Event()

    def produce() -> None:
        end = _End(None)
        try:
            for item in items:
                if not _put(ready, item, stopped):
                    return
        except BaseException as error:  # handed to whoever takes the items
            end = _End(error)
        _put(ready, end, stopped)

    def taken() -> Iterator[Item]:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    thread = threading.Thread(target=produce, name="in_background", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        thread.join()


class BackgroundCalls(Generic[Item]):
    """Calls a function with each item, in order, in a thread.

    An error in a call is raised by the next use, at the latest when the block is left. Items that
    are still waiting when the block fails are not called.
    """

    def __init__(self, function: Callable[[Item], None]) -> None:
        """Prepares the thread; entering the block starts it."""
        self._function = function
        self._waiting: queue.Queue[Item | _End] = queue.Queue(_DEPTH)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._consume, name="BackgroundCalls", daemon=True)

    def __enter__(self) -> BackgroundCalls[Item]:
        """Starts the thread."""
        self._thread.start()
        return self

    def __call__(self, item: Item) -> None:
        """Hands over one item; waits while too many are waiting."""
        _put(self._waiting, item, self._stopped)
        self._raise()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for all calls, or for the one that is running when the block failed."""
        if kind is not None:
            self._stopped.set()
        _put(self._waiting, _End(None), self._stopped)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _consume(self) -> None:
        while not self._stopped.is_set():
            try:
                item = self._waiting.get(timeout=_POLL_SEC)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                return
            try:
                self._function(item)
            except BaseException as error:  # handed to whoever made the items
                self._error = error
                self._stopped.set()


_POLL_SEC = 0.1  # how soon a stage notices that its neighbour has gone


def _put(to: queue.Queue[Item | _End], item: Item | _End, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            to.put(item, timeout=_POLL_SEC)
        except queue.Full:
            continue
        return True
    return False
