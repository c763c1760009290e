"""The three tools that fetch a clip: yt-dlp, youtube-dl and ActivityNet's script.

    download = fetch(clip, work_folder, DownloadOptions(downloader="yt-dlp"))
    download.path, download.is_trimmed       # …/source.mp4, False: the whole video, still to cut

Each asks once. What failed is raised as a typed error; whether to ask again is for the caller.
Covered by tests/test_downloaders.py.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

import processes
from clip_names import ClipName
from download_failures import failure, interrupted
from errors import DownloadError, MissingDependencyError, OptionError, VideoReadError
from trimming import ENCODING, check_video, find_ffmpeg, raise_if_disk_full

DOWNLOADERS = ("auto", "yt-dlp", "youtube-dl", "activitynet", "none")
YOUTUBE = "https://www.youtube.com/watch?v="
ACTIVITYNET_SCRIPT = Path(__file__).parent / "third_party" / "activity_net" / "download.py"

# ActivityNet's script hands the address to a shell, between double quotes.
_URL_BASE = re.compile(r"https?://[A-Za-z0-9._~:/?#@!&'()*+,;=%\[\]-]+")
_FORMAT = "bestvideo*+bestaudio/best"
_FORMAT_ORDER = "res:720,vcodec:h264,acodec:aac"  # Kinetics itself is mostly smaller
# As `-m yt_dlp`, but without the current folder among those that Python imports from: it may hold
# anything. Relative paths in the user's arguments are the reason to run there at all.
_YT_DLP = (
    "-c",
    "import sys; sys.path = [p for p in sys.path if p]; import yt_dlp; yt_dlp.main()",
)
_FOLDER_VARIABLE = "KINETICS_DOWNLOAD_FOLDER"
# By how much a section may miss its length before it counts as damaged.
_SECTION_TOLERANCE_SEC = 0.1

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class DownloadOptions:
    """How clips are downloaded.

    Attributes:
        downloader: one of `DOWNLOADERS`. `auto` is ActivityNet's script where it has been put
          into third_party/activity_net, else yt-dlp. `none` never downloads.
        cache_dir: where downloaded clips are kept.
        url_base: the address of a video, up to its id.
        ytdlp_args: further arguments for yt-dlp and youtube-dl: cookies, proxies, rate limits.
        retry_failed: ask again for clips that are remembered as not to be had.
        attempts: how often to ask, at most, where a failure may pass.
        retry_delay_sec: the wait before the second attempt; it doubles with each further one.
        stall_timeout_sec: how long a connection may be silent.
        attempt_timeout_sec: how long one attempt may take in all.
        show_progress: draw a progress bar if standard error is a terminal.
        activitynet_script: where ActivityNet's download.py is.

    Raises:
        OptionError: one of them cannot be.
    """

    downloader: str = "auto"
    cache_dir: Path = field(
        default_factory=lambda: platformdirs.user_cache_path("temporal-3d-pose-kinetics")
    )
    url_base: str = YOUTUBE
    ytdlp_args: tuple[str, ...] = ()
    retry_failed: bool = False
    attempts: int = 4
    retry_delay_sec: float = 2.0
    stall_timeout_sec: float = 30.0
    attempt_timeout_sec: float = 1800.0
    show_progress: bool = True
    activitynet_script: Path = ACTIVITYNET_SCRIPT

    def __post_init__(self) -> None:
        if self.downloader not in DOWNLOADERS:
            raise OptionError(
                f"--downloader={self.downloader} is unknown; expected {', '.join(DOWNLOADERS)}"
            )
        if not _URL_BASE.fullmatch(self.url_base):
            raise OptionError(
                f"--url_base={self.url_base!r} is no web address; expected one such as {YOUTUBE}"
            )
        if self.attempts < 1:
            raise OptionError(f"attempts={self.attempts}; expected at least 1")

    @property
    def tool(self) -> str:
        """The downloader that is used: what `auto` means here."""
        if self.downloader != "auto":
            return self.downloader
        return "activitynet" if self.activitynet_script.is_file() else "yt-dlp"

    @property
    def asked(self) -> str:
        """All that an answer may depend on, as text."""
        return json.dumps([self.tool, self.url_base, self.ytdlp_args])


@dataclass(frozen=True)
class Download:
    """What a tool delivered.

    Attributes:
        path: the file.
        is_trimmed: it is the clip; otherwise it is the whole video.
        warnings: what the user should know.
    """

    path: Path
    is_trimmed: bool
    warnings: tuple[str, ...] = ()


def fetch(
    clip: ClipName, work: Path, options: DownloadOptions, on_line: OnLine | None = None
) -> Download:
    """Asks the tool once.

    Args:
        clip: what to fetch.
        work: a folder for this clip alone. Called again with the same folder, the tool goes on
          where an interrupted download stopped.
        options: `options.downloader` is not `none`.
        on_line: is given what the tool prints, line by line.

    Raises:
        DownloadError: the kind tells why and the message what to do.
        MissingDependencyError: the tool is not installed.
        OSError: the work folder cannot be written.
    """
    tools = {"yt-dlp": _yt_dlp, "youtube-dl": _youtube_dl, "activitynet": _activitynet}
    return tools[options.tool](_Job(clip, work.absolute(), options, on_line))


def percent_done(line: str, clip: ClipName) -> float | None:
    """Progress from a line of a tool or of the ffmpeg below it; None if it does not tell."""
    if match := re.match(r"\[download\]\s+([0-9.]+)%", line):
        return min(float(match[1]), 100.0)
    if match := re.search(r"\btime=(\d+):(\d+):([0-9.]+)", line):
        seconds = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
        return min(100 * seconds / clip.duration_sec, 100.0)
    return None


@dataclass(frozen=True)
class _Job:
    """The arguments of `fetch`."""

    clip: ClipName
    work: Path
    options: DownloadOptions
    on_line: OnLine | None


def _yt_dlp(job: _Job) -> Download:
    if importlib.util.find_spec("yt_dlp") is None:
        raise MissingDependencyError(
            "yt-dlp is not installed; run: pip install -r requirements.txt"
        )
    command = [
        *(sys.executable, *_YT_DLP, *_common_arguments(job.options)),
        *("--extractor-retries", "0", "--fragment-retries", "3"),
        *("--abort-on-unavailable-fragments", "--ffmpeg-location", str(_programs(job))),
        *("--format", _FORMAT, "--format-sort", _FORMAT_ORDER),
    ]
    if not _whole_folder(job).exists():  # else an earlier attempt found that sections do not work
        section = _section(job, command)
        if section is not None:
            return Download(section, is_trimmed=True)
    return Download(_whole(job, "yt-dlp", command), is_trimmed=False)


def _youtube_dl(job: _Job) -> Download:
    program = _find_program("youtube-dl")
    if program is None:
        raise MissingDependencyError(
            "youtube-dl is not installed; run: pip install youtube-dl, or use its maintained "
            "successor with --downloader=yt-dlp"
        )
    command = [program, *_common_arguments(job.options), "--format", "best[ext=mp4]/best"]
    return Download(_whole(job, "youtube-dl", command), is_trimmed=False)


def _activitynet(job: _Job) -> Download:
    """Runs ActivityNet's `download_clip` in a process of its own.

    It puts its paths into shell commands, cuts them at the first dot, and removes what it then
    finds by pattern: so it works in a folder of its own and is given short names relative to it.
    """
    script = job.options.activitynet_script.absolute()
    if not script.is_file():
        raise MissingDependencyError(
            f"{script} is not there; the README.md in third_party/activity_net tells where it "
            "comes from. Or use --downloader=yt-dlp"
        )
    folder = job.work / "activitynet"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tmp").mkdir(parents=True)
    request = {
        "video_identifier": job.clip.video_id,
        "output_filename": "clip.mp4",
        "start_time": job.clip.start_sec,
        "end_time": job.clip.end_sec,
        "tmp_dir": "tmp",
        "num_attempts": 1,
        "url_base": job.options.url_base,
    }
    programs = _programs(job)
    youtube_dl = _find_program("youtube-dl")
    _write_wrapper(programs / "youtube-dl", youtube_dl, job.options)
    runner = Path(__file__).with_name("activitynet_runner.py").absolute()
    finished = processes.run(
        [sys.executable, str(runner), str(script), json.dumps(request)],
        timeout_sec=job.options.attempt_timeout_sec,
        on_line=job.on_line,
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"},
    )
    _raise_if_failed(job, "activitynet", finished)
    path = folder / "clip.mp4"
    if not path.is_file():
        raise failure(job.clip, "activitynet", finished.lines)
    warnings = () if youtube_dl else ("youtube-dl is not installed: yt-dlp was used in its place",)
    return Download(path, is_trimmed=True, warnings=warnings)


def _common_arguments(options: DownloadOptions) -> list[str]:
    """What yt-dlp and youtube-dl both know."""
    arguments = ["--ignore-config", "--newline", "--no-playlist", "--retries", "0"]
    return [*arguments, "--socket-timeout", f"{options.stall_timeout_sec:g}"]


def _section(job: _Job, command: Sequence[str]) -> Path | None:
    """Has yt-dlp fetch only the clip's seconds; None where the source does not allow it.

    Then it is ffmpeg that talks to the source, and it takes a broken connection for the video's
    end: `-xerror` and the check afterwards tell the two apart.
    """
    clip, folder = job.clip, job.work / "section"
    shutil.rmtree(folder, ignore_errors=True)
    wait_us = round(job.options.stall_timeout_sec * 1e6)
    encoding = ["-t", str(clip.duration_sec), "-xerror", "-loglevel", "error", "-stats", *ENCODING]
    arguments = [
        *("--download-sections", f"*{clip.start_sec}-{clip.end_sec}", "--force-keyframes-at-cuts"),
        *("--downloader-args", f"ffmpeg_i:-rw_timeout {wait_us}"),
        *("--downloader-args", f"ffmpeg_o:{shlex.join(encoding)}"),
    ]
    try:
        _run(job, "yt-dlp", [*command, *arguments], folder)
        path = _delivered(folder)
        missed_sec = abs(check_video(path) - clip.duration_sec) if path else math.inf
    except VideoReadError:
        return None
    except DownloadError as error:
        if type(error) is DownloadError:  # of no known kind, such as "ffmpeg exited with code 8"
            return None
        raise
    return path if missed_sec <= _SECTION_TOLERANCE_SEC else None


def _whole(job: _Job, tool: str, command: Sequence[str]) -> Path:
    folder = _whole_folder(job)
    _run(job, tool, command, folder)
    path = _delivered(folder)
    if path is None:
        raise DownloadError(
            f"{job.clip.stem}: {tool} ended well but left no file; look to --ytdlp_args"
        )
    return path


def _whole_folder(job: _Job) -> Path:
    return job.work / "whole"


def _run(job: _Job, tool: str, command: Sequence[str], folder: Path) -> None:
    """Runs yt-dlp or youtube-dl where we are, so that relative paths in the user's args hold."""
    folder.mkdir(parents=True, exist_ok=True)
    # They expand variables in the path and know no way to write `$HOME` itself, but one variable.
    output = ["--output", f"${{{_FOLDER_VARIABLE}}}/source.%(ext)s"]
    finished = processes.run(
        [
            *command,
            *job.options.ytdlp_args,
            *output,
            "--",
            job.options.url_base + job.clip.video_id,
        ],
        timeout_sec=job.options.attempt_timeout_sec,
        on_line=job.on_line,
        env={**os.environ, _FOLDER_VARIABLE: str(folder).replace("%", "%%")},
    )
    _raise_if_failed(job, tool, finished)


def _raise_if_failed(job: _Job, tool: str, finished: processes.Finished) -> None:
    raise_if_disk_full(finished.lines, job.work)
    if finished.timed_out:
        limit = job.options.attempt_timeout_sec
        raise interrupted(job.clip, tool, f"it did not end within {limit:g} s")
    if finished.exit_code != 0:
        raise failure(job.clip, tool, finished.lines)


def _delivered(folder: Path) -> Path | None:
    files = [path for path in folder.iterdir() if path.suffix not in {".part", ".ytdl"}]
    return max(files, key=lambda path: path.stat().st_size, default=None)


def _programs(job: _Job) -> Path:
    """A folder with an `ffmpeg` in it: the one of `imageio-ffmpeg` has another name."""
    folder = job.work / "bin"
    folder.mkdir(exist_ok=True)
    ffmpeg = folder / "ffmpeg"
    if not ffmpeg.exists():
        ffmpeg.symlink_to(find_ffmpeg())
    return folder


def _write_wrapper(path: Path, youtube_dl: str | None, options: DownloadOptions) -> None:
    """A `youtube-dl` that passes on the user's arguments; yt-dlp if there is no other."""
    program = [youtube_dl] if youtube_dl else [sys.executable, *_YT_DLP]
    command = shlex.join([*program, *_common_arguments(options), *options.ytdlp_args])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    path.chmod(0o700)


def _find_program(name: str) -> str | None:
    """Also looks beside our Python: a virtual environment need not be activated."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
