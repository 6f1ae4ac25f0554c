"""When a staged version may be delivered: every verifier that lives must know it first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.lifecycle import HOUR, KEY, NOW, SECOND, active, key_id, observed, ours, record, retiring, staged
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import LiveVerifier, Observed, RecordMark
from keyturn.lifecycle.plan import Deliver, Plan

MARK = RecordMark("record-uid", 1000)
KNOWS, BEHIND = LiveVerifier("a", applied=1000), LiveVerifier("b", applied=999)
REFUSES = LiveVerifier("c", applied=2000, refused=frozenset({KEY.record_name}))
REFUSES_ANOTHER = LiveVerifier("d", applied=1000, refused=frozenset({"shop.mail"}))


def waiting(*verifiers: LiveVerifier, seconds_ago: float = 1) -> Observed:
    """Version 2 was staged at resource version 1000, and these verifiers live."""
    ledger = record(active(1), staged(2, seconds_ago=seconds_ago))
    return observed(ledger, ours(1), held=(2,), verifiers=verifiers, record_mark=MARK)


def delivers(plan: Plan) -> bool:
    return any(isinstance(step, Deliver) for step in plan.steps)


def test_what_every_verifier_has_applied_is_delivered_without_a_delay() -> None:
    assert decide(waiting(KNOWS, REFUSES_ANOTHER, seconds_ago=0)).steps == (Deliver(2, key_id(2), create=False),)


@pytest.mark.parametrize("late", [BEHIND, REFUSES])
def test_one_verifier_that_does_not_know_it_is_enough_to_wait(late: LiveVerifier) -> None:
    plan = decide(waiting(KNOWS, late))
    assert (plan.steps, plan.awaits_version) == ((), 1000)
    assert plan.waits_for is not None
    assert plan.waits_for.reason == Reason.PROPAGATION_PENDING


def test_the_delay_counts_only_where_no_verifier_lives() -> None:
    assert decide(waiting(seconds_ago=4)).look_again_time == NOW + SECOND
    assert delivers(decide(waiting(seconds_ago=5)))
    assert not delivers(decide(waiting(BEHIND, seconds_ago=5)))


def test_a_record_whose_version_is_not_known_is_not_known_to_verifiers_either() -> None:
    seen = observed(record(active(1), staged(2)), ours(1), held=(2,), verifiers=(KNOWS,), record_mark=None)
    assert not delivers(decide(seen))


def test_it_waits_for_ever_rather_than_switch_blindly_and_says_for_whom() -> None:
    plan = decide(waiting(KNOWS, BEHIND, seconds_ago=30))
    assert plan.steps == ()
    assert plan.deferred is not None
    assert "verifier b has not confirmed" in plan.deferred.message
    assert plan.look_again_time is None or plan.look_again_time > NOW + HOUR, "an acknowledgement wakes it, not the time"
    assert not delivers(decide(waiting(KNOWS, BEHIND, seconds_ago=10**7)))


def test_until_the_time_out_the_status_names_nobody() -> None:
    """The names change with each acknowledgement, and each change would be a write."""
    plan = decide(waiting(BEHIND))
    assert plan.look_again_time == NOW + 29 * SECOND
    assert plan.deferred is None


def test_the_time_out_is_told_though_the_old_key_works() -> None:
    seen = waiting(*(LiveVerifier(f"v{number}", applied=1) for number in range(5)), seconds_ago=31)
    ready = conclude(seen, decide(seen), Outcome()).condition(ConditionType.READY)
    assert ready is not None
    assert (ready.status, ready.reason) == ("True", Reason.ISSUED)
    assert "verifiers v0, v1, v2 and 2 more have not confirmed" in ready.message


def test_an_end_by_intent_waits_for_no_verifier() -> None:
    old = record(retiring(1, left=timedelta(0)), active(2), staged(3))
    assert decide(observed(old, ours(2), held=(3,), verifiers=(BEHIND,), record_mark=MARK)).steps != ()


VERIFIERS = st.lists(
    st.builds(
        LiveVerifier,
        st.sampled_from("abc"),
        st.integers(0, 20),
        st.sets(st.sampled_from([KEY.record_name, "shop.mail"])).map(frozenset),
    ),
    max_size=5,
)


@given(verifiers=VERIFIERS, version=st.integers(0, 20), seconds_ago=st.integers(0, 100))
def test_nothing_is_delivered_while_a_live_verifier_has_not_applied_it(
    verifiers: list[LiveVerifier], version: int, seconds_ago: int
) -> None:
    ledger = record(active(1), staged(2, seconds_ago=seconds_ago))
    seen = observed(ledger, ours(1), held=(2,), verifiers=tuple(verifiers), record_mark=RecordMark("record-uid", version))
    known = all(each.applied >= version and KEY.record_name not in each.refused for each in verifiers)
    assert delivers(decide(seen)) == (known and (bool(verifiers) or seconds_ago >= 5))
