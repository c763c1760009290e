from __future__ import annotations

import pytest

from clip_names import ClipName
from download_failures import failure
from errors import (
    DownloadError,
    DownloadInterruptedError,
    DownloadRefusedError,
    NotAVideoError,
    VideoAgeRestrictedError,
    VideoBlockedInCountryError,
    VideoCopyrightError,
    VideoPrivateError,
    VideoRemovedError,
    VideoUnavailableError,
)

CLIP = ClipName("KV4jIAq3WJo", 155, 165)
_YOUTUBE = "ERROR: [youtube] KV4jIAq3WJo: "
_GENERIC = "ERROR: [generic] watch?v=KV4jIAq3WJo: "


@pytest.mark.parametrize(
    ("line", "kind", "remedy"),
    [
        (
            "Private video. Sign in if you've been granted access to this video",
            VideoPrivateError,
            "--cookies",
        ),
        ("Video unavailable. This video is private", VideoPrivateError, "--video_dir"),
        (
            "Join this channel to get access to members-only content like this video",
            VideoPrivateError,
            "--cookies",
        ),
        ("Video unavailable", VideoRemovedError, "--missing_video=blank"),
        ("Video unavailable. This video is no longer available", VideoRemovedError, "--video_dir"),
        ("Video unavailable. This video has been removed by the uploader", VideoRemovedError, ""),
        (
            "Video unavailable. This video is no longer available because the YouTube account "
            "associated with this video has been terminated.",
            VideoRemovedError,
            "",
        ),
        (
            "Video unavailable. The uploader has not made this video available in your country. "
            "You might want to use a VPN or a proxy server (with --proxy) to workaround.",
            VideoBlockedInCountryError,
            "--proxy",
        ),
        (
            "Video unavailable. This video contains content from SME, who has blocked it in your "
            "country on copyright grounds",
            VideoBlockedInCountryError,
            "--proxy",
        ),
        (
            "Video unavailable. This video is no longer available due to a copyright claim by X",
            VideoCopyrightError,
            "--video_dir",
        ),
        (
            "Sign in to confirm your age. This video may be inappropriate for some users.",
            VideoAgeRestrictedError,
            "--cookies",
        ),
        ("Sign in to confirm you’re not a bot.", DownloadRefusedError, "--cookies"),
        ("This content isn't available, try again later.", DownloadInterruptedError, "wait"),
    ],
)
def test_what_youtube_answers(line: str, kind: type[DownloadError], remedy: str) -> None:
    for printed in ([_YOUTUBE + line], ["WARNING: x", "[youtube] y", _YOUTUBE + line, "more"]):
        error = failure(CLIP, "yt-dlp", printed)
        assert type(error) is kind
        assert remedy in str(error)
        assert str(error).startswith("KV4jIAq3WJo_155_165: ")
        assert line[:60] in str(error)
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Unable to download webpage: HTTP Error 404: Not Found", VideoRemovedError),
        ("Unable to download webpage: HTTP Error 410: Gone", VideoRemovedError),
        ("Unable to download webpage: HTTP Error 403: Forbidden", DownloadRefusedError),
        ("unable to download video data: HTTP Error 403: Forbidden", DownloadRefusedError),
        ("Unable to download API page: HTTP Error 400: Bad Request", DownloadRefusedError),
        ("HTTP Error 408: Request Timeout", DownloadInterruptedError),
        ("HTTP Error 429: Too Many Requests", DownloadInterruptedError),
        ("HTTP Error 503: Service Unavailable", DownloadInterruptedError),
        ("Unable to download webpage: The read operation timed out", DownloadInterruptedError),
        ("Failed to resolve 'www.youtube.com' ([Errno -2] …)", DownloadInterruptedError),
        ("[Errno 111] Connection refused", DownloadInterruptedError),
        ("content too short (expected 9 bytes and served 4)", DownloadInterruptedError),
        (
            "1000 bytes read, 2000 more expected. Giving up after 0 retries",
            DownloadInterruptedError,
        ),
        ("Unsupported URL: http://127.0.0.1/watch?v=KV4jIAq3WJo", NotAVideoError),
        ("ffmpeg exited with code 183", DownloadError),
        ("Unable to extract player version", DownloadError),
    ],
)
def test_what_servers_answer(line: str, kind: type[DownloadError]) -> None:
    error = failure(CLIP, "youtube-dl", [_GENERIC + line])
    assert type(error) is kind
    if kind in {DownloadError, DownloadRefusedError}:
        assert "pip install -U -r requirements-youtube.txt" in str(error)


@pytest.mark.parametrize(
    "lines",
    [
        [
            "[download]  30.0%",
            "ERROR: ",
            "[download] Got error: Downloaded 3 bytes, expected 9 bytes",
        ],
        ["ERROR: ", "[download] Got error: timed out. Giving up after 1 retries"],
        ["ERROR: giving up after 0 retries"],
        ["ERROR: unable to download video data: [Errno 2] No such file or directory: 'x.mp4.part'"],
    ],
)
def test_how_the_tools_tell_of_a_broken_connection(lines: list[str]) -> None:
    error = failure(CLIP, "yt-dlp", lines)
    assert type(error) is DownloadInterruptedError
    assert "ERROR" not in str(error)


def test_what_passes_is_never_remembered() -> None:
    for kind in (DownloadInterruptedError, DownloadRefusedError, NotAVideoError):
        assert not issubclass(kind, VideoUnavailableError)
        assert issubclass(kind, OSError)


def test_a_tool_that_says_nothing_or_far_too_much() -> None:
    assert "it said nothing" in str(failure(CLIP, "yt-dlp", []))
    long = str(failure(CLIP, "yt-dlp", ["ERROR: " + "x" * 10_000]))
    assert len(long) < 600


def test_a_traceback_is_quoted_by_its_end() -> None:
    lines = ["Traceback (most recent call last):", '  File "x"', "IndexError: out of range"]
    error = failure(CLIP, "activitynet", lines)
    assert type(error) is DownloadError
    assert "IndexError: out of range" in str(error)
