"""What a revocation does, one test a row: which versions it means, when they end, what comes in their place, what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from gen.lifecycle import (
    HOUR,
    NOW,
    SECOND,
    active,
    apikey,
    fingerprint,
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
from gen.world import KEY, World
from gen.world_parts import Actor, Luck, Reports
from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation, ApiKeyRevocationStatus
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.settings import Settings
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import DeadEntry, Record
from keyturn.lifecycle.decide import decide, situation
from keyturn.lifecycle.observed import NoSecret, Observed, OurSecret
from keyturn.lifecycle.overlap import Look, look_wanted
from keyturn.lifecycle.plan import Annotate, Change, Plan, SaveRecord, Stage
from keyturn.lifecycle.revocation import revocation_acts
from keyturn.lifecycle.revocation_hit import NewestRevocations, knowing
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


@pytest.mark.parametrize("ahead", [timedelta(seconds=3), timedelta(hours=9)])
def test_what_a_minter_whose_clock_is_ahead_has_minted_before_is_meant(ahead: timedelta) -> None:
    ledger = record(replace(active(1, ago=HOUR), staged_time=NOW + ahead))
    assert ends(saved(decide(seen_with(ledger, revocation(), clock_is_off=True)))) == {1: ("Revoked", "Leaked")}


def test_what_was_minted_by_one_who_knew_of_the_revocation_is_not_meant_though_nothing_else_tells() -> None:
    first = active(1, ago=timedelta(0))
    assert revocation_acts(seen_with(record(first), revocation())) is not None
    for after, known, is_meant in (
        (NOW - SECOND, ("leak-uid",), False),
        (NOW - SECOND, ("other-uid",), True),
        (NOW, ("other-uid",), False),
        (NOW - HOUR, ("leak-uid",), True),
    ):
        ledger = record(replace(first, minted_after=after, minted_knowing=known))
        assert (revocation_acts(seen_with(ledger, revocation())) is not None) is is_meant


def test_two_revocations_of_one_second_each_mean_what_there_was_when_they_came() -> None:
    """The first one's successor was minted in between."""
    dead = DeadEntry(1, "key1", NOW, VersionState.REVOKED, "Leaked", Cause.ISSUED)
    second = replace(active(2, ago=timedelta(0)), minted_after=NOW - SECOND, minted_knowing=("first-uid",))
    ledger = replace(record(second, dead=(dead,)), revoked_before=NOW, revoked_through=1)
    assert revocation_acts(seen_with(ledger, revocation(name="first"))) is None
    after = saved(decide(seen_with(ledger, revocation(name="first"), revocation(name="later"))))
    assert (after.versions, ends(after)[2]) == ((), ("Revoked", "Leaked"))


def test_what_was_minted_long_after_by_one_who_may_not_read_revocations_is_not_meant() -> None:
    ledger = record(active(1, ago=HOUR))
    assert revocation_acts(seen_with(ledger, revocation(created=NOW - timedelta(days=3)))) is None


def test_an_instant_that_a_person_names_is_taken_as_it_is() -> None:
    spec = {"match": {"namespace": "shop", "mintedBefore": "2026-03-02T10:00:00Z"}}
    named = datetime(2026, 3, 2, 10, tzinfo=UTC)
    first = active(1, ago=HOUR)
    assert revocation_acts(seen_with(record(replace(first, staged_time=named)), revocation(spec))) is None
    assert revocation_acts(seen_with(record(replace(first, staged_time=named - SECOND)), revocation(spec))) is not None


def test_what_is_minted_notes_the_newest_revocation_for_as_long_as_it_matters() -> None:
    first = active(1)
    newest = NewestRevocations(NOW - HOUR, frozenset({"a"})).with_another(created=NOW - HOUR, uid="b")
    noted = replace(first, minted_after=NOW - HOUR, minted_knowing=("a", "b"))
    assert knowing(first, None, now=NOW) == first
    assert knowing(first, newest, now=NOW) == noted
    assert knowing(first, newest.with_another(created=NOW - 2 * HOUR, uid="c"), now=NOW) == noted
    assert knowing(first, newest.with_another(created=NOW, uid="c"), now=NOW) == replace(first, minted_after=NOW, minted_knowing=("c",))
    assert knowing(first, newest, now=NOW + timedelta(days=3)) == first


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
    later = replace(ledger.versions[0], staged_time=NOW + SECOND, minted_after=NOW - SECOND, minted_knowing=("leak-uid",))
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
    assert [(entry.number, entry.not_after) for entry in after.versions] == [(1, NOW + (end - NOW) / 2), (2, end)]
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


MANY = {"match": {"namespace": "shop"}, "mode": "Replace", "replaceWithin": "4h"}


def test_of_many_keys_each_is_replaced_at_a_time_of_its_own_in_the_first_quarter() -> None:
    order = revocation(MANY)
    waits = decide(seen_with(replaced(left=4 * HOUR - SECOND), order))
    assert waits.steps == ()
    assert waits.look_again_time is not None
    assert NOW < waits.look_again_time < NOW + HOUR
    then = replace(seen_with(replaced(left=4 * HOUR - SECOND), order), now=waits.look_again_time)
    assert [type(step) for step in decide(then).steps] == [Stage]
    assert [type(step) for step in decide(seen_with(replaced(left=4 * HOUR - SECOND), order, clock_is_off=True)).steps] == [Stage]


@pytest.mark.parametrize("mode", ["Immediate", "Replace"])
def test_whatever_there_is_when_it_is_created_ends_though_its_minters_clock_is_ahead_and_its_successor_lives(mode: str) -> None:
    world, minter, successor = World(settings=Settings()), Actor("ahead", skew=4 * SECOND), Actor("right")
    world.spec = {"rotation": {"policy": "Manual", "gracePeriod": "5m"}, "rollout": {"policy": "Disabled"}}
    world.rest(minter)
    (leaked,) = world.ledger().versions
    world.now = leaked.staged_time - 4 * SECOND  # at the very moment when it was minted
    world.revoke({"mode": mode, "match": {"namespace": KEY.namespace}, **({"replaceWithin": "60s"} if mode == "Replace" else {})})
    world.rest(successor)
    assert leaked.key_id in world.died
    assert [entry.number for entry in world.ledger().versions] == [2]
    assert (world.holds_an_accepted_key(), world.complaints) == (True, [])


NEWER = {"keyIDs": ["second"], "mode": "Replace", "replaceWithin": "1h"}


def newer_leaked() -> Record:
    """Version 2 is to be replaced while version 1 is still promised to work for a day."""
    return record(retiring(1, left=24 * HOUR), replace(active(2, ago=timedelta(minutes=1)), key_id="second"))


def test_an_older_key_that_is_not_meant_makes_room_while_there_is_time_for_a_successor() -> None:
    after = saved(decide(seen_with(newer_leaked(), revocation(NEWER))))
    end = NOW - SECOND + HOUR
    assert [entry.not_after for entry in after.versions] == [NOW + (end - NOW) / 2, end]
    assert revocation_acts(seen_with(after, revocation(NEWER), now=NOW + HOUR / 4)) is None


def test_it_goes_as_soon_as_its_consumers_have_moved() -> None:
    holds = OurSecret(fingerprint(2), "second", intact=True, token_digest="digest-2")
    after = saved(decide(seen_with(newer_leaked(), revocation(NEWER))))
    moved = replace(rollout(version=2), memory=replace(rollout(version=2).memory, key_id="second"))
    gone = saved(decide(seen_with(after, revocation(NEWER), secret=holds, rollout=moved)))
    assert [entry.number for entry in gone.versions] == [2]
    (step,) = decide(seen_with(gone, revocation(NEWER), secret=holds)).steps
    assert isinstance(step, Stage)
    assert (step.number, step.cause) == (3, Cause.REPLACED)


@pytest.mark.parametrize("grace", ["10s", "50s", "90s"])
@pytest.mark.parametrize("reports", Reports)
def test_replacing_a_key_whose_forerunner_lives_on_turns_nobody_away(grace: str, reports: Reports) -> None:
    """From the switch on there are two delivered keys, and the newer one leaks."""
    rotation = {"policy": "Manual", "gracePeriod": grace, "overlapLimit": "10m"}
    world = World(settings=Settings(minimum_grace_period="1s", propagation_delay="2s", settle="1s", quiet_period="8m"))
    world.spec, world.reports = {"rotation": rotation, "rollout": {"policy": "Disabled"}}, reports
    operator = Actor("a")
    world.rest(operator)
    world.spec = {**world.spec, "rotation": {**rotation, "trigger": "1"}}
    while world.secret_version() < 2:
        until_next(world, operator)
    until_next(world, operator)
    leaked = world.ledger().active
    assert leaked is not None
    world.revoke({"mode": "Replace", "replaceWithin": "60s", "keyIDs": [leaked.key_id]})
    while leaked.key_id not in world.died:
        until_next(world, operator)
        assert world.holds_an_accepted_key()
    assert world.secret_version() == 3
    assert world.complaints == []


def until_next(world: World, operator: Actor) -> None:
    """One step, or the time until there is something to do."""
    world.look(operator)
    if not world.step(operator, Luck.FINE):
        due = world.plan(operator).look_again_time
        assert due is not None
        world.now = max(due, world.now + SECOND)


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


def told(
    revoked: ApiKeyRevocation, *standings: RecordStanding, behind: tuple[str, ...] = (), seen: datetime = NOW, now: datetime = NOW
) -> tuple[str, str, ApiKeyRevocationStatus]:
    status = revocation_status(revoked, standings, behind=behind, seen=seen, now=now)
    complete = next(each for each in status.conditions if each.type == "Complete")
    return str(complete.status), complete.reason, status


def test_how_far_it_is_with_a_record() -> None:
    ledger = replace(record(active(2), dead=(leaked(NOW), tombstone(3))), revoked_before=NOW, revoked_through=1)
    assert standing_in(revocation(), ledger, seen=NOW) == RecordStanding(ended=1)
    ids = revocation({"keyIDs": ["key001", "nobody"]})
    assert standing_in(ids, ledger, seen=NOW) == RecordStanding(frozenset({"key001"}), ended=1)
    assert standing_in(revocation({"keyIDs": ["nobody"]}), ledger, seen=NOW) is None
    assert standing_in(revocation(), record(active(2)), seen=NOW) == RecordStanding(live=1)


def leaked(end: datetime) -> DeadEntry:
    return DeadEntry(1, "key001", end, VersionState.REVOKED, "Leaked", Cause.ISSUED)


@pytest.mark.parametrize("spec", [THIS, {"keyIDs": ["key001"]}])
def test_what_had_died_before_is_not_the_work_of_a_repeated_revocation(spec: Mapping[str, object]) -> None:
    ledger = replace(record(active(2), dead=(leaked(NOW - HOUR),)), revoked_before=NOW, revoked_through=1)
    standing = standing_in(revocation(spec), ledger, seen=NOW)
    assert standing is not None
    assert (standing.ended, standing.dead_before) == (0, 1)
    status, reason, whole = told(revocation(spec), replace(standing, live=0))
    assert (status, reason, whole.revoked_versions, whole.dead_before_versions) == ("True", "NothingToRevoke", 0, 1)
    assert whole.conditions[0].message == "No living key version is meant; dead before: 1 key version"
    assert whole.latency is None


@pytest.mark.parametrize("seen", [-3, 20])
def test_what_it_ended_is_its_own_work_whatever_the_clock_of_the_operator_and_whenever_another_one_took_over(seen: float) -> None:
    revoked = revocation({"keyIDs": ["key001"]})
    created = revoked.metadata.creation_timestamp
    assert created is not None
    ended = created + min(seen, 0.2) * SECOND
    standing = standing_in(revoked, record(dead=(leaked(ended),)), seen=created + seen * SECOND)
    assert standing is not None
    assert (standing.ended, standing.dead_before) == (1, 0)


def test_it_is_complete_when_all_is_dead_and_every_verifier_knows() -> None:
    ids = revocation({"keyIDs": ["key001", "nobody"]})
    live, dead = RecordStanding(frozenset({"key001"}), live=1), RecordStanding(frozenset({"key001"}), ended=1)
    assert told(ids, live)[:2] == ("False", "Revoking")
    assert told(ids, replace(live, end=NOW + HOUR))[:2] == ("False", "Replacing")
    status, reason, whole = told(ids, dead, behind=("v-1",))
    assert (status, reason) == ("False", "VerifiersBehind")
    assert "but verifier v-1 has not confirmed" in whole.conditions[0].message
    status, reason, whole = told(ids, dead)
    assert (status, reason, whole.revoked_versions, whole.unknown_key_ids, whole.latency) == ("True", "Revoked", 1, ("nobody",), "1ms")
    assert told(revocation())[:2] == ("True", "NothingToRevoke")


@pytest.mark.parametrize(
    ("seen", "now", "latency"),
    [
        (0.4, 0.543, "143ms"),
        (0.9, 3.1, "2200ms"),
        (7.0, 7.2, "6200ms"),  # the operator was away, or is another one by now
        (0.5, 30.1, "30s"),
        (-0.3, 0.2, "500ms"),  # its clock is behind that of the API server
        (0.4, 0.1, "1ms"),  # its clock was set
    ],
)
def test_the_latency_counts_from_the_latest_moment_of_creation_that_is_possible(seen: float, now: float, latency: str) -> None:
    revoked, dead = revocation(), RecordStanding(ended=1)
    created = revoked.metadata.creation_timestamp
    assert created is not None
    assert told(revoked, dead, seen=created + seen * SECOND, now=created + now * SECOND)[2].latency == latency


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
