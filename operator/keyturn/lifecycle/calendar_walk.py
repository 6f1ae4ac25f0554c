"""Steps through time on a local clock that is changed twice a year, for `schedule.py`.

The steps are those of https://github.com/robfig/cron (v3), traps included: a change by 30 minutes (Lord Howe) throws its walk off the
full hour until the next midnight, a midnight that does not exist is passed over. Kubernetes has exactly these runs, so we have them too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from keyturn.base.clock import DAY, HOUR

_NOON: Final = 12


class CalendarWalk:
    """A place in time that moves forward, seen in UTC and on the local clock."""

    __slots__ = ("_started", "_zone", "at", "local")

    def __init__(self, at: datetime, *, zone: ZoneInfo) -> None:
        self._zone = zone
        self._started = False
        self.move(at)

    def move(self, at: datetime) -> None:
        """Go to an instant, given in UTC."""
        self.at = at
        self.local = at.astimezone(self._zone)

    @property
    def is_midnight(self) -> bool:
        """Whether a local day begins here: only then are many days at once the same as one after the other."""
        return not (self.local.hour or self.local.minute or self.local.second)

    def forward(self, count: int, step: timedelta) -> None:
        """Go `count` steps of elapsed time, or just one where the clocks change in between."""
        offset = self.local.utcoffset()
        before = self.at
        self.move(before + count * step)
        if count > 1 and self.local.utcoffset() != offset:
            self.move(before + step)

    def start_at(self, *, day: int, hour: int) -> None:
        """Before the first step: forget the smaller fields, which said only where the search began."""
        if not self._started:
            self._started = True
            self._move_to_wall(self.local.replace(day=day, hour=hour, minute=0, second=0))

    def start_at_minute(self) -> None:
        """The same for the seconds; counted in elapsed time, so it never jumps across a change of the clocks."""
        self._started = True
        self.move(self.at.replace(second=0))

    def next_month(self) -> None:
        """The same day and local time a month later."""
        first = self.local.replace(day=1)
        first = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        self._move_to_wall(first + (self.local.day - 1) * DAY)

    def next_day(self, count: int) -> None:
        """The same local time a day, or `count` days, later, pulled to the day's first hour where midnight did not exist."""
        before = self.at
        self._move_to_wall(self.local + count * DAY)
        if hour := self.local.hour:
            self.move(self.at + (24 - hour) * HOUR if hour > _NOON else self.at - hour * HOUR)
        if self.at <= before:  # a whole day was skipped (Apia, 2011-12-30): robfig/cron never returns from here
            self.move(before + DAY)

    def _move_to_wall(self, wall: datetime) -> None:
        """Go to a local time, choosing as Go's time.Date does where the clocks skip or repeat it."""
        as_utc = wall.replace(tzinfo=UTC)
        guess = as_utc - self._offset(as_utc)
        self.move(as_utc - self._offset(guess))

    def _offset(self, at: datetime) -> timedelta:
        return at.astimezone(self._zone).utcoffset() or timedelta(0)
