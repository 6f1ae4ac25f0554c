"""What people and auditors are told of a record's last write: `Record -> words`. Pure, so that it can be told again after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey, ApiKeyStatus
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.clock import format_time
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import DeadEntry, Record
from keyturn.lifecycle.plan import Change
from keyturn.lifecycle.restore import OLD_RECORD

NORMAL: Final = "Normal"
WARNING: Final = "Warning"
ENDING_CHANGES: Final = frozenset({Change.RETIRED, Change.REVOKED, Change.EXPIRED, Change.ENDED})
REPAIRS: Final = frozenset({Cause.SECRET_LOST, Cause.SECRET_TAMPERED, Cause.RECORD_LOST})


@dataclass(frozen=True, slots=True)
class EventText:
    """A Kubernetes Event without its envelope. `seed` makes a repeat the same Event."""

    type: str
    reason: str
    action: str
    message: str
    seed: str


def event_of(record: Record) -> EventText | None:
    """The Event of the record's last change; None for a change that only auditors care about."""
    told = _told(record)
    if told is None:
        return None
    kind, reason, action, message = told
    return EventText(type=kind, reason=reason, action=action, message=message, seed=f"{record.uid}/{record.serial}")


def loss_of(apikey: ApiKey, *, number: int) -> EventText:
    """The Event of a credential Secret that is gone, before version `number` is minted in its place."""
    message = f"Secret {apikey.secret_name} is gone, so version {number} is issued. Find out who deletes it"
    return EventText(WARNING, "SecretLost", "Rotate", message, f"{apikey.metadata.uid}/SecretLost/{number}")


def sealing_of(apikey: ApiKey, *, number: int, key_id: str, expiration_time: datetime) -> EventText:
    """The Event of a key that waits for its person, before it stands in the status."""
    message = f"Version {number} ({key_id}) waits in status.sealed for its person until {format_time(expiration_time)}"
    return EventText(NORMAL, Reason.AWAITING_RECEIPT, "Seal", message, f"{apikey.metadata.uid}/Sealed/{key_id}")


def _told(record: Record) -> tuple[str, str, str, str] | None:
    match record.change:
        case Change.ACTIVATED:
            return _activated(record)
        case Change.RETIRED:
            return _retired(record)
        case Change.REVOKED | Change.EXPIRED | Change.ENDED:
            return WARNING if record.change == Change.REVOKED else NORMAL, str(record.change), "End", _ended(record)
        case Change.RESTORED:
            return (
                WARNING,
                "RecordRestored",
                "Restore",
                "The verifier record was lost and was written again from what was still known of it",
            )
        case Change.RECOVERED:
            return WARNING, Reason.RESTORE_DETECTED, "Restore", _recovered(record)
        case Change.RETAINED:
            return NORMAL, "Retained", "Retain", "The ApiKey is gone; its key stays in force, as deletionPolicy: Retain asks"
        case Change.TAKEN_OVER:
            return NORMAL, "TakenOver", "TakeOver", "This ApiKey took over the key that an earlier one of this name left behind"
        case _:
            return None


def _activated(record: Record) -> tuple[str, str, str, str] | None:
    active, retiring = record.active, record.in_state(VersionState.RETIRING)
    if active is None:
        return None
    delivered = f"Version {active.number} ({active.key_id}) is in {'force' if record.secret is None else 'the Secret'} [{active.cause}]"
    if not retiring:
        return NORMAL, "Issued", "Issue", delivered
    old = retiring[-1]
    until = f", at most until {format_time(old.not_after)}" if old.not_after else ""
    message = f"{delivered}; version {old.number} ({old.key_id}) still works{until}"
    repaired = active.cause in REPAIRS
    return WARNING if repaired else NORMAL, "Rotated", "Rotate", message


def _recovered(record: Record) -> str:
    was_old = (
        "The verifier record was an old one: somebody restored a backup, or put it back. What is known of later versions was written again"
    )
    dead = [entry for entry in record.dead if entry.reason == OLD_RECORD]
    return f"{was_old}; version {dead[-1].number} ({dead[-1].key_id}) stays dead" if dead else was_old


def _retired(record: Record) -> tuple[str, str, str, str]:
    last = latest_dead(record)
    if last is None:
        return NORMAL, "Retired", "Retire", "An old version ended"
    message = f"Version {last.number} ({last.key_id}) is no longer accepted [{last.reason}]"
    return NORMAL if last.reason == "Superseded" else WARNING, "Retired", "Retire", message


def _ended(record: Record) -> str:
    last = latest_dead(record)
    if last is None:
        return "No version is accepted any more"
    return f"Version {last.number} ({last.key_id}) is no longer accepted [{last.reason}]"


def subject_of(record: Record) -> tuple[int, str] | None:
    """Number and key ID of the version that the record's last change was about."""
    if record.change in ENDING_CHANGES:
        dead = latest_dead(record)
        return (dead.number, dead.key_id) if dead is not None else None
    staged = record.in_state(VersionState.STAGED)
    entry = staged[-1] if record.change == Change.STAGED and staged else record.active
    return (entry.number, entry.key_id) if entry is not None else None


def latest_dead(record: Record) -> DeadEntry | None:
    """The tombstone written last."""
    return max(record.dead, key=lambda entry: (entry.end_time, entry.number), default=None)


def warnings_of(before: ApiKeyStatus | None, after: ApiKeyStatus, *, occasion: str) -> tuple[EventText, ...]:
    """The Events of conditions that turned bad with this status.

    `occasion` names the very ApiKey that `before` stands in (uid, resourceVersion): it is another one each time that a condition turns
    bad, and the same one when a crash between Event and status has it told again.
    """
    old = before or ApiKeyStatus()
    stalled, was_stalled = after.condition(ConditionType.STALLED), old.condition(ConditionType.STALLED)
    rollout, was_rollout = after.condition(ConditionType.ROLLOUT_COMPLETE), old.condition(ConditionType.ROLLOUT_COMPLETE)
    previous, was_previous = after.condition(ConditionType.PREVIOUS_VERSION_ACTIVE), old.condition(ConditionType.PREVIOUS_VERSION_ACTIVE)
    told: list[EventText] = []
    if stalled is not None and (was_stalled is None or was_stalled.reason != stalled.reason):
        told.append(EventText(WARNING, stalled.reason, "Reconcile", stalled.message, f"{occasion}/{stalled.reason}"))
    for now, was, reason in ((rollout, was_rollout, Reason.ROLLOUT_STALLED), (previous, was_previous, Reason.ROTATION_DEFERRED)):
        if now is not None and now.reason == reason and (was is None or was.reason != reason):
            kind = WARNING if reason is Reason.ROLLOUT_STALLED else NORMAL
            told.append(EventText(kind, reason, "Rotate", now.message, f"{occasion}/{reason}"))
    return tuple(told)
