"""Go durations ("2160h", "1m30s", "500ms"): the one syntax for lengths of time in resources and settings.

Go's `time.ParseDuration`, https://pkg.go.dev/time#ParseDuration; the resources allow a subset of it (h, m, s).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")


def parse_duration(text: str) -> timedelta:
    """Read a Go duration with the units h, m, s and ms; raise ValueError that says what to write."""
    if text == "0":
        return timedelta(0)
    position, total = 0, timedelta(0)
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            break
        try:
            total += float(part[1]) * _UNITS[part[2]]
        except OverflowError:
            raise ValueError(f"{text!r} is too long: write less than a thousand years") from None
        position = part.end()
    if not text or position != len(text):
        raise ValueError(f"{text!r} is not a duration: write hours, minutes, seconds, for example 720h, 1h30m, 500ms")
    return total


def format_duration(length: timedelta) -> str:
    """Write a length of time as the shortest Go duration: 2160h, 1h30m, 500ms, 0s."""
    milliseconds = round(length / timedelta(milliseconds=1))
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    seconds = milliseconds // 1000
    parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
