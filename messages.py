"""Text for people, whatever the files that it speaks of are called.

    print(one_line(str(error)))

Covered by tests/test_messages.py.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """File names and keys may hold line breaks and codes that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as people write them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
