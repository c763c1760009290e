"""Measures everything, prints the tables and writes them to benchmarks/RESULTS.md.

    python -m benchmarks

The exit code is 1 if a target is missed. A peer that is not installed is named as such;
requirements-bench.txt installs them.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import bench_body_model, clip, summary
from benchmarks.measure import Timing, measure, ratio, share_taken_away
from benchmarks.peers import MAKERS, PACKAGES, ours, ours_antialiased
from benchmarks.workload import workload

RESULTS = Path(__file__).with_name("RESULTS.md")
ROUNDS = 40
SIZE = (640, 360)
SIZES = ((340, 256), (640, 360), (1280, 720), (1920, 1080))

# The least number of times as long as ours that each must take.
_PEER_TARGETS = {
    "moderngl (EGL), draw and read back only": 3,
    "cv2.triangleRasterize, body's box, no shading": 4,
    "pyrender (EGL)": 50,
    "OpenDR, as the released visualisation": 300,
}
_ANTIALIAS_TARGET = 2  # times a plain picture, at most


class Section(NamedTuple):
    """One table, as Markdown, and whether its targets are met."""

    text: str
    is_met: bool


def renderers() -> Section:
    """Ours and its peers on one picture."""
    timings, failed = measure(MAKERS, dict.fromkeys(MAKERS, workload(*SIZE)), ROUNDS)
    fast = timings["ours"]
    lines = [
        f"## One picture of a 6,890-vertex body at {SIZE[0]}×{SIZE[1]}",
        "",
        f"{fast.covered:,} pixels covered. `ours` is one thread and does all: normals, shading, "
        "culling, z-buffer, composite.",
        "",
        "| renderer | ms, median | first to last decile | times ours | target | |",
        "|---|---|---|---|---|---|",
    ]
    all_met = True
    for name in MAKERS:
        if name in failed:
            lines.append(f"| {name} | not measured: {failed[name]} | | | | |")
            all_met = all_met and name not in _PEER_TARGETS
            continue
        times = ratio(timings[name], fast)
        target, is_met = "", True
        if name in _PEER_TARGETS:
            target, is_met = f"≥ {_PEER_TARGETS[name]}", times >= _PEER_TARGETS[name]
        elif name == "ours, --antialias":
            target, is_met = f"≤ {_ANTIALIAS_TARGET}", times <= _ANTIALIAS_TARGET
        all_met = all_met and is_met
        verdict = _verdict(is_met) if target else ""
        columns = [name, *_columns(timings[name]), f"{times:.2f}", target, verdict]
        lines.append(f"| {' | '.join(columns)} |")
    return Section("\n".join(lines), all_met)


def sizes() -> Section:
    """Ours against the number of pixels covered."""
    names = [f"{width}×{height}" for width, height in SIZES]
    works = {name: workload(*size) for name, size in zip(names, SIZES, strict=True)}
    smooth_names = [f"{name}, smooth" for name in names]
    makers = dict.fromkeys(names, ours) | dict.fromkeys(smooth_names, ours_antialiased)
    works |= dict(zip(smooth_names, works.values(), strict=True))
    timings, _ = measure(makers, works, ROUNDS)
    first = timings[names[0]]
    lines = [
        "## Cost against pixels covered",
        "",
        "| picture | pixels covered | ms, median | first to last decile | pixels, times the first "
        "| cost, times the first | | `--antialias`, times a plain picture | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    all_met = True
    for name, smooth_name in zip(names, smooth_names, strict=True):
        timing = timings[name]
        pixels, cost = timing.covered / first.covered, ratio(timing, first)
        smooth = ratio(timings[smooth_name], timing)
        all_met = all_met and cost <= pixels and smooth <= _ANTIALIAS_TARGET
        columns = [
            *[name, f"{timing.covered:,}", *_columns(timing), f"{pixels:.2f}", f"{cost:.2f}"],
            *[_verdict(cost <= pixels), f"{smooth:.2f}", _verdict(smooth <= _ANTIALIAS_TARGET)],
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return Section("\n".join(lines), all_met)


def body_model() -> Section:
    """Computing a frame's vertices beside rasterising it."""
    forward, rasterise = bench_body_model.forward_and_rasterise()
    is_met = forward <= rasterise
    return Section(
        "## Computing the mesh where the pickle has none\n\n"
        "| | ms a frame |\n|---|---|\n"
        f"| vertices from pose and shape | {forward:.3f} |\n"
        f"| rasterising them at {bench_body_model.WIDTH}×{bench_body_model.HEIGHT} "
        f"| {rasterise:.3f} |\n\n"
        f"Ratio {forward / rasterise:.2f}, target ≤ 1: {_verdict(is_met)}",
        is_met,
    )


def whole_clip() -> Section:
    """Ten seconds from pickle to video."""
    lines = [
        "## A whole clip of 250 frames, end to end",
        "",
        "| picture | decode and encode only, s | ours, s | ratio | target | "
        "| decode and encode only, in our kind of threads, s | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    all_met = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row in clip.measure(folder):
            is_met = row.ratio <= clip.TARGET
            all_met = all_met and is_met
            lines.append(
                f"| {row.width}×{row.height} | {_seconds(row.bare)} | {_seconds(row.drawn)} "
                f"| {row.ratio:.2f} | ≤ {clip.TARGET} | {_verdict(is_met)} "
                f"| {_seconds(row.bare_by_pictures)} | {row.strict_ratio:.2f} |"
            )
        memory, first_frame = clip.peak_memory_mb(folder), clip.seconds_to_first_frame(folder)
    all_met = all_met and memory <= 400 and first_frame <= 2
    lines += [
        "",
        "x264 shares out a picture's slices among threads where PyAV is not told otherwise; ours "
        "shares out pictures, which takes less time and fewer bytes. The last columns compare "
        "with encoding that does so too.",
        "",
        f"Peak memory at 1280×720: {memory:.0f} MB, target ≤ 400: {_verdict(memory <= 400)}. "
        f"First frame after {first_frame:.2f} s, target ≤ 2: {_verdict(first_frame <= 2)}.",
    ]
    return Section("\n".join(lines), all_met)


def summary_layout() -> Section:
    """Ten seconds in six panels."""
    lines = [
        "## The same in six panels (`--layout=summary`)",
        "",
        "| clip | the grid of inputs, encoded only, s | ours, s | ratio | target | |",
        "|---|---|---|---|---|---|",
    ]
    all_met = True
    with tempfile.TemporaryDirectory() as name:
        for row in summary.measure(Path(name)):
            is_met = row.ratio <= summary.TARGET
            all_met = all_met and is_met
            lines.append(
                f"| {row.width}×{row.height} | {_seconds(row.tiled)} | {_seconds(row.drawn)} "
                f"| {row.ratio:.2f} | ≤ {summary.TARGET} | {_verdict(is_met)} |"
            )
    return Section("\n".join(lines), all_met)


SECTIONS: tuple[Callable[[], Section], ...] = (
    renderers,
    sizes,
    body_model,
    whole_clip,
    summary_layout,
)


def main() -> int:
    """Runs every section; returns the exit code."""
    sections, taken = [], [share_taken_away()]
    for make in SECTIONS:
        sections.append(make())
        taken.append(share_taken_away())
        print(sections[-1].text, end="\n\n", flush=True)
    heading = f"{_heading()}\n{_disturbance(taken)}"
    print(heading)
    text = "\n\n".join([heading, *(section.text for section in sections)])
    RESULTS.write_text(text + "\n")
    return 0 if all(section.is_met for section in sections) else 1


def _heading() -> str:
    versions = ", ".join(_version(package) for package in PACKAGES)
    return (
        "# Results\n\n"
        "Written by `python -m benchmarks`. Everything in a table ran in turn, in one run; "
        "ratios are medians over the rounds.\n\n"
        f"- {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, {_processor()}, "
        f"{os.cpu_count()} cores, {platform.system()}\n"
        f"- Python {platform.python_version()}, {versions}"
    )


def _disturbance(taken: list[float]) -> str:
    shares = ", ".join(f"{share:.0%}" for share in taken)
    return (
        "- Share of the time that others on the machine took, before each table and after the "
        f"last: {shares}. Above 5% targets may be met or missed for that alone."
    )


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{package} is not installed"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _columns(timing: Timing) -> tuple[str, str]:
    low, high = timing.spread
    return f"{timing.median:.3f}", f"{low:.3f} to {high:.3f}"


def _seconds(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


if __name__ == "__main__":
    sys.exit(main())
