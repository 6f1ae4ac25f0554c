"""When an old key counts as unused: what verifiers say delays its end, and nothing that they do not know makes it shorter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.instant_texts import DAYS, INSTANTS
from gen.lifecycle import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    SETTINGS,
    active,
    apikey,
    key_id,
    observed,
    ours,
    record,
    retiring,
    rollout,
)
from keyturn.api.use_report import write_days, write_retiring
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.names import Key
from keyturn.base.version_state import Cause, VersionState
from keyturn.cluster.replica_reports import UseReport
from keyturn.controller.key_use import KeyUses
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.decide import decide, situation
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.old_key_use import PATIENCE, KeyUse, ReplicaLife, ReplicaUse, needed_until, reason_to_wait, recheck_after, uses_of
from keyturn.lifecycle.overlap import Look, look_wanted
from keyturn.lifecycle.plan import Plan, SaveRecord

DAY = 24 * HOUR
SWITCHED = NOW - 30 * HOUR
A, B = ReplicaLife("a", reported_time=NOW), ReplicaLife("b", reported_time=NOW)
UNUSED = ReplicaUse("a", A)


def seen(*uses: ReplicaUse, cause: Cause = Cause.SCHEDULED, **facts: object) -> Observed:
    """Version 2 was delivered 30 hours ago, every workload has it, and grace is over."""
    ledger = record(active(2, ago=NOW - SWITCHED, cause=cause), retiring(1))
    return observed(ledger, ours(2), rollout=rollout(), use=KeyUse(retiring=uses), **facts)


def used(ago: timedelta, life: ReplicaLife | None = A) -> ReplicaUse:
    return ReplicaUse(life.replica if life is not None else "gone", life, last_use_time=NOW - ago)


def retires(plan: Plan) -> bool:
    return any(isinstance(step, SaveRecord) and not step.record.in_state(VersionState.RETIRING) for step in plan.steps)


@pytest.mark.parametrize(
    "uses",
    [
        (),
        (UNUSED,),
        (used(HOUR), ReplicaUse("b", B)),
        (used(2 * HOUR, None),),
        (ReplicaUse("a", ReplicaLife("a", lapsed_time=NOW - HOUR), knows_version=False),),
        (ReplicaUse("a", ReplicaLife("a", lapsed_time=SWITCHED - DAY), knows_version=False),),
    ],
    ids=[
        "nobody reports",
        "never used",
        "long ago",
        "long ago, of a replica that left",
        "long after one died",
        "one died before the switch",
    ],
)
def test_an_old_key_that_nobody_uses_retires(uses: tuple[ReplicaUse, ...]) -> None:
    assert retires(decide(seen(*uses)))


@pytest.mark.parametrize(
    ("uses", "reason", "says"),
    [
        ((used(3 * SECOND), UNUSED), Reason.OLD_KEY_IN_USE, "Version 1 was still used at 2026-03-02T11:59:57Z (verifier a)"),
        ((used(MINUTE, None), UNUSED), Reason.OLD_KEY_IN_USE, "(verifier gone)"),
        ((ReplicaUse("a", ReplicaLife("a")),), Reason.USE_UNKNOWN, "Verifier a has not reported"),
        ((replace(UNUSED, knows_version=False), UNUSED), Reason.USE_UNKNOWN, "Verifier a has not reported"),
        ((ReplicaUse("a", replace(A, reported_time=SWITCHED)),), Reason.USE_UNKNOWN, "Verifier a has not reported"),
        (
            (ReplicaUse("a", replace(A, lapsed_time=NOW - MINUTE)),),
            Reason.USE_UNKNOWN,
            "Verifier a fell silent and may have seen version 1",
        ),
    ],
    ids=["used", "used where nobody is any more", "says nothing yet", "does not know", "fell behind", "died"],
)
def test_an_old_key_that_is_used_or_of_which_nobody_knows_is_kept(uses: tuple[ReplicaUse, ...], reason: str, says: str) -> None:
    plan = decide(seen(*uses))
    assert plan.steps == ()
    assert plan.waits_for is not None
    assert plan.waits_for.reason == reason
    assert says in plan.waits_for.message
    previous = conclude(seen(*uses), plan, Outcome()).condition(ConditionType.PREVIOUS_VERSION_ACTIVE)
    assert previous is not None
    assert (previous.status, previous.reason, previous.message) == ("True", reason, plan.waits_for.message)


def test_it_looks_again_when_the_old_key_may_have_been_quiet_long_enough() -> None:
    assert decide(seen(used(3 * SECOND))).look_again_time == NOW + HOUR - 3 * SECOND
    assert decide(seen(ReplicaUse("a", ReplicaLife("a")))).look_again_time == NOW + recheck_after(HOUR)


def test_a_report_that_is_a_little_late_is_waited_for_without_a_word() -> None:
    """Replicas speak every few seconds: each rotation would say "unknown" for a moment, in a write of the status."""
    messages = []
    for late in (-SECOND, timedelta(0), 7 * SECOND, PATIENCE - SECOND, PATIENCE):
        life = ReplicaLife("a", reported_time=NOW - late - SECOND)
        plan = decide(seen(ReplicaUse("a", life, last_use_time=NOW - late - HOUR)))
        assert plan.steps == ()
        assert plan.waits_for is not None
        messages.append(plan.waits_for.reason)
    assert messages == [Reason.OLD_KEY_IN_USE] * 4 + [Reason.USE_UNKNOWN]


def test_a_version_that_nobody_used_since_the_switch_is_not_called_in_use() -> None:
    ledger, facts = record(active(2, ago=MINUTE), retiring(1)), {"of": apikey({"rotation": {"gracePeriod": "0s"}}), "rollout": rollout()}
    settings = SETTINGS.model_copy(update={"minimum_grace_period": timedelta(0)})
    plan = decide(observed(ledger, ours(2), use=KeyUse(retiring=(UNUSED,)), settings=settings, **facts))
    assert plan.waits_for is not None
    assert plan.waits_for.reason == Reason.PREVIOUS_VERSION_RETIRING
    assert plan.waits_for.message == "Version 1 was replaced at 2026-03-02T11:59:00Z: it ends when nobody has used it for 1h"


def test_not_after_ends_every_wait() -> None:
    ledger = record(active(2, ago=7 * DAY), retiring(1, left=timedelta(0)))
    assert retires(decide(observed(ledger, ours(2), rollout=rollout(), use=KeyUse(retiring=(used(SECOND),)))))


def test_a_use_in_the_future_of_a_clock_that_is_off_counts_as_tomorrow() -> None:
    plan = decide(seen(used(-400 * DAY)))
    assert plan.steps == ()
    assert plan.look_again_time == NOW + DAY + HOUR


def test_a_version_that_min_version_ended_waits_for_no_quiet() -> None:
    assert retires(decide(seen(used(SECOND), cause=Cause.MIN_VERSION)))


def test_the_spec_says_how_long_quiet_is() -> None:
    ledger, spec = record(active(2, ago=30 * HOUR), retiring(1)), {"rotation": {"quietPeriod": "10s"}}
    facts = {"of": apikey(spec), "rollout": rollout()}
    assert decide(observed(ledger, ours(2), use=KeyUse(retiring=(used(9 * SECOND),)), **facts)).steps == ()
    assert retires(decide(observed(ledger, ours(2), use=KeyUse(retiring=(used(10 * SECOND),)), **facts)))


def test_a_quiet_period_of_nothing_asks_nobody() -> None:
    facts = {"of": apikey({"rotation": {"quietPeriod": "0s"}}), "rollout": rollout()}
    ledger = record(active(2, ago=30 * HOUR), retiring(1))
    assert retires(decide(observed(ledger, ours(2), use=KeyUse(retiring=(used(SECOND),)), **facts)))


def test_pods_are_not_listed_while_the_old_key_is_in_use() -> None:
    """The last look before an end is a list from the API server: not at every look for a report."""
    for uses, look in (((used(SECOND),), Look.NOTHING), ((UNUSED,), Look.PODS)):
        facts = seen(*uses)
        assert facts.apikey is not None
        ledger = record(active(2, ago=30 * HOUR), retiring(1))
        assert look_wanted(situation(facts, apikey=facts.apikey, record=ledger)) is look


def test_a_replica_that_took_its_leave_has_had_its_last_word() -> None:
    said = {"gone": NOW - MINUTE, "a": None}
    assert set(uses_of([A, B], said)) == {
        ReplicaUse("gone", None, last_use_time=NOW - MINUTE),
        ReplicaUse("a", A),
        ReplicaUse("b", B, knows_version=False),
    }


# ---------------------------------------------------------------------------------------------------------------- the law

QUIET = 10
SECONDS = st.integers(0, 60)
"""Since the switch, by the one true clock."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica's true history. Its own clock is off by `skew`; it reported at `reported`, and died at `died`."""

    uses: tuple[int, ...]
    reported: int | None
    died: int | None
    skew: int

    def told(self, now: int) -> tuple[int, ...] | None:
        """The uses in its report; None: it has not reported."""
        ends = [each for each in (self.reported, self.died) if each is not None]
        if self.reported is None or min(ends) < self.reported or self.reported > now:
            return None
        return tuple(each for each in self.uses if each <= self.reported)

    def is_dead(self, now: int) -> bool:
        return self.died is not None and self.died <= now

    def life(self, name: str, now: int) -> ReplicaLife:
        lapsed = self.died if self.is_dead(now) else None
        reported = self.reported if self.told(now) is not None else None
        return ReplicaLife(name, self._dated(lapsed), self._dated(reported))

    def last_told(self, now: int) -> datetime | None:
        return self._dated(max(self.told(now) or (), default=None))

    def _dated(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else _at(seconds + self.skew)


REPLICAS = st.builds(
    Replica, st.lists(SECONDS, max_size=5).map(tuple), st.none() | SECONDS, st.none() | SECONDS, st.sampled_from([0, 0, -4, 4])
)


@given(replicas=st.lists(REPLICAS, min_size=1, max_size=3), now=st.integers(0, 80))
def test_whatever_retires_was_unused_for_the_whole_period_at_every_replica(replicas: list[Replica], now: int) -> None:
    named = {f"verifier-{number}": replica for number, replica in enumerate(replicas)}
    lives = [replica.life(name, now) for name, replica in named.items()]
    said = {name: replica.last_told(now) for name, replica in named.items() if replica.told(now) is not None}
    use, quiet = KeyUse(retiring=uses_of(lives, said)), timedelta(seconds=QUIET)
    if reason_to_wait(use, number=1, switch_time=_at(0), quiet_period=quiet, now=_at(now)) is not None:
        return
    for replica in replicas:
        off = abs(replica.skew)
        if replica.died is not None and replica.died <= now:
            was_gone_before = replica.died + replica.skew <= 0
            assert was_gone_before or now - replica.died >= QUIET - off, "it may have served until its Lease ended"
            continue
        told = replica.told(now)
        assert told is not None, "a live replica that has not spoken is waited for"
        assert replica.reported is not None
        assert replica.reported >= QUIET - off
        assert all(replica.reported - each >= QUIET for each in told), "by its own clock, however wrong that is"


def _at(seconds: float) -> datetime:
    return SWITCHED + timedelta(seconds=seconds)


# ------------------------------------------------------------------------------------------------- the day of the last use


def last_used(last_day: date | None, *, said: str | None = None) -> datetime | None:
    """What the status says, where it said `said` before."""
    status = {"lastUsedTime": said} if said is not None else None
    facts = observed(record(active(1)), ours(1), of=apikey(status=status), use=KeyUse(last_day=last_day))
    return conclude(facts, decide(facts), Outcome()).last_used_time


def test_the_status_tells_the_day_of_the_last_use_and_no_more() -> None:
    today = datetime(2026, 3, 2, tzinfo=UTC)
    assert last_used(None) is None
    assert last_used(NOW.date()) == today
    assert last_used(None, said="2026-03-01T00:00:00Z") == today - DAY, "a report may be gone, what it said is not"
    assert last_used(date(2026, 2, 27), said="2026-03-01T00:00:00Z") == today - DAY
    assert last_used(date(2126, 1, 1)) == today, "nobody used it in the future"
    assert last_used(NOW.date(), said="2126-01-01T00:00:00Z") == today


# ------------------------------------------------------------------------------------------------------------- the merging


class Heard:
    """What the merged reports wake, and when."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, datetime | None]] = []
        self.uses = KeyUses(wake=lambda key, at: self.woken.append((str(key), at)), lives=lambda: [A, B], clock=lambda: NOW)

    def hear(self, replica: str, *, retiring: str = "", days: str = "", made_ago: timedelta = 9 * DAY) -> None:
        self.uses.take(_where(replica, days), UseReport(replica, retiring, days, made_time=NOW - made_ago))


def _where(replica: str, days: str) -> Key:
    return Key("", f"{replica}-{'days' if days else 'retiring'}")


def day_line(day: date) -> str:
    return write_days({"shop.billing": day.toordinal()})


def test_the_latest_day_of_all_replicas_counts_and_each_day_wakes_once() -> None:
    heard, today = Heard(), NOW.date()
    for replica, day in (("a", today - DAY), ("b", today - 2 * DAY), ("a", today - DAY), ("b", today - DAY)):
        heard.hear(replica, days=day_line(day))
    assert heard.woken == [("shop/billing", None)]
    assert heard.uses.of(Key("shop", "billing"), record(active(1))) == KeyUse(last_day=today - DAY)


def test_the_next_day_of_steady_use_is_written_some_time_within_the_hour() -> None:
    heard, today = Heard(), NOW.date()
    heard.hear("a", days=day_line(today - DAY))
    heard.hear("a", days=day_line(today))
    (_, (_, later)) = heard.woken
    assert later is not None
    assert NOW <= later < NOW + HOUR


def test_each_replica_s_word_on_an_old_key_counts_for_itself() -> None:
    heard = Heard()
    heard.hear("a", retiring=write_retiring({key_id(1): int(NOW.timestamp()) - 5}))
    heard.hear("gone", retiring=write_retiring({key_id(1): None}))
    told = heard.uses.of(Key("shop", "billing"), record(active(2), retiring(1)))
    assert set(told.retiring) == {
        ReplicaUse("a", A, last_use_time=NOW - 5 * SECOND),
        ReplicaUse("b", B, knows_version=False),
        ReplicaUse("gone", None),
    }


def test_a_replica_that_names_the_version_no_more_does_not_know_it() -> None:
    heard = Heard()
    heard.hear("a", retiring=write_retiring({key_id(1): None}))
    heard.hear("a", retiring=write_retiring({key_id(7): None}))
    told = heard.uses.of(Key("shop", "billing"), record(active(2), retiring(1)))
    assert ReplicaUse("a", A, knows_version=False) in told.retiring


SAID = st.none() | INSTANTS


@given(last_use=SAID, lapsed=SAID, reported=SAID, quiet=st.sampled_from([SECOND, 99_999 * HOUR]))
def test_no_instant_that_a_replica_says_raises(
    last_use: datetime | None, lapsed: datetime | None, reported: datetime | None, quiet: timedelta
) -> None:
    use = KeyUse(retiring=(ReplicaUse("a", ReplicaLife("a", lapsed, reported), last_use_time=last_use),))
    waits = reason_to_wait(use, number=1, switch_time=SWITCHED, quiet_period=quiet, now=NOW)
    assert last_use is None or last_use <= NOW - quiet or waits is not None


@given(made=INSTANTS, at=st.none() | INSTANTS, day=DAYS)
def test_no_report_is_kept_for_ever_on_account_of_an_instant_to_come(made: datetime, at: datetime | None, day: date) -> None:
    assert needed_until(made, {"k": at}, day, now=NOW) <= NOW + 32 * DAY


@pytest.mark.parametrize(
    ("made_ago", "uses", "newest_day", "is_needed"),
    [
        (2 * DAY, {}, None, False),
        (HOUR, {}, None, True),
        (40 * DAY, {"k": NOW - 30 * DAY}, None, True),
        (40 * DAY, {"k": NOW - 32 * DAY}, None, False),
        (40 * DAY, {"k": None}, None, False),
        (40 * DAY, {}, NOW - DAY, True),
        (40 * DAY, {}, NOW - 4 * DAY, False),
    ],
    ids=["says nothing", "young", "old version used", "long ago", "unused", "used yesterday", "days ago"],
)
def test_what_a_dead_replica_said_is_kept_for_as_long_as_it_matters(
    made_ago: timedelta, uses: dict[str, datetime | None], newest_day: datetime | None, *, is_needed: bool
) -> None:
    day = newest_day.date() if newest_day is not None else date(1, 1, 1)
    assert (needed_until(NOW - made_ago, uses, day, now=NOW) >= NOW) == is_needed
