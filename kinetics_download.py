"""From a clip's name to a local, trimmed, verified video file; also a command for many clips.

    video = get_video(parse_clip_name("KV4jIAq3WJo_155_165"), Path("."), [], DownloadOptions())
    video.path

    python kinetics_download.py --csv kinetics_400_val.csv --cache_dir kinetics --jobs 4

Covered by tests/test_kinetics_download.py.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from absl import flags
from tqdm import tqdm

import downloaders
from clip_cache import ClipCache, length_warnings
from clip_names import ClipName, parse_clip_name
from download_failures import interrupted, not_a_video
from downloaders import Download, DownloadOptions
from errors import (
    ClipNameError,
    ClipOutsideVideoError,
    DownloadError,
    DownloadInterruptedError,
    OptionError,
    PoseKineticsError,
    VideoReadError,
    VideoUnavailableError,
)
from files import make_folder, output_error
from local_videos import LocalVideo, find_local_video, probe_video, video_not_found
from trimming import LENGTH_TOLERANCE_SEC, check_video, ends_early, trim

_OK, _FAILED, _WRONG_USAGE, _INTERRUPTED = 0, 1, 2, 130


def get_video(
    clip: ClipName,
    pickle_folder: Path | None,
    video_dirs: Sequence[Path],
    options: DownloadOptions,
) -> LocalVideo:
    """Finds the clip beside the pickle, below `video_dirs` or in the cache, or downloads it.

    Any number of threads and processes may ask for the same clip: one of them downloads it.

    Raises:
        VideoNotFoundError: it is in none of these places, and `options.downloader` is `none`.
        DownloadError: it could not be downloaded; a `VideoUnavailableError` is remembered.
        MissingDependencyError: the downloader or ffmpeg is not installed.
        OutputError: the cache cannot be written.
    """
    search = find_local_video(clip, pickle_folder, video_dirs)
    if search.video is not None:
        return replace(search.video, warnings=tuple(search.warnings))
    cache = ClipCache(options.cache_dir)
    video = cache.find(clip)
    if video is None and options.downloader == "none":
        search.places.append(f"{options.cache_dir} (downloaded before)")
        raise video_not_found(clip, search)
    if video is None:
        with cache.lock(clip):
            video = cache.find(clip) or _download_into(cache, clip, options)
    return replace(video, warnings=(*search.warnings, *video.warnings))


def define_download_flags(values: flags.FlagValues) -> None:
    """Defines in `values` the flags that `download_options` reads."""
    flags.DEFINE_enum(
        "downloader",
        "auto",
        list(downloaders.DOWNLOADERS),
        "What fetches a clip that is not on this machine. auto: ActivityNet's script if it is in "
        "third_party/activity_net, else yt-dlp. none: nothing does.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "cache_dir",
        None,
        "Where fetched files are kept; the user's cache folder by default.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "url_base", downloaders.YOUTUBE, "Address of a video, up to its id.", flag_values=values
    )
    flags.DEFINE_string(
        "ytdlp_args",
        "",
        "Further arguments for yt-dlp and youtube-dl, quoted as for a shell: "
        "--ytdlp_args='--cookies cookies.txt --limit-rate 2M'.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "retry_failed",
        False,
        "Try again what failed before: downloads that are remembered as not to be had, and clips "
        "of a batch.",
        flag_values=values,
    )


def download_options(values: flags.FlagValues) -> DownloadOptions:
    """The options that the parsed flags stand for.

    Raises:
        OptionError: one of them cannot be.
    """
    options = DownloadOptions(
        downloader=values.downloader,
        url_base=values.url_base,
        ytdlp_args=_split_arguments(values.ytdlp_args),
        retry_failed=values.retry_failed,
    )
    if values.cache_dir is None:
        return options
    return replace(options, cache_dir=Path(values.cache_dir).expanduser().absolute())


def _split_arguments(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise OptionError(f"--ytdlp_args={text!r} cannot be read: {error}") from error


def _download_into(cache: ClipCache, clip: ClipName, options: DownloadOptions) -> LocalVideo:
    remembered = cache.failure(clip, options.asked)
    if remembered is not None and not options.retry_failed:
        raise remembered
    with cache.work_folder(clip) as work:
        try:
            made = _make_clip_patiently(clip, work, options)
        except VideoUnavailableError as error:
            cache.remember_failure(clip, error, options.asked)
            raise
        kept = cache.keep(clip, made.path)
    return replace(kept, source=options.tool, warnings=made.warnings)


def _make_clip_patiently(clip: ClipName, work: Path, options: DownloadOptions) -> Download:
    """Tries again, after ever longer waits, where the failure may pass."""
    with _progress_bar(clip, options.show_progress) as (on_line, note):
        attempt = 1
        while True:
            try:
                return _make_clip(clip, work, options, on_line)
            except DownloadInterruptedError as error:
                if attempt == options.attempts:
                    raise DownloadInterruptedError(f"{error} (attempts: {attempt})") from error
            wait_sec = options.retry_delay_sec * 2 ** (attempt - 1)
            attempt += 1
            note(f"interrupted; attempt {attempt} of {options.attempts} in {wait_sec:g} s")
            time.sleep(wait_sec)


def _make_clip(
    clip: ClipName, work: Path, options: DownloadOptions, on_line: downloaders.OnLine
) -> Download:
    """Downloads, cuts and checks the clip once; the result is a file in `work`."""
    download = downloaders.fetch(clip, work, options, on_line)
    if not download.is_trimmed:
        return _cut(clip, download, work / "clip.mp4", options)
    try:
        seconds = check_video(download.path)
    except VideoReadError as error:
        raise not_a_video(clip, options.tool, str(error)) from error
    if seconds > clip.duration_sec + LENGTH_TOLERANCE_SEC:
        raise DownloadError(
            f"{clip.stem}: {options.tool} delivered {seconds:.2f} s instead of "
            f"{clip.duration_sec} s; try another --downloader"
        )
    return _checked(clip, download, seconds)


def _cut(clip: ClipName, download: Download, target: Path, options: DownloadOptions) -> Download:
    """Cuts the clip out of the whole video; one that proves damaged is removed, to come anew."""
    source = download.path
    try:
        source_sec = probe_video(source)
    except VideoReadError as error:
        is_text = source.read_bytes()[:1024].lstrip().startswith((b"<", b"{"))
        source.unlink()
        if is_text:
            raise not_a_video(clip, options.tool, str(error)) from error
        raise interrupted(clip, options.tool, str(error)) from error
    if source_sec is not None and source_sec <= clip.start_sec:
        raise ClipOutsideVideoError(
            f"{clip.stem}: the video is {source_sec:.1f} s long and the clip starts at "
            f"{clip.start_sec} s, so it is not the video it was; give a local copy with "
            "--video_dir, or draw without it: --missing_video=blank"
        )
    try:
        trim(source, clip, target, options.attempt_timeout_sec)
        seconds = check_video(target)
    except VideoReadError as error:
        source.unlink()
        raise interrupted(clip, options.tool, str(error)) from error
    if seconds < clip.duration_sec - LENGTH_TOLERANCE_SEC and ends_early(source):
        source.unlink()
        raise interrupted(clip, options.tool, f"only {seconds:.2f} s of the clip arrived")
    return _checked(clip, replace(download, path=target), seconds)


def _checked(clip: ClipName, download: Download, seconds: float) -> Download:
    return replace(download, warnings=(*download.warnings, *length_warnings(clip, seconds)))


@contextlib.contextmanager
def _progress_bar(clip: ClipName, shown: bool) -> Iterator[tuple[Callable[[str], None], ...]]:
    """Yields what takes the tool's lines, and what takes a note to the user."""
    with tqdm(
        total=100,
        desc=f"{clip.stem}: downloading",
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {elapsed}{postfix}",
        leave=False,
        disable=None if shown else True,  # None: drawn on a terminal only
    ) as bar:

        def on_line(line: str) -> None:
            percent = downloaders.percent_done(line, clip)
            if percent is not None:
                bar.n = percent
                bar.refresh()

        yield on_line, bar.set_postfix_str


@dataclass(frozen=True)
class _Item:
    """One line of a batch: a clip, or what was wrong with its name."""

    name: str
    clip: ClipName | None
    folder: Path | None = None
    error: ClipNameError | None = None


def _item(name: str, folder: Path | None = None) -> _Item:
    try:
        return _Item(name, parse_clip_name(name), folder)
    except ClipNameError as error:
        return _Item(name, None, folder, error)


def _items_of_csv(path: Path) -> list[_Item]:
    """Reads a Kinetics annotation file: the columns youtube_id, time_start and time_end.

    Raises:
        OptionError: it cannot be read, or a column is missing.
    """
    columns = ("youtube_id", "time_start", "time_end")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in columns if name not in (rows.fieldnames or ())]
            if missing:
                raise OptionError(
                    f"{path}: no column {', '.join(missing)}; expected a Kinetics annotation file "
                    f"with the columns {', '.join(columns)}"
                )
            names = ["_".join(row[column] or "" for column in columns) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"{path}: cannot be read as a CSV file: {error}") from error
    return [_item(name) for name in dict.fromkeys(names)]


def _report_line(
    item: _Item, video_dirs: Sequence[Path], options: DownloadOptions
) -> dict[str, Any]:
    """Gets one clip, whatever happens to it, and tells what happened."""
    started = time.monotonic()
    video: LocalVideo | None = None
    error: PoseKineticsError | None = item.error
    if item.clip is not None:
        try:
            video = get_video(item.clip, item.folder, video_dirs, options)
        except PoseKineticsError as caught:
            error = caught
    return {
        "status": "ok" if error is None else "failed",
        "clip": item.name,
        "video": str(video.path) if video else None,
        "source": video.source if video else None,
        "start_sec": video.start_sec if video else None,
        "end_sec": video.end_sec if video else None,
        "seconds": round(time.monotonic() - started, 3),
        "warnings": list(video.warnings) if video else [],
        "error": error and {"type": type(error).__name__, "message": str(error)},
    }


def _download_all(
    items: Sequence[_Item],
    video_dirs: Sequence[Path],
    options: DownloadOptions,
    jobs: int,
    report: Path,
) -> int:
    """Gets all clips and writes the report as they come; returns how many failed."""
    is_batch = len(items) > 1  # has one bar for all; a single clip has its own
    options = replace(options, show_progress=not is_batch)
    failed = 0
    make_folder(report.absolute().parent)
    try:
        file = report.open("w", encoding="utf-8")
    except OSError as error:
        raise output_error(report, error) from error
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [pool.submit(_report_line, item, video_dirs, options) for item in items]
        hidden = None if is_batch else True  # None: off a terminal
        with file, tqdm(total=len(items), unit="clip", disable=hidden) as bar:
            for future in as_completed(futures):
                line = future.result()
                file.write(json.dumps(line) + "\n")
                file.flush()
                bar.update()
                if line["error"]:
                    failed += 1
                    bar.set_postfix(failed=failed)
                    tqdm.write(line["error"]["message"], file=sys.stderr)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return failed


def _define_flags() -> None:
    define_download_flags(flags.FLAGS)
    flags.DEFINE_multi_string(
        "filename", [], "A pickle of the dataset, to be named any number of times."
    )
    flags.DEFINE_string("csv", None, "A Kinetics annotation file: all clips that it lists.")
    flags.DEFINE_multi_string(
        "video_dir", [], "A folder of clips that are already there; may be named repeatedly."
    )
    flags.DEFINE_integer("jobs", 4, "How many clips to download at once.", lower_bound=1)
    flags.DEFINE_string(
        "report", "kinetics_download.jsonl", "Where to write a JSON line for each clip."
    )


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)[1:]
    except flags.Error as error:
        sys.exit(_usage(str(error)))
    if rest:
        sys.exit(_usage(f"unexpected argument {rest[0]!r}; name pickles with --filename"))
    if bool(flags.FLAGS.filename) == bool(flags.FLAGS.csv):
        sys.exit(_usage("give either --filename or --csv"))
    return argv


def _usage(problem: str) -> int:
    print(f"{problem}\nSee: python kinetics_download.py --help", file=sys.stderr)
    return _WRONG_USAGE


def _main(_: Sequence[str]) -> int:
    values = flags.FLAGS
    try:
        options = download_options(values)
        if values.csv:
            items = _items_of_csv(Path(values.csv))
        else:
            paths = [Path(name) for name in dict.fromkeys(values.filename)]
            items = [_item(path.name.removesuffix(".pkl"), path.parent) for path in paths]
    except OptionError as error:
        return _usage(str(error))
    video_dirs = [Path(folder).expanduser() for folder in values.video_dir]
    try:
        failed = _download_all(items, video_dirs, options, values.jobs, Path(values.report))
    except PoseKineticsError as error:
        print(error, file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        # The threads wait for programs that end with us, and the cache takes no harm.
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.stderr.flush()
        os._exit(_INTERRUPTED)
    print(f"{len(items) - failed} of {len(items)} clips are there; report: {values.report}")
    return _FAILED if failed else _OK


if __name__ == "__main__":
    from absl import app  # defines flags of its own: only for this script

    _define_flags()
    app.run(_main, flags_parser=_parse_flags)
