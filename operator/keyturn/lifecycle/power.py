"""Rules about what the key may do, and about ends by intent: they hit at once, whatever else is going on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import Record
from keyturn.lifecycle.plan import Change, Plan, SaveRecord, Stage, Waiting
from keyturn.lifecycle.situation import Situation, rotate_annotation
from keyturn.lifecycle.versions import bury


def with_power(record: Record, apikey: ApiKey) -> Record:
    """The record with what the spec says about the key's power now."""
    spec = apikey.spec
    cidrs = tuple(spec.restrictions.allowed_cidrs or ()) if spec.restrictions else ()
    wanted = (cidrs, spec.expiration_time, bool(spec.disabled), spec.deletion_policy == "Retain")
    if wanted == (record.allowed_cidrs, record.expiration_time, record.disabled, record.retain_on_delete):
        return record
    return replace(record, allowed_cidrs=cidrs, expiration_time=wanted[1], disabled=wanted[2], retain_on_delete=wanted[3])


def with_requests(record: Record, apikey: ApiKey) -> Record:
    """The record with every rotation request counted as handled: the version about to be minted answers them all."""
    trigger = apikey.spec.rotation.trigger if apikey.spec.rotation else None
    return replace(
        record,
        trigger=record.trigger if trigger is None else trigger,
        rotate_requested_at=rotate_annotation(apikey) or record.rotate_requested_at,
        min_version=max(apikey.spec.min_version or 0, record.min_version or 0) or None,
    )


def another_apikey_had_this_record(case: Situation) -> Plan | None:
    """A new ApiKey of an old name: it takes over a retained key, and is no way to revive any other."""
    record, uid = case.record, case.apikey.metadata.uid
    if record.uid == uid:
        return None
    if record.retained or record.retain_on_delete:
        return Plan((SaveRecord(replace(with_requests(record, case.apikey), uid=uid, retained=False, change=Change.TAKEN_OVER)),))
    ended = bury(record, *record.versions, state=VersionState.REVOKED, reason="ApiKeyDeleted", now=case.now)
    fresh = replace(with_requests(ended, case.apikey), uid=uid, ended_time=None, secret=None, change=Change.REVOKED)
    return Plan((SaveRecord(fresh),))


def spec_differs_from_record(case: Situation) -> Plan | None:
    """Restrictions, expiry, disabled and the deletion policy reach the record at once."""
    wanted = with_power(case.record, case.apikey)
    return None if wanted is case.record else Plan((SaveRecord(replace(wanted, change=Change.UPDATED)),))


def key_has_expired(case: Situation) -> Plan | None:
    """expirationTime ends every version. Verifiers need no operator for it; this writes the tombstones."""
    expiration = case.record.expiration_time
    if expiration is None or case.now < expiration or not case.record.versions or case.seen.clock_is_off:
        return None
    ended = bury(case.record, *case.record.versions, state=VersionState.REVOKED, reason="Expired", now=case.now)
    return Plan((SaveRecord(replace(ended, change=Change.EXPIRED)),))


def min_version_was_raised(case: Situation) -> Plan | None:
    """Every version below minVersion ends: a Retiring one at once, the Active one as soon as its successor is delivered."""
    wanted, record, active = case.apikey.spec.min_version or 0, case.record, case.active
    if wanted <= (record.min_version or 0) or min_version_problem(case) is not None:
        return None
    hit = tuple(entry for entry in case.retiring if entry.number < wanted)
    if hit:
        record = replace(bury(record, *hit, state=VersionState.REVOKED, reason="MinVersion", now=case.now), change=Change.REVOKED)
    if active is None or active.number >= wanted:
        return Plan((SaveRecord(replace(record, min_version=wanted, change=record.change if hit else Change.UPDATED)),))
    if hit:
        return Plan((SaveRecord(record),))
    if case.problem is not None or case.retiring or _minting_for_min_version(case):
        return None
    return Plan((Stage(number=case.next_number, cause=Cause.MIN_VERSION, base=with_requests(record, case.apikey)),))


def _minting_for_min_version(case: Situation) -> bool:
    staged = case.wanted_staged
    return staged is not None and staged.number >= (case.apikey.spec.min_version or 0)


def min_version_problem(case: Situation) -> Waiting | None:
    """minVersion may name the next version at the most: a higher one is a slip, and nothing is revoked because of it."""
    wanted, active = case.apikey.spec.min_version or 0, case.active
    if active is None or wanted <= active.number + 1 or wanted <= (case.record.min_version or 0):
        return None
    return Waiting(
        Reason.MIN_VERSION_TOO_HIGH,
        f"spec.minVersion is {wanted}, but the highest that can be asked for now is {active.number + 1} (the active version is"
        f" {active.number}). Nothing was revoked. Request rotations (keyturn rotate) until version {wanted - 1} is active,"
        " or delete and re-create the ApiKey",
    )


def shortest_overlap(case: Situation, cause: Cause) -> timedelta:
    """How long the version before may live on after the switch: shorter where it was ended by intent."""
    limit = case.timing.overlap_limit
    return min(limit, case.seen.settings.replace_within) if cause is Cause.MIN_VERSION else limit
