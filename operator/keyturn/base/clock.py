"""Time: the one place that reads the wall clock, and the text form of an instant (RFC 3339, UTC, ending in Z)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_BELOW_MILLISECOND = tuple(timedelta(microseconds=number) for number in range(1000))
"""Made once: a verifier asks for every request, and `replace` costs three times as much."""


def utc_now() -> datetime:
    """Now, in UTC, cut to milliseconds so that an instant survives a trip through the record unchanged."""
    now = datetime.now(UTC)
    return now - _BELOW_MILLISECOND[now.microsecond % 1000]


def format_time(instant: datetime) -> str:
    """Write an instant as the API server does, with milliseconds only where there are any: 2026-11-24T06:09:44.120Z."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    # isoformat ends in the offset, +00:00: six characters.
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds")[:-6] + "Z"


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 instant; raise ValueError for anything else, also for one without an offset.

    Who calculates with one that somebody else wrote must expect the years 1 and 9999: a sum that leaves them raises OverflowError.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write for example 2026-11-24T06:00:00Z")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is in no year from 1 to 9999 in UTC") from None
