"""What a verifier tells the operator of the use of keys: lines of text in ConfigMaps. `docs/reference/use-reports.md` is about it.

Written by `verifier/service/use_report.py`, read by `cluster/replica_reports.py`. Nothing in it ends a key: it delays the end of an old one
and dates the last use. So a line that cannot be read counts as not written, and no use was in the future.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Final
from zlib import crc32

from keyturn.base.clock import DAY, format_time, parse_time
from keyturn.base.names import is_record_name

FORMAT: Final = "1"
FORMAT_ENTRY: Final = "format"
RETIRING_ENTRY: Final = "retiring"
DAYS_ENTRY: Final = "days"
REPORTED_TIME_ANNOTATION: Final = "keyturn.dev/use-reported-time"
"""On a replica's Lease: every use of a Retiring version up to this instant stands in its reports."""
UNUSED: Final = "-"
CLOCKS_AHEAD: Final = DAY
"""How far ahead a replica's clock may be. What is said to be later counts as this far ahead of our own: nobody waits for the year 9999.

Not as now: whether a replica has told everything is seen by comparing its instants with each other, so one that is ahead keeps its own.
"""
LARGEST: Final = 256 * 1024
"""Characters a ConfigMap is filled with at most; the API server refuses more than 1 MiB."""

LastUses = dict[str, datetime | None]
"""By key ID of a Retiring version; None: this replica knows the version as Retiring and was not asked with it."""
UseDays = dict[str, date]
"""By record name."""


def write_retiring(uses: Mapping[str, int | None]) -> str:
    """Lines `<key ID> <last use>`, sorted; instants in unix seconds."""
    text_of = {at: UNUSED if at is None else _seconds(at) for at in set(uses.values())}  # uses of one second share an instant
    return "".join(f"{key_id} {text_of[at]}\n" for key_id, at in sorted(uses.items()))


def read_retiring(text: str, *, now: datetime) -> LastUses:
    """Read what `write_retiring` wrote. Never raises."""
    found: LastUses = {}
    latest = now + CLOCKS_AHEAD
    for key_id, value in _pairs(text):
        if value == UNUSED:
            found[key_id] = None
        elif (at := _instant(value)) is not None:
            found[key_id] = min(at, latest)
    return found


def write_days(days: Mapping[str, int]) -> str:
    """Lines `<namespace>.<name> <day>`, sorted; days as `date.toordinal` counts them."""
    text_of = {day: date.fromordinal(day).isoformat() for day in set(days.values())}
    return "".join(f"{name} {text_of[day]}\n" for name, day in sorted(days.items()))


def read_days(text: str, *, now: datetime) -> Iterator[tuple[str, int]]:
    """Read what `write_days` wrote, pair by pair: there may be thousands. Never raises."""
    known: dict[str, int | None] = {}
    latest = (now + CLOCKS_AHEAD).toordinal()
    for name, value in _pairs(text):
        if value not in known:
            known[value] = _ordinal(value)
        day = known[value]
        if day is not None and is_record_name(name):
            yield name, min(day, latest)


def shard_of(name: str, count: int) -> int:
    """In which of `count` ConfigMaps a name is written: the same in every process."""
    return crc32(name.encode("utf-8", "surrogatepass")) % count


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name and value:
            yield name, value


def _seconds(at: int) -> str:
    return format_time(datetime.fromtimestamp(at, UTC))


def _instant(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def _ordinal(text: str) -> int | None:
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        return None
