"""When a key rotates: the settings in force, the next due time, the windows. `schedule.py` reads cron; `rotation.py` asks these questions.

Two separate questions, so that a late start never moves the calendar: `next_rotation_time` says when a rotation is due,
`may_start_time` from when on it may start. Pacing over many keys is in `pacing.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, cast

from keyturn.api.v1alpha1.apikey import RotationPolicy, RotationSpec, Window
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import DAY, HOUR, MILLISECOND
from keyturn.base.duration import format_duration
from keyturn.base.errors import UserMustAct
from keyturn.base.settings import Settings
from keyturn.lifecycle.schedule import ConstantDelay, CronSchedule, Schedule, parse_schedule, smallest_gap

LONGEST_DEFAULT_OVERLAP: Final = 7 * DAY
LONGEST_DEFAULT_GRACE: Final = 24 * HOUR
JITTER_DIVISOR: Final = 10
"""Keys of the same age are due within the last tenth of their interval: never later than it, so it bounds a key's age."""
_NEVER_RUNS: Final = 'no such day exists: check day of month and month, for example "0 3 1 * *" for the first of every month'


@dataclass(frozen=True, slots=True)
class EffectiveWindow:
    """A span in which rotations may start: [opening, opening + duration) in elapsed time."""

    opens: CronSchedule
    duration: timedelta

    def open_time(self, instant: datetime) -> datetime | None:
        """The first instant, this one or later, at which the window is open."""
        opening = self.opens.next_after(instant - self.duration)
        return opening if opening is None or opening > instant else instant


@dataclass(frozen=True, slots=True)
class EffectiveRotation:
    """`spec.rotation` after defaults and checks: grace_period <= overlap_limit < the least time between two rotations.

    At most one of interval and schedule is set; neither for policy Manual.
    """

    policy: RotationPolicy
    interval: timedelta | None
    schedule: Schedule | None
    windows: tuple[EffectiveWindow, ...]
    """Empty: at any time."""
    grace_period: timedelta
    overlap_limit: timedelta
    quiet_period: timedelta


def effective_rotation(spec: RotationSpec | None, *, settings: Settings) -> EffectiveRotation:
    """Fill in what the user left out, check what the user wrote. None, "nothing was written", always succeeds.

    Raises UserMustAct: InvalidSchedule, UnknownTimeZone, IntervalTooShort, GracePeriodTooShort, GracePeriodTooLong.
    """
    # Frozen pydantic models are hashable; pyright does not know it.
    return _remembered(cast("Hashable", spec), cast("Hashable", settings))


@lru_cache(maxsize=1024)
def _remembered(spec: Hashable, settings: Hashable) -> EffectiveRotation:
    return _worked_out(cast("RotationSpec | None", spec), settings=cast("Settings", settings))


def _worked_out(spec: RotationSpec | None, *, settings: Settings) -> EffectiveRotation:
    asked = spec or RotationSpec()
    interval, schedule = _cadence(asked, settings=settings)
    windows = tuple(_window(window, field=f"rotation.windows[{index}]") for index, window in enumerate(asked.windows or ()))
    gap = interval or (smallest_gap(schedule) if schedule else None) or _default_interval(settings)
    manual = asked.policy is RotationPolicy.MANUAL
    overlap_limit = _overlap_limit(asked, gap=gap, bounded=not manual, floor=settings.minimum_grace_period)
    usual_grace = _whole_milliseconds(min(LONGEST_DEFAULT_GRACE, overlap_limit / 2))
    return EffectiveRotation(
        policy=RotationPolicy.MANUAL if manual else RotationPolicy.AUTOMATIC,
        interval=None if manual else interval,
        schedule=None if manual else schedule,
        windows=windows,
        grace_period=max(usual_grace, settings.minimum_grace_period) if asked.grace_period is None else asked.grace_period,
        overlap_limit=overlap_limit,
        quiet_period=settings.quiet_period if asked.quiet_period is None else asked.quiet_period,
    )


def next_rotation_time(effective: EffectiveRotation, *, last_rotation_time: datetime, uid: str) -> datetime | None:
    """When the rotation after the last one is due, always later than that; missed dates are one. None: by trigger only."""
    if effective.schedule is not None:
        return effective.schedule.next_after(last_rotation_time)
    if effective.interval is not None:
        return last_rotation_time + effective.interval - jitter(effective.interval, uid=uid)
    return None


def jitter(interval: timedelta, *, uid: str) -> timedelta:
    """How much earlier than the interval this ApiKey rotates: in [0, interval / 10), whole milliseconds, the same at every call."""
    fraction = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8])
    milliseconds = interval // (MILLISECOND * JITTER_DIVISOR)
    return MILLISECOND * (milliseconds * fraction >> 64)


def may_start_time(
    effective: EffectiveRotation, *, due: datetime, now: datetime, last_rotation_time: datetime, spacing: timedelta
) -> datetime:
    """The earliest instant, now or later, at which a rotation that is due then may start.

    Where no window opens within five years (only 29 February over a century's end), windows are left aside rather than the rotation.
    """
    earliest = max(now, due, last_rotation_time + spacing)
    openings = [window.open_time(earliest) for window in effective.windows]
    return min((opening for opening in openings if opening is not None), default=earliest)


def in_window(effective: EffectiveRotation, *, instant: datetime) -> bool:
    """Whether rotations may start at that instant."""
    return not effective.windows or any(window.open_time(instant) == instant for window in effective.windows)


def _cadence(asked: RotationSpec, *, settings: Settings) -> tuple[timedelta | None, Schedule | None]:
    """What makes rotations due: an interval or a schedule, not below the floor."""
    floor = max(settings.minimum_interval, MILLISECOND)
    if asked.schedule is not None:
        schedule = parse_schedule(asked.schedule, time_zone=asked.time_zone, field="rotation.schedule")
        gap = smallest_gap(schedule)
        if gap is None:
            raise UserMustAct(f"rotation.schedule {asked.schedule!r} never runs: {_NEVER_RUNS}", reason=Reason.INVALID_SCHEDULE)
        if gap < floor:
            _refuse_short(f"rotation.schedule {asked.schedule!r} has runs only {format_duration(gap)} apart", floor=floor)
        return None, schedule
    if asked.interval is None:
        return _default_interval(settings), None
    if asked.interval < floor:
        _refuse_short(f"rotation.interval is {format_duration(asked.interval)}", floor=floor)
    return asked.interval, None


def _refuse_short(what: str, *, floor: timedelta) -> None:
    message = f"{what}: write one of at least {format_duration(floor)} (the operator's --minimum-interval)"
    raise UserMustAct(message, reason=Reason.INTERVAL_TOO_SHORT)


def _default_interval(settings: Settings) -> timedelta:
    """The settings' own, unless other settings leave no room for it."""
    return max(settings.rotation_interval, settings.minimum_interval, 2 * settings.minimum_grace_period, MILLISECOND)


def _overlap_limit(asked: RotationSpec, *, gap: timedelta, bounded: bool, floor: timedelta) -> timedelta:
    """How long an old key may live at most. `bounded`: it has to end within `gap`, before the next rotation."""
    grace, limit = asked.grace_period, asked.overlap_limit
    for name, length in (("gracePeriod", grace), ("overlapLimit", limit)):
        if length is not None and length < floor:
            least = f"write at least {format_duration(floor)} (the operator's --minimum-grace-period)"
            raise UserMustAct(f"rotation.{name} is {format_duration(length)}: {least}", reason=Reason.GRACE_PERIOD_TOO_SHORT)
        if length is not None and length >= gap and bounded:
            most = f"write less than the {format_duration(gap)} between two rotations, which have to end before the next one starts"
            raise UserMustAct(f"rotation.{name} is {format_duration(length)}: {most}", reason=Reason.GRACE_PERIOD_TOO_LONG)
    if grace is not None and limit is not None and grace > limit:
        message = f"rotation.gracePeriod is {format_duration(grace)}: write at most the overlapLimit, {format_duration(limit)}"
        raise UserMustAct(message, reason=Reason.GRACE_PERIOD_TOO_LONG)
    if floor >= gap and bounded:
        message = f"two rotations are only {format_duration(gap)} apart: write a longer rotation.interval or a rarer rotation.schedule"
        raise UserMustAct(f"{message}, the old key lives on for at least {format_duration(floor)}", reason=Reason.INTERVAL_TOO_SHORT)
    if limit is not None:
        return limit
    return _longest((_whole_milliseconds(min(LONGEST_DEFAULT_OVERLAP, gap / 2)), floor, grace))


def _longest(lengths: Iterable[timedelta | None]) -> timedelta:
    return max(length for length in lengths if length is not None)


def _whole_milliseconds(length: timedelta) -> timedelta:
    """Cut to what the record can hold."""
    return length - length % MILLISECOND


def _window(window: Window, *, field: str) -> EffectiveWindow:
    opens = parse_schedule(window.cron, time_zone=window.time_zone, field=f"{field}.cron")
    if isinstance(opens, ConstantDelay):
        message = f'{field}.cron {window.cron!r} does not say at what times: write for example "0 22 * * 1-5"'
        raise UserMustAct(message, reason=Reason.INVALID_SCHEDULE)
    if smallest_gap(opens) is None:
        raise UserMustAct(f"{field}.cron {window.cron!r} never runs: {_NEVER_RUNS}", reason=Reason.INVALID_SCHEDULE)
    if window.window_duration <= timedelta(0):
        raise UserMustAct(f"{field}.windowDuration is 0s, so the window never opens: write for example 4h", reason=Reason.INVALID_SCHEDULE)
    return EffectiveWindow(opens, window.window_duration)
