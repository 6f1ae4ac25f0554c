"""Lengths of time as kubectl writes them (95s, 5m30s, 3d4h, 400d), and instants seen from now (in 12d, 3h ago). Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from keyturn.base.clock import DAY, HOUR, MINUTE, SECOND

_YEAR: Final = 365 * DAY

# Up to which length, in which unit, and in which smaller one beside it; as apimachinery's duration.HumanDuration does.
_STEPS: Final = (
    (2 * MINUTE, (SECOND, "s"), None),
    (10 * MINUTE, (MINUTE, "m"), (SECOND, "s")),
    (3 * HOUR, (MINUTE, "m"), None),
    (8 * HOUR, (HOUR, "h"), (MINUTE, "m")),
    (2 * DAY, (HOUR, "h"), None),
    (8 * DAY, (DAY, "d"), (HOUR, "h")),
    (2 * _YEAR, (DAY, "d"), None),
    (8 * _YEAR, (_YEAR, "y"), (DAY, "d")),
)


def human_length(length: timedelta) -> str:
    """A length of time in two digits or so; a negative one counts as none."""
    length = max(length, timedelta(0))
    for limit, (unit, letter), beside in _STEPS:
        if length >= limit:
            continue
        whole, rest = divmod(length, unit)
        small = rest // beside[0] if beside else 0
        return f"{whole}{letter}" + (f"{small}{beside[1]}" if beside and small else "")
    return f"{length // _YEAR}y"


def seen_from(now: datetime, instant: datetime) -> str:
    """An instant in the future as `in 12d`, one in the past as `3h ago`."""
    if instant > now:
        return f"in {human_length(instant - now)}"
    return f"{human_length(now - instant)} ago"


def day_from(now: datetime, day: datetime) -> str:
    """A day, of which nothing finer is known: `today`, `yesterday`, `12 days ago`."""
    days = (now.date() - day.date()).days
    return "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"


def due_from(now: datetime, instant: datetime) -> str:
    """When something planned comes: `in 12d`; once it should have come, `now` and soon `overdue 5m`."""
    if instant > now:
        return f"in {human_length(instant - now)}"
    late = now - instant
    return "now" if late < MINUTE else f"overdue {human_length(late)}"
