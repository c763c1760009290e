"""Checks pickles of the dataset without their videos: conventions, units, body, motion.

    python check_annotations.py annotations/ large.tar.gz --smpl_model neutral.pkl

One row per clip; below a clip that is not ok, what was found. Exit code 0 when no clip is wrong
or broken, 1 when one is, 2 for wrong usage. What is checked stands in diagnosis.py. Covered by
tests/test_check_annotations.py.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm
from absl import flags

from annotations import parse_annotations
from body_model import BodyModel, load_body_model, load_joint_regressor
from diagnosis import Diagnosis, diagnose
from errors import BodyModelError, OutputError, PoseKineticsError
from files import whole_file
from inputs import ClipInputs, ClipSource, Refused, without_leading_dashes
from messages import one_line

_OK, _WRONG, _WRONG_USAGE, _INTERRUPTED = 0, 1, 2, 130
_BROKEN = "broken"
_STDOUT = "-"
_AHEAD = 2  # clips waiting for each process; an archive's are held in memory


def main(arguments: list[str]) -> int:
    """Runs the command and returns its exit code.

    Args:
        arguments: the command line, the program's name first.
    """
    values = _define_flags()
    try:
        names = values(without_leading_dashes(arguments))[1:]
        if values.help:
            usage = "python check_annotations.py FILE_FOLDER_OR_ARCHIVE... [flags]"
            print(__doc__.partition("\n\n")[0], usage, values.get_help(), sep="\n")
            return _OK
        if not names:
            raise flags.Error("nothing to check; give pickles, folders, patterns or tar archives")
        reference = _reference(values.smpl_model, values.joint_regressor)
    except (flags.Error, PoseKineticsError) as error:
        print(f"check_annotations: {one_line(str(error))} (--help)", file=sys.stderr)
        return _WRONG_USAGE
    try:
        return _run(names, reference, values.json, values.jobs)
    except OutputError as error:
        reason = str(error).partition("; ")[0]
        print(f"check_annotations: {one_line(reason)}; give another --json", file=sys.stderr)
        return _WRONG_USAGE
    except BrokenPipeError:  # whoever read the table has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _WRONG
    except KeyboardInterrupt:
        print("check_annotations: interrupted", file=sys.stderr)
        return _INTERRUPTED


@dataclasses.dataclass(frozen=True)
class _Reference:
    """What clips are compared with."""

    body: BodyModel | None
    regressor: npt.NDArray[np.float32] | None


@dataclasses.dataclass(frozen=True)
class _Checked:
    """One row: a diagnosis, or why there is none."""

    file: str
    diagnosis: Diagnosis | None = None
    error: PoseKineticsError | None = None

    @property
    def verdict(self) -> str:
        return _BROKEN if self.diagnosis is None else self.diagnosis.verdict


def _reference(model_path: str | None, regressor_path: str | None) -> _Reference:
    body = None if model_path is None else load_body_model(Path(model_path))
    regressor = None if regressor_path is None else load_joint_regressor(Path(regressor_path))
    if body is not None and regressor is not None:
        count, wanted = regressor.shape[1], len(body.v_template)
        if count != wanted:
            raise BodyModelError(
                f"{regressor_path}: is for a body of {count} vertices; {model_path} has {wanted}: "
                "give the regressor that belongs to this body"
            )
    return _Reference(body, regressor)


def _run(names: list[str], reference: _Reference, json_path: str | None, jobs: int) -> int:
    # The same clip from the small and the large archive is two things to check.
    inputs = ClipInputs(names, one_of_a_name=False)
    verdicts: collections.Counter[str] = collections.Counter()
    found: collections.Counter[str] = collections.Counter()
    jobs = min(jobs, inputs.expected or jobs)
    with contextlib.ExitStack() as stack:
        # disable=None: no bar where nobody watches.
        bar = stack.enter_context(tqdm.tqdm(unit="clip", disable=None, leave=False))
        write_json = _json_writer(json_path, stack)
        show_table = json_path != _STDOUT
        if show_table:
            bar.write(_HEADER, file=sys.stdout)
        checked = stack.enter_context(contextlib.closing(_checked(inputs, reference, jobs)))
        for row in checked:
            verdicts[row.verdict] += 1
            if row.diagnosis is not None:
                found.update({finding.name for finding in row.diagnosis.findings})
            write_json(row)
            if show_table:
                bar.write(_table_lines(row), file=sys.stdout)
            bar.total = inputs.expected
            bar.update()
    print(_summary(verdicts, found), file=sys.stdout if show_table else sys.stderr)
    return _WRONG if verdicts["wrong"] or verdicts[_BROKEN] else _OK


# Many clips


def _checked(
    items: Iterable[ClipSource | Refused], reference: _Reference, jobs: int
) -> Generator[_Checked, None, None]:
    """Checks clips in `jobs` processes; the results keep the order of the clips."""
    if jobs == 1:
        yield from (_check(item, reference) for item in items)
        return
    waiting: collections.deque[concurrent.futures.Future[_Checked]] = collections.deque()
    with concurrent.futures.ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), _start_process, (reference,)
    ) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(_check_in_process, item))
                if len(waiting) > _AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_process: list[_Reference] = []  # what a process of the pool was started with


def _start_process(reference: _Reference) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the others
    _process[:] = [reference]


def _check_in_process(item: ClipSource | Refused) -> _Checked:
    return _check(item, _process[0])


def _check(item: ClipSource | Refused, reference: _Reference) -> _Checked:
    if isinstance(item, Refused):
        return _Checked(item.name, error=item.error)
    try:
        annotations = parse_annotations(item.read(), item.name)
        return _Checked(item.name, diagnose(annotations, reference.body, reference.regressor))
    except PoseKineticsError as error:
        return _Checked(item.name, error=error)


# What is shown


def _px(diagnosis: Diagnosis) -> str:
    px = {"inside": diagnosis.inside_px, "outside": diagnosis.outside_px}
    return _number(px.get(diagnosis.camera_convention or "", diagnosis.refitted_px))


def _units(diagnosis: Diagnosis) -> str:
    aspect = "" if diagnosis.aspect is None else f" {diagnosis.aspect:.2f}"
    return f"{diagnosis.keypoint_units or '-'}{aspect}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _typical_and_most(median: float | None, most: float | None) -> str:
    return "-" if median is None or most is None else f"{median:.1f} / {most:.0f}"


def _share(diagnosis: Diagnosis) -> str:
    share = diagnosis.labelled_share
    return "-" if share is None else f"{100 * share:.0f}%"


_COLUMNS: tuple[tuple[str, int, Callable[[Diagnosis], str]], ...] = (
    ("clip", -24, lambda d: one_line(d.clip)),
    ("verdict", -7, lambda d: d.verdict),
    ("frames", 6, lambda d: str(d.frames)),
    ("labelled", 8, _share),
    ("camera", -7, lambda d: d.camera_convention or "-"),
    ("units", -10, _units),
    ("2d px", 6, _px),
    ("joints mm", 11, lambda d: _typical_and_most(d.joints_mm_median, d.joints_mm_max)),
    ("vertices mm", 11, lambda d: _typical_and_most(d.vertices_mm_median, d.vertices_mm_max)),
    ("bones mm", 8, lambda d: _number(d.bone_mm)),
    ("jitter", 6, lambda d: _number(d.jitter_mm)),
    ("jumps", 5, lambda d: str(len(d.jump_rows))),
)


def _line(cells: Iterable[str]) -> str:
    padded = (
        cell.ljust(-width) if width < 0 else cell.rjust(width)
        for cell, (_, width, _) in zip(cells, _COLUMNS, strict=False)
    )
    return "  ".join(padded).rstrip()


_HEADER = _line(name for name, _, _ in _COLUMNS)


def _table_lines(row: _Checked) -> str:
    if row.diagnosis is None:
        clip = Path(row.file).name.removesuffix(".pkl")
        return f"{_line((one_line(clip), _BROKEN))}\n    {one_line(str(row.error))}"
    diagnosis = row.diagnosis
    lines = [_line(show(diagnosis) for _, _, show in _COLUMNS)]
    lines += [f"    {finding.name}: {finding.message}" for finding in diagnosis.findings]
    return "\n".join(lines)


def _summary(verdicts: collections.Counter[str], found: collections.Counter[str]) -> str:
    parts = [f"{verdicts[v]} {v}" for v in ("ok", "odd", "wrong", _BROKEN) if verdicts[v]]
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    names = ", ".join(f"{name} {count}" for name, count in ordered)
    total = verdicts.total()
    clips = f"{total} clip{'s' if total != 1 else ''}"
    return f"{clips}: {', '.join(parts) or 'nothing to check'}{f' ({names})' if names else ''}"


def _json_writer(json_path: str | None, stack: contextlib.ExitStack) -> Callable[[_Checked], None]:
    """Writes one JSON object per line; the file appears when all are written."""
    if json_path is None:
        return lambda _: None
    file = sys.stdout
    if json_path != _STDOUT:
        temporary = stack.enter_context(whole_file(Path(json_path)))
        file = stack.enter_context(temporary.open("w", encoding="utf-8"))
    return lambda row: print(json.dumps(_as_json(row), allow_nan=False), file=file)


def _as_json(row: _Checked) -> dict[str, Any]:
    head = {"file": row.file, "verdict": row.verdict, "error": None}
    if row.diagnosis is None:
        error = {"type": type(row.error).__name__, "message": str(row.error)}
        return {**head, "error": error}
    return {**head, **_without_infinities(dataclasses.asdict(row.diagnosis))}


def _without_infinities(content: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity; what could not be measured is null."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in content.items()
    }


def _define_flags() -> flags.FlagValues:
    """The flags, in a holder of their own, so that importing this module defines none."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "smpl_model",
        None,
        "SMPL's .pkl or .npz, to compare vertices and joints with.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "joint_regressor",
        None,
        "The dataset's custom_joint_regressor.pkl; the model's own where it is not given.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "json",
        None,
        "Also write a JSON object per clip and line to this file; - for stdout, without the table.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "jobs",
        os.cpu_count() or 1,
        "Clips that are checked at the same time.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    return values


if __name__ == "__main__":
    sys.exit(main(sys.argv))
