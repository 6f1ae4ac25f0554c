"""What to do next with one ApiKey: `Observed -> Plan`. Pure; reads like the page on rotation.

Before it: `controller/apikey/observe.py`. After it: `controller/apikey/act.py` carries the steps out, then `conclude.py`.
The rules stand in order; each is right on its own for any input, and the first one with an answer decides.
Every plan holds steps that belong to one moment; the reconciler looks again after carrying them out.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey, Delivery, RotationPolicy, RotationSpec
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import MINUTE
from keyturn.base.errors import UserMustAct
from keyturn.keys.record import Record
from keyturn.lifecycle import after_restore, imported, issuing, overlap, power, restore, revocation, rotation, sealed
from keyturn.lifecycle.consent import Consent, consent_for
from keyturn.lifecycle.deletion import decide_for_gone_apikey
from keyturn.lifecycle.observed import BadRecord, GoodRecord, Observed
from keyturn.lifecycle.plan import Announce, Plan, Waiting
from keyturn.lifecycle.plan_rotation import inherited_rotation
from keyturn.lifecycle.rotation_timing import EffectiveRotation, effective_rotation
from keyturn.lifecycle.situation import Rule, Situation, is_paused
from keyturn.lifecycle.withdrawal import withdrawal

CLOCK_RECHECK: Final = MINUTE

URGENT: Final[tuple[Rule, ...]] = (
    power.another_apikey_had_this_record,
    power.spec_differs_from_record,
    power.key_has_expired,
    overlap.old_version_reached_its_limit,
    power.min_version_was_raised,
    imported.digest_left_the_list,
)
"""Ends by intent, and what the key may do: they wait for nothing, not even for the Event of the write before."""

RULES: Final[tuple[Rule, ...]] = (
    *URGENT,
    issuing.secret_cannot_be_read,
    issuing.secret_belongs_to_somebody_else,
    issuing.secret_is_ahead_of_the_record,
    issuing.secret_holds_a_staged_version,
    issuing.secret_lost_the_key,
    revocation.replacement_was_ordered,
    issuing.staged_version_is_on_its_way,
    issuing.secret_was_rendered_from_another_template,
    issuing.fingerprint_moved,
    overlap.workloads_use_the_old_key,
    after_restore.restore_is_settled,
    issuing.there_is_no_key,
    rotation.rotation_is_due,
)

IMPORTED_RULES: Final[tuple[Rule, ...]] = (
    *URGENT,
    imported.listed_version_is_in_force,
    imported.digest_was_listed,
    overlap.workloads_use_the_old_key,
    after_restore.restore_is_settled,
    imported.no_listed_key_is_left,
)
"""For keys that were made elsewhere: there is nothing to mint and nothing to deliver."""

SEALED_RULES: Final[tuple[Rule, ...]] = (
    *URGENT,
    sealed.untaken_key_was_revoked,
    sealed.key_was_received,
    sealed.key_was_not_received,
    revocation.replacement_was_ordered,
    sealed.key_waits_for_its_person,
    overlap.workloads_use_the_old_key,
    after_restore.restore_is_settled,
    sealed.nobody_has_a_key,
    rotation.rotation_is_due,
)
"""For keys that a person takes: the status, for a while, stands in the place of the Secret."""

RULES_OF: Final[dict[Delivery, tuple[Rule, ...]]] = {
    Delivery.SECRET: RULES,
    Delivery.SEALED: SEALED_RULES,
    Delivery.NONE: IMPORTED_RULES,
}


def decide(seen: Observed) -> Plan:
    """The next steps, what is waited for, and when to look again."""
    plan = _decide(seen)
    late = not plan.steps and plan.look_again_time is not None and plan.look_again_time <= seen.now
    # Only what is due and may not be done (the clock is off) is late: looked at again at once, it would be so for ever.
    return replace(plan, look_again_time=seen.now + CLOCK_RECHECK) if late else plan


def _decide(seen: Observed) -> Plan:
    plan = restore.newest_knowledge_wins(seen) or revocation.revocation_acts(seen) or _decide_the_rest(seen)
    return plan if plan.steps else _sooner(plan, Plan(look_again_time=revocation.next_time(seen)))


def _decide_the_rest(seen: Observed) -> Plan:
    if seen.apikey is None:
        plan = decide_for_gone_apikey(seen)
        return plan if plan.steps else _sooner(withdrawal(seen), plan)
    untold = _untold(seen)
    if is_paused(seen.apikey):
        left = withdrawal(seen)
        return Plan((Announce(untold),)) if untold is not None and not left.steps else left
    if isinstance(seen.record, BadRecord) and not seen.record.replaceable:
        return Plan(stalled=Waiting(seen.record.reason, seen.record.message))
    if untold is not None:
        return _urgent(seen, apikey=seen.apikey, record=untold) or Plan((Announce(untold),))
    if seen.spec_problem is not None:
        return replace(withdrawal(seen), stalled=Waiting(Reason.INVALID_SPEC, seen.spec_problem))
    if not isinstance(seen.record, GoodRecord):
        return _started(seen, apikey=seen.apikey)
    case = situation(seen, apikey=seen.apikey, record=seen.record.record)
    return _with_alarms(case, _first_answer(case, RULES_OF[seen.apikey.spec.delivery]) or Plan())


def _sooner(plan: Plan, other: Plan) -> Plan:
    return replace(plan, look_again_time=_earliest(plan.look_again_time, other.look_again_time))


def _untold(seen: Observed) -> Record | None:
    """The record, where nobody was told of its last change yet."""
    if isinstance(seen.record, GoodRecord) and seen.record.record.serial > seen.announced_serial:
        return seen.record.record
    return None


def _urgent(seen: Observed, *, apikey: ApiKey, record: Record) -> Plan | None:
    if seen.spec_problem is not None:
        return None
    return _first_answer(situation(seen, apikey=apikey, record=record), URGENT)


def situation(seen: Observed, *, apikey: ApiKey, record: Record) -> Situation:
    """Unpack what was seen of a living ApiKey for the rules."""
    consent = consent_for(apikey, seen.product, record=record, settings=seen.settings)
    timing, problem = _timing_and_problem(seen, apikey, consent, has_key=record.active is not None)
    return Situation(seen=seen, apikey=apikey, record=record, timing=timing, problem=problem, consent=consent)


def _started(seen: Observed, *, apikey: ApiKey) -> Plan:
    """There is no record to believe."""
    consent = consent_for(apikey, seen.product, record=None, settings=seen.settings)
    if apikey.spec.delivery is Delivery.NONE:
        case = situation(seen, apikey=apikey, record=issuing.first_record(seen, apikey, consent))
        return _with_alarms(case, _first_answer(case, IMPORTED_RULES) or Plan())
    problem = _timing_and_problem(seen, apikey, consent, has_key=False)[1]
    return _waiting_for_consent(issuing.start_a_record(seen, apikey=apikey, consent=consent, problem=problem))


def _timing_and_problem(seen: Observed, apikey: ApiKey, consent: Consent, *, has_key: bool) -> tuple[EffectiveRotation, Waiting | None]:
    """The rotation in force, the defaults where the spec's own cannot be used; and why nothing may be minted."""
    problem = None
    if not consent.may_mint or not has_key:
        problem = consent.access_lost or consent.problem or (None if consent.may_mint else consent.pending)
    problem = problem or sealed.recipient_problem(apikey)
    asked = inherited_rotation(apikey.spec.rotation, consent.plan)
    if apikey.spec.delivery is not Delivery.SECRET:  # a person has to take such a key, whatever the plan's calendar says
        asked = (asked or RotationSpec()).model_copy(update={"policy": RotationPolicy.MANUAL})
    try:
        return effective_rotation(asked, settings=seen.settings), problem
    except UserMustAct as refused:
        return effective_rotation(None, settings=seen.settings), problem or Waiting(refused.reason, str(refused))


def _waiting_for_consent(plan: Plan) -> Plan:
    """Waiting for the API's owner is no failure: it goes on by itself once he consents."""
    if plan.stalled is None or plan.stalled.reason != Reason.PENDING_APPROVAL:
        return plan
    return replace(plan, stalled=None, waits_for=plan.stalled)


def _first_answer(case: Situation, rules: tuple[Rule, ...]) -> Plan | None:
    for rule in rules:
        plan = rule(case)
        if plan is not None:
            return plan
    return None


def _with_alarms(case: Situation, plan: Plan) -> Plan:
    """Whatever rule answered: look again when a version or the key ends, and say what else stands in the way."""
    if plan.steps:
        return plan
    ends = [case.record.expiration_time if case.record.versions else None]
    ends += [issuing.contest_look_time(case), power.refusal_time(case.record, case.consent), imported.recheck_time(case)]
    future = [end for end in ends if end is not None and end > case.now]
    stalled = plan.stalled or power.min_version_problem(case) or case.problem or case.consent.problem
    stalled = stalled or issuing.contest(case) or imported.digest_problem(case)
    told = replace(
        plan,
        look_again_time=_earliest(plan.look_again_time, *future),
        stalled=stalled,
        deferred=plan.deferred or rotation.deferral(case),
    )
    return _waiting_for_consent(told)


def _earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
