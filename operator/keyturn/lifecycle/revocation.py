"""What ApiKeyRevocations do to a record, and the rule that brings the successor. Pure.

A revocation is carried out by writing the ledger, at once and whatever else is the case with the ApiKey: Immediate ends the versions
that it means, Replace writes their notAfter. From then on the record alone says so: deleting the revocation, or applying anything
again, gives nothing back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikeyrevocation import RevocationReason
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import DeadEntry, Record, VersionEntry
from keyturn.lifecycle.observed import GoodRecord, Observed
from keyturn.lifecycle.pacing import fraction
from keyturn.lifecycle.plan import Change, Plan, SaveRecord, Stage
from keyturn.lifecycle.power import with_requests
from keyturn.lifecycle.revocation_hit import RevocationHit, revoked_by
from keyturn.lifecycle.situation import Situation
from keyturn.lifecycle.versions import bury

REVOCATION_GONE: Final = "Revoked"
"""Reason of a tombstone whose revocation was deleted before the version's time was up."""
SHARE_TO_BEGIN: Final = 0.25
_REASONS: Final = frozenset({*map(str, RevocationReason), REVOCATION_GONE})


def revocation_acts(seen: Observed) -> Plan | None:
    """The emergency brake: no pause, no mistake in a spec and no missing ApiKey keeps alive what was revoked."""
    if not isinstance(seen.record, GoodRecord):
        return None
    after = _after_revocations(seen, seen.record.record)
    return None if after is None else Plan((SaveRecord(after, is_brake=after.change == Change.REVOKED),))


def _after_revocations(seen: Observed, record: Record) -> Record | None:
    """The record as the revocations want it; None: they want nothing of it."""
    default, after, change = seen.settings.replace_within, record, Change.UPDATED
    for entry in record.versions:
        hit = revoked_by(record, entry, seen.revocations, default=default)
        end = hit.end(default=default) if hit is not None else None
        if (hit is not None and end is None) or _is_over(seen, entry, end):
            reason = hit.reason if hit is not None else REVOCATION_GONE
            after, change = bury(after, entry, state=VersionState.REVOKED, reason=reason, now=seen.now), Change.REVOKED
        elif end is not None and (entry.not_after is None or entry.not_after > end):
            after = _with_end(after, entry, end)
    if after is record:
        return None
    return replace(_noted(_with_room(after, record, seen), record, seen.revocations), change=change)


def _is_over(seen: Observed, entry: VersionEntry, end: datetime | None) -> bool:
    """Whether the time of a version that is being replaced is up. What wrote its notAfter may have been deleted since."""
    is_being_replaced = end is not None or entry.state is VersionState.ACTIVE
    ends = [end, entry.not_after] if is_being_replaced else []
    return not seen.clock_is_off and any(each is not None and each <= seen.now for each in ends)


def _with_end(record: Record, entry: VersionEntry, end: datetime) -> Record:
    versions = tuple(replace(each, not_after=end) if each.number == entry.number else each for each in record.versions)
    return replace(record, versions=versions)


def _with_room(after: Record, before: Record, seen: Observed) -> Record:
    """Two keys are delivered at the most: an older one that is not meant must go while there is still time for the successor."""
    active, was = after.active, before.active
    if active is None or active.not_after is None or was is None or was.not_after == active.not_after:
        return after
    half = seen.now + (active.not_after - seen.now) / 2
    versions = tuple(
        replace(each, not_after=half) if each.state is VersionState.RETIRING and (each.not_after is None or each.not_after > half) else each
        for each in after.versions
    )
    return replace(after, versions=versions)


def _noted(after: Record, before: Record, hits: tuple[RevocationHit, ...]) -> Record:
    """Whatever is minted from now on is a successor, whatever the clock of its minter says."""
    latest = max((hit.minted_before for hit in hits if hit.minted_before is not None), default=None)
    if latest is None or (before.revoked_before is not None and latest <= before.revoked_before):
        return after
    return replace(after, revoked_before=latest, revoked_through=before.highest)


def next_time(seen: Observed) -> datetime | None:
    """When the next version ends that has an end, or is replaced."""
    if not isinstance(seen.record, GoodRecord):
        return None
    ends = [entry.not_after for entry in seen.record.record.versions if entry.not_after is not None]
    active = seen.record.record.active
    turns = [_turn(seen, active)] if active is not None and active.not_after is not None else []
    return min((each for each in (*ends, *turns) if each > seen.now), default=None)


def replacement_was_ordered(case: Situation) -> Plan | None:
    """An Active version with an end of its own is being replaced. Windows, spacing and pacer are not asked."""
    active = case.active
    if active is None or active.not_after is None or case.wanted_staged is not None:
        return None
    if case.problem is not None or case.retiring or case.now < _turn(case.seen, active):
        return None
    return Plan((Stage(case.next_number, Cause.REPLACED, with_requests(case.record, case.apikey)),))


def _turn(seen: Observed, active: VersionEntry) -> datetime:
    """When its replacement begins: of many keys each at a time of its own, so that a thousand rollouts do not begin in one second.

    In the first quarter of the time there is: the rest is for the consumers.
    """
    default = seen.settings.replace_within
    if not isinstance(seen.record, GoodRecord) or seen.clock_is_off:
        return seen.now
    hit = revoked_by(seen.record.record, active, seen.revocations, default=default)
    end = hit.end(default=default) if hit is not None else None
    if hit is None or end is None or not hit.is_of_many:
        return seen.now
    return hit.created + (end - hit.created) * (fraction(seen.key) * SHARE_TO_BEGIN)


def ended_by_revocation(record: Record) -> DeadEntry | None:
    """The tombstone written last, where a revocation wrote it."""
    last = max(record.dead, key=lambda entry: (entry.end_time, entry.number), default=None)
    return last if last is not None and last.state is VersionState.REVOKED and last.reason in _REASONS else None
