"""Delivery Sealed: a version waits, encrypted, for its person; they say that they have it, or it is revoked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gen.deliveries import ANNA, BELA, ledger, wanting
from gen.lifecycle import HOUR, MINUTE, NOW, SECOND, active, key_id, observed, retiring, staged, tombstone
from keyturn.api.v1alpha1.apikey import SealedKey
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import DeadEntry, Record
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.plan import Change, Plan, SaveRecord, Seal, Stage


def saved(plan: Plan) -> Record:
    (step,) = plan.steps
    assert isinstance(step, SaveRecord)
    return step.record


def minted(plan: Plan) -> Stage:
    (step,) = plan.steps
    assert isinstance(step, Stage)
    return step


def states(record: Record) -> dict[int, str]:
    return {each.number: str(each.state) for each in (*record.versions, *record.dead)}


def not_received(number: int) -> DeadEntry:
    return replace(tombstone(number, reason="NotReceived"), state=VersionState.REVOKED)


def ready(seen: Observed) -> tuple[str, str]:
    found = conclude(seen, decide(seen), Outcome()).condition("Ready")
    assert found is not None
    return found.status, found.reason


def sealed_in(seen: Observed) -> SealedKey | None:
    return conclude(seen, decide(seen), Outcome()).sealed


def test_a_key_is_minted_at_once() -> None:
    assert minted(decide(observed(of=wanting()))).number == 1


def test_it_is_sealed_when_every_verifier_can_know_it() -> None:
    fresh = observed(ledger(staged(1)), of=wanting(), held=(1,))
    assert (decide(fresh).steps, ready(fresh)) == ((), ("False", Reason.PROPAGATION_PENDING))
    known = observed(ledger(staged(1, seconds_ago=6)), of=wanting(), held=(1,))
    assert decide(known).steps == (Seal(1, key_id(1), ANNA, expiration_time=NOW - 6 * SECOND + HOUR),)


def test_it_waits_for_its_person_and_that_is_no_failure() -> None:
    seen = observed(ledger(staged(1, seconds_ago=60)), of=wanting(of=1))
    plan, status = decide(seen), conclude(seen, decide(seen), Outcome())
    assert (plan.steps, plan.look_again_time, plan.stalled) == ((), NOW - MINUTE + HOUR, None)
    assert (ready(seen), status.observed_generation) == (("False", Reason.AWAITING_RECEIPT), 3)
    assert sealed_in(seen) == (seen.apikey.status.sealed if seen.apikey and seen.apikey.status else None)


def test_who_says_that_they_have_it_puts_it_in_force_and_the_ciphertext_goes() -> None:
    waiting = observed(ledger(staged(1, seconds_ago=60)), of=wanting(of=1, received=1))
    after = saved(decide(waiting))
    assert (states(after), after.secret, after.change) == ({1: "Active"}, None, Change.ACTIVATED)
    settled = observed(after, of=wanting(of=1, received=1))
    assert (decide(settled).steps, ready(settled), sealed_in(settled)) == ((), ("True", Reason.ISSUED), None)


def test_who_names_another_key_has_not_taken_this_one() -> None:
    assert decide(observed(ledger(staged(2, seconds_ago=60)), of=wanting(of=2, received=1))).steps == ()


def test_a_key_is_not_in_force_before_it_was_sealed_whatever_is_said() -> None:
    known = observed(ledger(staged(1, seconds_ago=6)), of=wanting(received=1), held=(1,))
    assert [type(step) for step in decide(known).steps] == [Seal]


def test_a_key_that_nobody_takes_is_revoked_and_brings_no_other() -> None:
    late = observed(ledger(staged(1, seconds_ago=3600)), of=wanting(of=1))
    after = saved(decide(late))
    assert (states(after), after.dead[0].reason) == ({1: "Revoked"}, "NotReceived")
    settled = observed(after, of=wanting(of=1))
    plan = decide(settled)
    assert (plan.steps, ready(settled), sealed_in(settled)) == ((), ("False", Reason.NOT_RECEIVED), None)
    assert "keyturn rotate billing -n shop" in plan.stalled.message if plan.stalled else False


@pytest.mark.parametrize("again", [{"asked": "now"}, {"rotation": {"trigger": "ticket-7"}}])
def test_another_one_comes_when_somebody_asks(again: dict[str, object]) -> None:
    step = minted(decide(observed(ledger(dead=(not_received(1),)), of=wanting(**again))))  # type: ignore[arg-type]
    assert (step.number, step.base.rotate_requested_at or step.base.trigger) == (2, again.get("asked") or "ticket-7")


def test_with_a_ciphertext_lost_the_version_ends_and_another_is_minted() -> None:
    """Whether its person has it, nobody knows: it is no harmless orphan."""
    lost = observed(ledger(staged(1, seconds_ago=31)), of=wanting())
    step = minted(decide(lost))
    assert (step.number, states(step.base), step.base.dead[0].reason) == (2, {1: "Revoked"}, "CiphertextLost")


def test_a_process_that_may_still_seal_it_is_waited_for() -> None:
    seen = observed(ledger(staged(1, seconds_ago=20)), of=wanting())
    assert (decide(seen).steps, decide(seen).look_again_time) == ((), NOW + 10 * SECOND)


def test_a_new_recipient_gets_a_new_version() -> None:
    step = minted(decide(observed(ledger(staged(1, seconds_ago=60)), of=wanting(of=1, to=BELA))))
    assert (step.number, states(step.base)) == (2, {1: "Revoked"})


def test_a_recipient_with_a_wrong_checksum_is_said_and_nothing_is_minted() -> None:
    seen = observed(of=wanting(to=ANNA[:-1] + "q"))
    assert (decide(seen).steps, ready(seen)) == ((), ("False", Reason.RECIPIENT_INVALID))


def test_the_old_key_stays_in_force_until_the_new_one_was_received() -> None:
    turning = ledger(active(1), staged(2, seconds_ago=60, cause=Cause.REQUESTED))
    waiting = observed(turning, of=wanting(of=2))
    assert (decide(waiting).steps, ready(waiting)) == ((), ("True", Reason.ISSUED))
    after = saved(decide(observed(turning, of=wanting(of=2, received=2))))
    assert (states(after), after.version(1).not_after if after.version(1) else None) == ({1: "Retiring", 2: "Active"}, NOW + 168 * HOUR)


def test_a_new_key_that_nobody_took_leaves_the_old_one_in_force_and_says_so() -> None:
    late = ledger(active(1), staged(2, seconds_ago=3600, cause=Cause.REQUESTED))
    after = saved(decide(observed(late, of=wanting(of=2))))
    settled = observed(after, of=wanting(of=2))
    deferred = decide(settled).deferred
    assert (states(after), decide(settled).steps, ready(settled)) == ({1: "Active", 2: "Revoked"}, (), ("True", Reason.ISSUED))
    assert deferred is not None
    assert deferred.reason == Reason.NOT_RECEIVED


def test_what_minversion_ends_ends_although_nobody_took_its_successor() -> None:
    late = replace(ledger(active(1), staged(2, seconds_ago=3600, cause=Cause.MIN_VERSION)), min_version=2)
    assert states(saved(decide(observed(late, of=wanting(of=2, minVersion=2))))) == {1: "Revoked", 2: "Revoked"}


def test_no_calendar_rotates_it() -> None:
    seen = observed(ledger(active(1, ago=99999 * HOUR)), of=wanting())
    assert (decide(seen), conclude(seen, decide(seen), Outcome()).next_rotation_time) == (Plan(), None)


def test_a_request_rotates_it() -> None:
    assert minted(decide(observed(ledger(active(1)), of=wanting(asked="now")))).number == 2


def test_a_revoked_key_is_followed_by_one_that_waits() -> None:
    gone = replace(tombstone(1, reason="Leaked"), state=VersionState.REVOKED)
    step = minted(decide(observed(ledger(dead=(gone,)), of=wanting())))
    assert (step.number, step.cause) == (2, Cause.REVOKED)


def test_an_old_key_retires_after_its_grace_as_any_other() -> None:
    seen = observed(ledger(retiring(1), active(2, ago=25 * HOUR)), of=wanting())
    assert states(saved(decide(seen))) == {1: "Retired", 2: "Active"}


def test_nothing_is_sealed_for_an_apikey_that_is_gone() -> None:
    seen = replace(observed(ledger(staged(1, seconds_ago=60)), of=wanting(of=1)), apikey=None)
    assert states(saved(decide(seen))) == {1: "Revoked"}


def test_a_key_that_nobody_took_yet_ends_at_once_where_a_revocation_would_have_it_replaced() -> None:
    """Otherwise each such revocation would leave one more good key lying about."""
    ending = replace(staged(1, seconds_ago=60), not_after=NOW + HOUR)
    after = saved(decide(observed(ledger(ending), of=wanting(of=1))))
    assert (states(after), after.dead[0].reason) == ({1: "Revoked"}, "Revoked")
    assert minted(decide(observed(after, of=wanting(of=1)))).number == 2
