"""What a batch must stand and how fast it must be, at full size; each prints its figures.

    python benchmarks/stress_batch.py kills --count=2000    # kill -9 three times, then finish
    python benchmarks/stress_batch.py dask --count=400      # a Dask worker is killed in the middle
    python benchmarks/stress_batch.py archive --count=5000  # memory, against a quarter of the clips
    python benchmarks/stress_batch.py throughput            # two jobs against one, and overhead

The suite has the same at a small size: tests/test_batch.py. Throughput needs an idle machine.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from dask_cluster import dask_cluster  # noqa: E402
from many_clips import left_behind, log_lines, name_of, status_of, write_clips  # noqa: E402
from synthetic import decode  # noqa: E402

SAMPLE = ROOT / "samples"
SAMPLE_STEM, SAMPLE_TIMES = "sampleDance", ("10_14", "000010_000014")
SAMPLE_COPIES = 12
LEAST_RATIO, MOST_OVERHEAD_MS = 1.8, 50.0
MOST_GROWTH = 0.05


class CheckError(Exception):
    """Something that must hold does not."""


def check(holds: bool, what: str) -> None:
    print(f"{'ok    ' if holds else 'FAILED'} {what}")
    if not holds:
        raise CheckError(what)


def command(given: Path, out: Path, *arguments: str) -> list[str]:
    script = str(ROOT / "run_visualise.py")
    return [sys.executable, script, str(given), f"--output_dir={out}", *arguments]


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def logged(out: Path) -> int:
    path = out / "batch.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.02)


def check_results(out: Path, count: int) -> None:
    """Every clip is there, whole, and was written once."""
    lines = collections.Counter(
        line["clip"] for line in log_lines(out) if line["status"] == "written"
    )
    check(max(lines.values()) == 1, "no clip has two lines in batch.jsonl, and every line parses")
    check(len(lines) == count, f"{len(lines)} of {count} clips have a line")
    names = [name_of(number) for number in range(count)]
    check(all(status_of(out, name)[0] == "ok" for name in names), "every report says ok")
    whole = all(len(decode(out / name / f"{name}.mp4").times) == 4 for name in names)
    check(whole, "every video decodes to its 4 frames")
    check(left_behind(out) == [], "nothing half-written is left behind")


def kills(folder: Path, count: int) -> None:
    write_clips(folder / "in", count)
    out = folder / "out"
    began = time.monotonic()
    for part in (1, 2, 3):
        with started(*command(folder / "in", out, "--jobs=2")) as process:
            wait_for(lambda part=part: logged(out) >= part * count // 5)  # type: ignore[misc]
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        print(f"killed after {logged(out)} lines")
    done = {line["clip"]: _mtime(out, line["clip"]) for line in log_lines(out)}
    with started(*command(folder / "in", out, "--jobs=2")) as process:
        check(
            process.wait() == 0,
            f"the fourth run ends well, {time.monotonic() - began:.0f} s in all",
        )
    kept = all(_mtime(out, name) == time_before for name, time_before in done.items())
    check(kept, f"none of the {len(done)} clips that were finished before was drawn again")
    check_results(out, count)


def _mtime(out: Path, name: str) -> int:
    return (out / name / f"{name}.mp4").stat().st_mtime_ns


def dask(folder: Path, count: int) -> None:
    write_clips(folder / "in", count)
    out = folder / "out"
    with dask_cluster(folder / "dask", workers=2) as cluster:
        began = time.monotonic()
        arguments = command(folder / "in", out, f"--scheduler={cluster.address}")
        with started(*arguments) as process:
            wait_for(lambda: logged(out) >= count // 3)
            os.killpg(cluster.workers[0].pid, signal.SIGKILL)
            print(f"one of two workers killed after {logged(out)} lines")
            check(process.wait() == 0, f"the run ends well, {time.monotonic() - began:.0f} s")
    check_results(out, count)


def archive(folder: Path, count: int) -> None:
    (pickle_path,) = write_clips(folder, 1)
    video = pickle_path.with_suffix(".mp4")
    data = pickle_path.read_bytes()
    smaller = count // 4  # by then libraries have filled their pools
    peaks = {}
    for part in (smaller, count):
        path = folder / f"{part}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as packed:
            for number in range(part):
                member = tarfile.TarInfo(f"{name_of(number)}.pkl")
                member.size = len(data)
                packed.addfile(member, io.BytesIO(data))
        for number in range(part):
            target = folder / f"{name_of(number)}.mp4"
            if not target.exists():
                target.hardlink_to(video)
        with started(*command(path, folder / f"out{part}", "--jobs=2")) as process:
            main_peak = worker_peak = 0
            while process.poll() is None:
                main_now, worker_now = _peaks(process.pid)
                main_peak, worker_peak = max(main_peak, main_now), max(worker_peak, worker_now)
                time.sleep(0.1)
            check(process.returncode == 0, f"{part} clips are written")
        peaks[part] = main_peak, worker_peak
        print(f"{part} clips: main process {main_peak} kB, largest worker {worker_peak} kB")
    for name, few, many in zip(
        ("main process", "worker"), peaks[smaller], peaks[count], strict=True
    ):
        more = many / few - 1
        check(more < MOST_GROWTH, f"the {name} needs {more:.1%} more for four times the clips")


def _peaks(pid: int) -> tuple[int, int]:
    """The most memory that a process and the largest of its children ever had, in kB."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return _peak(pid), max((_peak(int(child)) for child in children), default=0)
    return 0, 0


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1])
    return 0


def throughput(folder: Path, count: int) -> None:
    """One job alone already decodes, draws and encodes at the same time, on more than one core."""
    del count
    source = folder / "in"
    source.mkdir()
    (source / "smpl_faces.npy").hardlink_to(SAMPLE / "smpl_faces.npy")
    for number in range(SAMPLE_COPIES):
        for times, suffix in zip(SAMPLE_TIMES, (".pkl", ".mp4"), strict=True):
            link = source / f"copy{number:07d}_{times}{suffix}"
            link.symlink_to(SAMPLE / f"{SAMPLE_STEM}_{times}{suffix}")
    print(f"load of the machine before: {os.getloadavg()[0]:.2f}")
    best: dict[str, float] = {}
    overhead = float("inf")
    for _ in range(3):
        for name, prefix, jobs in (
            ("one job on one core", ["taskset", "-c", "0"], 1),
            ("one job", [], 1),
            ("two jobs", [], 2),
        ):
            out = folder / "out"
            arguments = command(source, out, f"--jobs={jobs}", "--overwrite")
            (out / "batch.jsonl").unlink(missing_ok=True)
            began, cpu_before = time.monotonic(), _cpu()
            with started(*prefix, *arguments) as process:
                check(process.wait() == 0, name)
            cores = (_cpu() - cpu_before) / (time.monotonic() - began)
            wall, work = _wall(out)
            best[name] = min(best.get(name, float("inf")), wall)
            print(f"       {SAMPLE_COPIES / wall:.2f} clips a second, {cores:.2f} cores busy")
            if jobs == 1:
                overhead = min(overhead, 1000 * (wall - work) / (SAMPLE_COPIES - 1))
    check(overhead <= MOST_OVERHEAD_MS, f"overhead: {overhead:.1f} ms a clip")
    ratio = best["one job on one core"] / best["two jobs"]
    print(f"two jobs / one job that may use both cores: {best['one job'] / best['two jobs']:.2f}")
    check(ratio >= LEAST_RATIO, f"two jobs / one job on a core: {ratio:.2f}")


def _cpu() -> float:
    """Seconds of computing by all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wall(out: Path) -> tuple[float, float]:
    """Seconds from the first clip's beginning to the last one's end, and the clips' own."""
    lines = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    ends = [datetime.datetime.fromisoformat(line["time"]).timestamp() for line in lines]
    begins = [end - line["seconds"] for end, line in zip(ends, lines, strict=True)]
    return max(ends) - min(begins), sum(line["seconds"] for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    tests = {"kills": kills, "dask": dask, "archive": archive, "throughput": throughput}
    parser.add_argument("test", choices=tests)
    parser.add_argument("--count", type=int, default=2000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tests[given.test](Path(folder), given.count)


if __name__ == "__main__":
    main()
