"""Rules that bring a key into the credential Secret, and bring it back when record or Secret went missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey, Delivery
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import HOUR, MILLISECOND, SECOND, format_time
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import Record, VersionEntry
from keyturn.lifecycle import barrier
from keyturn.lifecycle.consent import Consent
from keyturn.lifecycle.credential_secret import DRIFTED, keeps_previous, template_digest
from keyturn.lifecycle.observed import REFUSAL_RECHECK, ForeignSecret, NoRecord, NoSecret, Observed, OurSecret, UnreadableSecret
from keyturn.lifecycle.plan import Change, Deliver, Plan, RenderSecret, SaveRecord, Stage, Waiting
from keyturn.lifecycle.power import shortest_overlap, with_power, with_requests
from keyturn.lifecycle.restore import OLD_RECORD, highest_told, latest_serial_told
from keyturn.lifecycle.revocation import ended_by_revocation
from keyturn.lifecycle.situation import Situation
from keyturn.lifecycle.versions import activate, bury, delivered

CONFLICT_RECHECK: Final = 5 * SECOND
CONFLICT_SHARE: Final = 50 * MILLISECOND
"""Foreign Secrets are not watched but asked for, one by one: at most twenty a second in a namespace, however many there are."""
REPAIRS_AN_HOUR: Final = 3
REPAIR_CAUSES: Final = frozenset({Cause.SECRET_LOST, Cause.SECRET_TAMPERED})


def start_a_record(seen: Observed, *, apikey: ApiKey, consent: Consent, problem: Waiting | None) -> Plan:
    """There is no record to believe: restore it where status and Secret agree, otherwise begin above every number known."""
    if isinstance(seen.secret, ForeignSecret):
        return _conflict(seen, seen.secret)
    if isinstance(seen.secret, UnreadableSecret):
        return _unreadable(seen.secret, now=seen.now)
    base = first_record(seen, apikey, consent)
    create = isinstance(seen.record, NoRecord)
    restored = _restored(seen, apikey, base) if consent.may_mint else None
    if restored is not None:
        return Plan((SaveRecord(restored, create=create),))
    if problem is not None:
        return Plan(stalled=problem)
    if base.expiration_time is not None and base.expiration_time <= seen.now:
        return Plan(stalled=expired(base.expiration_time))
    number = max(base.highest + 1, apikey.spec.min_version or 1)
    return Plan((Stage(number, Cause.RECORD_LOST if base.highest else Cause.ISSUED, base, create=create),))


def first_record(seen: Observed, apikey: ApiKey, consent: Consent) -> Record:
    """The record before its first version, above every number known."""
    known = [0, *(entry.number for entry in (apikey.status.versions or ()))] if apikey.status else [0]
    if isinstance(seen.secret, OurSecret) and seen.secret.intact:
        known.append(seen.secret.version)
    highest = max(*known, highest_told(seen))
    record = Record(
        installation=seen.installation,
        namespace=seen.key.namespace,
        name=seen.key.name,
        uid=apikey.metadata.uid,
        serial=latest_serial_told(seen),
        change=Change.STAGED,
        highest=highest,
        dead_through=highest,
    )
    return with_requests(with_power(record, apikey, consent, now=seen.now), apikey)


def _restored(seen: Observed, apikey: ApiKey, base: Record) -> Record | None:
    """A Secret alone proves nothing (it may be an old one put back); with a status that names the same version it does."""
    secret, status = seen.secret, apikey.status
    if not isinstance(secret, OurSecret) or not secret.intact or secret.token_digest is None or status is None:
        return None
    named = next((entry for entry in status.versions or () if entry.number == secret.version), None)
    if status.active_version != secret.version or named is None or named.key_id != secret.key_id or named.state != "Active":
        return None
    entry = VersionEntry(
        number=secret.version,
        key_id=secret.key_id,
        digest=secret.token_digest,
        state=VersionState.ACTIVE,
        staged_time=named.staged_time or seen.now,
        active_time=named.active_time or seen.now,
        cause=Cause.RECORD_LOST,
    )
    answered = base.min_version if (base.min_version or 0) <= secret.version else None
    restored = replace(base, versions=(entry,), dead_through=secret.version - 1, min_version=answered, change=Change.RESTORED)
    return replace(restored, secret=secret.fingerprint)


def secret_belongs_to_somebody_else(case: Situation) -> Plan | None:
    """Nothing is ever written to a Secret that is not ours."""
    return _conflict(case.seen, case.seen.secret) if isinstance(case.seen.secret, ForeignSecret) else None


def _conflict(seen: Observed, secret: ForeignSecret) -> Plan:
    pause = max(CONFLICT_RECHECK, seen.conflicts * CONFLICT_SHARE)
    return Plan(stalled=Waiting(Reason.SECRET_CONFLICT, secret.why), look_again_time=seen.now + pause)


def secret_cannot_be_read(case: Situation) -> Plan | None:
    """Unknown is not lost: no version is minted in its place, and none retires."""
    return _unreadable(case.seen.secret, now=case.now) if isinstance(case.seen.secret, UnreadableSecret) else None


def _unreadable(secret: UnreadableSecret, *, now: datetime) -> Plan:
    return Plan(stalled=secret.why, look_again_time=now + REFUSAL_RECHECK)


def secret_is_ahead_of_the_record(case: Situation) -> Plan | None:
    """R2 forbids it, so the record is an old one that somebody put back: what it calls live was over long ago."""
    secret, record = case.seen.secret, case.record
    if not isinstance(secret, OurSecret) or not secret.intact or secret.version <= record.highest:
        return None
    ended = bury(record, *record.versions, state=VersionState.REVOKED, reason=OLD_RECORD, now=case.now)
    ended = replace(ended, highest=secret.version, dead_through=secret.version - 1)
    restored = _restored(case.seen, case.apikey, ended)
    if restored is not None:
        return Plan((SaveRecord(restored),))
    ended = replace(ended, dead_through=secret.version)
    if case.problem is not None:
        return Plan((SaveRecord(replace(ended, change=Change.REVOKED)),))
    number = max(secret.version + 1, case.apikey.spec.min_version or 1)
    return Plan((Stage(number, Cause.RECORD_LOST, with_requests(ended, case.apikey)),))


def secret_holds_a_staged_version(case: Situation) -> Plan | None:
    """The switch has happened, by us or by one who crashed after it: the record follows."""
    secret = case.seen.secret
    if not isinstance(secret, OurSecret) or not secret.intact:
        return None
    entry = case.record.version(secret.version)
    if entry is None or entry.state is not VersionState.STAGED or entry.key_id != secret.key_id:
        return None
    not_after = case.now + shortest_overlap(case, entry.cause)
    return Plan((SaveRecord(activate(case.record, entry.number, secret=secret.fingerprint, not_after=not_after, now=case.now)),))


def secret_lost_the_key(case: Situation) -> Plan | None:
    """The Active version's plaintext is not where its consumers look: a new version is, after a while, the only remedy."""
    active, staged = case.active, case.wanted_staged
    if active is None or secret_holds(case, active):
        return None
    if staged is not None and staged.number > active.number:
        return None
    cause = Cause.SECRET_LOST if isinstance(case.seen.secret, NoSecret) else Cause.SECRET_TAMPERED
    if case.problem is not None:
        return Plan(stalled=case.problem)
    allowed = _repairs_allowed_time(case)
    if allowed > case.now:
        return Plan(stalled=_too_many_repairs(until=allowed), look_again_time=allowed)
    if case.retiring:
        ended = bury(case.record, *case.retiring, state=VersionState.RETIRED, reason=str(cause), now=case.now)
        return Plan((SaveRecord(replace(ended, change=Change.RETIRED)),))
    return Plan((Stage(case.next_number, cause, with_requests(case.record, case.apikey)),))


def is_in_place(case: Situation, entry: VersionEntry) -> bool:
    """Whether that version is where its consumers look for it."""
    return case.apikey.spec.delivery is not Delivery.SECRET or secret_holds(case, entry)


def secret_holds(case: Situation, entry: VersionEntry) -> bool:
    """Whether the credential Secret holds exactly that version's token."""
    secret = case.seen.secret
    return isinstance(secret, OurSecret) and secret.intact and secret.version == entry.number and secret.key_id == entry.key_id


def _too_many_repairs(*, until: datetime) -> Waiting:
    message = (
        f"The credential Secret was lost or changed {REPAIRS_AN_HOUR} times within an hour; nothing is minted until {format_time(until)}."
    )
    return Waiting(Reason.TOO_MANY_REPAIRS, f"{message} Find out who deletes or edits it (audit log of the API server)")


def _repairs_allowed_time(case: Situation) -> datetime:
    """From when on a lost or changed Secret may be replaced again: at most REPAIRS_AN_HOUR an hour."""
    live = [entry.staged_time for entry in case.record.versions if entry.cause in REPAIR_CAUSES]
    dead = [entry.end_time for entry in case.record.dead if entry.cause in REPAIR_CAUSES]
    latest = sorted([*live, *dead], reverse=True)[:REPAIRS_AN_HOUR]
    return latest[-1] + HOUR if len(latest) == REPAIRS_AN_HOUR else case.now


def staged_version_is_on_its_way(case: Situation) -> Plan | None:
    """Deliver behind the barrier; where the plaintext was lost with the process that minted it, mint the next number."""
    staged = case.wanted_staged
    if staged is None or len(delivered(case.record)) > 1:
        return None
    if (staged.number, staged.key_id) not in case.seen.held:
        return _wait_for_another_process(case, staged)
    return barrier.holds_back(case, staged) or Plan((_delivery(case, staged),))


def _wait_for_another_process(case: Situation, staged: VersionEntry) -> Plan:
    deadline = staged.staged_time + case.seen.settings.orphan_wait
    if case.now < deadline:
        message = f"Version {staged.number} was staged by a process that may still deliver it"
        return Plan(waits_for=Waiting(Reason.PROPAGATION_PENDING, message), look_again_time=deadline)
    return Plan((Stage(case.next_number, staged.cause, with_requests(case.record, case.apikey)),))


def _delivery(case: Situation, staged: VersionEntry) -> Deliver:
    active = case.active
    previous = active.number if active is not None and keeps_previous(case.apikey) and secret_holds(case, active) else None
    return Deliver(staged.number, staged.key_id, create=isinstance(case.seen.secret, NoSecret), previous_number=previous)


def secret_was_rendered_from_another_template(case: Situation) -> Plan | None:
    """Template, owner or keepPrevious changed, or an overlap ended: the same version is rendered anew, without a rollout.

    Also where somebody else changed the Secret beside the key; who does so again and again is answered ever more slowly.
    """
    active, secret = case.active, case.seen.secret
    if active is None or not isinstance(secret, OurSecret) or not secret_holds(case, active):
        return None
    held = secret.fingerprint.previous_version
    live = {entry.number for entry in case.retiring}
    previous = held if held is not None and keeps_previous(case.apikey) and held in live else None
    if secret.fingerprint.template_digest == template_digest(case.apikey) and held == previous:
        return None
    drifted, undone = secret.fingerprint.template_digest == DRIFTED, case.seen.edits_undone
    if drifted and undone is not None and case.now < undone.next_time:
        return None
    return Plan((RenderSecret(active.number, active.key_id, previous_number=previous, undoes_edit=drifted),))


def contest(case: Situation) -> Waiting | None:
    """Somebody keeps changing the Secret beside the key."""
    undone = case.seen.edits_undone
    if undone is None or not undone.is_contest or case.now >= undone.over_time:
        return None
    return Waiting(
        Reason.SECRET_CONTESTED,
        f"Something keeps changing labels, annotations, owner or data of Secret {case.apikey.secret_name} beside the key, and each time it"
        " is put back, by now more slowly. Find out who does it (metadata.managedFields, audit log of the API server)",
    )


def contest_look_time(case: Situation) -> datetime | None:
    """When the next edit may be undone, or the contest counts as over."""
    undone, secret = case.seen.edits_undone, case.seen.secret
    if undone is None:
        return None
    drifted = isinstance(secret, OurSecret) and secret.fingerprint.template_digest == DRIFTED
    return undone.next_time if drifted and case.now < undone.next_time else undone.over_time if undone.is_contest else None


def fingerprint_moved(case: Situation) -> Plan | None:
    """The Secret was rendered anew: the record notes it, so that a restart need not read every Secret."""
    active, secret, noted = case.active, case.seen.secret, case.record.secret
    if active is None or not isinstance(secret, OurSecret) or not secret_holds(case, active):
        return None
    fingerprint = secret.fingerprint
    if fingerprint.template_digest == DRIFTED:
        return None  # it will be put back
    if noted == fingerprint or (noted is not None and replace(noted, resource_version=fingerprint.resource_version) == fingerprint):
        return None
    return Plan((SaveRecord(replace(case.record, secret=fingerprint, change=Change.RENDERED)),))


def there_is_no_key(case: Situation) -> Plan | None:
    """No version is in force or on its way."""
    if case.active is not None or case.wanted_staged is not None:
        return None
    expiration = case.record.expiration_time
    if expiration is not None and expiration <= case.now:
        return Plan(stalled=expired(expiration))
    if case.problem is not None:
        return Plan(stalled=case.problem)
    revoked = ended_by_revocation(case.record) is not None or (case.record.highest and case.retiring)
    cause = Cause.REVOKED if revoked else Cause.ISSUED
    return Plan((Stage(case.next_number, cause, with_requests(case.record, case.apikey)),))


def expired(expiration: datetime) -> Waiting:
    """The key came to its planned end."""
    text = format_time(expiration)
    return Waiting(Reason.EXPIRED, f"The key ended at {text}. Set spec.expirationTime later to have a new one issued, or delete the ApiKey")
