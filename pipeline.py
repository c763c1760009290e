"""Stages of a pipeline in threads of their own, with a few items between them and no more.

    with in_background(reader.frames(), frame_bytes) as frames:
        with BackgroundCalls(writer.write, frame_bytes) as write:
            for frame in frames:
                write(drawn_on(frame))

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

# How many items are between two stages: many, since no stage takes the same time for each of them
# and none should wait for another; but few where they are large, to bound memory.
_ROOM_BYTES = 6 * 2**20
_LEAST_ITEMS, _MOST_ITEMS = 4, 32


@contextlib.contextmanager
def in_background(items: Iterable[Item], item_bytes: int) -> Iterator[Iterator[Item]]:
    """Runs `items` in a thread, a few ahead; leaving the block stops it, whole or not.

    Args:
        items: what the stage makes.
        item_bytes: how large one of them is, about.
    """
    passage: _Passage[Item] = _Passage(item_bytes)

    def produce() -> None:
        error = None
        try:
            for item in items:
                if not passage.put(item):
                    return
        except BaseException as met:  # handed to whoever takes the items
            error = met
        passage.end(error)

    thread = threading.Thread(target=produce, name="in_background", daemon=True)
    thread.start()
    try:
        yield iter(passage)
    finally:
        passage.close()
        thread.join()


class BackgroundCalls(Generic[Item]):
    """Calls a function with each item, in order, in a thread.

    An error in a call is raised by the next use, at the latest when the block is left. Items that
    are still waiting when the block fails are not called.
    """

    def __init__(self, function: Callable[[Item], None], item_bytes: int) -> None:
        """Prepares the thread; entering the block starts it.

        Args:
            function: what is called.
            item_bytes: how large an item is, about.
        """
        self._function = function
        self._passage: _Passage[Item] = _Passage(item_bytes)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._consume, name="BackgroundCalls", daemon=True)

    def __enter__(self) -> BackgroundCalls[Item]:
        """Starts the thread."""
        self._thread.start()
        return self

    def __call__(self, item: Item) -> None:
        """Hands over one item; waits while too many are waiting."""
        self._passage.put(item)
        self._raise()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for all calls, or for the one that is running when the block failed."""
        if kind is not None:
            self._passage.close()
        self._passage.end(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _consume(self) -> None:
        try:
            for item in self._passage:
                self._function(item)
        except BaseException as error:  # handed to whoever made the items
            self._error = error
            self._passage.close()


class _End:
    """Follows the last item: the stage's error, or None where it ended well."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Passage(Generic[Item]):
    """From one thread to another, with room for a few items.

    `queue.Queue` has such a bound too, but keeps it by code that needs Python's lock, which the
    stages of a pipeline all wait for; `queue.SimpleQueue` does not.
    """

    def __init__(self, item_bytes: int) -> None:
        self._items: queue.SimpleQueue[Item | _End] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(min(max(_ROOM_BYTES // item_bytes, _LEAST_ITEMS), _MOST_ITEMS)):
            self._room.put(None)
        self._is_closed = False

    def put(self, item: Item) -> bool:
        """Waits while it is full; False, and nothing done, where it is closed."""
        if not self._is_closed:
            self._room.get()  # which `close` ends
        if self._is_closed:
            return False
        self._items.put(item)
        return True

    def end(self, error: BaseException | None) -> None:
        """Says that no item follows."""
        self._items.put(_End(error))

    def close(self) -> None:
        """Nothing goes through any more, not even what waits."""
        self._is_closed = True
        self._room.put(None)

    def __iter__(self) -> Iterator[Item]:
        """Takes the items until their end, and raises the error that ended them."""
        while not isinstance(item := self._items.get(), _End):
            self._room.put(None)
            if self._is_closed:
                return
            yield item
        if item.error is not None:
            raise item.error
