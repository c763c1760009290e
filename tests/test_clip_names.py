from __future__ import annotations

import re

import pytest

from clip_names import ClipName, parse_clip_name
from errors import ClipNameError


@pytest.mark.parametrize(
    ("stem", "clip"),
    [
        ("KV4jIAq3WJo_155_165", ClipName("KV4jIAq3WJo", 155, 165)),
        ("KV4jIAq3WJo_000155_000165", ClipName("KV4jIAq3WJo", 155, 165)),
        ("-6bJUbfpnaE_0_10", ClipName("-6bJUbfpnaE", 0, 10)),
        ("--help-me_x_17_26", ClipName("--help-me_x", 17, 26)),
        ("a_1_2_3_4_5_6_7", ClipName("a_1_2_3_4_5", 6, 7)),
        ("____1_2_3___4_5", ClipName("____1_2_3__", 4, 5)),
        ("____________4_5", ClipName("___________", 4, 5)),
    ],
)
def test_names_are_read_from_the_right(stem: str, clip: ClipName) -> None:
    assert parse_clip_name(stem) == clip


def test_both_spellings() -> None:
    clip = ClipName("-V4_IAq3WJo", 5, 15)
    assert clip.stem == "-V4_IAq3WJo_5_15"
    assert clip.padded_stem == "-V4_IAq3WJo_000005_000015"
    assert parse_clip_name(clip.stem) == parse_clip_name(clip.padded_stem) == clip


@pytest.mark.parametrize(
    "stem",
    [
        "",
        "clip",
        "KV4jIAq3WJo",
        "KV4jIAq3WJo_155",
        "KV4jIAq3WJo_155_165.pkl",
        "KV4jIAq3WJ_155_165",
        "KV4jIAq3WJoo_155_165",
        "KV4jIAq3WJo_155_165\n",
        "KV4jIAq3WJo_-5_165",
        "KV4jIAq3WJo_1.5_165",
        "KV4jIAq3WJo_١_٢",
        "KV4jIAq3WJo_155_" + "9" * 5000,
        "../../etc/a_0_1",
        '$(touch x)"_0_10',
        "a;reboot;bc_0_10",
    ],
)
def test_what_is_no_name_is_refused_with_the_form_that_was_expected(stem: str) -> None:
    with pytest.raises(ClipNameError, match=r"<video_id>_<start>_<end>"):
        parse_clip_name(stem)


@pytest.mark.parametrize("times", [(10, 10), (10, 9), (-1, 9)])
def test_times_must_ascend(times: tuple[int, int]) -> None:
    with pytest.raises(ClipNameError, match=re.escape(f"starts at {times[0]} s")):
        ClipName("KV4jIAq3WJo", *times)


@pytest.mark.parametrize("video_id", ["../../../etc", "a'b;c\"d`e$f", "KV4jIAq3WJ\n", "short"])
def test_no_clip_can_hold_an_id_that_is_none(video_id: str) -> None:
    with pytest.raises(ClipNameError, match="is not a video id"):
        ClipName(video_id, 0, 10)
