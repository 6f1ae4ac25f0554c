"""What to tell people: `Observed x Plan x failure -> status`. Pure; the status is a projection that may be deleted at any time.

Before it: `controller/apikey/act.py`. The conditions are in `conditions_of.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final

from keyturn.api.v1alpha1.apikey import (
    ApiKey,
    ApiKeyStatus,
    ApprovedPower,
    Delivery,
    EffectiveLimits,
    EffectiveQuota,
    EffectiveSettings,
    PendingWorkload,
    RolloutStatus,
    SecretRef,
    VersionStatus,
)
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.duration import format_duration
from keyturn.keys.record import DeadEntry, Record, VersionEntry
from keyturn.lifecycle.consent import Consent, consent_for
from keyturn.lifecycle.decide import situation
from keyturn.lifecycle.observed import GoodRecord, Observed
from keyturn.lifecycle.overlap import current_rollout, rolls_out
from keyturn.lifecycle.pause import status_while_paused
from keyturn.lifecycle.plan import Plan, Waiting
from keyturn.lifecycle.readiness import conditions_of
from keyturn.lifecycle.rollout import new_pod_cutoff
from keyturn.lifecycle.rollout_progress import rollout_summary
from keyturn.lifecycle.rotation import next_due_time
from keyturn.lifecycle.sealed import sealed_key
from keyturn.lifecycle.situation import Situation, is_paused

HISTORY: Final = 5
PENDING_SHOWN: Final = 20
VERSIONS_SHOWN: Final = 24


@dataclass(frozen=True, slots=True)
class Outcome:
    """How carrying out the last step ended. `failed`: why it did not work, in words for the status."""

    failed: Waiting | None = None
    user_must_act: bool = False
    """Trying again will not help."""


def conclude(seen: Observed, plan: Plan, outcome: Outcome) -> ApiKeyStatus:
    """The whole status as it should read now. Needs a living ApiKey.

    Without a record it goes on naming the versions that it named: it is the other witness by which a lost record is restored.
    """
    apikey = seen.apikey
    if apikey is None:
        raise ValueError("an ApiKey that is gone has no status")
    if is_paused(apikey):
        return status_while_paused(apikey, now=seen.now)
    before = apikey.status or ApiKeyStatus()
    record = seen.record.record if isinstance(seen.record, GoodRecord) else None
    active, kept = (record.active, ApiKeyStatus()) if record is not None else (None, before)
    case = situation(seen, apikey=apikey, record=record) if record is not None else None
    consent = case.consent if case is not None else consent_for(apikey, seen.product, record=None, settings=seen.settings)
    waits = bool(plan.steps) or (case is not None and case.wanted_staged is not None)
    awaits_person = plan.stalled is not None or (plan.waits_for is not None and plan.waits_for.reason == Reason.AWAITING_RECEIPT)
    settled = outcome.user_must_act or awaits_person or (outcome.failed is None and not waits)
    return ApiKeyStatus(
        observed_generation=apikey.metadata.generation if settled else before.observed_generation,
        observed_trigger=record.trigger if record else None,
        active_version=active.number if active else kept.active_version,
        key_id=active.key_id if active else kept.key_id,
        sealed=sealed_key(case) if case else None,
        secret_ref=SecretRef(name=apikey.secret_name) if apikey.spec.delivery is Delivery.SECRET else None,
        approved=_approved(consent, before, now=seen.now),
        effective=_effective(case) if case else before.effective,
        versions=_versions(apikey, record) if record else kept.versions,
        rollout=_rollout(case) if case else None,
        last_rotation_time=_whole_second(active.active_time) if active else kept.last_rotation_time,
        next_rotation_time=_next_rotation_time(case) if case else None,
        last_used_time=_last_used_time(seen, before),
        conditions=conditions_of(seen, plan, outcome_failed=outcome.failed, stuck=outcome.user_must_act, case=case, consent=consent),
    )


def _effective(case: Situation) -> EffectiveSettings:
    timing, limits, quota = case.timing, case.record.limits, case.record.quota
    return EffectiveSettings(
        plan=case.record.plan,
        rotation_interval=format_duration(timing.interval) if timing.interval is not None else None,
        grace_period=format_duration(timing.grace_period),
        overlap_limit=format_duration(timing.overlap_limit),
        quiet_period=format_duration(timing.quiet_period),
        limits=EffectiveLimits(requests_per_second=limits.requests_per_second, burst=limits.burst) if limits is not None else None,
        quota=EffectiveQuota(requests=quota.requests, period=quota.period) if quota is not None else None,
    )


def _approved(consent: Consent, before: ApiKeyStatus, *, now: datetime) -> ApprovedPower | None:
    """What the product lets the key have; since when, as far as the status remembers."""
    if consent.approved_by is None:
        return before.approved if not consent.is_known else None
    said = before.approved
    approved = ApprovedPower(plan=consent.power.plan, scopes=consent.approved_scopes, by=consent.approved_by)
    same = said is not None and said.model_copy(update={"time": None}) == approved
    return approved.model_copy(update={"time": said.time if said is not None and same else _whole_second(now)})


def _versions(apikey: ApiKey, record: Record) -> tuple[VersionStatus, ...]:
    kept = apikey.spec.revision_history_limit or HISTORY
    live = [_live(entry) for entry in record.versions]
    dead = [_dead(entry) for entry in record.dead[-kept:]]
    return tuple(sorted([*live, *dead], key=lambda entry: -entry.number)[:VERSIONS_SHOWN])


def _live(entry: VersionEntry) -> VersionStatus:
    return VersionStatus(
        number=entry.number,
        key_id=entry.key_id,
        state=entry.state,
        staged_time=_whole_second(entry.staged_time),
        active_time=_whole_second(entry.active_time),
        not_after=_whole_second(entry.not_after),
    )


def _dead(entry: DeadEntry) -> VersionStatus:
    end_time = _whole_second(entry.end_time)
    return VersionStatus(number=entry.number, key_id=entry.key_id, state=entry.state, end_time=end_time, end_reason=entry.reason)


def _rollout(case: Situation) -> RolloutStatus | None:
    switch = current_rollout(case)
    if switch is None or not rolls_out(case):
        return None
    facts = case.seen.rollout
    start = new_pod_cutoff(switch_time=switch.switch_time, settle=case.seen.settings.settle)  # pods are judged by it in describe, too
    if facts is None or facts.memory.key_id != switch.active.key_id:
        return RolloutStatus(key_id=switch.active.key_id, start_time=start)
    pending = tuple(PendingWorkload(kind=p.kind, name=p.name, reason=p.reason) for p in facts.memory.pending[:PENDING_SHOWN])
    return RolloutStatus(
        key_id=switch.active.key_id,
        start_time=start,
        summary=rollout_summary(facts.memory.pending, total=facts.memory.total),
        pending=pending,
    )


def _last_used_time(seen: Observed, before: ApiKeyStatus) -> datetime | None:
    """The day of the last use, as its midnight in UTC; never an earlier one than was said, never one to come."""
    said = before.last_used_time
    if seen.use.last_day is None:
        return said
    day = datetime.combine(min(seen.use.last_day, seen.now.date()), time(), UTC)
    return said if said is not None and day < said <= seen.now else day


def _next_rotation_time(case: Situation) -> datetime | None:
    if case.problem is not None:
        return None
    return _whole_second(next_due_time(case))


def _whole_second(instant: datetime | None) -> datetime | None:
    return instant.replace(microsecond=0) if instant is not None else None
