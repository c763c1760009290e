"""Reads from what a download tool printed why it failed, and what the user can do about it.

    raise failure(clip, "yt-dlp", ["ERROR: [youtube] KV4jIAq3WJo: Private video. Sign in if …"])
    # VideoPrivateError: KV4jIAq3WJo_155_165: the video is private …

Covered by tests/test_download_failures.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from clip_names import ClipName
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
)

_LOCAL_COPY = "give a local copy with --video_dir, or draw without it: --missing_video=blank"
_COOKIES = "give the cookies of an account that may see it: --ytdlp_args='--cookies FILE'"
_UPDATE = "update yt-dlp: pip install -U -r requirements-youtube.txt"
_LONGEST_QUOTE = 300
_COMPLAINT = re.compile(r"(?:ERROR:|\bGot (?:server HTTP )?error:) *(\S.*)")


class _Rule(NamedTuple):
    pattern: str
    kind: type[DownloadError]
    reason: str
    remedy: str


# The first rule that fits decides: YouTube's texts overlap ("blocked in your country on copyright
# grounds", "Video unavailable. This video is private").
_RULES = (
    _Rule(
        r"not a bot|captcha",
        DownloadRefusedError,
        "the source wants proof that this machine is no robot",
        f"wait a while, or {_COOKIES}",
    ),
    _Rule(
        r"HTTP Error 429|too many requests|rate.limited|try again later",
        DownloadInterruptedError,
        "the source asks for fewer requests",
        "wait a while, or ask with a smaller --jobs",
    ),
    _Rule(
        r"(in|from) your (country|location|region)|geo.?restrict",
        VideoBlockedInCountryError,
        "the video is blocked in your country",
        f"ask through a proxy elsewhere: --ytdlp_args='--proxy URL'; {_LOCAL_COPY}",
    ),
    _Rule(
        r"copyright",
        VideoCopyrightError,
        "the video was blocked for copyright",
        _LOCAL_COPY,
    ),
    _Rule(
        r"confirm your age|age.restricted|inappropriate for some users|age verification",
        VideoAgeRestrictedError,
        "the video is age-restricted",
        f"{_COOKIES}; {_LOCAL_COPY}",
    ),
    _Rule(
        r"private video|video is private|members.only|join this channel|login required",
        VideoPrivateError,
        "the video is private",
        f"{_COOKIES}; {_LOCAL_COPY}",
    ),
    _Rule(
        r"video (is )?(un|not |no longer )available|has been removed|been terminated"
        r"|account .*closed|does not exist|HTTP Error 4(04|10)\b",
        VideoRemovedError,
        "the video is no longer there",
        _LOCAL_COPY,
    ),
    _Rule(
        r"HTTP Error (408|425|5\d\d)\b|timed? ?out|connection|unreachable|resolve|getaddrinfo"
        r"|name or service|incomplete|more expected|too short|bytes missing|EOF occurred"
        r"|broken pipe|did not get any data blocks|giving up after|bytes, expected"
        r"|no such file or directory: '.*\.part'",  # youtube-dl: no byte came before its time-out
        DownloadInterruptedError,
        "the download was interrupted",
        "look to the network, then run again",
    ),
    _Rule(
        r"HTTP Error 4\d\d\b|sign in|requested range not satisfiable",
        DownloadRefusedError,
        "the source refuses to send the video",
        f"{_UPDATE}; {_COOKIES}; {_LOCAL_COPY}",
    ),
    _Rule(
        r"unsupported url|is not a valid url",
        NotAVideoError,
        "what came is not a video",
        f"look to --url_base; {_LOCAL_COPY}",
    ),
)
_OTHERWISE = _Rule(
    "",
    DownloadError,
    "the download failed",
    f"{_UPDATE}, and use --downloader=yt-dlp; {_LOCAL_COPY}",
)


def failure(clip: ClipName, tool: str, lines: Sequence[str]) -> DownloadError:
    """The typed error for what `tool` printed; `lines` are its last ones."""
    complaints = [match[1] for line in lines if (match := _COMPLAINT.search(line))]
    text = " ".join(complaints or lines[-3:])
    rule = next((r for r in _RULES if re.search(r.pattern, text, re.IGNORECASE)), _OTHERWISE)
    quote = f" ({tool}: {_shortened(text or 'it said nothing')})"
    return rule.kind(f"{clip.stem}: {rule.reason}{quote}; {rule.remedy}")


def not_a_video(clip: ClipName, tool: str, detail: str) -> NotAVideoError:
    """The error for a delivered file that is something else."""
    return NotAVideoError(
        f"{clip.stem}: what came is not a video ({tool}: {_shortened(detail)}); "
        f"look to --url_base; {_LOCAL_COPY}"
    )


def interrupted(clip: ClipName, tool: str, detail: str) -> DownloadInterruptedError:
    """The error for a download that did not come to its end."""
    return DownloadInterruptedError(
        f"{clip.stem}: the download was interrupted ({tool}: {_shortened(detail)}); "
        "look to the network, then run again"
    )


def _shortened(text: str) -> str:
    line = " ".join(text.partition("; please report this issue")[0].split())
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "…"
