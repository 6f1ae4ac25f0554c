"""The conditions of an ApiKey. kstatus: only Stalled is a failure; Ready=False alone means in progress."""

from __future__ import annotations

from datetime import datetime

from keyturn.api.v1alpha1.apikey import Delivery
from keyturn.api.v1alpha1.condition import Condition, ConditionStatus
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.clock import format_time
from keyturn.keys.digest import derived_key_id
from keyturn.keys.record import VersionEntry
from keyturn.lifecycle.consent import AUTOMATIC, Consent
from keyturn.lifecycle.issuing import secret_holds
from keyturn.lifecycle.observed import ForeignSecret, Observed, UnreadableSecret
from keyturn.lifecycle.overlap import current_rollout, current_switch, rolls_out
from keyturn.lifecycle.plan import Plan, Waiting
from keyturn.lifecycle.rollout_progress import rollout_summary
from keyturn.lifecycle.situation import Situation

Answer = tuple[str, str, str]
"""Status, reason, message."""


def conditions_of(
    seen: Observed, plan: Plan, *, outcome_failed: Waiting | None, stuck: bool, case: Situation | None, consent: Consent
) -> tuple[Condition, ...]:
    """All conditions, in a fixed order; an unchanged one keeps its transition time."""
    stalled = plan.stalled or (outcome_failed if stuck else None)
    answers: list[tuple[ConditionType, Answer | None]] = [
        (ConditionType.READY, _ready(plan, case, stalled=stalled, failed=outcome_failed)),
        (ConditionType.RECONCILING, _reconciling(plan, case, stalled=stalled, failed=outcome_failed)),
        (ConditionType.STALLED, ("True", stalled.reason, stalled.message) if stalled else None),
        (ConditionType.APPROVED, approval(consent)),
        (ConditionType.DISABLED, _disabled(case)),
        (ConditionType.PREVIOUS_VERSION_ACTIVE, _previous(plan, case)),
        (ConditionType.ROLLOUT_COMPLETE, _rollout(plan, case)),
    ]
    apikey = seen.apikey
    before = {c.type: c for c in apikey.status.conditions} if apikey and apikey.status else {}
    generation = apikey.metadata.generation if apikey else None
    told = ((kind, answer) for kind, answer in answers if answer is not None)
    return tuple(_condition(kind, answer, before.get(kind), now=seen.now, generation=generation) for kind, answer in told)


def _condition(kind: ConditionType, answer: Answer, before: Condition | None, *, now: datetime, generation: int | None) -> Condition:
    status, reason, message = ConditionStatus(answer[0]), answer[1], answer[2]
    since = before.last_transition_time if before is not None and before.status == status else now.replace(microsecond=0)
    return Condition(type=kind, status=status, reason=reason, message=message, observed_generation=generation, last_transition_time=since)


def key_works(case: Situation | None) -> bool:
    """Whether its consumers have a key that verifiers accept (when it is not disabled)."""
    if case is None or case.active is None or has_expired(case):
        return False
    if case.apikey.spec.delivery is not Delivery.SECRET:
        return True
    secret = case.seen.secret
    return secret.works if isinstance(secret, ForeignSecret) else secret_holds(case, case.active)


def has_expired(case: Situation) -> bool:
    """Whether the whole key came to its planned end."""
    return case.record.expiration_time is not None and case.record.expiration_time <= case.now


def _ready(plan: Plan, case: Situation | None, *, stalled: Waiting | None, failed: Waiting | None) -> Answer:
    if case is not None and key_works(case) and case.active is not None:
        if case.record.disabled:
            return _in_place_and_refused(case)
        reason, message = _in_force(case, case.active)
        return "True", reason, f"{message}. {plan.deferred.message}" if plan.deferred else message
    if case is not None and isinstance(case.seen.secret, UnreadableSecret) and case.active is not None and not has_expired(case):
        return "Unknown", case.seen.secret.why.reason, case.seen.secret.why.message
    why = stalled or failed or plan.waits_for
    return ("False", why.reason, why.message) if why else ("False", Reason.ISSUING, "The key is being issued")


def _but_of_another_form(active: VersionEntry) -> str:
    """A digest does not tell the form of its key, and one of Keyturn's own form is accepted under its own ID alone."""
    if not active.imported or active.key_id != derived_key_id(active.digest):
        return ""
    what = "make another one, and list it with its keyID beside its digest"
    return f". If keyturn mint made the key, verifiers refuse it so: {what}"


def _in_force(case: Situation, active: VersionEntry) -> tuple[Reason, str]:
    message, restored = f"Version {active.number} is in force{_but_of_another_form(active)}", case.record.restored_time
    if restored is not None:
        was_old = f"At {format_time(restored)} its verifier record was an older one, as after a restore from a backup, and was put right"
        return Reason.RESTORE_DETECTED, f"{message}. {was_old}"
    return Reason.IMPORTED if case.apikey.spec.delivery is Delivery.NONE else Reason.ISSUED, message


def _reconciling(plan: Plan, case: Situation | None, *, stalled: Waiting | None, failed: Waiting | None) -> Answer | None:
    if stalled is not None or key_works(case):
        return None
    why = failed or plan.waits_for
    return ("True", why.reason, why.message) if why else ("True", Reason.ISSUING, "The key is being issued")


def _in_place_and_refused(case: Situation) -> Answer:
    if case.apikey.spec.disabled:
        return "True", Reason.DISABLED, "The key is in place and refused everywhere, as spec.disabled asks"
    why = case.consent.access_lost
    return "False", Reason.ACCESS_LOST, f"The key is refused everywhere: {why.message if why is not None else 'its product was lost'}"


def approval(consent: Consent) -> Answer:
    """What the product's owner says of what the spec asks for."""
    if consent.access_lost is not None:
        return "False", Reason.ACCESS_LOST, consent.access_lost.message
    if consent.problem is not None:
        return "False", consent.problem.reason, consent.problem.message
    if consent.pending is not None:
        return "Unknown" if consent.may_mint else "False", consent.pending.reason, consent.pending.message
    if consent.approved_by is None:
        return "True", Reason.NOT_REQUIRED, "A key without a product needs no approval"
    if consent.approved_by == AUTOMATIC:
        return "True", Reason.APPROVED_BY_PRODUCT, f"ApiProduct {consent.power.product} admits it to plan {consent.power.plan}"
    return "True", Reason.GRANTED, f"ApiProduct {consent.approved_by} grants it plan {consent.power.plan}"


def _disabled(case: Situation | None) -> Answer:
    if case is None or not case.record.disabled:
        return "False", Reason.ENABLED, "Nothing has disabled the key"
    if case.apikey.spec.disabled:
        return "True", Reason.DISABLED, "No version is accepted while spec.disabled is true"
    return "True", Reason.ACCESS_LOST, "No version is accepted while the product does not admit the key"


def _previous(plan: Plan, case: Situation | None) -> Answer:
    switch = current_switch(case.record) if case is not None else None
    if switch is None:
        return "False", Reason.NO_PREVIOUS_VERSION, "Only one version is accepted"
    if plan.deferred is not None:
        return "True", Reason.ROTATION_DEFERRED, plan.deferred.message
    waits = plan.waits_for
    if waits is not None and waits.reason in {Reason.OLD_KEY_IN_USE, Reason.USE_UNKNOWN}:
        return "True", waits.reason, waits.message
    return "True", Reason.PREVIOUS_VERSION_RETIRING, waits.message if waits else f"Version {switch.retiring.number} is still accepted"


def _rollout(plan: Plan, case: Situation | None) -> Answer:
    switch = current_rollout(case) if case is not None else None
    if case is None or switch is None:
        return "True", Reason.NO_PREVIOUS_VERSION, "No rollout is under way"
    if not rolls_out(case):
        return "True", Reason.ROLLOUT_DISABLED, "spec.rollout.policy is Disabled: consumers read the Secret anew by themselves"
    facts = case.seen.rollout
    if facts is not None and facts.memory.key_id == switch.active.key_id and facts.memory.complete:
        reason = Reason.ROLLOUT_COMPLETE if facts.memory.total else Reason.NO_WORKLOADS
        return "True", reason, rollout_summary((), total=facts.memory.total)
    waits = plan.waits_for
    return ("False", waits.reason, waits.message) if waits else ("False", Reason.ROLLOUT_IN_PROGRESS, "The rollout is under way")
