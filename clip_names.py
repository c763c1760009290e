"""What a clip is called: `<video_id>_<start>_<end>`, as the dataset names its pickles.

    clip = parse_clip_name("KV4jIAq3WJo_155_165")   # ClipName("KV4jIAq3WJo", 155, 165)
    clip.padded_stem                                # "KV4jIAq3WJo_000155_000165"

Covered by tests/test_clip_names.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from errors import ClipNameError

_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# The id may itself contain `_`: its fixed length is what tells it from the times.
_CLIP_NAME = re.compile(rf"({_VIDEO_ID.pattern})_([0-9]{{1,6}})_([0-9]{{1,6}})")


@dataclass(frozen=True)
class ClipName:
    """One Kinetics clip: seconds `start_sec` to `end_sec` of the YouTube video `video_id`.

    Raises:
        ClipNameError: the id is not 11 characters of [A-Za-z0-9_-], or the times do not ascend.
    """

    video_id: str
    start_sec: int
    end_sec: int

    def __post_init__(self) -> None:
        if not _VIDEO_ID.fullmatch(self.video_id):
            raise ClipNameError(
                f"{self.video_id!r} is not a video id; expected 11 characters of A-Z a-z 0-9 _ -"
            )
        if not 0 <= self.start_sec < self.end_sec:
            raise ClipNameError(
                f"{self.video_id}: the clip starts at {self.start_sec} s and ends at "
                f"{self.end_sec} s; expected 0 <= start < end"
            )

    @property
    def stem(self) -> str:
        """The name as the dataset writes it, such as `KV4jIAq3WJo_155_165`."""
        return f"{self.video_id}_{self.start_sec}_{self.end_sec}"

    @property
    def padded_stem(self) -> str:
        """The name as copies of Kinetics write it, such as `KV4jIAq3WJo_000155_000165`."""
        return f"{self.video_id}_{self.start_sec:06d}_{self.end_sec:06d}"

    @property
    def duration_sec(self) -> int:
        """Length of the clip in seconds."""
        return self.end_sec - self.start_sec


def parse_clip_name(stem: str) -> ClipName:
    """Reads a file name without its suffix, times padded with zeros or not.

    Raises:
        ClipNameError: it is not of that form.
    """
    match = _CLIP_NAME.fullmatch(stem)
    if match is None:
        raise ClipNameError(
            f"{stem!r} is not the name of a clip; expected <video_id>_<start>_<end>, an id of 11 "
            "characters and whole seconds, such as KV4jIAq3WJo_155_165"
        )
    return ClipName(match[1], int(match[2]), int(match[3]))
