"""Is the old key still used? Pure: what verifiers report goes in, a reason to wait comes out. `overlap.py` asks.

What verifiers say can only delay the end of an old key, never hasten it, and its notAfter ends every delay. Unknown is not quiet:

- a live replica counts as quiet up to the instant it has reported for, not up to now, and only if it names the version as one on its
  way out: one that does not has not heard of the switch and counts nothing to the second;
- a replica whose Lease lapsed died without a last word: the version may have been used there until the Lease ended.

Each replica's instants come from its own clock and are compared with each other above all: a clock that is off delays, it does not deceive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from keyturn.api.use_report import CLOCKS_AHEAD
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import DAY, SECOND, format_time
from keyturn.base.duration import format_duration
from keyturn.lifecycle.plan import Waiting

PATIENCE: Final = 30 * SECOND
"""How long a report may be late before it is told; replicas speak when they renew their Leases, every 5 s by default."""
DAYS_MATTER: Final = 3 * DAY
USES_MATTER: Final = 31 * DAY
SHORTEST_RECHECK: Final = SECOND
LONGEST_RECHECK: Final = 5 * SECOND


@dataclass(frozen=True, slots=True)
class ReplicaLife:
    """A verifier replica by its Lease."""

    replica: str
    lapsed_time: datetime | None = None
    """When its Lease ended; None: it is renewed."""
    reported_time: datetime | None = None
    """Up to when it has reported every use; None: it has not said."""


@dataclass(frozen=True, slots=True)
class ReplicaUse:
    """What one replica says of one version."""

    replica: str
    life: ReplicaLife | None
    """None: it took its leave in good order, and its last word stands."""
    knows_version: bool = True
    """It names the version as one on its way out."""
    last_use_time: datetime | None = None
    """When the version was last used there, as far as it says."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What all verifiers together say of one ApiKey."""

    last_day: date | None = None
    """The day any version was last used."""
    retiring: tuple[ReplicaUse, ...] = ()
    """Of the version on its way out; empty: no verifier says anything, so there is nothing to wait for."""


NOBODY_REPORTS: Final = KeyUse()


def uses_of(lives: Iterable[ReplicaLife], said: Mapping[str, datetime | None]) -> tuple[ReplicaUse, ...]:
    """Put together what is known of one version. `said`: by replica that names it, when it was last used there."""
    living = {life.replica: life for life in lives}
    silent = [ReplicaUse(name, life, knows_version=False) for name, life in living.items() if name not in said]
    return (*silent, *(ReplicaUse(name, living.get(name), last_use_time=at) for name, at in said.items()))


def reason_to_wait(
    use: KeyUse, *, number: int, switch_time: datetime, quiet_period: timedelta, now: datetime
) -> tuple[Waiting, datetime] | None:
    """Why the old version may not retire yet, and when to look again; None: it has been quiet for the whole period."""
    served = tuple(each for each in use.retiring if each.knows_version or _was_there_after(each, switch_time))
    if not served or quiet_period <= timedelta(0):
        return None
    possible = max([switch_time, *(instant for each in served for instant in _possible_uses(each, now=now))])
    end = possible + quiet_period
    silent = sorted(each.replica for each in served if not _speaks_for(each, end))
    if now >= end and not silent:
        return None
    look = max(end, now + recheck_after(quiet_period))
    if now < end + min(PATIENCE, quiet_period):
        return _noisy(served, number=number, possible=possible, quiet_period=quiet_period, now=now), look
    message = f"Verifier {silent[0]}{_and_more(silent)} has not reported whether version {number} is still used"
    return Waiting(Reason.USE_UNKNOWN, message), look


def recheck_after(quiet_period: timedelta) -> timedelta:
    """How soon to look again for a report that is due."""
    return min(max(quiet_period / 10, SHORTEST_RECHECK), LONGEST_RECHECK)


def needed_until(made: datetime, uses: Mapping[str, datetime | None], newest_day: date, *, now: datetime) -> datetime:
    """How long a report of a replica that is no more may still say something that is not known otherwise.

    Days are in the statuses by then; a use of an old version that long ago is no reason to wait; and a young one may be that of a
    replica whose Lease is not seen yet.
    """
    latest = now + CLOCKS_AHEAD
    matters = [min(made, latest) + DAY, datetime.combine(min(newest_day, latest.date()), time(), UTC) + DAYS_MATTER]
    return max([*matters, *(min(at, latest) + USES_MATTER for at in uses.values() if at is not None)])


def _was_there_after(each: ReplicaUse, instant: datetime) -> bool:
    return each.life is not None and (each.life.lapsed_time is None or each.life.lapsed_time > instant)


def _possible_uses(each: ReplicaUse, *, now: datetime) -> list[datetime]:
    """When the version was used there last, and when it may have been without a word."""
    lapsed = each.life.lapsed_time if each.life is not None else None
    said = ((each.last_use_time, now + CLOCKS_AHEAD), (lapsed, now))
    return [min(instant, latest) for instant, latest in said if instant is not None]


def _speaks_for(each: ReplicaUse, end: datetime) -> bool:
    """Whether nothing is left unsaid about the time up to `end`."""
    life = each.life
    if life is None or life.lapsed_time is not None:
        return True
    return each.knows_version and life.reported_time is not None and life.reported_time >= end


def _noisy(served: tuple[ReplicaUse, ...], *, number: int, possible: datetime, quiet_period: timedelta, now: datetime) -> Waiting:
    rule = f"it ends when nobody has used it for {format_duration(quiet_period)}"
    where = sorted(each.replica for each in served if each.last_use_time == possible)
    if where:
        return Waiting(Reason.OLD_KEY_IN_USE, f"Version {number} was still used at {format_time(possible)} (verifier {where[0]}): {rule}")
    dead = sorted(each.replica for each in served if possible in _possible_uses(each, now=now))
    if dead:
        message = f"Verifier {dead[0]}{_and_more(dead)} fell silent and may have seen version {number} used until {format_time(possible)}"
        return Waiting(Reason.USE_UNKNOWN, f"{message}: {rule}")
    return Waiting(Reason.PREVIOUS_VERSION_RETIRING, f"Version {number} was replaced at {format_time(possible)}: {rule}")


def _and_more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
