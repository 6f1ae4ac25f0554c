"""Operator and real verifiers: no key is given out before each of them accepts it, whatever happens to them meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from gen.team import Json, StartTeam, Team
from gen.verifier_process import VerifierProcess
from testbed.cluster import wait_until

LEASES = "/apis/coordination.k8s.io/v1/namespaces"
LONG, SHORT = "60s", "2s"
UNAUTHORIZED, UNAVAILABLE = 401, 503
SPEC = {"rotation": {"policy": "Manual", "gracePeriod": "1s", "overlapLimit": "60s", "quietPeriod": "0s"}}


class StartVerifier(Protocol):
    def __call__(self, identity: str, lease_duration: str = LONG) -> VerifierProcess: ...


@pytest.fixture(scope="module")
def team(start_module_team: StartTeam) -> Team:
    """The delay is long: what is delivered was acknowledged."""
    return start_module_team({"propagation_delay": "120s", "propagation_timeout": "1s", "sweep_interval": "1h"})


@pytest.fixture
def start_verifier(team: Team) -> Iterator[StartVerifier]:
    """Start one that is waited for; it ends in good order, or at least with its Lease."""
    with ExitStack() as ends:

        def start(identity: str, lease_duration: str = LONG) -> VerifierProcess:
            settings = {"identity": identity, "lease_duration": lease_duration}
            verifier = VerifierProcess.start(
                team.cluster,
                records_namespace=team.records_namespace,
                namespace=team.system_namespace,
                settings=settings,
                name=identity,
            )
            ends.enter_context(verifier)
            verifier.wait_until(lambda: verifier.metric("keyturn_verifier_waited_for") == 1.0, what="to be waited for")
            return verifier

        yield start
    for name in lease_names(team):
        team.api.delete(f"{LEASES}/{team.records_namespace}/leases/{name}")
    wait_alive(team, 0)


def lease_names(team: Team) -> list[str]:
    listed = team.api.ask("GET", f"{LEASES}/{team.records_namespace}/leases")
    return [lease["metadata"]["name"] for lease in listed["items"]]


def lease_of(team: Team, identity: str) -> Json | None:
    return team.api.get(f"{LEASES}/{team.records_namespace}/leases/verifier-{identity}")


def applied_by(team: Team, identity: str) -> int:
    lease = lease_of(team, identity)
    return int(lease["metadata"]["annotations"]["keyturn.dev/applied-resource-version"]) if lease else 0


def wait_alive(team: Team, count: int) -> None:
    team.wait_until(lambda: team.operator.metric("keyturn_verifiers") == count, about="", what=f"{count} verifiers are seen")


def rotate(team: Team, name: str, number: int) -> None:
    """Ask for it, and wait until the new version is staged."""
    team.request_rotation(name, f"to {number}")
    team.wait_until(lambda: number in team.states(name), about=name, what=f"version {number} of {name} is staged")


def holds_for_a_while(team: Team, name: str, version: int) -> None:
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert team.secret(name).version == version
        time.sleep(0.1)


def test_keys_are_given_out_when_two_verifiers_accept_them(team: Team, start_verifier: StartVerifier) -> None:
    verifiers = start_verifier("one"), start_verifier("two")
    wait_alive(team, 2)
    team.issue("billing", SPEC)
    for number in (2, 3):
        rotate(team, "billing", number)
        team.wait_until(lambda number=number: team.secret("billing").version == number, about="billing", what="the switch")
        token = team.secret("billing").token
        assert [verifier.check(token).status for verifier in verifiers] == [200, 200]
        team.wait_states("billing", {**dict.fromkeys(range(1, number), "Retired"), number: "Active"})
    switched = team.record("billing").active
    assert switched is not None
    assert switched.active_time is not None
    assert (switched.active_time - switched.staged_time).total_seconds() < 5


def test_a_rotation_waits_for_a_frozen_verifier_and_goes_on_when_it_thaws(team: Team, start_verifier: StartVerifier) -> None:
    start_verifier("awake")
    frozen = start_verifier("frozen")
    team.issue("thaw", SPEC)
    frozen.freeze()
    rotate(team, "thaw", 2)
    holds_for_a_while(team, "thaw", 1)
    team.wait_until(
        lambda: "verifier frozen has not confirmed" in team.condition("thaw", "Ready")["message"], about="thaw", what="it is named"
    )
    frozen.thaw()
    team.wait_ready("thaw", version=2)
    assert frozen.check(team.secret("thaw").token).status == 200


def test_a_frozen_verifier_is_not_waited_for_after_its_lease_and_never_calls_the_new_key_unknown(
    team: Team, start_verifier: StartVerifier
) -> None:
    frozen = start_verifier("frozen", SHORT)
    start_verifier("awake")
    team.issue("lapse", SPEC)
    frozen.freeze()
    rotate(team, "lapse", 2)
    team.wait_ready("lapse", version=2)
    token = team.secret("lapse").token
    frozen.thaw()
    told = [frozen.check(token).status for _ in range(50)]
    assert UNAUTHORIZED not in told, told
    wait_until(lambda: frozen.check(token).status == 200, patience=20, what="it to know the key")
    wait_until(lambda: frozen.check("kt_" + "x" * 61).status == UNAUTHORIZED, patience=20, what="unknown keys to be unknown again")
    wait_alive(team, 2)


def test_a_verifier_that_was_killed_comes_back_under_its_name(team: Team, start_verifier: StartVerifier) -> None:
    verifier = start_verifier("killed")
    team.issue("comes-back", SPEC)
    verifier.kill()
    rotate(team, "comes-back", 2)
    holds_for_a_while(team, "comes-back", 1)
    verifier.restart()
    team.wait_ready("comes-back", version=2)
    assert verifier.check(team.secret("comes-back").token).status == 200


def test_a_verifier_that_starts_in_between_knows_what_is_given_out(team: Team, start_verifier: StartVerifier) -> None:
    frozen = start_verifier("first")
    team.issue("between", SPEC)
    frozen.freeze()
    rotate(team, "between", 2)
    second = start_verifier("second")
    holds_for_a_while(team, "between", 1)
    frozen.thaw()
    team.wait_ready("between", version=2)
    assert second.check(team.secret("between").token).status == 200


def test_a_verifier_that_stops_takes_its_lease_with_it(team: Team, start_verifier: StartVerifier) -> None:
    verifier = start_verifier("stopping")
    assert lease_of(team, "stopping") is not None
    assert verifier.stop() == 0
    assert lease_of(team, "stopping") is None


def test_a_lease_that_somebody_deletes_is_written_again(team: Team, start_verifier: StartVerifier) -> None:
    start_verifier("deleted", SHORT)
    lease = lease_of(team, "deleted")
    assert lease is not None
    team.api.delete(f"{LEASES}/{team.records_namespace}/leases/verifier-deleted")
    team.wait_until(
        lambda: (found := lease_of(team, "deleted")) is not None and found["metadata"]["uid"] != lease["metadata"]["uid"],
        about="",
        what="the Lease is back",
    )
    wait_alive(team, 1)


def test_of_two_processes_with_one_name_only_the_later_speaks(start_verifier: StartVerifier) -> None:
    older = start_verifier("twin", SHORT)
    start_verifier("twin", SHORT)
    older.wait_until(lambda: older.metric("keyturn_verifier_waited_for") == 0.0, what="to notice")
    assert "Another process has this replica's identity: give each its own" in older.messages()
    assert older.check("kt_" + "x" * 61).status == UNAVAILABLE, "it may exist: nobody waits for this one"


def test_a_refused_record_is_named_and_holds_its_own_key_alone(team: Team, start_verifier: StartVerifier) -> None:
    start_verifier("strict", SHORT)
    team.issue("forged", SPEC)
    team.issue("good", SPEC)
    name = f"{team.namespace}.forged"

    def refused() -> str:
        lease = lease_of(team, "strict")
        return lease["metadata"]["annotations"]["keyturn.dev/refused-records"] if lease else ""

    team.operator.freeze()  # it writes the record again within moments, from what the verifier knows
    try:
        team.api.merge(team.record_path("forged"), {"data": {"record": "e30="}})
        team.wait_until(lambda: refused() == name, about="", what="the refusal is told")
    finally:
        team.operator.thaw()
    rotate(team, "good", 2)
    team.wait_ready("good", version=2)
    team.wait_until(lambda: refused() == "", about="", what="it is in force again")


def test_many_changes_are_told_in_few_writes(team: Team, start_verifier: StartVerifier) -> None:
    verifier = start_verifier("busy")
    team.issue("changing", SPEC)
    before, began = lease_writes(verifier), time.monotonic()
    for number in range(200):
        last = team.api.merge(team.record_path("changing"), {"metadata": {"annotations": {"note": str(number)}}})
    version = int(last["metadata"]["resourceVersion"])
    team.wait_until(lambda: applied_by(team, "busy") >= version, about="", what="all of it is told")
    assert lease_writes(verifier) - before <= (time.monotonic() - began) / 0.05 + 2


def lease_writes(verifier: VerifierProcess) -> float:
    return verifier.metric("keyturn_verifier_api_requests_total", resource="leases", verb="update")
