"""Cron schedules with CronJob's syntax and meaning: text in, instants out. `lifecycle/rotation_timing.py` is the caller.

Kubernetes leaves cron to https://github.com/robfig/cron (v3, `ParseStandard`), which walks the local calendar in whole steps.
Around a change of the clocks the outcome depends on how it walks, so `calendar_walk.py` walks alike; `tests/vectors/cron.json` holds
what the Go library answers. The packages croniter and cronsim differ from it on those days, and read a 7 as Sunday.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import DAY, HOUR, MINUTE, SECOND
from keyturn.base.duration import parse_duration
from keyturn.base.errors import UserMustAct
from keyturn.lifecycle.calendar_walk import CalendarWalk

YEARS_SEARCHED: Final = 5
"""A schedule without a run in so many years has none, says robfig/cron."""
_EVERY: Final = "@every "
_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}
_WEEKDAYS: Final = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_NUMBER: Final = re.compile(r"\+?[0-9]{1,18}", re.ASCII)
_FIELDS: Final = 5
_CALENDAR_CYCLE: Final = 28 * 366
"""Days after which dates and weekdays pair up the same way again."""


@dataclass(frozen=True, slots=True)
class ConstantDelay:
    """`@every 1h30m`: so long after the run before, on the full second."""

    delay: timedelta

    def next_after(self, instant: datetime) -> datetime | None:
        """The first run after `instant`, in UTC."""
        return instant.astimezone(UTC).replace(microsecond=0) + self.delay


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Five cron fields as bit sets (bit n: the value n is meant) and the zone they are read in."""

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    """Bit 0 is Sunday."""
    either_day: bool
    """Both day fields are restricted: a day counts that fits one of them."""
    zone: ZoneInfo

    def next_after(self, instant: datetime) -> datetime | None:
        """The first run after `instant`, in UTC; None when the next five years have none."""
        if not (self.minutes and self.hours and self.months):
            return None
        walk = CalendarWalk(instant.astimezone(UTC).replace(microsecond=0) + SECOND, zone=self.zone)
        last_year = walk.local.year + YEARS_SEARCHED
        while walk.local.year <= last_year:
            if self._reach_month(walk) and self._reach_day(walk) and self._reach_hour(walk) and self._reach_minute(walk):
                return walk.at
        return None

    def fits_day(self, day: date) -> bool:
        """Whether the month is left aside and `day` is one that the two day fields mean."""
        by_date = bool(self.days >> day.day & 1)
        by_weekday = bool(self.weekdays >> day.isoweekday() % 7 & 1)
        return by_date or by_weekday if self.either_day else by_date and by_weekday

    # Each of these goes on to the next fitting value; False: a larger field moved too and has to be looked at again.

    def _reach_month(self, walk: CalendarWalk) -> bool:
        while not self.months >> walk.local.month & 1:
            walk.start_at(day=1, hour=0)
            walk.next_month()
            if walk.local.month == 1:
                return False
        return True

    def _reach_day(self, walk: CalendarWalk) -> bool:
        while not self.fits_day(walk.local):
            walk.start_at(day=walk.local.day, hour=0)
            walk.next_day(self._days_ahead(walk.local) if walk.is_midnight else 1)
            if walk.local.day == 1:
                return False
        return True

    def _reach_hour(self, walk: CalendarWalk) -> bool:
        while not self.hours >> walk.local.hour & 1:
            walk.start_at(day=walk.local.day, hour=walk.local.hour)
            walk.forward(_values_ahead(self.hours, walk.local.hour, size=24), HOUR)
            if walk.local.hour == 0:
                return False
        return True

    def _reach_minute(self, walk: CalendarWalk) -> bool:
        while not self.minutes >> walk.local.minute & 1:
            walk.start_at_minute()
            walk.forward(_values_ahead(self.minutes, walk.local.minute, size=60), MINUTE)
            if walk.local.minute == 0:
                return False
        if walk.local.second:
            walk.start_at_minute()
            walk.forward(1, MINUTE)
            return False
        return True

    def _days_ahead(self, day: date) -> int:
        """To the next fitting day, or to the first of the next month."""
        ahead = 1
        while (after := day + ahead * DAY).day != 1 and not self.fits_day(after):
            ahead += 1
        return ahead


Schedule = CronSchedule | ConstantDelay


def parse_schedule(text: str, *, time_zone: str | None, field: str) -> Schedule:
    """Read a schedule; `time_zone` is an IANA name, None is UTC. `field` is named in messages: "rotation.schedule".

    Raises UserMustAct with the reason InvalidSchedule or UnknownTimeZone.
    """
    try:
        return _parse(text, "UTC" if time_zone is None else time_zone)
    except ZoneInfoNotFoundError as error:
        message = (
            f"{field.rpartition('.')[0]}.timeZone: there is no time zone {time_zone!r}: write an IANA name such as Europe/Zurich, or UTC"
        )
        raise UserMustAct(message, reason=Reason.UNKNOWN_TIME_ZONE) from error
    except ValueError as error:
        raise UserMustAct(f"{field} {text!r}: {error}", reason=Reason.INVALID_SCHEDULE) from error


@lru_cache(maxsize=4096)
def smallest_gap(schedule: Schedule) -> timedelta | None:
    """Least time from one run to the next by the calendar; None when there are no two. A change of the clocks may take an hour off."""
    if isinstance(schedule, ConstantDelay):
        return schedule.delay
    times = [HOUR * hour + MINUTE * minute for hour in _members(schedule.hours) for minute in _members(schedule.minutes)]
    days = _smallest_day_gap(schedule)
    if not times or days is None:
        return None
    overnight = days * DAY + times[0] - times[-1]
    return min([overnight, *(later - earlier for earlier, later in pairwise(times))])


def _smallest_day_gap(schedule: CronSchedule) -> int | None:
    """Least number of days from one day with runs to the next."""
    start = date(2000, 1, 1).toordinal()
    smallest: int | None = None
    last: int | None = None
    for ordinal in range(start, start + _CALENDAR_CYCLE):
        day = date.fromordinal(ordinal)
        if not (schedule.months >> day.month & 1 and schedule.fits_day(day)):
            continue
        if last is not None and (smallest is None or ordinal - last < smallest):
            smallest = ordinal - last
        if smallest == 1:
            break
        last = ordinal
    return smallest


def _values_ahead(bits: int, value: int, *, size: int) -> int:
    """How many steps from a field's value to the next one that is meant, or to its wrap to 0."""
    above = bits >> value + 1
    return (above & -above).bit_length() if above else size - value


def _members(bits: int) -> list[int]:
    return [value for value in range(bits.bit_length()) if bits >> value & 1]


@lru_cache(maxsize=4096)
def _parse(text: str, time_zone: str) -> Schedule:
    zone = _zone(time_zone)
    if "TZ" in text:
        raise ValueError("a schedule must not name its zone: write it into timeZone")
    stripped = text.strip()
    if stripped.startswith(_EVERY):
        return ConstantDelay(_delay(stripped.removeprefix(_EVERY)))
    fields = _DESCRIPTORS.get(stripped, stripped).split()
    if len(fields) != _FIELDS:
        known = ", ".join(_DESCRIPTORS)
        raise ValueError(f'write minute, hour, day of month, month and day of week, for example "0 3 * * 1", or one of {known}')
    minutes, _ = _field(fields[0], name="minute", low=0, high=59)
    hours, _ = _field(fields[1], name="hour", low=0, high=23)
    days, any_day = _field(fields[2], name="day of month", low=1, high=31)
    months, _ = _field(fields[3], name="month", low=1, high=12, words=_MONTHS)
    weekdays, any_weekday = _field(fields[4], name="day of week", low=0, high=6, words=_WEEKDAYS)
    return CronSchedule(minutes, hours, days, months, weekdays, either_day=not (any_day or any_weekday), zone=zone)


def _zone(name: str) -> ZoneInfo:
    if name.casefold() in ("", "local", "localtime"):
        raise ZoneInfoNotFoundError(name)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:  # a path that leads elsewhere, a directory ("America"), a file that is no zone
        raise ZoneInfoNotFoundError(name) from error


def _delay(text: str) -> timedelta:
    try:
        delay = parse_duration(text)
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a time") from error
    return max(SECOND, delay - delay % SECOND)


def _field(text: str, *, name: str, low: int, high: int, words: dict[str, int] | None = None) -> tuple[int, bool]:
    """One field as its bit set, and whether it says "any" (`*` or `?`, not with a step above 1)."""
    bits, is_any = 0, False
    for part in filter(None, text.split(",")):
        try:
            values, part_is_any = _range(part, low=low, high=high, words=words or {})
        except ValueError as error:
            raise ValueError(f'{name} "{part}" {error}: write {_allowed(name, low=low, high=high)}') from error
        bits |= sum(1 << value for value in values)
        is_any |= part_is_any
    return bits, is_any


def _allowed(name: str, *, low: int, high: int) -> str:
    numbers = f"{low} to {high}" + (" (0 is Sunday)" if name == "day of week" else "")
    return f"*, a number from {numbers}, a range such as {low}-{low + 2}, or steps such as */2"


def _range(text: str, *, low: int, high: int, words: dict[str, int]) -> tuple[range, bool]:
    """`*`, `4`, `4-7`, each with an optional `/step`; `4/2` goes on to the end."""
    span, *steps = text.split("/")
    first, *rest = span.split("-")
    if len(steps) > 1:
        raise ValueError("has more than one slash")
    step = _number(steps[0], words={}) if steps else 1
    if first in ("*", "?"):
        start, end, is_any = low, high, step == 1
    elif len(rest) > 1:
        raise ValueError("has more than one hyphen")
    else:
        start = _number(first, words=words)
        end = _number(rest[0], words=words) if rest else high if steps else start
        is_any = False
    if not low <= start <= end <= high:
        raise ValueError("runs backwards" if start > end else "is out of range")
    if step == 0:
        raise ValueError("has a step of 0")
    return range(start, end + 1, step), is_any


def _number(text: str, *, words: dict[str, int]) -> int:
    known = words.get(text.lower())
    if known is not None:
        return known
    if not _NUMBER.fullmatch(text):
        raise ValueError("is not a number" + (" or name" if words else ""))
    return int(text)
