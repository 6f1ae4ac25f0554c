"""Corners where two things happen at once: what a review found, one incident a test."""

from __future__ import annotations

from dataclasses import replace

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
)
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.version_state import Cause, VersionState
from keyturn.cluster.credential_secrets import decode_credential_metadata
from keyturn.keys.record import Record
from keyturn.lifecycle.contest import QUIET, EditsUndone, one_more
from keyturn.lifecycle.credential_secret import DRIFTED
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import REFUSAL_RECHECK, ForeignSecret, NoRecord, NoSecret, Observed, UnreadableSecret
from keyturn.lifecycle.plan import Change, Deliver, Plan, RenderSecret, SaveRecord, Stage, Waiting
from keyturn.lifecycle.versions import MOVES, activate

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


@pytest.mark.parametrize(("conflicts", "seconds"), [(1, 5), (100, 5), (1_000, 50), (10_000, 500)])
def test_foreign_secrets_are_asked_for_soon_and_never_more_than_twenty_a_second(conflicts: int, seconds: int) -> None:
    for ledger in (record(staged(1)), NoRecord()):
        plan = decide(observed(ledger, ForeignSecret("theirs"), conflicts=conflicts))
        assert plan.look_again_time == NOW + seconds * SECOND


DRIFT = replace(ours(1), fingerprint=replace(fingerprint(1), template_digest=DRIFTED))


def undone_once_a_second(times: int) -> EditsUndone:
    """The last one just now."""
    undone: EditsUndone | None = None
    for number in range(times):
        undone = one_more(undone, now=NOW - (times - 1 - number) * SECOND)
    assert undone is not None
    return undone


@pytest.mark.parametrize(("times", "pause"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (400, 60)])
def test_who_edits_the_secret_again_and_again_is_answered_ever_more_slowly(times: int, pause: int) -> None:
    seen = observed(record(active(1)), DRIFT, edits_undone=undone_once_a_second(times))
    waiting = decide(seen)
    assert (waiting.steps, waiting.look_again_time) == ((), NOW + pause * SECOND)
    again = decide(replace(seen, now=NOW + pause * SECOND))
    assert again.steps == (RenderSecret(1, key_id(1), undoes_edit=True),)


def test_a_contest_is_said_and_nothing_else_waits_for_it() -> None:
    contest = undone_once_a_second(3)
    plan = decide(observed(record(active(1)), DRIFT, edits_undone=contest))
    assert plan.stalled is not None
    assert plan.stalled.reason == Reason.SECRET_CONTESTED
    asked = apikey({"rotation": {"trigger": "now"}})
    assert stage(decide(observed(record(active(1)), DRIFT, of=asked, edits_undone=contest))).number == 2


def test_a_contest_is_over_after_some_quiet_and_not_between_two_edits() -> None:
    contest = undone_once_a_second(7)
    put_back = observed(record(active(1)), ours(1), edits_undone=contest)
    plan = decide(replace(put_back, now=NOW + 2 * MINUTE))
    assert plan.stalled is not None
    assert plan.look_again_time == NOW + QUIET
    assert decide(replace(put_back, now=NOW + QUIET)).stalled is None
    assert one_more(contest, now=NOW + QUIET).count == 1


def test_one_edit_is_undone_at_once_and_no_fault() -> None:
    seen = observed(record(active(1)), DRIFT)
    assert decide(seen).steps == (RenderSecret(1, key_id(1), undoes_edit=True),)
    assert decide(observed(record(active(1)), ours(1), edits_undone=undone_once_a_second(1))).stalled is None


def test_a_template_of_our_own_waits_for_nobody() -> None:
    living = apikey({"secretTemplate": {"labels": {"a": "1"}}})
    plan = decide(observed(record(active(1)), ours(1), of=living, edits_undone=undone_once_a_second(7)))
    assert plan.steps == (RenderSecret(1, key_id(1)),)


FORBIDDEN = Waiting(Reason.PERMISSION_MISSING, "list pods shop: 403 Forbidden")


@pytest.mark.parametrize("ledger", [record(active(1)), record(active(1), staged(2)), record(staged(1)), NoRecord()])
def test_a_secret_that_may_not_be_read_counts_neither_as_lost_nor_as_in_place(ledger: Record | NoRecord) -> None:
    plan = decide(observed(ledger, UnreadableSecret(FORBIDDEN), held=(1, 2)))
    assert plan == Plan(stalled=FORBIDDEN, look_again_time=NOW + REFUSAL_RECHECK)


def test_the_old_key_is_kept_while_its_consumers_may_not_be_looked_at() -> None:
    ledger = record(retiring(1, left=10 * SECOND), active(2, ago=5 * DAY))
    unseen = observed(ledger, ours(2), rollout_unseen=FORBIDDEN)
    assert decide(unseen) == Plan(waits_for=FORBIDDEN, stalled=FORBIDDEN, look_again_time=NOW + 10 * SECOND)
    assert saved(decide(replace(unseen, now=NOW + 10 * SECOND))).dead[-1].reason == "OverlapLimit"


def test_a_refused_workload_is_told_until_the_next_look() -> None:
    """Whatever woke the key in between took the condition away, and the next look brought it back with a new Event."""
    refused = Waiting(Reason.WORKLOAD_REFUSED, "Deployment web")
    facts = replace(rollout(pending()), refused=refused)
    assert decide(observed(record(retiring(1), active(2, ago=HOUR)), ours(2), rollout=facts)).stalled == refused


@pytest.mark.parametrize(
    "seen",
    [
        observed(record(active(1, ago=900 * DAY)), ours(1), clock_is_off=True),
        observed(record(retiring(1, left=-SECOND), active(2, ago=7 * DAY)), ours(2), clock_is_off=True),
        observed(replace(record(dead=(tombstone(2),)), ended_time=NOW - 91 * DAY), apikey=None, clock_is_off=True),
        observed(record(retiring(1, left=-SECOND), active(2)), ours(2), of=apikey({"rotation": {"interval": "1s"}}), clock_is_off=True),
    ],
    ids=["due", "overlap limit", "tombstones", "bad spec in an overlap"],
)
def test_what_only_time_could_do_is_not_looked_at_again_at_once_while_the_clock_is_off(seen: Observed) -> None:
    """A look-again time that has passed made the queue run the key without end."""
    plan = decide(seen)
    assert plan.steps == ()
    assert plan.look_again_time is not None
    assert plan.look_again_time >= NOW + 10 * SECOND


def test_a_key_that_is_taken_over_is_still_held_to_min_version() -> None:
    """The new ApiKey's minVersion was noted as done, and the version below it lived on."""
    living = apikey({"deletionPolicy": "Retain", "minVersion": 3}, uid="another")
    ledger = replace(record(active(2), of=living), retain_on_delete=True, retained=True)
    after = saved(decide(observed(ledger, ours(2, of=living), of=living)))
    assert after.change == Change.TAKEN_OVER
    step = stage(decide(observed(after, ours(2, of=living), of=living)))
    assert (step.number, step.cause) == (3, Cause.MIN_VERSION)


def test_a_restored_record_is_still_held_to_min_version() -> None:
    status = {"activeVersion": 2, "keyID": key_id(2), "versions": [{"number": 2, "keyID": key_id(2), "state": "Active"}]}
    living = apikey({"minVersion": 3}, status=status)
    after = saved(decide(observed(None, ours(2, of=living), of=living)))
    assert after.change == Change.RESTORED
    assert stage(decide(observed(after, ours(2, of=living), of=living))).cause is Cause.MIN_VERSION


def test_min_version_raised_while_the_next_version_is_staged_gives_the_old_one_its_time() -> None:
    """The old version became Retiring with the switch and was revoked in the same moment, under its consumers."""
    living = apikey({"minVersion": 2})
    after = saved(decide(observed(record(active(1), staged(2, seconds_ago=2)), ours(1), of=living, held=(2,))))
    assert (after.min_version, after.versions[1].cause) == (2, Cause.MIN_VERSION)
    after = saved(decide(observed(after, ours(2), of=living, held=(2,))))
    assert [entry.not_after for entry in after.versions] == [NOW + SETTINGS.replace_within, None]
    assert not any(isinstance(step, SaveRecord) for step in decide(observed(after, ours(2, of=living), of=living)).steps)


def test_a_min_version_that_is_too_high_makes_no_rotation_jump_to_it() -> None:
    """The message asks for rotations one by one; the first of them took the number 1000."""
    living = apikey({"minVersion": 1000, "rotation": {"trigger": "now"}})
    step = stage(decide(observed(record(active(1)), ours(1), of=living)))
    assert (step.number, step.base.min_version) == (2, None)


def test_an_apikey_that_lives_is_not_retained() -> None:
    """A restored ApiKey of the same uid: with the mark left on, its next deletion would have revoked nothing."""
    ledger = replace(record(active(2)), retained=True)
    assert saved(decide(observed(ledger, ours(2)))).retained is False


def test_a_successor_of_an_ended_apikey_is_not_told_of_a_revocation_again() -> None:
    ledger = replace(record(dead=(tombstone(1, reason="ApiKeyDeleted"),)), ended_time=NOW - HOUR, change=Change.ENDED)
    assert saved(decide(observed(ledger, of=apikey(uid="another")))).change == Change.UPDATED


def test_an_orphan_is_known_as_one_whatever_the_clocks_say() -> None:
    """Two operators staged, and the clock of the one that stages next is behind: its version is wanted, the orphan is not."""
    ledger = record(active(1), staged(2, seconds_ago=6), staged(3, seconds_ago=-4))
    ledger = activate(ledger, 2, secret=ours(2).fingerprint, not_after=NOW + DAY, now=NOW)
    assert not any(
        isinstance(step, Deliver) for step in decide(observed(replace(ledger, versions=ledger.versions[1:]), ours(2), held=(3,))).steps
    )
    ahead = record(active(2, ago=-2 * HOUR), staged(3, seconds_ago=6, cause=Cause.SECRET_LOST), dead=(tombstone(1),))
    assert decide(observed(ahead, NoSecret(), held=(3,))).steps == (Deliver(3, key_id(3), create=True),)


def test_the_highest_number_that_min_version_can_ask_for_is_read_back() -> None:
    metadata = {"name": "billing", "namespace": "shop", "annotations": {"keyturn.dev/version": str(2**31 - 1)}}
    found = decode_credential_metadata({"metadata": metadata})
    assert found is not None
    assert found[1].version == 2**31 - 1


def test_every_state_of_a_plan_is_a_move_of_the_state_table() -> None:
    """The table in versions.py is a law: what decide does never leaves it."""
    before = record(retiring(1, left=-SECOND), active(2, ago=7 * DAY))
    for seen in (observed(before, ours(2), apikey=None), observed(before, ours(2), rollout=rollout())):
        after = saved(decide(seen))
        now = {entry.number: entry.state for entry in (*after.versions, *after.dead)}
        for entry in before.versions:
            assert now[entry.number] is entry.state or now[entry.number] in MOVES[entry.state]
    assert set(MOVES) == set(VersionState)


@pytest.mark.parametrize("spec", [{"disabled": True}, {"expirationTime": "2026-03-02T11:00:00Z"}, {"minVersion": 2}])
def test_an_end_waits_for_no_event(spec: dict[str, object]) -> None:
    """The API server takes no Events for an hour, or the audit log's disk is full: a key that must end still ends."""
    ledger = record(retiring(1), active(2, ago=HOUR))
    (step,) = decide(observed(ledger, ours(2), of=apikey(spec), announced_serial=ledger.serial - 1)).steps
    assert isinstance(step, SaveRecord)
    (gone,) = decide(observed(ledger, ours(2), apikey=None, announced_serial=ledger.serial - 1)).steps
    assert isinstance(gone, SaveRecord)


def test_no_rotation_starts_by_a_clock_that_is_off() -> None:
    """At a clock a year ahead the switch would be dated then, and no rotation be due for a year."""
    plan = decide(observed(record(active(1)), ours(1), of=apikey({"rotation": {"trigger": "now"}}), clock_is_off=True))
    assert plan.steps == ()
    assert plan.deferred is not None
    assert plan.deferred.reason == Reason.CLOCK_SKEWED
