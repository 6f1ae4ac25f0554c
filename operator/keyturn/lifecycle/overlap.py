"""Rules of the time in which two versions are accepted: roll out what uses the old key, then retire it on evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from keyturn.api.v1alpha1.apikey import Delivery
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.api.workloads import RolloutView
from keyturn.base.clock import SECOND, format_time
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import Record, VersionEntry
from keyturn.lifecycle.observed import REFUSAL_RECHECK, Observed
from keyturn.lifecycle.old_key_use import reason_to_wait
from keyturn.lifecycle.plan import Change, Plan, SaveRecord, Waiting
from keyturn.lifecycle.revocation_hit import revoked_by
from keyturn.lifecycle.rollout import new_pod_cutoff, participants, pending_workloads, targets_of, workloads_to_annotate
from keyturn.lifecycle.rollout_memory import RolloutFacts, RolloutMemory
from keyturn.lifecycle.rollout_progress import is_stalled, next_look_time, rollout_summary
from keyturn.lifecycle.situation import Situation, is_paused
from keyturn.lifecycle.versions import bury

WORKLOADS_AFTER: Final = 10 * SECOND
"""A rollout that takes longer is looked at workload by workload, to say what holds it up; a short one by its pods alone."""

ENDS_BY_INTENT: Final = frozenset({Cause.MIN_VERSION, Cause.REPLACED})
"""Causes of a version whose predecessor somebody wants to be gone."""


class Look(Enum):
    """How much of the namespace's workloads a reconcile reads."""

    NOTHING = "nothing"
    PODS = "pods"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Switch:
    """The latest change of the credential Secret, while the version before is still accepted."""

    active: VersionEntry
    retiring: VersionEntry
    """The version before; Revoked: a revocation ended it, and only its consumers are left to be moved."""
    switch_time: datetime


def current_switch(record: Record) -> Switch | None:
    """The switch whose overlap is running, if one is."""
    retiring, active = record.in_state(VersionState.RETIRING), record.active
    if not retiring or active is None or active.active_time is None:
        return None
    return Switch(active=active, retiring=retiring[-1], switch_time=active.active_time)


def current_rollout(case: Situation) -> Switch | None:
    """The switch whose consumers may not have moved yet: that of an overlap, or one that a revocation left without."""
    switch, active = current_switch(case.record), case.active
    if switch is not None or active is None or active.active_time is None or active.cause is not Cause.REVOKED:
        return switch
    revoked = [entry for entry in case.record.dead if entry.state is VersionState.REVOKED and entry.number < active.number]
    if not revoked or not rolls_out(case) or case.now >= active.active_time + case.timing.overlap_limit:
        return None
    dead = revoked[-1]
    before = VersionEntry(dead.number, dead.key_id, "", VersionState.REVOKED, staged_time=dead.end_time, cause=dead.cause)
    return Switch(active=active, retiring=before, switch_time=active.active_time)


def look_wanted(case: Situation) -> Look:
    """What must be read before `decide` can judge the rollout: usually nothing."""
    switch, facts = current_rollout(case), case.seen.rollout
    if switch is None or is_paused(case.apikey) or not rolls_out(case) or case.now < _rollout_start(case.seen, switch):
        return Look.NOTHING
    memory = facts.memory if facts is not None and facts.memory.key_id == switch.active.key_id else None
    if memory is None:
        return Look.EVERYTHING
    if memory.complete:
        is_dead = switch.retiring.state.is_dead
        over = not is_dead and grace_is_over(case, switch) is None and old_key_is_quiet(case, switch) is None
        return Look.PODS if over else Look.NOTHING
    started = _rollout_start(case.seen, switch)
    if case.now < next_look_time(now=memory.look_time, started=started):
        return Look.NOTHING
    return Look.EVERYTHING if case.now - started > WORKLOADS_AFTER else Look.PODS


def remember(case: Situation, view: RolloutView) -> RolloutFacts | None:
    """Judge a view just read, and keep the judgement for the reconciles that do not look."""
    switch = current_rollout(case)
    if switch is None:
        return None
    targets, key_id = targets_of(case.apikey), switch.active.key_id
    pending = pending_workloads(view, key_id=key_id, cutoff=_cutoff(case.seen, switch), targets=targets)
    total = participants(view, targets=targets)
    facts = case.seen.rollout
    before = facts.memory.total if facts is not None else 0
    if view.workloads is None and facts is not None:  # pods alone do not tell why: keep the reason that was found
        known = {(each.kind, each.name): each for each in facts.memory.pending}
        pending = tuple(known.get((each.kind, each.name), each) for each in pending)
    memory = RolloutMemory(key_id=key_id, look_time=case.now, pending=pending, total=max(total, before, len(pending)))
    return RolloutFacts(memory=memory, view=view)


def old_version_reached_its_limit(case: Situation) -> Plan | None:
    """notAfter is the hard end: verifiers need no operator for it; this writes the tombstone."""
    over = tuple(e for e in case.retiring if e.not_after is not None and e.not_after <= case.now)
    if not over or case.seen.clock_is_off:
        return None
    ended = bury_retired(case.record, *over, reason="OverlapLimit", now=case.now)
    return Plan((SaveRecord(ended),))


def bury_retired(record: Record, *entries: VersionEntry, reason: str, now: datetime) -> Record:
    """Retire versions in the ordinary way."""
    return replace(bury(record, *entries, state=VersionState.RETIRED, reason=reason, now=now), change=Change.RETIRED)


def workloads_use_the_old_key(case: Situation) -> Plan | None:
    """Annotate what still runs with the old key; when nothing does and grace is over, the old version retires."""
    switch = current_rollout(case)
    if switch is None:
        return None
    steps = _annotations(case, switch)
    if steps is not None:
        return steps
    unseen, limit = case.seen.rollout_unseen, switch.retiring.not_after
    if unseen is not None:
        look = case.now + REFUSAL_RECHECK
        return Plan(waits_for=unseen, stalled=unseen, look_again_time=look if limit is None else min(look, limit))
    is_dead = switch.retiring.state.is_dead
    for policy in MOVED if is_dead else MAY_RETIRE:
        violated = policy(case, switch)
        if violated is not None:
            waits, look = violated
            refused = case.seen.rollout.refused if case.seen.rollout is not None else None
            return Plan(waits_for=waits, stalled=refused, look_again_time=look if limit is None else min(look, limit))
    if case.seen.clock_is_off or is_dead:
        return None
    return Plan((SaveRecord(_without_the_old_version(case, switch.retiring)),))


def _without_the_old_version(case: Situation, old: VersionEntry) -> Record:
    """It retires, or a revocation that let its consumers move is carried out."""
    hit = revoked_by(case.record, old, case.seen.revocations, default=case.seen.settings.replace_within)
    if hit is None:
        return bury_retired(case.record, old, reason="Superseded", now=case.now)
    return replace(bury(case.record, old, state=VersionState.REVOKED, reason=hit.reason, now=case.now), change=Change.REVOKED)


def _annotations(case: Situation, switch: Switch) -> Plan | None:
    facts = case.seen.rollout
    if facts is None or facts.view is None or not rolls_out(case):
        return None
    cutoff, targets = _cutoff(case.seen, switch), targets_of(case.apikey)
    steps = workloads_to_annotate(facts.view, key_id=switch.active.key_id, cutoff=cutoff, targets=targets)
    return Plan(steps) if steps else None


Violation = tuple[Waiting, datetime]
RetirePolicy = Callable[[Situation, Switch], Violation | None]


def consumers_had_time_to_settle(case: Situation, switch: Switch) -> Violation | None:
    """A kubelet may serve a pod started right after the switch the old value (kubernetes/kubernetes#129645)."""
    start = _rollout_start(case.seen, switch)
    if not rolls_out(case) or case.now >= start:
        return None
    return Waiting(Reason.SETTLING, f"The Secret holds version {switch.active.number}; workloads are rolled out after a pause"), start


def rollout_is_complete(case: Situation, switch: Switch) -> Violation | None:
    """No pod that uses the Secret and started before the switch may be left. Unknown is not complete."""
    if not rolls_out(case):
        return None
    facts, start = case.seen.rollout, _rollout_start(case.seen, switch)
    if facts is None or facts.memory.key_id != switch.active.key_id:
        return Waiting(Reason.ROLLOUT_IN_PROGRESS, "Looking for the workloads that use the Secret"), case.now + SECOND
    if facts.memory.complete:
        return None
    summary = rollout_summary(facts.memory.pending, total=facts.memory.total)
    look = next_look_time(now=facts.memory.look_time, started=start)
    if is_stalled(started=start, now=case.now, stall_timeout=stall_timeout(case)):
        return Waiting(Reason.ROLLOUT_STALLED, f"{summary}. The old key is {_fate(switch)}; see kubectl rollout status"), look
    return Waiting(Reason.ROLLOUT_IN_PROGRESS, summary), look


def grace_is_over(case: Situation, switch: Switch) -> Violation | None:
    """The old key is promised to work for the grace period, whatever the rollout does."""
    if case.problem is not None:
        return Waiting(case.problem.reason, case.problem.message), switch.retiring.not_after or case.now
    end = _promised_until(case, switch)
    if case.now >= end:
        return None
    limit, both = switch.retiring.not_after, f"Version {switch.retiring.number} is accepted beside version {switch.active.number}"
    if limit is not None and limit < end:  # ended by intent: there is no promise beyond its hard end
        return Waiting(Reason.GRACE_PERIOD, f"{both} until {format_time(limit)}"), limit
    return Waiting(Reason.GRACE_PERIOD, f"{both} until {format_time(end)} at least"), end


def old_key_is_quiet(case: Situation, switch: Switch) -> Violation | None:
    """Where verifiers report use, they have the last word: who still uses the old key is not cut off before notAfter.

    Not for a version that minVersion or a revocation ended: that is an end by intent. Nor for one in whose place another is wanted.
    """
    if _must_make_room(switch):
        return None
    return reason_to_wait(
        case.seen.use,
        number=switch.retiring.number,
        switch_time=switch.switch_time,
        quiet_period=case.timing.quiet_period,
        now=case.now,
    )


def _must_make_room(switch: Switch) -> bool:
    """Somebody wants the old key to be gone, or the new one, whose successor could not be delivered beside both."""
    return switch.active.cause in ENDS_BY_INTENT or switch.active.not_after is not None


def _promised_until(case: Situation, switch: Switch) -> datetime:
    """Up to when the old key is kept for its own sake. One ended by intent is promised nothing: only its consumers are waited for."""
    if _must_make_room(switch) and rolls_out(case):
        return switch.switch_time
    return switch.switch_time + case.timing.grace_period


MOVED: Final[tuple[RetirePolicy, ...]] = (consumers_had_time_to_settle, rollout_is_complete)
MAY_RETIRE: Final[tuple[RetirePolicy, ...]] = (*MOVED, grace_is_over, old_key_is_quiet)


def rolls_out(case: Situation) -> bool:
    """Whether workloads are restarted for this key. Where they are not, they re-read the file by themselves: only grace counts."""
    spec = case.apikey.spec
    return spec.delivery is Delivery.SECRET and (spec.rollout is None or spec.rollout.policy != "Disabled")


def stall_timeout(case: Situation) -> timedelta:
    """How long a rollout may take before it counts as stalled."""
    rollout = case.apikey.spec.rollout
    return (rollout.stall_timeout if rollout else None) or case.seen.settings.stall_timeout


def _rollout_start(seen: Observed, switch: Switch) -> datetime:
    return switch.switch_time + seen.settings.settle


def _cutoff(seen: Observed, switch: Switch) -> datetime:
    return new_pod_cutoff(switch_time=switch.switch_time, settle=seen.settings.settle)


def _fate(switch: Switch) -> str:
    if switch.retiring.state.is_dead:
        return "dead"
    return f"kept until {format_time(switch.retiring.not_after) if switch.retiring.not_after else 'its end'}"
