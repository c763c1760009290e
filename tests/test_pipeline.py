from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pipeline import BackgroundCalls, in_background

TIMEOUT_SEC = 10.0  # a test that waits this long has failed
ITEM_BYTES = 10**9  # as few as can be wait


class BrokenError(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def eventually(is_true: Callable[[], bool]) -> bool:
    end = time.monotonic() + TIMEOUT_SEC
    while not is_true() and time.monotonic() < end:
        time.sleep(0.002)
    return is_true()


def counting(made: list[int], count: int) -> Iterator[int]:
    for i in range(count):
        made.append(i)
        yield i


def test_items_come_in_order_from_another_thread() -> None:
    threads = set()

    def produce() -> Iterator[int]:
        for i in range(100):
            threads.add(threading.current_thread())
            yield i

    with in_background(produce(), ITEM_BYTES) as items:
        assert list(items) == list(range(100))
        assert list(items) == []
    assert threading.current_thread() not in threads


def test_an_error_of_the_producer_follows_the_items_before_it() -> None:
    def produce() -> Iterator[int]:
        yield 1
        raise BrokenError("decoder")

    with in_background(produce(), ITEM_BYTES) as items:
        assert next(items) == 1
        with pytest.raises(BrokenError, match="decoder"):
            next(items)


def test_the_producer_is_only_a_few_items_ahead() -> None:
    made: list[int] = []
    with in_background(counting(made, 1000), ITEM_BYTES) as items:
        assert next(items) == 0
        assert eventually(lambda: len(made) >= 2)
        time.sleep(0.05)
        assert len(made) <= 12


def made_ahead(item_bytes: int) -> int:
    """How many items are made when one is taken."""
    made: list[int] = []
    with in_background(counting(made, 1000), item_bytes) as items:
        next(items)
        assert eventually(lambda: len(made) >= 5)
        before = 0
        while len(made) != before:  # however slow the machine is
            before = len(made)
            time.sleep(0.1)
        return len(made)


def test_the_smaller_items_are_the_more_of_them_may_wait() -> None:
    assert made_ahead(10**9) < made_ahead(5 * 10**5) < made_ahead(1) < 50


def test_leaving_early_stops_the_producer() -> None:
    made: list[int] = []
    with in_background(counting(made, 10**9), ITEM_BYTES) as items:
        next(items)
    stopped_at = len(made)
    time.sleep(0.02)
    assert len(made) == stopped_at < 20


def test_an_error_of_the_consumer_stops_the_producer() -> None:
    made: list[int] = []
    with pytest.raises(BrokenError), in_background(counting(made, 10**9), ITEM_BYTES) as items:
        next(items)
        raise BrokenError
    assert len(made) < 20


def test_calls_are_made_in_order_in_another_thread() -> None:
    called: list[int] = []
    threads = set()

    def call(item: int) -> None:
        threads.add(threading.current_thread())
        called.append(item)

    with BackgroundCalls(call, ITEM_BYTES) as put:
        for i in range(100):
            put(i)
    assert called == list(range(100))
    assert threading.current_thread() not in threads


def test_leaving_waits_for_all_calls() -> None:
    called: list[int] = []

    def call(item: int) -> None:
        time.sleep(0.02)
        called.append(item)

    with BackgroundCalls(call, ITEM_BYTES) as put:
        for i in range(4):
            put(i)
    assert called == [0, 1, 2, 3]


def test_only_a_few_items_wait() -> None:
    go_on = threading.Event()
    handed_over: list[int] = []

    def wait(_: int) -> None:
        assert go_on.wait(TIMEOUT_SEC)

    def hand_over(put: BackgroundCalls[int]) -> None:
        for i in range(50):
            put(i)
            handed_over.append(i)

    with BackgroundCalls(wait, ITEM_BYTES) as put:
        feeder = threading.Thread(target=hand_over, args=(put,))
        feeder.start()
        assert eventually(lambda: len(handed_over) >= 2)
        time.sleep(0.05)
        ahead = len(handed_over)
        go_on.set()
        feeder.join(TIMEOUT_SEC)
    assert ahead <= 12
    assert len(handed_over) == 50


def test_an_error_in_a_call_is_raised_by_a_later_use() -> None:
    called: list[int] = []

    def call(item: int) -> None:
        called.append(item)
        if item == 2:
            raise BrokenError("encoder")

    with pytest.raises(BrokenError, match="encoder"), BackgroundCalls(call, ITEM_BYTES) as put:
        for i in range(10**6):
            put(i)
        pytest.fail("a million items went to a stage that had failed")
    assert called == [0, 1, 2]


def test_an_error_in_the_last_call_is_raised_on_leaving() -> None:
    def call(_: int) -> None:
        time.sleep(0.02)
        raise BrokenError("encoder")

    with pytest.raises(BrokenError, match="encoder"), BackgroundCalls(call, ITEM_BYTES) as put:
        put(0)


def test_the_blocks_own_error_wins_and_waiting_items_are_not_called() -> None:
    begun, go_on = threading.Event(), threading.Event()
    called: list[int] = []

    def call(item: int) -> None:
        begun.set()
        assert go_on.wait(TIMEOUT_SEC)
        called.append(item)

    with pytest.raises(BrokenError, match="painter"), BackgroundCalls(call, ITEM_BYTES) as put:
        put(0)
        put(1)
        put(2)
        assert begun.wait(TIMEOUT_SEC)
        threading.Timer(0.05, go_on.set).start()
        raise BrokenError("painter")
    assert called == [0]


def test_stages_overlap() -> None:
    """Each stage goes on only when the other has, so one after the other would never end."""
    both = threading.Barrier(2, timeout=TIMEOUT_SEC)

    def produce() -> Iterator[int]:
        for i in range(3):
            if i:
                both.wait()
            yield i

    def call(item: int) -> None:
        if item < 2:
            both.wait()

    with in_background(produce(), ITEM_BYTES) as items, BackgroundCalls(call, ITEM_BYTES) as put:
        for item in items:
            put(item)
