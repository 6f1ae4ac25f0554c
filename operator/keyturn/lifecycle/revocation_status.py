"""What an ApiKeyRevocation's status says: `revocation x records -> status`. Pure. Before it: `controller/revocations.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from keyturn.api.v1alpha1.apikeyrevocation import CREATION_PRECISION, ApiKeyRevocation, ApiKeyRevocationStatus
from keyturn.api.v1alpha1.condition import Condition, ConditionStatus
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.clock import MILLISECOND, SECOND, format_time
from keyturn.base.duration import format_duration
from keyturn.base.version_state import VersionState
from keyturn.base.wording import counted
from keyturn.keys.record import DeadEntry, Record
from keyturn.lifecycle.barrier import named
from keyturn.lifecycle.revocation_hit import RevocationHit, hit_on, is_hit

UNKNOWN_SHOWN: Final = 100
_SHOWN_TO_THE_MILLISECOND: Final = 10 * SECOND

Answer = tuple[ConditionStatus, Reason, str]


@dataclass(frozen=True, slots=True)
class RecordStanding:
    """How far a revocation is with one record."""

    known: frozenset[str] = frozenset()
    """Of its keyIDs, those that the record knows."""
    live: int = 0
    """Versions that it means and that are not dead yet."""
    ended: int = 0
    """Versions that it means and that have died since it was created."""
    dead_before: int = 0
    """Versions that were dead by then already: others have ended them."""
    end: datetime | None = None
    """When the last of the live ones ends; None: at once."""


def standing_in(revocation: ApiKeyRevocation, record: Record, *, seen: datetime) -> RecordStanding | None:
    """How far it is with a record; None: the record is none of its business. `seen`: when it was seen first, by the operator's clock."""
    hit = hit_on(revocation, record)
    if hit is None:
        return None
    live = [entry for entry in record.versions if is_hit(hit, entry, record)]
    ends = [entry.not_after for entry in live if entry.not_after is not None]
    dead = [entry for entry in record.dead if _is_meant(hit, entry, record)]
    since = min(seen, hit.created)  # an endTime is by the operator's clock, which may be behind that of the API server
    ended = sum(entry.end_time >= since for entry in dead)
    return RecordStanding(hit.key_ids, len(live), ended, len(dead) - ended, max(ends) if hit.replaces and ends else None)


def _is_meant(hit: RevocationHit, entry: DeadEntry, record: Record) -> bool:
    """Whether a version is dead as this revocation wants it. When a dead one was minted nobody knows any more: its reason has to tell."""
    if hit.key_ids:
        return entry.key_id in hit.key_ids
    return entry.state is VersionState.REVOKED and entry.reason == hit.reason and entry.number <= record.revoked_through


def is_complete(revocation: ApiKeyRevocation) -> bool:
    """Whether its status says that everything is done. Dead stays dead: it need not be looked at again."""
    status = revocation.status
    if status is None or status.observed_generation != revocation.metadata.generation:
        return False
    return any(each.type == ConditionType.COMPLETE and each.status == ConditionStatus.TRUE for each in status.conditions)


def revocation_status(
    revocation: ApiKeyRevocation, standings: Sequence[RecordStanding], *, behind: Sequence[str], seen: datetime, now: datetime
) -> ApiKeyRevocationStatus:
    """The whole status as it should read now. `behind`: verifiers that may still accept what is dead. `seen`: when it was seen first."""
    asked = revocation.spec.key_ids or ()
    known = frozenset[str]().union(*(standing.known for standing in standings))
    unknown = tuple(key_id for key_id in asked if key_id not in known)
    answer = _answer(standings, unknown=len(unknown), behind=behind)
    done = answer[0] is ConditionStatus.TRUE
    generation = revocation.metadata.generation
    return ApiKeyRevocationStatus(
        observed_generation=generation,
        revoked_versions=sum(standing.ended for standing in standings),
        remaining_versions=sum(standing.live for standing in standings),
        dead_before_versions=sum(standing.dead_before for standing in standings),
        unknown_key_ids=unknown[:UNKNOWN_SHOWN] or None,
        latency=_latency(revocation, seen=seen, now=now) if done and any(standing.ended for standing in standings) else None,
        conditions=tuple(_conditions(revocation, answer, now=now)),
    )


def _answer(standings: Sequence[RecordStanding], *, unknown: int, behind: Sequence[str]) -> Answer:
    live, ended = sum(standing.live for standing in standings), sum(standing.ended for standing in standings)
    ends = [standing.end for standing in standings if standing.end is not None]
    if live and ends:
        message = f"{counted(live, 'key version')} will end once all consumers have moved, at the latest at {format_time(max(ends))}"
        return ConditionStatus.FALSE, Reason.REPLACING, message
    if live:
        return ConditionStatus.FALSE, Reason.REVOKING, f"{counted(live, 'key version')} will end within moments"
    if behind:
        message = f"The keys are dead, but {named(behind)} not confirmed that they are refused. Look at its pod and its Lease"
        return ConditionStatus.FALSE, Reason.VERIFIERS_BEHIND, message
    before = sum(standing.dead_before for standing in standings)
    beside = f"; dead before: {counted(before, 'key version')}" if before else ""
    beside += f"; in no record: {counted(unknown, 'key ID')}" if unknown else ""
    if not ended:
        return ConditionStatus.TRUE, Reason.NOTHING_TO_REVOKE, f"No living key version is meant{beside}"
    return ConditionStatus.TRUE, Reason.REVOKED, f"{counted(ended, 'key version')} ended for good, and every live verifier knows{beside}"


def _conditions(revocation: ApiKeyRevocation, answer: Answer, *, now: datetime) -> list[Condition]:
    """kstatus waits for as long as Reconciling is there."""
    status, reason, message = answer
    told = [(ConditionType.COMPLETE, status)]
    if status is not ConditionStatus.TRUE:
        told.append((ConditionType.RECONCILING, ConditionStatus.TRUE))
    before = {each.type: each for each in revocation.status.conditions} if revocation.status is not None else {}
    return [
        Condition(
            type=kind,
            status=is_so,
            reason=reason,
            message=message,
            observed_generation=revocation.metadata.generation,
            last_transition_time=_since(before.get(kind), is_so, now=now),
        )
        for kind, is_so in told
    ]


def _since(before: Condition | None, status: ConditionStatus, *, now: datetime) -> datetime:
    return before.last_transition_time if before is not None and before.status == status else now.replace(microsecond=0)


def _latency(revocation: ApiKeyRevocation, *, seen: datetime, now: datetime) -> str | None:
    """Since the latest moment at which it can have been created: a creationTimestamp has whole seconds, and it was seen afterwards."""
    created = revocation.metadata.creation_timestamp
    if created is None:
        return None
    took = max(now - min(seen, created + CREATION_PRECISION), MILLISECOND)
    precision = MILLISECOND if took < _SHOWN_TO_THE_MILLISECOND else SECOND
    return format_duration(ceil(took / precision) * precision)
