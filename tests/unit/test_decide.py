"""What is done next, one test a row of the state table: given what was seen, those steps and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gen.lifecycle import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    SETTINGS,
    active,
    apikey,
    fingerprint,
    key_id,
    observed,
    ours,
    pending,
    record,
    retiring,
    rollout,
    staged,
    tombstone,
    view_of_old_deployment,
)
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.api.workloads import PendingReason
from keyturn.base.clock import format_time
from keyturn.base.version_state import Cause
from keyturn.keys.record import Record
from keyturn.lifecycle.decide import decide, situation
from keyturn.lifecycle.observed import BadRecord, ForeignSecret, GoodRecord, NoSecret
from keyturn.lifecycle.overlap import remember
from keyturn.lifecycle.plan import Annotate, Announce, Change, Deliver, Plan, RenderSecret, SaveRecord, Stage

DAY = 24 * HOUR


def saved(plan: Plan) -> Record:
    """The record that the plan's only step writes."""
    (step,) = plan.steps
    assert isinstance(step, SaveRecord)
    return step.record


def stage(plan: Plan) -> Stage:
    """The plan's only step."""
    (step,) = plan.steps
    assert isinstance(step, Stage)
    return step


def states(ledger: Record) -> dict[int, str]:
    """Number to state, the dead ones too."""
    return {entry.number: str(entry.state) for entry in (*ledger.versions, *ledger.dead)}


# ---------------------------------------------------------------------------------------------------- first issue


def test_a_new_apikey_gets_version_1_staged() -> None:
    step = stage(decide(observed()))
    assert (step.number, step.cause, step.create, step.paced) == (1, Cause.ISSUED, True, False)


def test_a_staged_version_waits_for_the_barrier() -> None:
    plan = decide(observed(record(staged(1, seconds_ago=2)), held=(1,)))
    assert plan.steps == ()
    assert plan.waits_for is not None
    assert plan.waits_for.reason == Reason.PROPAGATION_PENDING
    assert plan.look_again_time == NOW + 3 * SECOND


def test_behind_the_barrier_the_secret_is_created() -> None:
    assert decide(observed(record(staged(1, seconds_ago=5)), held=(1,))).steps == (Deliver(1, key_id(1), create=True),)


def test_a_delivered_version_becomes_active() -> None:
    after = saved(decide(observed(record(staged(1, seconds_ago=5)), ours(1))))
    assert states(after) == {1: "Active"}
    assert after.secret == fingerprint(1)
    assert after.versions[0].active_time == NOW


def test_every_write_of_the_record_is_told_before_the_next_one() -> None:
    ledger = record(staged(1))
    assert decide(observed(ledger, held=(1,), announced_serial=ledger.serial - 1)).steps == (Announce(ledger),)


# ---------------------------------------------------------------------------------------------------- lost plaintext


def test_a_staged_version_of_another_process_is_waited_for() -> None:
    plan = decide(observed(record(active(1), staged(2, seconds_ago=10)), ours(1)))
    assert (plan.steps, plan.look_again_time) == ((), NOW + 20 * SECOND)


def test_a_staged_version_whose_plaintext_is_lost_is_followed_by_another_and_stays() -> None:
    step = stage(decide(observed(record(active(1), staged(2, seconds_ago=31, cause=Cause.TRIGGER)), ours(1))))
    assert (step.number, step.cause) == (3, Cause.TRIGGER)
    assert states(step.base) == {1: "Active", 2: "Staged"}


def test_an_orphan_is_buried_when_a_later_version_is_delivered() -> None:
    after = saved(decide(observed(record(active(1), staged(2, seconds_ago=40), staged(3, seconds_ago=6)), ours(3))))
    assert states(after) == {1: "Retiring", 2: "Retired", 3: "Active"}
    assert after.dead[0].reason == "NeverDelivered"


def test_an_orphan_from_before_the_switch_starts_no_rotation() -> None:
    """Two operators staged at once, one delivered: the other's version must not be delivered when the overlap ends."""
    ledger = record(active(2, ago=HOUR), replace(staged(3), not_after=NOW + DAY), dead=(tombstone(1),))
    assert decide(observed(ledger, ours(2))).steps == ()


def test_a_third_key_is_never_delivered() -> None:
    """R5, on its own: whatever else went wrong, the Secret does not move while two delivered versions are accepted."""
    ledger = record(retiring(1), active(2, ago=HOUR), staged(3, seconds_ago=6))
    assert not any(isinstance(step, Deliver) for step in decide(observed(ledger, ours(2), held=(3,), rollout=rollout())).steps)


# ---------------------------------------------------------------------------------------------------- rotation


def test_a_key_that_is_due_is_staged_and_paced() -> None:
    step = stage(decide(observed(record(active(1, ago=91 * DAY)), ours(1))))
    assert (step.number, step.cause, step.paced) == (2, Cause.SCHEDULED, True)


def test_many_missed_rotations_are_one() -> None:
    assert stage(decide(observed(record(active(1, ago=900 * DAY)), ours(1)))).number == 2


def test_a_key_that_is_not_due_waits_for_its_date() -> None:
    plan = decide(observed(record(active(1, ago=DAY)), ours(1)))
    assert plan.steps == ()
    assert plan.look_again_time is not None
    assert NOW + 79 * DAY < plan.look_again_time <= NOW + 89 * DAY


def test_a_changed_trigger_rotates_at_once_and_is_noted_as_handled() -> None:
    living = apikey({"rotation": {"trigger": "2026-03"}})
    step = stage(decide(observed(record(active(1)), ours(1), of=living)))
    assert (step.cause, step.paced, step.base.trigger) == (Cause.TRIGGER, False, "2026-03")


def test_a_handled_trigger_does_not_rotate_again() -> None:
    living = apikey({"rotation": {"trigger": "2026-03"}})
    assert decide(observed(replace(record(active(1)), trigger="2026-03"), ours(1), of=living)).steps == ()


def test_a_request_by_annotation_rotates_at_once() -> None:
    living = apikey(annotations={"keyturn.dev/rotate-requested-at": "now"})
    step = stage(decide(observed(record(active(1)), ours(1), of=living)))
    assert (step.cause, step.base.rotate_requested_at) == (Cause.REQUESTED, "now")


def test_two_rotations_of_one_key_keep_their_spacing() -> None:
    living = apikey({"rotation": {"trigger": "again"}})
    plan = decide(observed(record(active(1, ago=MINUTE)), ours(1), of=living))
    assert (plan.steps, plan.look_again_time) == ((), NOW + 9 * MINUTE)
    assert plan.deferred is not None
    assert plan.deferred.reason == Reason.WAITING_FOR_SPACING


def test_a_scheduled_rotation_waits_for_its_window() -> None:
    living = apikey({"rotation": {"windows": [{"cron": "0 22 * * *", "windowDuration": "2h"}]}})
    plan = decide(observed(record(active(1, ago=91 * DAY)), ours(1), of=living))
    assert (plan.steps, plan.look_again_time) == ((), NOW + 10 * HOUR)


def test_a_requested_rotation_does_not_wait_for_a_window() -> None:
    rotation = {"trigger": "leak", "windows": [{"cron": "0 22 * * *", "windowDuration": "2h"}]}
    assert stage(decide(observed(record(active(1)), ours(1), of=apikey({"rotation": rotation})))).number == 2


def test_a_scheduled_rotation_waits_for_the_pacer() -> None:
    plan = decide(observed(record(active(1, ago=91 * DAY)), ours(1), pacer_time=NOW + 7 * SECOND))
    assert (plan.steps, plan.look_again_time) == ((), NOW + 7 * SECOND)


def test_with_policy_manual_no_date_is_due() -> None:
    assert decide(observed(record(active(1, ago=900 * DAY)), ours(1), of=apikey({"rotation": {"policy": "Manual"}}))) == Plan()


def test_the_switch_makes_the_old_version_retiring_with_its_hard_end() -> None:
    living = apikey({"rotation": {"overlapLimit": "48h"}})
    after = saved(decide(observed(record(active(1), staged(2, seconds_ago=6), of=living), ours(2, of=living), of=living)))
    assert states(after) == {1: "Retiring", 2: "Active"}
    assert after.versions[0].not_after == NOW + 48 * HOUR


# ---------------------------------------------------------------------------------------------------- overlap


def test_after_the_switch_the_workloads_are_left_alone_for_a_while() -> None:
    plan = decide(observed(record(retiring(1), active(2, ago=5 * SECOND)), ours(2)))
    assert (plan.steps, plan.look_again_time) == ((), NOW + 10 * SECOND)


def test_a_workload_with_an_old_pod_is_annotated_with_the_key_id() -> None:
    facts = rollout(pending(), view=view_of_old_deployment())
    plan = decide(observed(record(retiring(1), active(2, ago=MINUTE)), ours(2), rollout=facts))
    assert plan.steps == (Annotate("Deployment", "web", "web-uid", key_id(2)),)


def test_the_old_key_is_kept_while_a_rollout_is_under_way() -> None:
    plan = decide(observed(record(retiring(1), active(2, ago=25 * HOUR)), ours(2), rollout=rollout(pending())))
    assert plan.steps == ()
    assert plan.waits_for is not None
    assert plan.waits_for.reason == Reason.ROLLOUT_STALLED


def test_the_old_key_is_kept_while_nobody_has_looked_at_the_workloads() -> None:
    assert decide(observed(record(retiring(1), active(2, ago=25 * HOUR)), ours(2))).steps == ()


def test_the_old_key_is_kept_for_its_grace_period() -> None:
    plan = decide(observed(record(retiring(1), active(2, ago=23 * HOUR)), ours(2), rollout=rollout()))
    assert (plan.steps, plan.look_again_time) == ((), NOW + HOUR)


def test_no_grace_is_promised_beyond_the_hard_end() -> None:
    """minVersion leaves a leaked key an hour; the condition promised it a day."""
    plan = decide(observed(record(retiring(1, left=HOUR), active(2, ago=MINUTE)), ours(2), rollout=rollout()))
    assert plan.waits_for is not None
    assert plan.waits_for.message == f"Version 1 is accepted beside version 2 until {format_time(NOW + HOUR)}"
    assert plan.look_again_time == NOW + HOUR


def test_the_old_key_retires_after_grace_and_rollout() -> None:
    after = saved(decide(observed(record(retiring(1), active(2, ago=25 * HOUR)), ours(2), rollout=rollout())))
    assert states(after) == {1: "Retired", 2: "Active"}
    assert (after.dead[0].reason, after.dead_through) == ("Superseded", 1)


def test_a_disabled_rollout_waits_for_grace_alone() -> None:
    living = apikey({"rollout": {"policy": "Disabled"}})
    ledger = record(retiring(1), active(2, ago=25 * HOUR), of=living)
    assert states(saved(decide(observed(ledger, ours(2, of=living), of=living)))) == {1: "Retired", 2: "Active"}


def test_a_stalled_rollout_ends_at_the_overlap_limit() -> None:
    ledger = record(retiring(1, left=-SECOND), active(2, ago=7 * DAY))
    after = saved(decide(observed(ledger, ours(2), rollout=rollout(pending()))))
    assert (states(after), after.dead[0].reason) == ({1: "Retired", 2: "Active"}, "OverlapLimit")


def test_a_rotation_that_is_due_in_an_overlap_is_deferred() -> None:
    living = apikey({"rotation": {"trigger": "again"}})
    plan = decide(observed(record(retiring(1), active(2, ago=HOUR)), ours(2), of=living, rollout=rollout()))
    assert plan.steps == ()
    assert plan.deferred is not None
    assert plan.deferred.reason == Reason.ROTATION_DEFERRED


# ---------------------------------------------------------------------------------------------------- repairs


@pytest.mark.parametrize(
    ("secret", "cause"),
    [(NoSecret(), Cause.SECRET_LOST), (ours(2, intact=False), Cause.SECRET_TAMPERED), (ours(1), Cause.SECRET_TAMPERED)],
    ids=["missing", "changed", "an older one put back"],
)
def test_a_lost_or_changed_secret_gets_a_new_version(secret: NoSecret, cause: Cause) -> None:
    step = stage(decide(observed(record(active(2, ago=MINUTE), dead=(tombstone(1),)), secret)))
    assert (step.number, step.cause, step.paced) == (3, cause, False)


def test_in_an_overlap_the_retiring_version_ends_before_a_repair() -> None:
    after = saved(decide(observed(record(retiring(1), active(2, ago=HOUR)), NoSecret())))
    assert (states(after), after.dead[0].reason) == ({1: "Retired", 2: "Active"}, "SecretLost")


def test_the_fourth_repair_within_an_hour_is_refused() -> None:
    dead = tuple(tombstone(number, ago=number * 10 * MINUTE, cause=Cause.SECRET_LOST) for number in (1, 2, 3))
    plan = decide(observed(record(active(4, ago=MINUTE), dead=dead), NoSecret()))
    assert plan.steps == ()
    assert plan.stalled is not None
    assert (plan.stalled.reason, plan.look_again_time) == (Reason.TOO_MANY_REPAIRS, NOW + 30 * MINUTE)


def test_a_foreign_secret_is_never_written_to() -> None:
    for ledger in (None, record(staged(1, seconds_ago=60)), record(active(1))):
        plan = decide(observed(ledger, ForeignSecret("somebody else's"), held=(1,)))
        assert plan.steps == ()
        assert plan.stalled is not None
        assert plan.stalled.reason == Reason.SECRET_CONFLICT


def test_a_lost_record_is_restored_where_status_and_secret_agree() -> None:
    status = {"activeVersion": 4, "keyID": key_id(4), "versions": [{"number": 4, "keyID": key_id(4), "state": "Active"}]}
    after = saved(decide(observed(None, ours(4), of=apikey(status=status))))
    assert (states(after), after.highest, after.dead_through, after.change) == ({4: "Active"}, 4, 3, Change.RESTORED)
    assert after.versions[0].digest == "digest-4"


@pytest.mark.parametrize(
    "status",
    [None, {"activeVersion": 5, "versions": [{"number": 5, "keyID": "key5", "state": "Active"}]}],
    ids=["no status", "another version"],
)
def test_a_secret_alone_proves_nothing(status: dict[str, object] | None) -> None:
    step = stage(decide(observed(None, ours(4), of=apikey(status=status))))
    assert step.cause is Cause.RECORD_LOST
    assert step.number == (6 if status else 5)
    assert step.base.versions == ()


def test_an_old_record_that_was_put_back_revives_nothing() -> None:
    step = stage(decide(observed(record(active(1), highest=1), ours(3))))
    assert (step.number, states(step.base)) == (4, {1: "Revoked"})


def test_a_record_nobody_may_believe_is_replaced_and_one_of_a_newer_format_is_not() -> None:
    assert stage(decide(observed(BadRecord(Reason.RECORD_DAMAGED, "forged", replaceable=True)))).create is False
    plan = decide(observed(BadRecord(Reason.RECORD_TOO_NEW, "upgrade", replaceable=False)))
    assert plan.steps == ()
    assert plan.stalled is not None


# ---------------------------------------------------------------------------------------------------- ends by intent


@pytest.mark.parametrize("disabled", [True, False])
def test_disabled_reaches_the_record_at_once(disabled: bool) -> None:
    ledger = replace(record(retiring(1), active(2, ago=SECOND)), disabled=not disabled)
    assert saved(decide(observed(ledger, ours(2), of=apikey({"disabled": disabled})))).disabled is disabled


def test_expiration_ends_every_version() -> None:
    living = apikey({"expirationTime": "2026-03-02T12:00:00Z"})
    ledger = replace(record(retiring(1), active(2)), expiration_time=NOW)
    after = saved(decide(observed(ledger, ours(2), of=living)))
    assert (states(after), after.dead_through) == ({1: "Revoked", 2: "Revoked"}, 2)


def test_an_expired_key_stays_dead_until_its_end_is_put_off() -> None:
    expired = replace(record(dead=(tombstone(1),)), expiration_time=NOW)
    plan = decide(observed(expired, ours(1), of=apikey({"expirationTime": "2026-03-02T12:00:00Z"})))
    assert plan.steps == ()
    assert plan.stalled is not None
    assert plan.stalled.reason == Reason.EXPIRED
    later = saved(decide(observed(expired, ours(1), of=apikey({"expirationTime": "2026-04-02T12:00:00Z"}))))
    assert stage(decide(observed(later, ours(1), of=apikey({"expirationTime": "2026-04-02T12:00:00Z"})))).number == 2


def test_min_version_ends_a_retiring_version_at_once() -> None:
    after = saved(decide(observed(record(retiring(1), active(2, ago=HOUR)), ours(2), of=apikey({"minVersion": 2}))))
    assert (states(after), after.min_version) == ({1: "Revoked", 2: "Active"}, 2)


def test_min_version_replaces_the_active_version_at_once() -> None:
    living = apikey({"minVersion": 3})
    step = stage(decide(observed(record(active(2, ago=MINUTE), dead=(tombstone(1),)), ours(2), of=living)))
    assert (step.number, step.cause, step.base.min_version) == (3, Cause.MIN_VERSION, 3)
    ledger = replace(step.base, versions=(*step.base.versions, staged(3, seconds_ago=6, cause=Cause.MIN_VERSION)), highest=3)
    after = saved(decide(observed(ledger, ours(3), of=living)))
    assert states(after) == {1: "Retired", 2: "Retiring", 3: "Active"}
    assert after.versions[0].not_after == NOW + SETTINGS.replace_within


def test_a_key_that_min_version_ended_retires_as_soon_as_nobody_needs_it() -> None:
    """Whoever raises minVersion wants the old key gone: it gets no grace, only the time its consumers take."""
    living = apikey({"minVersion": 2})
    switched = active(2, ago=MINUTE, cause=Cause.MIN_VERSION)
    ledger = replace(record(retiring(1, left=59 * MINUTE), switched, of=living), min_version=2)
    kept = decide(observed(ledger, ours(2, of=living), of=living, rollout=rollout(pending())))
    assert kept.steps == ()
    assert states(saved(decide(observed(ledger, ours(2, of=living), of=living, rollout=rollout())))) == {1: "Retired", 2: "Active"}


def test_a_min_version_beyond_the_next_one_revokes_nothing_and_says_what_to_do() -> None:
    plan = decide(observed(record(active(2), dead=(tombstone(1),)), ours(2), of=apikey({"minVersion": 9})))
    assert plan.steps == ()
    assert plan.stalled is not None
    assert plan.stalled.reason == Reason.MIN_VERSION_TOO_HIGH
    assert "keyturn rotate" in plan.stalled.message


# ---------------------------------------------------------------------------------------------------- the Secret's shape


def test_a_changed_template_is_rendered_with_the_same_version() -> None:
    living = apikey({"secretTemplate": {"labels": {"team": "shop"}}})
    assert decide(observed(record(active(2)), ours(2), of=living)).steps == (RenderSecret(2, key_id(2)),)


def test_a_new_rendering_is_noted_in_the_record() -> None:
    living = apikey({"secretTemplate": {"labels": {"team": "shop"}}})
    after = saved(decide(observed(record(active(2)), ours(2, of=living), of=living)))
    assert (after.secret, after.change) == (fingerprint(2, of=living), Change.RENDERED)


def test_the_previous_plaintext_goes_when_the_overlap_has_ended() -> None:
    living = apikey({"secretTemplate": {"keepPrevious": True}})
    ledger = replace(record(active(2), dead=(tombstone(1),)), secret=fingerprint(2, of=living, previous=1))
    assert decide(observed(ledger, ours(2, of=living, previous=1), of=living)).steps == (RenderSecret(2, key_id(2)),)


def test_the_previous_plaintext_is_kept_on_a_switch_that_asks_for_it() -> None:
    living = apikey({"secretTemplate": {"keepPrevious": True}})
    plan = decide(observed(record(active(1), staged(2, seconds_ago=6), of=living), ours(1, of=living), of=living, held=(2,)))
    assert plan.steps == (Deliver(2, key_id(2), create=False, previous_number=1),)


# ---------------------------------------------------------------------------------------------------- the ApiKey comes and goes


def test_with_its_apikey_every_version_is_revoked() -> None:
    after = saved(decide(observed(record(retiring(1), active(2)), ours(2), apikey=None)))
    assert (states(after), after.ended_time) == ({1: "Revoked", 2: "Revoked"}, NOW)


def test_a_retained_key_outlives_its_apikey() -> None:
    after = saved(decide(observed(replace(record(active(2)), retain_on_delete=True), ours(2), apikey=None)))
    assert (after.retained, states(after)) == (True, {2: "Active"})
    assert decide(observed(after, ours(2), apikey=None)) == Plan()


def test_a_new_apikey_takes_over_a_retained_key() -> None:
    living = apikey({"deletionPolicy": "Retain"}, uid="another")
    ledger = replace(record(active(2), of=living), retain_on_delete=True, retained=True)
    after = saved(decide(observed(ledger, ours(2, of=living), of=living)))
    assert (after.uid, after.retained, states(after)) == ("another", False, {2: "Active"})


def test_a_new_apikey_never_revives_another_ones_key() -> None:
    after = saved(decide(observed(record(active(2)), ours(2), of=apikey(uid="another"))))
    assert (after.uid, states(after)) == ("another", {2: "Revoked"})
    assert stage(decide(observed(after, NoSecret(), of=apikey(uid="another")))).number == 3


def test_tombstones_go_after_ninety_days_and_numbers_never() -> None:
    ledger = replace(record(dead=(tombstone(2),)), ended_time=NOW - timedelta(days=89))
    assert decide(observed(ledger, apikey=None)).look_again_time == NOW + DAY
    after = saved(decide(observed(replace(ledger, ended_time=NOW - timedelta(days=91)), apikey=None)))
    assert (after.dead, after.highest, after.dead_through) == ((), 2, 2)


# ---------------------------------------------------------------------------------------------------- what stands in the way


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"rotation": {"schedule": "61 0 * * *"}}, Reason.INVALID_SCHEDULE),
        ({"rotation": {"schedule": "0 3 * * *", "timeZone": "Mars/Olympus"}}, Reason.UNKNOWN_TIME_ZONE),
        ({"rotation": {"interval": "10s"}}, Reason.INTERVAL_TOO_SHORT),
        ({"productRef": {"name": "payments"}}, Reason.PRODUCT_UNAVAILABLE),
        ({"scopes": ["read"]}, Reason.PRODUCT_UNAVAILABLE),
    ],
)
def test_a_spec_that_cannot_be_followed_mints_nothing_and_says_why(spec: dict[str, object], reason: Reason) -> None:
    plan = decide(observed(of=apikey(spec)))
    assert plan.steps == ()
    assert plan.stalled is not None
    assert plan.stalled.reason == reason


def test_a_bad_schedule_leaves_the_key_that_is_there_alone() -> None:
    plan = decide(observed(record(active(1, ago=900 * DAY)), ours(1), of=apikey({"rotation": {"schedule": "61 0 * * *"}})))
    assert plan.steps == ()
    assert plan.stalled is not None


def test_nothing_that_depends_on_the_time_happens_while_the_clock_is_off() -> None:
    expiring = replace(record(active(1, ago=900 * DAY)), expiration_time=NOW)
    living = apikey({"expirationTime": "2026-03-02T12:00:00Z"})
    assert decide(observed(expiring, ours(1), of=living, clock_is_off=True)).steps == ()
    overlap = record(retiring(1, left=-SECOND), active(2, ago=7 * DAY))
    assert decide(observed(overlap, ours(2), rollout=rollout(), clock_is_off=True)).steps == ()


def test_what_was_written_before_a_pause_is_told_all_the_same() -> None:
    """An operator that was restarted told the world that nothing was told since, as long as the pause lasted."""
    ledger = record(active(1))
    seen = observed(ledger, NoSecret(), of=apikey(annotations={"keyturn.dev/paused": "true"}), announced_serial=ledger.serial - 1)
    assert decide(seen) == Plan((Announce(ledger),))


def test_a_paused_apikey_is_left_alone() -> None:
    living = apikey(annotations={"keyturn.dev/paused": "true"})
    assert decide(observed(record(active(1, ago=900 * DAY)), NoSecret(), of=living)) == Plan()


def test_a_look_at_the_pods_alone_keeps_the_reason_that_was_found() -> None:
    paused = pending(reason=PendingReason.PAUSED)
    seen = observed(record(retiring(1), active(2, ago=MINUTE)), ours(2), rollout=rollout(paused))
    assert isinstance(seen.record, GoodRecord)
    pods_only = replace(view_of_old_deployment(), workloads=None)
    facts = remember(situation(seen, apikey=apikey(), record=seen.record.record), pods_only)
    assert facts is not None
    assert facts.memory.pending == (paused,)
