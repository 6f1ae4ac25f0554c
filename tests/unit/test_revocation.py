"""What a revocation does, one test a row: which versions it means, when they end, what comes in their place, what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from gen.lifecycle import (
    HOUR,
    NOW,
    SECOND,
    active,
    apikey,
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
from gen.revocations import THIS, hits, revocation
from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation, ApiKeyRevocationStatus
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import DeadEntry, Record
from keyturn.lifecycle.decide import decide, situation
from keyturn.lifecycle.observed import NoSecret, Observed
from keyturn.lifecycle.overlap import Look, look_wanted
from keyturn.lifecycle.plan import Annotate, Change, Plan, SaveRecord, Stage
from keyturn.lifecycle.revocation import revocation_acts
from keyturn.lifecycle.revocation_status import RecordStanding, is_complete, revocation_status, standing_in

REPLACE = {**THIS, "mode": "Replace"}


def seen_with(ledger: Record, *revocations: ApiKeyRevocation, **more: object) -> Observed:
    secret = more.pop("secret", None) or (ours(ledger.active.number) if ledger.active is not None else NoSecret())
    return replace(observed(ledger, secret, **more), revocations=hits(ledger, *revocations))  # type: ignore[arg-type]


def saved(plan: Plan) -> Record:
    (step,) = plan.steps
    assert isinstance(step, SaveRecord)
    return step.record


def ends(ledger: Record) -> dict[int, tuple[str, str]]:
    return {entry.number: (str(entry.state), entry.reason) for entry in ledger.dead}


# ------------------------------------------------------------------------------------------------ Immediate


def test_every_version_that_is_meant_ends_at_once_whatever_its_state() -> None:
    after = saved(decide(seen_with(record(retiring(1), active(2), staged(3, seconds_ago=5)), revocation())))
    assert after.versions == ()
    assert ends(after) == dict.fromkeys((1, 2, 3), ("Revoked", "Leaked"))
    assert (after.change, after.revoked_through) == (Change.REVOKED, 3)


def test_by_key_id_only_that_version_ends_and_a_retiring_one_keeps_its_end() -> None:
    ledger = record(retiring(1), replace(active(2), key_id="abcdef"))
    after = saved(decide(seen_with(ledger, revocation({"keyIDs": ["abcdef"]}))))
    assert (ends(after), after.versions) == ({2: ("Revoked", "Leaked")}, ledger.versions[:1])


def test_then_a_successor_is_staged_without_a_window_spacing_or_pacer() -> None:
    dead = DeadEntry(1, "key1", NOW, VersionState.REVOKED, "Leaked", Cause.ISSUED)
    (step,) = decide(observed(record(dead=(dead,)), ours(1), pacer_time=NOW + HOUR)).steps
    assert isinstance(step, Stage)
    assert (step.number, step.cause, step.paced) == (2, Cause.REVOKED, False)


@pytest.mark.parametrize(
    "state",
    [
        {"of": apikey({"disabled": True})},
        {"of": apikey(annotations={"keyturn.dev/paused": "true"})},
        {"spec_problem": "spec.rotation: is nonsense"},
        {"apikey": None},
        {"announced_serial": 0},
        {"clock_is_off": True},
    ],
    ids=["disabled", "paused", "invalid", "gone", "untold", "clock off"],
)
def test_nothing_keeps_a_revoked_key_alive(state: dict[str, object]) -> None:
    after = saved(decide(seen_with(record(active(1)), revocation(), **state)))
    assert (after.versions, ends(after)) == ((), {1: ("Revoked", "Leaked")})


def test_a_retained_key_without_its_apikey_ends() -> None:
    ledger = replace(record(active(1)), retained=True, retain_on_delete=True)
    after = saved(decide(seen_with(ledger, revocation(), apikey=None)))
    assert (after.versions, after.retained) == ((), True)


def test_the_successor_is_not_meant_even_if_its_minters_clock_is_behind() -> None:
    dead = DeadEntry(1, "key1", NOW, VersionState.REVOKED, "Leaked", Cause.ISSUED)
    ledger = replace(record(active(2, ago=HOUR), dead=(dead,)), revoked_before=NOW, revoked_through=1)
    assert decide(seen_with(ledger, revocation())).steps == ()


def test_a_later_revocation_means_the_successor_too() -> None:
    ledger = replace(record(active(2, ago=HOUR)), revoked_before=NOW - 2 * HOUR, revoked_through=1)
    assert ends(saved(decide(seen_with(ledger, revocation())))) == {2: ("Revoked", "Leaked")}


@pytest.mark.parametrize(
    ("spec", "is_meant"),
    [
        ({"match": {"namespace": "shop"}}, True),
        ({"match": {"namespace": "other"}}, False),
        ({"match": {"productRef": {"namespace": "apis", "name": "invoices"}}}, True),
        ({"match": {"productRef": {"namespace": "apis", "name": "other"}}}, False),
        ({"match": {"mintedBefore": "2026-03-02T10:00:00Z"}}, True),
        ({"match": {"mintedBefore": "2026-02-02T10:00:00Z"}}, False),
        ({"match": {"namespace": "shop", "mintedBefore": "2999-01-01T00:00:00Z"}}, True),
        ({"apiKeyRef": {"namespace": "shop", "name": "other"}}, False),
        ({"apiKeyRef": {"namespace": "shop", "name": "billing", "uid": "another"}}, False),
    ],
)
def test_who_is_meant(spec: Mapping[str, object], is_meant: bool) -> None:
    ledger = replace(record(active(1, ago=24 * HOUR)), product="apis/invoices")
    acts = revocation_acts(seen_with(ledger, revocation(spec)))
    assert (acts is not None) is is_meant


def test_minted_before_a_time_to_come_does_not_mean_what_comes() -> None:
    spec = {"match": {"mintedBefore": "2999-01-01T00:00:00Z"}}
    ledger = record(active(1, ago=timedelta(0)))
    later = replace(ledger.versions[0], staged_time=NOW + SECOND)
    assert decide(seen_with(replace(ledger, versions=(later,)), revocation(spec))).steps == ()


# ------------------------------------------------------------------------------------------------ consumers, after Immediate


def reissued(*, ago: timedelta = timedelta(minutes=1)) -> Record:
    """A ledger whose first version was revoked, and whose successor is in the Secret."""
    orphan = DeadEntry(2, "key2", NOW, VersionState.RETIRED, "NeverDelivered", Cause.REVOKED)
    dead = DeadEntry(1, "key1", NOW - HOUR, VersionState.REVOKED, "Leaked", Cause.ISSUED)
    return record(active(3, ago=ago, cause=Cause.REVOKED), dead=(dead, orphan))


def test_whoever_read_the_dead_key_is_restarted() -> None:
    old = rollout(pending(), version=3, view=view_of_old_deployment())
    assert decide(seen_with(reissued(), rollout=old)).steps == (Annotate("Deployment", "web", "web-uid", "key3"),)


def test_a_rollout_that_lasts_is_told_and_one_that_is_complete_is_over() -> None:
    waits = decide(seen_with(reissued(), rollout=rollout(pending(), version=3))).waits_for
    assert waits is not None
    assert waits.reason == Reason.ROLLOUT_IN_PROGRESS
    assert decide(seen_with(reissued(), rollout=rollout(version=3))).waits_for is None


def test_workloads_are_looked_for_after_a_pause_until_they_have_moved_and_not_for_ever() -> None:
    def look(ledger: Record, **more: object) -> Look:
        seen = seen_with(ledger, **more)
        assert seen.apikey is not None
        return look_wanted(situation(seen, apikey=seen.apikey, record=ledger))

    assert look(reissued(ago=SECOND)) is Look.NOTHING
    assert look(reissued()) is Look.EVERYTHING
    assert look(reissued(), rollout=rollout(version=3)) is Look.NOTHING
    assert look(reissued(ago=8 * 24 * HOUR)) is Look.NOTHING
    assert look(reissued(), of=apikey({"rollout": {"policy": "Disabled"}})) is Look.NOTHING


# ------------------------------------------------------------------------------------------------ Replace


def test_replace_gives_every_version_an_end_in_the_record_first() -> None:
    after = saved(decide(seen_with(record(retiring(1), active(2)), revocation({**REPLACE, "replaceWithin": "30m"}))))
    end = NOW - SECOND + timedelta(minutes=30)
    assert [(entry.number, entry.not_after) for entry in after.versions] == [(1, end), (2, end)]
    assert (after.dead, after.change, after.revoked_through) == ((), Change.UPDATED, 2)


def test_replace_without_a_time_takes_the_operators() -> None:
    after = saved(decide(seen_with(record(active(2)), revocation(REPLACE))))
    assert after.versions[0].not_after == NOW - SECOND + HOUR


def replaced(*, left: timedelta = HOUR - SECOND) -> Record:
    """A ledger whose Active version is being replaced."""
    return replace(record(replace(active(2), not_after=NOW + left)), revoked_before=NOW, revoked_through=2)


@pytest.mark.parametrize("revocations", [(), (revocation(REPLACE),)], ids=["deleted since", "still there"])
def test_then_the_successor_is_staged_at_once(revocations: tuple[ApiKeyRevocation, ...]) -> None:
    (step,) = decide(seen_with(replaced(), *revocations, pacer_time=NOW + HOUR)).steps
    assert isinstance(step, Stage)
    assert (step.number, step.cause, step.paced) == (3, Cause.REPLACED, False)


def test_at_the_switch_the_old_versions_end_stays() -> None:
    ledger = replace(replaced(), versions=(*replaced().versions, staged(3, cause=Cause.REPLACED)), highest=3)
    after = saved(decide(seen_with(ledger, revocation(REPLACE), secret=ours(3))))
    assert [(entry.state, entry.not_after) for entry in after.versions] == [
        (VersionState.RETIRING, NOW + HOUR - SECOND),
        (VersionState.ACTIVE, None),
    ]


def test_the_old_key_is_neither_promised_grace_nor_waited_for_until_quiet() -> None:
    ledger = replace(
        record(retiring(2, left=HOUR - SECOND), active(3, ago=timedelta(minutes=1), cause=Cause.REPLACED)),
        revoked_before=NOW,
        revoked_through=2,
    )
    waits = decide(seen_with(ledger, revocation(REPLACE), rollout=rollout(pending(), version=3)))
    assert waits.steps == ()
    after = saved(decide(seen_with(ledger, revocation(REPLACE), rollout=rollout(version=3))))
    assert ends(after) == {2: ("Revoked", "Leaked")}


def test_whoever_has_not_moved_in_time_is_cut_off() -> None:
    after = saved(decide(seen_with(replaced(left=-SECOND), revocation({**REPLACE, "replaceWithin": "1s"}, created=NOW - 2 * SECOND))))
    assert ends(after) == {2: ("Revoked", "Leaked")}


def test_when_the_time_is_up_the_successor_is_not_meant_either() -> None:
    order = revocation({**REPLACE, "replaceWithin": "1s"}, created=NOW - 2 * SECOND)
    ledger = replace(record(retiring(1, left=-SECOND), active(2, ago=timedelta(0))), revoked_before=NOW - SECOND, revoked_through=1)
    after = saved(decide(seen_with(ledger, order)))
    assert (ends(after), after.revoked_through) == ({1: ("Revoked", "Leaked")}, 1)
    assert revocation_acts(seen_with(after, order)) is None


def test_the_end_holds_though_the_revocation_was_deleted() -> None:
    assert ends(saved(decide(seen_with(replaced(left=-SECOND))))) == {2: ("Revoked", "Revoked")}


def test_a_paused_key_that_is_being_replaced_is_looked_at_when_its_time_is_up() -> None:
    paused = apikey(annotations={"keyturn.dev/paused": "true"})
    assert decide(seen_with(replaced(), of=paused)) == Plan(look_again_time=NOW + HOUR - SECOND)


def test_by_a_wrong_clock_nobody_is_cut_off() -> None:
    assert not any(isinstance(step, SaveRecord) for step in decide(seen_with(replaced(left=-SECOND), clock_is_off=True)).steps)


def test_immediate_wins_over_replace() -> None:
    after = saved(decide(seen_with(record(active(1)), revocation(REPLACE, name="a"), revocation(name="b"))))
    assert ends(after) == {1: ("Revoked", "Leaked")}


# ------------------------------------------------------------------------------------------------ what is said


def told(revoked: ApiKeyRevocation, *standings: RecordStanding, behind: tuple[str, ...] = ()) -> tuple[str, str, ApiKeyRevocationStatus]:
    status = revocation_status(revoked, standings, behind=behind, now=NOW)
    complete = next(each for each in status.conditions if each.type == "Complete")
    return str(complete.status), complete.reason, status


def test_how_far_it_is_with_a_record() -> None:
    dead = DeadEntry(1, "key001", NOW, VersionState.REVOKED, "Leaked", Cause.ISSUED)
    ledger = replace(record(active(2), dead=(dead, tombstone(3))), revoked_before=NOW, revoked_through=1)
    assert standing_in(revocation(), ledger) == RecordStanding(ended=1)
    assert standing_in(revocation({"keyIDs": ["key001", "nobody"]}), ledger) == RecordStanding(frozenset({"key001"}), ended=1)
    assert standing_in(revocation({"keyIDs": ["nobody"]}), ledger) is None
    assert standing_in(revocation(), record(active(2))) == RecordStanding(live=1)


def test_it_is_complete_when_all_is_dead_and_every_verifier_knows() -> None:
    ids = revocation({"keyIDs": ["key001", "nobody"]})
    live, dead = RecordStanding(frozenset({"key001"}), live=1), RecordStanding(frozenset({"key001"}), ended=1)
    assert told(ids, live)[:2] == ("False", "Revoking")
    assert told(ids, replace(live, end=NOW + HOUR))[:2] == ("False", "Replacing")
    assert told(ids, dead, behind=("v-1",))[:2] == ("False", "VerifiersBehind")
    status, reason, whole = told(ids, dead)
    assert (status, reason, whole.revoked_versions, whole.unknown_key_ids, whole.latency) == ("True", "Revoked", 1, ("nobody",), "1s")
    assert told(revocation())[:2] == ("True", "NothingToRevoke")


def test_what_is_complete_is_not_looked_at_again() -> None:
    status = told(revocation(), RecordStanding(ended=1))[2].model_dump(mode="json", by_alias=True, exclude_none=True)
    assert is_complete(revocation(status=status))
    assert not is_complete(revocation(status={**status, "observedGeneration": 0}))
    assert not is_complete(revocation(status={**status, "conditions": [{"broken": True}]}))


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({}, "exactly one of keyIDs"),
        ({**THIS, "keyIDs": ["abcdef"]}, "exactly one of keyIDs"),
        ({"match": {}}, "an empty match would mean every key"),
        ({**THIS, "replaceWithin": "1h"}, "replaceWithin belongs to mode Replace"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(spec: Mapping[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        revocation(spec)
