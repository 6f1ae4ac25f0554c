"""A staged key is delivered when every living verifier says that it has it in force, and not before. The Leases are written by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gen.team import StartTeam, Team
from gen.verifier_lease import LeaseByHand

FAR = 10**15
"""A resource version that no test gets to."""


@pytest.fixture(scope="module")
def watched(start_module_team: StartTeam) -> Team:
    """The delay is long: what is delivered was acknowledged."""
    return start_module_team({"propagation_delay": "120s", "propagation_timeout": "1s", "sweep_interval": "1h"})


@pytest.fixture
def leases(watched: Team) -> Iterator[tuple[LeaseByHand, LeaseByHand]]:
    """Two replicas that have everything in force."""
    both = LeaseByHand(watched, "a"), LeaseByHand(watched, "b")
    for lease in both:
        lease.renew(applied=FAR)
    wait_live(watched, 2)
    yield both
    for lease in both:
        lease.delete()
    wait_live(watched, 0)


def wait_live(team: Team, count: int) -> None:
    team.wait_until(lambda: team.operator.metric("keyturn_verifiers") == count, about="", what=f"{count} verifiers are seen")


def wait_staged(team: Team, name: str, number: int) -> str:
    """Answers the resource version of the write that staged it."""
    team.wait_until(lambda: team.states(name).get(number) == "Staged", about=name, what=f"version {number} of {name} is staged")
    record = team.raw_record(name)
    assert record is not None
    return record.resource_version


def holds_for_a_while(team: Team, name: str, version: int) -> None:
    """Longer than any write takes, shorter than a Lease."""
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert team.secret(name).version == version
        time.sleep(0.1)


@pytest.mark.usefixtures("leases")
def test_a_key_that_every_verifier_knows_is_delivered_at_once(watched: Team) -> None:
    watched.issue("at-once")
    (entry,) = watched.record("at-once").versions
    assert entry.active_time is not None
    assert (entry.active_time - entry.staged_time).total_seconds() < 10


def test_a_rotation_waits_for_the_slowest_verifier(watched: Team, leases: tuple[LeaseByHand, LeaseByHand]) -> None:
    fast, slow = leases
    watched.issue("billing")
    slow.renew(applied=0)
    watched.request_rotation("billing")
    staged = wait_staged(watched, "billing", 2)
    fast.renew(applied=FAR)
    holds_for_a_while(watched, "billing", 1)
    slow.renew(applied=int(staged) - 1)
    holds_for_a_while(watched, "billing", 1)
    told = watched.wait_until(
        lambda: message if "verifier b has not confirmed" in (message := watched.condition("billing", "Ready")["message"]) else None,
        about="billing",
        what="the status says whom it waits for",
    )
    assert "Version 1 is in force" in told
    slow.renew(applied=staged)
    watched.wait_ready("billing", version=2)


def test_a_verifier_that_refuses_the_record_does_not_know_it(watched: Team, leases: tuple[LeaseByHand, LeaseByHand]) -> None:
    watched.issue("mail")
    leases[0].renew(applied=FAR, refused=f"other.key {watched.namespace}.mail")
    watched.request_rotation("mail")
    wait_staged(watched, "mail", 2)
    holds_for_a_while(watched, "mail", 1)
    leases[0].renew(applied=FAR, refused="other.key")
    watched.wait_ready("mail", version=2)


def test_a_verifier_that_stops_in_good_order_is_not_waited_for(watched: Team, leases: tuple[LeaseByHand, LeaseByHand]) -> None:
    watched.issue("stopped")
    leases[0].renew(applied=0)
    watched.request_rotation("stopped")
    wait_staged(watched, "stopped", 2)
    holds_for_a_while(watched, "stopped", 1)
    leases[0].delete()
    watched.wait_ready("stopped", version=2)


@pytest.mark.usefixtures("leases")
def test_a_verifier_that_fell_silent_stops_counting_when_its_lease_ends(watched: Team) -> None:
    watched.issue("silent")
    silent = LeaseByHand(watched, "silent", seconds=3)
    silent.renew(applied=0)
    began = time.monotonic()
    watched.request_rotation("silent")
    wait_staged(watched, "silent", 2)
    watched.wait_ready("silent", version=2)
    assert time.monotonic() - began > 2.5
    wait_live(watched, 2)
    silent.renew(applied=FAR)
    wait_live(watched, 3)
    silent.delete()


def test_a_verifier_that_comes_up_while_a_key_waits_for_the_delay_is_asked_at_once(watched: Team) -> None:
    watched.apply_apikey("early")
    watched.wait_until(lambda: watched.find_record("early"), about="early", what="version 1 is staged")
    lease = LeaseByHand(watched, "first")
    lease.renew(applied=FAR)
    watched.wait_ready("early")
    lease.delete()
    wait_live(watched, 0)


def reconciles_at_rest(team: Team) -> float:
    """How many there were, once nothing has been looked at for a while: the echo of the last write may still be under way."""

    def resting() -> float | None:
        before = team.operator.metric("keyturn_reconcile_total")
        time.sleep(1.0)
        return before if team.operator.metric("keyturn_reconcile_total") == before else None

    return team.wait_until(resting, about="settled", what="nothing to be looked at")


def test_a_renewal_wakes_nobody_and_costs_nothing(watched: Team, leases: tuple[LeaseByHand, LeaseByHand]) -> None:
    watched.issue("settled")
    before, marks = reconciles_at_rest(watched), watched.marks("settled")
    for _ in range(20):
        leases[0].renew(applied=FAR)
    wait_live(watched, 2)
    time.sleep(0.5)
    assert watched.operator.metric("keyturn_reconcile_total") == before
    assert watched.marks("settled") == marks
