from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import pytest
from coded_video import RATE, read_numbers, write_coded_video
from loopback_server import YT_DLP_SHORT_CUT, Behaviour, LoopbackServer, serve

import kinetics_download
from clip_names import ClipName
from downloaders import DownloadOptions
from errors import (
    ClipOutsideVideoError,
    DownloadInterruptedError,
    DownloadRefusedError,
    OutputError,
    VideoNotFoundError,
    VideoRemovedError,
)
from kinetics_download import get_video

PROJECT = Path(kinetics_download.__file__).parent
CLIP = ClipName("-V4_IAq3WJo", 2, 6)
_LIMIT_SEC = 30

# What a process of its own does: gets one clip and prints where it is.
_GET_CLIP = """
import json, sys, pathlib
from clip_names import parse_clip_name
from kinetics_download import DownloadOptions, get_video
name, folder, changes = sys.argv[1:]
options = DownloadOptions(cache_dir=pathlib.Path(folder), **json.loads(changes))
video = get_video(parse_clip_name(name), None, [], options)
print(video.path, video.source)
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coded_video(tmp_path_factory.mktemp("video") / "video.mp4", 12)


@pytest.fixture
def server(video: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(video) as running:
        yield running


@pytest.fixture
def options(server: LoopbackServer, tmp_path: Path) -> DownloadOptions:
    return DownloadOptions(
        downloader="yt-dlp",
        cache_dir=tmp_path / "cache",
        url_base=server.url_base,
        ytdlp_args=YT_DLP_SHORT_CUT,
        attempts=2,
        retry_delay_sec=0.01,
        stall_timeout_sec=2,
        attempt_timeout_sec=_LIMIT_SEC,
    )


def _frames(clip: ClipName) -> list[int]:
    return list(range(clip.start_sec * RATE, clip.end_sec * RATE))


def _files(options: DownloadOptions) -> list[str]:
    files = (path for path in options.cache_dir.rglob("*") if path.is_file())
    return sorted(
        str(path.relative_to(options.cache_dir)) for path in files if path.suffix != ".lock"
    )


def _start(options: DownloadOptions, clip: ClipName = CLIP) -> subprocess.Popen[str]:
    changes = {
        "downloader": options.downloader,
        "url_base": options.url_base,
        "ytdlp_args": options.ytdlp_args,
        "stall_timeout_sec": options.stall_timeout_sec,
    }
    argv = [sys.executable, "-c", _GET_CLIP, clip.stem, str(options.cache_dir), json.dumps(changes)]
    return subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT_SEC
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# The order of places


def test_a_local_copy_comes_before_the_cache_and_the_cache_before_download(
    server: LoopbackServer, options: DownloadOptions, video: Path, tmp_path: Path
) -> None:
    got = get_video(CLIP, tmp_path, [tmp_path / "k400"], options)
    assert got.source == "yt-dlp"
    assert got.path.is_relative_to(options.cache_dir)
    asked = len(server.requests)

    assert get_video(CLIP, tmp_path, [], options).source == "cache"
    assert get_video(CLIP, tmp_path, [], replace(options, downloader="none")).source == "cache"

    (tmp_path / "video").mkdir()
    local = Path(shutil.copy(got.path, tmp_path / "video" / f"{CLIP.stem}.mp4"))
    assert get_video(CLIP, None, [tmp_path / "video"], options).path == local
    beside = Path(shutil.copy(got.path, tmp_path / f"{CLIP.stem}.mp4"))
    assert get_video(CLIP, tmp_path, [tmp_path / "video"], options).path == beside
    assert len(server.requests) == asked


def test_none_downloads_nothing_and_tells_where_it_looked(
    server: LoopbackServer, options: DownloadOptions, tmp_path: Path
) -> None:
    with pytest.raises(VideoNotFoundError) as caught:
        get_video(CLIP, tmp_path, [tmp_path / "k400"], replace(options, downloader="none"))
    for part in ("beside the pickle", str(tmp_path / "k400"), "cache (downloaded before)"):
        assert part in str(caught.value)
    assert server.requests == []
    assert not options.cache_dir.exists()


def test_what_was_passed_over_is_told_with_the_clip(
    options: DownloadOptions, tmp_path: Path
) -> None:
    empty = tmp_path / f"{CLIP.stem}.mp4"
    empty.touch()
    got = get_video(CLIP, tmp_path, [], options)
    assert got.source == "yt-dlp"
    assert got.warnings == (f"passed over {empty}: the file is empty",)


def test_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    if sys.platform == "linux":
        expected = Path("/somewhere/temporal-3d-pose-kinetics")
        assert DownloadOptions().cache_dir == expected
    assert DownloadOptions().cache_dir.name == "temporal-3d-pose-kinetics"


# What is wrong with the source


def test_a_short_source_is_kept_with_a_warning(
    server: LoopbackServer, options: DownloadOptions
) -> None:
    clip = ClipName(CLIP.video_id, 9, 19)
    warning = "-V4_IAq3WJo_9_19: the video is 3.0 s long instead of 10 s"
    for source in ("yt-dlp", "cache"):
        got = get_video(clip, None, [], options)
        assert (got.source, got.warnings) == (source, (warning,))
        assert read_numbers(got.path) == list(range(9 * RATE, 12 * RATE))


def test_a_source_that_ends_before_the_clip_is_remembered(
    server: LoopbackServer, options: DownloadOptions
) -> None:
    clip = ClipName(CLIP.video_id, 100, 110)
    with pytest.raises(ClipOutsideVideoError, match=r"12\.0 s long and the clip starts at 100 s"):
        get_video(clip, None, [], options)
    asked = len(server.requests)
    with pytest.raises(ClipOutsideVideoError):
        get_video(clip, None, [], options)
    assert len(server.requests) == asked


def test_permanent_failures_are_remembered_until_asked_anew(
    server: LoopbackServer, options: DownloadOptions
) -> None:
    server.behaviour = Behaviour(status=404)
    for _ in range(3):
        with pytest.raises(VideoRemovedError):
            get_video(CLIP, None, [], options)
    assert len(server.requests) == 1
    assert _files(options) == ["failed/-V4_IAq3WJo_000002_000006.json"]

    # A new cookie, or another place, may be the remedy.
    with pytest.raises(VideoRemovedError):
        get_video(CLIP, None, [], replace(options, ytdlp_args=("--user-agent", "me")))
    assert len(server.requests) == 2

    server.behaviour = Behaviour()
    assert get_video(CLIP, None, [], replace(options, retry_failed=True)).source == "yt-dlp"
    assert _files(options) == ["clips/-V4_IAq3WJo_000002_000006.mp4"]


@pytest.mark.parametrize(
    ("status", "kind"), [(403, DownloadRefusedError), (503, DownloadInterruptedError)]
)
def test_other_failures_are_not_remembered(
    server: LoopbackServer, options: DownloadOptions, status: int, kind: type[Exception]
) -> None:
    server.behaviour = Behaviour(status=status)
    with pytest.raises(kind):
        get_video(CLIP, None, [], options)
    assert _files(options) == []
    server.behaviour = Behaviour()
    assert get_video(CLIP, None, [], options).source == "yt-dlp"


def test_waits_double(
    server: LoopbackServer, options: DownloadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.behaviour = Behaviour(status=503)
    with pytest.raises(DownloadInterruptedError):
        get_video(CLIP, None, [], replace(options, attempts=3, retry_delay_sec=2))
    assert waits == [2, 4]


def test_a_damaged_clip_in_the_cache_comes_anew(
    server: LoopbackServer, options: DownloadOptions
) -> None:
    path = get_video(CLIP, None, [], options).path
    path.write_bytes(path.read_bytes()[:100])
    assert get_video(CLIP, None, [], options).source == "yt-dlp"
    assert read_numbers(path) == _frames(CLIP)


def test_a_cache_that_cannot_be_written(options: DownloadOptions, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="--cache_dir"):
        get_video(CLIP, None, [], replace(options, cache_dir=tmp_path / "file" / "cache"))


# Many at once, and kills


def test_ten_processes_download_a_clip_once(
    server: LoopbackServer, options: DownloadOptions
) -> None:
    processes = [_start(options) for _ in range(10)]
    answers = [process.communicate(timeout=_LIMIT_SEC)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    path = options.cache_dir / "clips" / f"{CLIP.padded_stem}.mp4"
    assert sorted(answers) == [f"{path} cache\n"] * 9 + [f"{path} yt-dlp\n"]
    # One look at the address, and one download of the part.
    assert [request.is_for_a_part for request in server.requests] == [False, True]
    assert read_numbers(path) == _frames(CLIP)
    assert _files(options) == [f"clips/{CLIP.padded_stem}.mp4"]


@pytest.mark.parametrize("tool", ["yt-dlp", "youtube-dl"])
def test_a_kill_in_the_middle_of_a_download(
    server: LoopbackServer, options: DownloadOptions, tool: str
) -> None:
    options = replace(options, downloader=tool, ytdlp_args=())
    server.behaviour = Behaviour(pause_sec=0.2)
    process = _start(options)
    try:
        _wait_until(lambda: any(name.endswith(".part") for name in _files(options)))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not any(name.startswith("clips/") for name in _files(options))

    server.behaviour = Behaviour()
    assert read_numbers(get_video(CLIP, None, [], options).path) == _frames(CLIP)
    assert _files(options) == [f"clips/{CLIP.padded_stem}.mp4"]


def test_a_kill_in_the_middle_of_the_trim(
    options: DownloadOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, downloader="youtube-dl", ytdlp_args=())
    slow = tmp_path / "slow"
    slow.mkdir()
    # Reads as fast as one would look at the video, so there is time to meet it at work.
    (slow / "ffmpeg").write_text(f'#!/bin/sh\nexec "{imageio_ffmpeg.get_ffmpeg_exe()}" -re "$@"\n')
    (slow / "ffmpeg").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(slow), prepend=os.pathsep)
        process = _start(options)
    part = f"work/{CLIP.padded_stem}/clip.mp4"
    try:
        _wait_until(lambda: part in _files(options))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert part in _files(options)
    assert not any(name.startswith("clips/") for name in _files(options))

    # The run for another clip removes what is left, too.
    other = ClipName(CLIP.video_id, 3, 6)
    assert read_numbers(get_video(other, None, [], options).path) == _frames(other)
    assert _files(options) == [f"clips/{other.padded_stem}.mp4"]
    assert read_numbers(get_video(CLIP, None, [], options).path) == _frames(CLIP)


# The command


@pytest.fixture
def command(
    server: LoopbackServer, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [
            *(sys.executable, str(PROJECT / "kinetics_download.py"), "--downloader=yt-dlp"),
            *(f"--url_base={server.url_base}", f"--cache_dir={tmp_path / 'cache'}"),
            *(f"--ytdlp_args={shlex.join(YT_DLP_SHORT_CUT)}", *arguments),
        ]
        return subprocess.run(
            argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )

    return run


Command = Callable[..., "subprocess.CompletedProcess[str]"]


def _report(tmp_path: Path) -> dict[str, dict[str, object]]:
    lines = (tmp_path / "kinetics_download.jsonl").read_text().splitlines()
    return {line["clip"]: line for line in map(json.loads, lines)}


def test_pickles_one_good_one_local_one_misnamed(
    command: Command, video: Path, tmp_path: Path
) -> None:
    (tmp_path / "pickles").mkdir()
    shutil.copy(video, tmp_path / "pickles" / "KV4jIAq3WJo_0_12.mp4")
    names = ["-V4_IAq3WJo_2_6", "KV4jIAq3WJo_0_12", "../$(touch x)"]
    finished = command(*(f"--filename=pickles/{name}.pkl" for name in (*names, names[0])))
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert "'$(touch x)' is not the name of a clip" in finished.stderr
    assert "2 of 3 clips are there" in finished.stdout
    report = _report(tmp_path)
    assert {name: line["status"] for name, line in report.items()} == {
        "-V4_IAq3WJo_2_6": "ok",
        "KV4jIAq3WJo_0_12": "ok",
        "$(touch x)": "failed",
    }
    downloaded = report["-V4_IAq3WJo_2_6"]
    assert downloaded["source"] == "yt-dlp"
    assert read_numbers(Path(str(downloaded["video"]))) == _frames(CLIP)
    assert downloaded["error"] is None
    assert report["KV4jIAq3WJo_0_12"]["source"] == "beside the pickle"
    error = report["$(touch x)"]["error"]
    assert isinstance(error, dict)
    assert error["type"] == "ClipNameError"


_CSV = """label,youtube_id,time_start,time_end,split
abseiling,-V4_IAq3WJo,2,6,val
"a, b",--version-x,3,5,val
"""


def test_an_annotation_file_and_a_second_run(
    command: Command, server: LoopbackServer, tmp_path: Path
) -> None:
    (tmp_path / "val.csv").write_text(_CSV)
    finished = command("--csv=val.csv", "--jobs=2")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert {line["source"] for line in _report(tmp_path).values()} == {"yt-dlp"}
    asked = len(server.requests)
    assert command("--csv=val.csv").returncode == 0
    assert {line["source"] for line in _report(tmp_path).values()} == {"cache"}
    assert len(server.requests) == asked


def test_a_failure_is_one_line_and_is_not_asked_again(
    command: Command, server: LoopbackServer, tmp_path: Path
) -> None:
    server.behaviour = Behaviour(status=404)
    for _ in range(2):
        finished = command("--filename=KV4jIAq3WJo_155_165.pkl")
        assert finished.returncode == 1
        assert len(finished.stderr.splitlines()) == 1
        assert "no longer there" in finished.stderr
    assert len(server.requests) == 1
    server.behaviour = Behaviour()
    finished = command("--filename=KV4jIAq3WJo_1_2.pkl", "--retry_failed")
    assert finished.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give either --filename or --csv"),
        (["--csv=a.csv", "--filename=b.pkl"], "give either --filename or --csv"),
        (["--filename=b.pkl", "c.pkl"], "unexpected argument 'c.pkl'"),
        (["--filename=b.pkl", "--jobs=0"], "jobs"),
        (["--filename=b.pkl", "--downloader=wget"], "downloader"),
        (["--filename=b.pkl", "--no_such_flag"], "no_such_flag"),
        (["--filename=b.pkl", "--ytdlp_args='"], "--ytdlp_args"),
        (["--filename=b.pkl", "--url_base=ftp://x"], "--url_base"),
        (["--csv=nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--csv=empty.csv"], "empty.csv: no column youtube_id"),
    ],
)
def test_wrong_usage(
    command: Command, tmp_path: Path, arguments: Sequence[str], problem: str
) -> None:
    (tmp_path / "empty.csv").touch()
    finished = command(*arguments)
    assert finished.returncode == 2
    assert problem in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_report_that_cannot_be_written(command: Command, tmp_path: Path) -> None:
    finished = command("--filename=KV4jIAq3WJo_1_2.pkl", f"--report={tmp_path}")
    assert finished.returncode == 1
    assert "cannot be written" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_ctrl_c_ends_at_once_and_leaves_nothing_running(
    server: LoopbackServer, tmp_path: Path
) -> None:
    server.behaviour = Behaviour(pause_sec=0.2)
    argv = [
        *(sys.executable, str(PROJECT / "kinetics_download.py"), "--filename=KV4jIAq3WJo_2_6.pkl"),
        *(f"--url_base={server.url_base}", f"--cache_dir={tmp_path / 'cache'}"),
        "--downloader=yt-dlp",
    ]
    process = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: any(request.is_for_a_part for request in server.requests))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=5)
    assert process.returncode == 130
    assert told.splitlines()[-1].startswith("interrupted")
    _wait_until(lambda: not _running_with(str(tmp_path)))


def _running_with(text: str) -> list[Path]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended, or is not ours
            if text.encode() in path.read_bytes():
                found.append(path)
    return found


def test_progress_is_drawn_on_a_terminal_only(server: LoopbackServer, tmp_path: Path) -> None:
    server.behaviour = Behaviour(pause_sec=0.005)
    argv = [
        *(sys.executable, str(PROJECT / "kinetics_download.py"), "--filename=KV4jIAq3WJo_2_6.pkl"),
        *(f"--url_base={server.url_base}", "--downloader=youtube-dl"),
    ]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    on_terminal = [*argv, f"--cache_dir={tmp_path / 'a'}"]
    with subprocess.Popen(on_terminal, cwd=tmp_path, stderr=theirs) as process:
        os.close(theirs)
        drawn = b""
        while chunk := _read(ours):
            drawn += chunk
    os.close(ours)
    assert process.returncode == 0
    assert b"KV4jIAq3WJo_2_6: downloading" in drawn
    assert b"100%" in drawn
    in_pipe = [*argv, f"--cache_dir={tmp_path / 'b'}"]
    finished = subprocess.run(in_pipe, cwd=tmp_path, capture_output=True, check=True)
    assert finished.stderr == b""


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how a terminal tells that the other side has closed
        return b""


def test_importing_defines_no_flag() -> None:
    code = (
        "from absl import app, flags\n"
        "before = set(flags.FLAGS)\n"
        "import kinetics_download\n"
        "assert set(flags.FLAGS) == before\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
