"""Rules of delivery Sealed: a key that a person takes, once.

A version is minted, staged and known to every verifier; then it stands in the status, encrypted to that person's public key, until they
say that they have it: that is the switch. What they do not take in time is revoked. `decide.py` asks these rules instead of those in
`issuing.py`. The ciphertext is the one thing in a status that cannot be told again: where it is lost, its version ends and another is
minted, since nobody here knows whether the person has it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from keyturn.api.v1alpha1.apikey import ApiKey, SealedKey
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base import names
from keyturn.base.clock import format_time
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.age_envelope import NotARecipient, check_recipient
from keyturn.keys.record import VersionEntry
from keyturn.lifecycle import barrier
from keyturn.lifecycle.issuing import expired
from keyturn.lifecycle.plan import Change, Plan, SaveRecord, Seal, Stage, Waiting
from keyturn.lifecycle.power import shortest_overlap, with_requests
from keyturn.lifecycle.revocation import REVOCATION_GONE, ended_by_revocation
from keyturn.lifecycle.situation import Situation
from keyturn.lifecycle.versions import activate, bury

NOT_RECEIVED = "NotReceived"
"""Reason of a tombstone whose key nobody took."""
CIPHERTEXT_LOST = "CiphertextLost"
"""Reason of a tombstone whose ciphertext was gone, or never came to be, before anybody said that they have the key."""


def key_was_received(case: Situation) -> Plan | None:
    """Its person has it: the switch."""
    staged = case.wanted_staged
    if staged is None or _received(case.apikey) != staged.key_id or _is_still_to_be_sealed(case, staged):
        return None
    not_after = case.now + shortest_overlap(case, staged.cause)
    activated = activate(case.record, staged.number, secret=None, not_after=not_after, now=case.now)
    return barrier.holds_back(case, staged) or Plan((SaveRecord(activated),))


def untaken_key_was_revoked(case: Situation) -> Plan | None:
    """A revocation by replacement gave an end to a version that nobody has said they have: it ends now, there is nothing to move."""
    ending = tuple(entry for entry in case.record.in_state(VersionState.STAGED) if entry.not_after is not None)
    if not ending:
        return None
    ended = bury(case.record, *ending, state=VersionState.REVOKED, reason=REVOCATION_GONE, now=case.now)
    return Plan((SaveRecord(replace(ended, change=Change.REVOKED)),))


def key_was_not_received(case: Situation) -> Plan | None:
    """A key that nobody took must not lie about for ever, accepted by every verifier."""
    staged = case.wanted_staged
    if staged is None or case.now < _deadline(case, staged) or _is_still_to_be_sealed(case, staged) or case.seen.clock_is_off:
        return None
    # minVersion was answered by this one: without it, what it should have replaced ends all the same.
    below = tuple(entry for entry in case.record.versions if entry.number < (case.record.min_version or 0))
    ended = bury(case.record, *below, state=VersionState.REVOKED, reason="MinVersion", now=case.now)
    ended = bury(ended, staged, state=VersionState.REVOKED, reason=NOT_RECEIVED, now=case.now)
    return Plan((SaveRecord(replace(ended, change=Change.REVOKED)),))


def key_waits_for_its_person(case: Situation) -> Plan | None:
    """Seal it behind the barrier, then wait; where the ciphertext is lost, mint the next number."""
    staged = case.wanted_staged
    if staged is None:
        return None
    if sealed_key(case) is not None:
        return _waiting(case, staged)
    if _is_still_to_be_sealed(case, staged):
        return barrier.holds_back(case, staged) or Plan((_seal(case, staged),))
    return _mint_again(case, staged)


def nobody_has_a_key(case: Situation) -> Plan | None:
    """No version is in force or on its way. One that was not taken brings no other: nobody may be there for that one either."""
    if case.active is not None or case.wanted_staged is not None:
        return None
    expiration = case.record.expiration_time
    if expiration is not None and expiration <= case.now:
        return Plan(stalled=expired(expiration))
    stalled = case.problem or unreceived(case)
    if stalled is not None:
        return Plan(stalled=stalled)
    cause = Cause.REVOKED if ended_by_revocation(case.record) is not None else Cause.ISSUED
    return Plan((Stage(case.next_number, cause, with_requests(case.record, case.apikey)),))


def unreceived(case: Situation) -> Waiting | None:
    """The newest version was not taken, and nobody has asked for another one since."""
    newest = max(case.record.dead, key=lambda dead: dead.number, default=None)
    if newest is None or newest.reason != NOT_RECEIVED or newest.number < case.record.highest or _is_asked_again(case):
        return None
    name, namespace = case.seen.key.name, case.seen.key.namespace
    message = f"Nobody took version {newest.number} in time, so it was revoked"
    return Waiting(Reason.NOT_RECEIVED, f"{message}. For another one, when its person is there: keyturn rotate {name} -n {namespace}")


def sealed_key(case: Situation) -> SealedKey | None:
    """The ciphertext of the version that waits, for whom it is wanted now."""
    staged, status, wanted = case.wanted_staged, case.apikey.status, case.apikey.spec.sealed
    sealed = status.sealed if status is not None else None
    if staged is None or sealed is None or wanted is None:
        return None
    return sealed if (sealed.key_id, sealed.recipient) == (staged.key_id, wanted.recipient) else None


def recipient_problem(apikey: ApiKey) -> Waiting | None:
    """The public key is none, which no pattern can tell."""
    if apikey.spec.sealed is None:
        return None
    try:
        check_recipient(apikey.spec.sealed.recipient)
    except NotARecipient:
        message = "spec.sealed.recipient is not a public key of age: its checksum is wrong. Copy it again from what age-keygen printed"
        return Waiting(Reason.RECIPIENT_INVALID, message)
    return None


def _waiting(case: Situation, staged: VersionEntry) -> Plan:
    deadline, name, namespace = _deadline(case, staged), case.seen.key.name, case.seen.key.namespace
    message = f"Version {staged.number} waits in status.sealed for its person until {format_time(deadline)}. Who has decrypted it says so:"
    line = f"kubectl -n {namespace} annotate --overwrite apikey {name} {names.RECEIVED_ANNOTATION}={staged.key_id}"
    waits = Waiting(Reason.AWAITING_RECEIPT, f"{message} {line}")
    return Plan(waits_for=waits, deferred=waits, look_again_time=deadline)


def _seal(case: Situation, staged: VersionEntry) -> Seal:
    wanted = case.apikey.spec.sealed
    recipient = wanted.recipient if wanted is not None else ""
    return Seal(staged.number, staged.key_id, recipient, expiration_time=_deadline(case, staged))


def _mint_again(case: Situation, staged: VersionEntry) -> Plan:
    """Its process may still seal it; and a tool that wipes the status again and again gets few versions out of it."""
    due = staged.staged_time + case.seen.settings.orphan_wait
    if case.now < due:
        message = f"Version {staged.number} was staged by a process that may still seal it"
        return Plan(waits_for=Waiting(Reason.PROPAGATION_PENDING, message), look_again_time=due)
    if case.problem is not None:
        return Plan(stalled=case.problem, look_again_time=_deadline(case, staged))
    without = bury(case.record, staged, state=VersionState.REVOKED, reason=CIPHERTEXT_LOST, now=case.now)
    return Plan((Stage(case.next_number, staged.cause, with_requests(without, case.apikey)),))


def _deadline(case: Situation, staged: VersionEntry) -> datetime:
    """By the record, which is signed; what the status says of it is for people."""
    return staged.staged_time + case.seen.settings.sealed_wait


def _is_still_to_be_sealed(case: Situation, staged: VersionEntry) -> bool:
    """Its plaintext is held here, and nobody can have it yet."""
    return (staged.number, staged.key_id) in case.seen.held and sealed_key(case) is None


def _received(apikey: ApiKey) -> str | None:
    return (apikey.metadata.annotations or {}).get(names.RECEIVED_ANNOTATION)


def _is_asked_again(case: Situation) -> bool:
    """By a trigger or an annotation that no version has answered yet."""
    return with_requests(case.record, case.apikey) != case.record
