"""Rules about what the key may do, and about ends by intent: they hit at once, whatever else is going on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import Record, VersionEntry
from keyturn.lifecycle.consent import Consent
from keyturn.lifecycle.held_power import power_in
from keyturn.lifecycle.plan import Change, Plan, SaveRecord, Stage, Waiting
from keyturn.lifecycle.situation import Situation, rotate_annotation
from keyturn.lifecycle.versions import bury


def with_power(
    record: Record, apikey: ApiKey, consent: Consent, *, now: datetime, clock_is_off: bool = False, retained: bool = False
) -> Record:
    """The record with what spec and product say about the key's power now. `retained`: the key stays without its ApiKey."""
    spec, power = apikey.spec, consent.power
    cidrs = tuple(spec.restrictions.allowed_cidrs or ()) if spec.restrictions else ()
    lost_time = _access_lost_time(record, consent, now=now)
    refused = _is_refused(record, consent, lost_time=lost_time, now=now, clock_is_off=clock_is_off)
    disabled, retain = bool(spec.disabled) or refused, spec.deletion_policy == "Retain"
    wanted = (power, cidrs, spec.expiration_time, lost_time, disabled, retain, retained)
    held = (
        *(power_in(record), record.allowed_cidrs, record.expiration_time, record.access_lost_time),
        *(record.disabled, record.retain_on_delete, record.retained),
    )
    if wanted == held:  # nearly always: a copy of the record is the dearest thing in a look
        return record
    return replace(
        record,
        audience=power.audience,
        product=power.product,
        plan=power.plan,
        scopes=power.scopes,
        limits=power.limits,
        max_staleness_seconds=power.max_staleness_seconds,
        quota=power.quota,
        allowed_cidrs=cidrs,
        expiration_time=spec.expiration_time,
        access_lost_time=lost_time,
        disabled=disabled,
        retain_on_delete=retain,
        retained=retained,
    )


def _access_lost_time(record: Record, consent: Consent, *, now: datetime) -> datetime | None:
    if not consent.is_known:
        return record.access_lost_time
    return (record.access_lost_time or now) if consent.access_lost is not None else None


def refusal_time(record: Record, consent: Consent) -> datetime | None:
    """When a key without access is refused; None: it has access, or its product lets it keep what it had."""
    lost_time = record.access_lost_time
    return None if lost_time is None or consent.access_lost is None or consent.lost_delay is None else lost_time + consent.lost_delay


def _is_refused(record: Record, consent: Consent, *, lost_time: datetime | None, now: datetime, clock_is_off: bool) -> bool:
    if not consent.is_known:
        return record.disabled and record.access_lost_time is not None
    if lost_time is None or consent.lost_delay is None:
        return False
    if clock_is_off and consent.lost_delay > timedelta(0):
        return record.disabled and record.access_lost_time is not None
    return now >= lost_time + consent.lost_delay


def with_requests(record: Record, apikey: ApiKey) -> Record:
    """The record with every rotation request counted as handled: the version about to be minted answers them all."""
    trigger = apikey.spec.rotation.trigger if apikey.spec.rotation else None
    return replace(
        record,
        trigger=record.trigger if trigger is None else trigger,
        rotate_requested_at=rotate_annotation(apikey) or record.rotate_requested_at,
        min_version=max(_answered_min_version(record, apikey), record.min_version or 0) or None,
    )


def _answered_min_version(record: Record, apikey: ApiKey) -> int:
    """The minVersion that the next number satisfies; one that is too high stays open, and `min_version_problem` says so."""
    wanted = apikey.spec.min_version or 0
    return wanted if record.active is None or wanted <= record.highest + 1 else 0


def another_apikey_had_this_record(case: Situation) -> Plan | None:
    """A new ApiKey of an old name: it takes over a retained key, and is no way to revive any other."""
    record, uid = case.record, case.apikey.metadata.uid
    if record.uid == uid:
        return None
    if record.retained or record.retain_on_delete:
        # Nothing is minted here, so minVersion is not answered by it.
        taken = replace(with_requests(record, case.apikey), min_version=record.min_version)
        return Plan((SaveRecord(replace(taken, uid=uid, retained=False, change=Change.TAKEN_OVER)),))
    ended = bury(record, *record.versions, state=VersionState.REVOKED, reason="ApiKeyDeleted", now=case.now)
    change = Change.REVOKED if record.versions else Change.UPDATED
    fresh = replace(with_requests(ended, case.apikey), uid=uid, ended_time=None, secret=None, change=change)
    return Plan((SaveRecord(fresh),))


def spec_differs_from_record(case: Situation) -> Plan | None:
    """Restrictions, expiry, disabled, the deletion policy and what the product gives or takes reach the record at once."""
    wanted = with_power(case.record, case.apikey, case.consent, now=case.now, clock_is_off=case.seen.clock_is_off)
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
    staged = case.wanted_staged
    if active is None and staged is not None and staged.number < wanted:
        return None  # it may be in the Secret already: it is replaced when it is Active
    if active is None or active.number >= wanted:
        return Plan((SaveRecord(replace(record, min_version=wanted, change=record.change if hit else Change.UPDATED)),))
    if hit:
        return Plan((SaveRecord(record),))
    if staged is not None and staged.number >= wanted:
        return Plan((SaveRecord(_staged_for_min_version(record, staged, wanted=wanted)),))
    if case.problem is not None or case.retiring:
        return None
    return Plan((Stage(number=case.next_number, cause=Cause.MIN_VERSION, base=with_requests(record, case.apikey)),))


def _staged_for_min_version(record: Record, staged: VersionEntry, *, wanted: int) -> Record:
    """The version under way is the one that minVersion asks for. From now on that is why: the old one gets the time that goes with it."""
    versions = tuple(replace(entry, cause=Cause.MIN_VERSION) if entry == staged else entry for entry in record.versions)
    return replace(record, versions=versions, min_version=wanted, change=Change.UPDATED)


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
