"""The state table of key versions, and the moves a record makes through it.

The table is a law that tests check, not a driver: what happens next is decided in `decide.py` from what the cluster holds.
The picture in docs/explanation/rotation.md is made from MOVES.

    R1  the version in the credential Secret (S) only grows
    R2  S moves to v only if the writer's view has v in the record (R)
    R3  R retires v only if v is below the version S has in the writer's view; ends by intent may hit any version
    R4  every write of R and S carries resourceVersion; after a 409 or a time-out one observes again
    R5  S moves only if afterwards at most two delivered versions are accepted
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from keyturn.base.version_state import VersionState
from keyturn.keys.record import DEAD_LIMIT, DeadEntry, Record, SecretFingerprint, VersionEntry
from keyturn.lifecycle.plan import Change

ELSEWHERE: Final = "Elsewhere"
"""Reason of a tombstone whose key lives on: two ApiKeys had it at one moment, and it belongs to the other."""
MOVES: Final[dict[VersionState, dict[VersionState, str]]] = {
    VersionState.STAGED: {
        VersionState.ACTIVE: "delivered: the credential Secret holds it",
        VersionState.RETIRED: "never delivered, and a later one was",
        VersionState.REVOKED: "revoked, expired, or the ApiKey was deleted",
    },
    VersionState.ACTIVE: {
        VersionState.RETIRING: "the next version was delivered",
        VersionState.REVOKED: "revoked, expired, or the ApiKey was deleted",
    },
    VersionState.RETIRING: {
        VersionState.RETIRED: "grace over and no consumer left, or overlap limit reached",
        VersionState.REVOKED: "revoked, expired, or the ApiKey was deleted",
    },
    VersionState.RETIRED: {},
    VersionState.REVOKED: {},
}


def bury(record: Record, *entries: VersionEntry, state: VersionState, reason: str, now: datetime) -> Record:
    """Move live versions to the tombstones. `dead_through` rises over every number below the lowest live one."""
    gone = {entry.number for entry in entries}
    live = tuple(entry for entry in record.versions if entry.number not in gone)
    buried = tuple(_tombstone(entry, state=state, reason=reason, now=now) for entry in entries)
    lowest_live = min((entry.number for entry in live), default=record.highest + 1)
    record = with_tombstones(record, (*record.dead, *buried))
    return replace(record, versions=live, dead_through=max(record.dead_through, lowest_live - 1))


def with_tombstones(record: Record, dead: Iterable[DeadEntry], *, limit: int = DEAD_LIMIT) -> Record:
    """With the last `limit` of these tombstones. What goes leaves its digest behind, where it speaks of a key that was made elsewhere."""
    inorder = sorted(dead, key=lambda entry: entry.number)
    first_kept = max(0, len(inorder) - limit)
    digests = (entry.digest for entry in inorder[:first_kept] if entry.digest and entry.reason != ELSEWHERE)
    ended = tuple(dict.fromkeys((*record.ended_digests, *digests)))
    return replace(record, dead=tuple(inorder[first_kept:]), ended_digests=ended)


def _tombstone(entry: VersionEntry, *, state: VersionState, reason: str, now: datetime) -> DeadEntry:
    return DeadEntry(
        number=entry.number,
        key_id=entry.key_id,
        end_time=now,
        state=state,
        reason=reason,
        cause=entry.cause,
        digest=entry.digest if entry.imported else "",
    )


def activate(record: Record, number: int, *, secret: SecretFingerprint | None, not_after: datetime, now: datetime) -> Record:
    """Consumers have `number`: make it Active, what was Active Retiring until `not_after`, bury older orphans.

    `secret`: where they have it from; None: not from a Secret.

    A notAfter that is there never grows: a Retiring version keeps it, and so does an Active one
    that a revocation gave an end. An orphan with a higher number must stay (R3); a notAfter marks it.
    """
    orphans = tuple(e for e in record.in_state(VersionState.STAGED) if e.number < number)
    record = bury(record, *orphans, state=VersionState.RETIRED, reason="NeverDelivered", now=now)
    versions = tuple(_after_switch(entry, number, not_after=not_after, now=now) for entry in record.versions)
    return replace(record, versions=versions, secret=secret, change=Change.ACTIVATED)


def _after_switch(entry: VersionEntry, number: int, *, not_after: datetime, now: datetime) -> VersionEntry:
    if entry.number == number:
        return replace(entry, state=VersionState.ACTIVE, active_time=now)
    if entry.state is VersionState.ACTIVE:
        return replace(entry, state=VersionState.RETIRING, not_after=min(not_after, entry.not_after or not_after))
    if entry.state is VersionState.STAGED:
        return replace(entry, not_after=entry.not_after or not_after)
    return entry


def is_dead(record: Record, number: int) -> bool:
    """Whether that version ended for good."""
    if record.version(number) is not None:
        return False
    return number <= record.dead_through or any(entry.number == number for entry in record.dead)


def delivered(record: Record) -> tuple[VersionEntry, ...]:
    """The versions that consumers may hold and verifiers accept: Active and Retiring."""
    return tuple(e for e in record.versions if e.state in (VersionState.ACTIVE, VersionState.RETIRING))
