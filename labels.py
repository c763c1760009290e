"""Which labelled row belongs to which frame: the frame that is nearest in time.

    matcher = LabelMatcher(annotations.time)
    for frame, row in matcher.match(reader.frames()):     # row is None where there is no label
        ...
    matcher.dropped                                       # rows that no frame got

Covered by tests/test_labels.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

_LONGEST_STEP_SEC = 0.2  # labels that are usually farther apart do not show a motion


def consecutive(times: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(N − 1,) whether no label is missing between a row and the next.

    None is where the two are less than 1.5 times as far apart as is usual in the clip.

    Args:
        times: (N,) ascending, seconds.
    """
    steps = np.diff(times)
    usual = min(float(np.median(steps[steps > 0])), _LONGEST_STEP_SEC) if steps.any() else 0.0
    together: npt.NDArray[np.bool_] = (steps > 0) & (steps < 1.5 * usual)
    return together


class Timed(Protocol):
    """Anything with a time in seconds since the start of the clip."""

    @property
    def time(self) -> Fraction:
        """Seconds since the start of the clip."""


Frame = TypeVar("Frame", bound=Timed)


class LabelMatcher:
    """Hands each label to the nearest frame while frames stream by, one frame behind.

    Of several labels nearest to one frame the nearest wins; a label exactly between two frames
    belongs to the earlier. A label before the first frame or after the last is still theirs
    within half the distance to their neighbour.
    """

    def __init__(self, times: npt.NDArray[np.float64]) -> None:
        """Prepares for one clip.

        Args:
            times: (N,) ascending, seconds since the start of the clip.
        """
        self._times = [Fraction(time) for time in times.tolist()]
        self._next = 0
        self.matched = 0

    @property
    def dropped(self) -> int:
        """Labels that no frame got, once all frames have passed."""
        return len(self._times) - self.matched

    def match(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, int | None]]:
        """Yields every frame, in order, with its row or None."""
        held: Frame | None = None
        until: Fraction | None = None  # half the way to the next frame
        for frame in frames:
            if held is not None:
                is_first = until is None
                until = (held.time + frame.time) / 2
                if is_first:
                    self._pass_over(2 * held.time - until)
                yield held, self._take(held.time, until)
            held = frame
        if held is not None:
            # As far after the last frame as half the way before it is.
            yield held, self._take(held.time, None if until is None else 2 * held.time - until)

    def _pass_over(self, start: Fraction) -> None:
        while self._next < len(self._times) and self._times[self._next] < start:
            self._next += 1

    def _take(self, now: Fraction, until: Fraction | None) -> int | None:
        best: int | None = None
        while self._next < len(self._times):
            time = self._times[self._next]
            if until is not None and time > until:
                break
            if best is None or abs(time - now) < abs(self._times[best] - now):
                best = self._next
            self._next += 1
        self.matched += best is not None
        return best
