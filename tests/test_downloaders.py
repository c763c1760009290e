"""One contract for all three tools: the real yt-dlp, the real youtube-dl, and a stand-in script
with the signature and the habits of ActivityNet's.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from coded_video import RATE, read_numbers, write_coded_video
from loopback_server import YT_DLP_SHORT_CUT, Behaviour, LoopbackServer, serve

import downloaders
from clip_names import ClipName
from downloaders import DownloadOptions, fetch, percent_done
from errors import (
    DownloadError,
    DownloadInterruptedError,
    DownloadRefusedError,
    MissingDependencyError,
    NotAVideoError,
    OptionError,
    VideoRemovedError,
)
from kinetics_download import get_video
from local_videos import LocalVideo

CLIP = ClipName("--version_x", 2, 6)  # an id like an option, and with the `_` of clip names
TOOLS = ("yt-dlp", "youtube-dl", "activitynet")
_LIMIT_SEC = 15

# Like the original, it needs pandas and joblib at import, builds shell commands out of its
# arguments, cuts a path at its first dot and removes what it finds there.
_STAND_IN = """
import glob, os, subprocess, uuid
from joblib import delayed, Parallel
import pandas as pd

def download_clip(video_identifier, output_filename, start_time, end_time,
                  tmp_dir="/tmp/kinetics", num_attempts=5,
                  url_base="https://www.youtube.com/watch?v="):
    template = os.path.join(tmp_dir, "%s.%%(ext)s" % uuid.uuid4())
    address = url_base + video_identifier
    for attempt in range(num_attempts):
        try:
            subprocess.check_output(
                'youtube-dl --quiet --no-warnings -f mp4 -o "%s" "%s"' % (template, address),
                shell=True, stderr=subprocess.STDOUT)
            break
        except subprocess.CalledProcessError as error:
            answer = error.output
    else:
        return False, answer
    whole = glob.glob(template.split(".")[0] + "*")[0]
    try:
        subprocess.check_output(
            'ffmpeg -i "%s" -ss %s -t %s -c:v libx264 -c:a copy -threads 1 -loglevel panic "%s"'
            % (whole, start_time, end_time - start_time, output_filename),
            shell=True, stderr=subprocess.STDOUT)
    except subprocess.CalledProcessError as error:
        return False, error.output
    os.remove(whole)
    return os.path.exists(output_filename), "Downloaded"
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coded_video(tmp_path_factory.mktemp("video") / "video.mp4", 12)


@pytest.fixture(scope="module")
def video_index_last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coded_video(tmp_path_factory.mktemp("video") / "video.mp4", 12, index_first=False)


@pytest.fixture
def server(video: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(video) as running:
        yield running


@pytest.fixture
def options(server: LoopbackServer, tmp_path: Path) -> Callable[..., DownloadOptions]:
    script = tmp_path / "activity_net" / "download.py"
    script.parent.mkdir()
    script.write_text(_STAND_IN)

    def make(tool: str, **changes: object) -> DownloadOptions:
        arguments: dict[str, object] = {
            "downloader": tool,
            # A dot, a space and what shells and templates treat as special.
            "cache_dir": tmp_path / ".cache $HOME $$ $(x) %(id)s %%",
            "url_base": server.url_base_with_suffix if tool == "activitynet" else server.url_base,
            "ytdlp_args": YT_DLP_SHORT_CUT if tool == "yt-dlp" else (),
            "activitynet_script": script,
            "attempts": 2,
            "retry_delay_sec": 0.01,
            "stall_timeout_sec": 1,
            "attempt_timeout_sec": _LIMIT_SEC,
        }
        return DownloadOptions(**{**arguments, **changes})  # type: ignore[arg-type]  # as named

    return make


Options = Callable[..., DownloadOptions]


def _get(options: DownloadOptions, clip: ClipName = CLIP) -> LocalVideo:
    started = time.monotonic()
    try:
        return get_video(clip, None, [], options)
    finally:
        # Twice the limit: two attempts.
        assert time.monotonic() - started < 2 * _LIMIT_SEC


def _check_clip(video: LocalVideo, tool: str) -> None:
    assert (video.start_sec, video.end_sec, video.source) == (None, None, tool)
    assert read_numbers(video.path) == list(range(CLIP.start_sec * RATE, CLIP.end_sec * RATE))
    with av.open(str(video.path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    assert video.warnings == ()


def _check_no_debris(options: DownloadOptions) -> None:
    names = {path.name for path in options.cache_dir.iterdir()}
    assert names <= {"clips", "failed", "work", "locks"}
    assert list((options.cache_dir / "work").iterdir()) == []
    assert {path.name for path in options.cache_dir.parent.iterdir()} <= {
        options.cache_dir.name,
        "activity_net",
    }


@pytest.mark.parametrize("tool", TOOLS)
def test_a_clip_arrives_trimmed_to_the_frame(
    server: LoopbackServer, options: Options, tool: str
) -> None:
    video = _get(options(tool, ytdlp_args=()))
    _check_clip(video, tool)
    assert video.path.name == "--version_x_000002_000006.mp4"
    assert {request.path.partition("?v=")[2] for request in server.requests} == {CLIP.video_id}
    _check_no_debris(options(tool))


@pytest.mark.parametrize("tool", TOOLS)
def test_an_index_at_the_end_without_range_requests(
    server: LoopbackServer, options: Options, tool: str, video_index_last: Path
) -> None:
    server.video = video_index_last
    server.behaviour = Behaviour(ranges=False)
    _check_clip(_get(options(tool)), tool)


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no_ranges"])
def test_yt_dlp_asks_for_the_needed_part_only(
    server: LoopbackServer, options: Options, tmp_path: Path, ranges: bool
) -> None:
    server.behaviour = Behaviour(ranges=ranges)
    (tmp_path / "work").mkdir()
    download = fetch(CLIP, tmp_path / "work", options("yt-dlp"))
    assert download.is_trimmed
    assert not (tmp_path / "work" / "whole").exists()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, VideoRemovedError), (403, DownloadRefusedError)],
)
def test_what_will_not_pass_is_asked_once(
    server: LoopbackServer, options: Options, tool: str, status: int, kind: type[DownloadError]
) -> None:
    server.behaviour = Behaviour(status=status)
    with pytest.raises(kind, match=rf"^--version_x_2_6: .*HTTP Error {status}.*--video_dir"):
        _get(options(tool))
    assert len(server.gets) == 1
    _check_no_debris(options(tool))


@pytest.mark.parametrize(("tool", "status"), [*((tool, 503) for tool in TOOLS), ("yt-dlp", 429)])
def test_what_may_pass_is_asked_a_few_times(
    server: LoopbackServer, options: Options, tool: str, status: int
) -> None:
    server.behaviour = Behaviour(status=status)
    with pytest.raises(DownloadInterruptedError, match=rf"HTTP Error {status}.*attempts: 2"):
        _get(options(tool))
    assert len(server.gets) == 2
    _check_no_debris(options(tool))


@pytest.mark.parametrize("tool", TOOLS)
def test_what_passed_is_no_failure(server: LoopbackServer, options: Options, tool: str) -> None:
    server.behaviour = Behaviour(status=503, for_requests=1)
    _check_clip(_get(options(tool)), tool)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("label", ["text/html", "video/mp4"])
def test_a_web_page_is_no_video(
    server: LoopbackServer, options: Options, tool: str, label: str
) -> None:
    server.behaviour = Behaviour(html=label)
    with pytest.raises(DownloadError) as caught:
        _get(options(tool))
    # ActivityNet's script cuts by itself and does not say why it could not.
    expected = DownloadError if (tool, label) == ("activitynet", "video/mp4") else NotAVideoError
    assert type(caught.value) is expected
    _check_no_debris(options(tool))


@pytest.mark.parametrize(("tool", "ranges"), [*((tool, True) for tool in TOOLS), ("yt-dlp", False)])
def test_a_connection_that_always_breaks(
    server: LoopbackServer, options: Options, tool: str, ranges: bool
) -> None:
    # So early that the tools cannot put the video together out of two parts.
    server.behaviour = Behaviour(ranges=ranges, send_share=0.3)
    with pytest.raises(DownloadInterruptedError, match="attempts: 2"):
        _get(options(tool))
    _check_no_debris(options(tool))


@pytest.mark.parametrize("tool", TOOLS)
def test_a_connection_that_breaks_at_first(
    server: LoopbackServer, options: Options, tool: str
) -> None:
    server.behaviour = Behaviour(send_share=0.5, for_requests=2)
    _check_clip(_get(options(tool, attempts=4)), tool)


@pytest.mark.parametrize("tool", ["yt-dlp", "youtube-dl"])
def test_a_break_that_http_cannot_tell_from_the_end(
    server: LoopbackServer, options: Options, tool: str
) -> None:
    server.behaviour = Behaviour(ranges=False, length=False, send_share=0.4)
    with pytest.raises(DownloadInterruptedError, match="attempts: 2"):
        _get(options(tool))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("after", [0, 10_000], ids=["at_once", "in_the_middle"])
def test_a_server_that_falls_silent(
    server: LoopbackServer, options: Options, tool: str, after: int
) -> None:
    server.behaviour = Behaviour(stall_after=after)
    with pytest.raises(DownloadInterruptedError, match="was interrupted"):
        _get(options(tool, attempts=1, stall_timeout_sec=0.5))
    _check_no_debris(options(tool))


@pytest.mark.parametrize("tool", TOOLS)
def test_a_server_that_trickles_meets_the_time_limit(
    server: LoopbackServer, options: Options, tool: str
) -> None:
    server.behaviour = Behaviour(pause_sec=0.5)
    with pytest.raises(DownloadInterruptedError, match=r"did not end within 1\.5 s"):
        _get(options(tool, attempt_timeout_sec=1.5, attempts=1))
    _check_no_debris(options(tool))


@pytest.mark.parametrize("tool", TOOLS)
def test_the_users_arguments_reach_the_tool(
    server: LoopbackServer, options: Options, tool: str
) -> None:
    arguments = ("--user-agent", "me $(touch x); 'y'")
    _get(options(tool, ytdlp_args=arguments))
    assert {request.headers["user-agent"] for request in server.requests} == {arguments[1]}
    _check_no_debris(options(tool))


@pytest.mark.parametrize("tool", ["yt-dlp", "youtube-dl"])
def test_relative_paths_hold_and_the_users_own_configuration_does_not(
    server: LoopbackServer,
    options: Options,
    tool: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path / "activity_net"
    (here / tool).mkdir()
    (here / tool / "config").write_text("--proxy http://127.0.0.1:9\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here))
    (here / "cookies.txt").write_text(
        "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n"
    )
    (here / "random.py").write_text("raise SystemExit('what lies about here was run')")
    monkeypatch.chdir(here)
    _check_clip(_get(options(tool, ytdlp_args=("--cookies", "cookies.txt"))), tool)
    assert any(request.headers.get("cookie") == "name=value" for request in server.requests)


def test_yt_dlp_stands_in_for_a_missing_youtube_dl(
    server: LoopbackServer, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloaders, "_find_program", lambda _: None)
    video = _get(options("activitynet"))
    assert video.warnings == ("youtube-dl is not installed: yt-dlp was used in its place",)
    assert read_numbers(video.path) == list(range(2 * RATE, 6 * RATE))


def test_a_script_that_fails_is_quoted(options: Options) -> None:
    made = options("activitynet")
    made.activitynet_script.write_text(
        "def download_clip(**_):\n    return False, b'no \\xff luck'"
    )
    with pytest.raises(DownloadError, match=r"no . luck"):
        _get(made)
    made.activitynet_script.write_text("raise RuntimeError('broken at import')")
    with pytest.raises(DownloadError, match="broken at import"):
        _get(made)


def test_a_script_that_does_not_cut_is_found_out(
    options: Options, video: Path, tmp_path: Path
) -> None:
    made = options("activitynet")
    made.activitynet_script.write_text(
        "import shutil\n"
        "def download_clip(output_filename, **_):\n"
        f"    shutil.copy({str(video)!r}, output_filename)\n"
        "    return True, 'Downloaded'\n"
    )
    with pytest.raises(DownloadError, match=r"delivered 12\.00 s instead of 4 s"):
        _get(made)
    _check_no_debris(made)


def test_what_is_missing_names_the_command_that_brings_it(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = options("activitynet")
    made.activitynet_script.unlink()
    with pytest.raises(MissingDependencyError, match=r"download\.py is not there.*README\.md"):
        _get(made)
    monkeypatch.setattr(downloaders, "_find_program", lambda _: None)
    with pytest.raises(MissingDependencyError, match="pip install youtube-dl"):
        _get(options("youtube-dl"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install -r requirements\.txt"):
        _get(options("yt-dlp"))


def test_auto_is_activitynets_script_if_it_is_there(options: Options) -> None:
    made = options("auto")
    assert made.tool == "activitynet"
    made.activitynet_script.unlink()
    assert made.tool == "yt-dlp"


@pytest.mark.parametrize(
    "changes",
    [
        {"downloader": "wget"},
        {"url_base": "file:///etc/passwd?"},
        {"url_base": 'http://x/"; touch x; "'},
        {"url_base": "http://x/$(touch x)"},
        {"url_base": "http://x/`touch x`"},
        {"url_base": "http://x/\n"},
        {"url_base": "--exec"},
        {"attempts": 0},
    ],
)
def test_options_that_cannot_be(changes: dict[str, str]) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(changes))}="):
        DownloadOptions(**changes)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("[download]  12.5% of 1.00MiB at 2.00MiB/s ETA 00:00", 12.5),
        ("[download] 100% of 1.00MiB in 00:01", 100),
        ("frame=   50 fps=0.0 q=-1.0 size= 1KiB time=00:00:03.00 bitrate= 1kbits/s", 75),
        ("frame=   50 fps=0.0 q=-1.0 size= 1KiB time=00:01:00.00 bitrate= 1kbits/s", 100),
        ("[download] Destination: x.mp4", None),
        ("", None),
    ],
)
def test_progress_is_read_from_lines(line: str, percent: float | None) -> None:
    assert percent_done(line, CLIP) == percent
