"""When an exported body is seen, for formats that interpolate between keys.

    animation = animate(scene.annotations.time, scene.duration, scene.frame_rate)
    animation.times, animation.rows        # key k shows label rows[k] from times[k]
    animation.spans                        # the body is seen from spans[:, 0] up to spans[:, 1]

A label is seen as the film shows it: on the frames nearest to it. Labels that follow each other
without a gap are one run, moved through; between runs the body is hidden, and held besides, since
not every program hides it. Covered by tests/test_animation.py.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from timeline import label_ends

Array = npt.NDArray[Any]

STEP_SEC = 1e-4
"""How long before a run begins the label before it is still held."""

_CLOSEST_SEC = 1e-3  # of two labels closer than this only the first can be a key


@dataclasses.dataclass(frozen=True)
class Animation:
    """The keys of a clip's body.

    Attributes:
        times: (K,) float64, seconds since the start of the clip, strictly ascending from 0.
        rows: (K,) integers, the label that each key shows.
        spans: (R, 2) float64, seconds: the body is seen from the first up to the second.
        duration: seconds; the clip's, or until the last label has been seen.
    """

    times: Array
    rows: Array
    spans: Array
    duration: float


def animate(times: Array, duration: float, frame_rate: Fraction) -> Animation:
    """Finds runs of labels, and holds each run's ends for the half frame that is nearest to them.

    Args:
        times: (N,) seconds since the start of the clip, ascending, N > 0; those before the start
          count as at the start.
        duration: seconds of the clip.
        frame_rate: frames per second.
    """
    times = np.maximum(times, 0.0)
    kept = np.flatnonzero(np.diff(times, prepend=-np.inf) > _CLOSEST_SEC)
    times = times[kept]
    ends = label_ends(times)
    usual = float(ends[-1] - times[-1]) or np.inf  # 0 for a single label
    half = min(0.5 / float(frame_rate), usual / 2)
    breaks = np.flatnonzero(ends[:-1] < times[1:])
    first, last = np.append(0, breaks + 1), np.append(breaks, len(times) - 1)
    spans = np.column_stack([np.maximum(times[first] - half, 0.0), times[last] + half])
    held_times = np.concatenate([times, spans[:, 0], spans[:, 1], spans[1:, 0] - STEP_SEC])
    held = np.concatenate([np.arange(len(times)), first, last, last[:-1]])
    # A label's own key comes first where a run begins or ends at the same time.
    key_times, where = np.unique(held_times, return_index=True)
    return Animation(key_times, kept[held[where]], spans, max(duration, float(spans[-1, 1])))
