"""`keyturn create --once`: a key for a person at a terminal, shown once; whoever breaks off has nothing, and leaves nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gen.person import Person
from gen.team import StartTeam, Team
from gen.verifier_process import VerifierProcess

FINE, UNAUTHORIZED, INTERRUPTED = 200, 401, 130


def test_a_key_is_printed_once_and_works(team: Team, verifier: VerifierProcess, person: Person) -> None:
    answer = person.runs("create", "laptop", "--once", "--expires", "720h")
    token = answer.key
    assert answer.code == 0, answer.err
    assert (verifier.check(token.plaintext.reveal()).status, team.find_secret("laptop")) == (FINE, None)
    status = team.wait_ready("laptop")
    assert (status["keyID"], "sealed" in status) == (token.key_id, False)
    assert token.plaintext.reveal() not in answer.err
    assert f"Key ID:   {token.key_id}" in answer.err
    assert team.apikey("laptop")["spec"]["expirationTime"] in answer.err


def test_a_taken_name_is_refused_and_left_alone(team: Team, verifier: VerifierProcess, person: Person) -> None:
    token = person.runs("create", "taken", "--once").key
    again = person.runs("create", "taken", "--once")
    assert (again.code, again.out) == (1, "")
    assert "already exists" in again.err
    assert (team.status("taken")["keyID"], verifier.check(token.plaintext.reveal()).status) == (token.key_id, FINE)


def test_what_cannot_be_is_taken_back(team: Team, verifier: VerifierProcess, person: Person) -> None:
    answer = person.runs("create", "nowhere", "--once", "--product", "nobody/nothing", "--timeout", "20s")
    assert (answer.code, answer.out, verifier.is_running) == (1, "", True)
    assert "deleted again: nothing usable is left" in answer.err
    assert team.api.get(team.apikey_path("nowhere")) is None


@pytest.mark.parametrize("wrong", [("--wait",), ("--dry-run",), ("-o", "yaml"), ("--interval", "720h"), ("--secret-name", "x")])
def test_what_makes_no_sense_is_refused_before_anything_is_sent(team: Team, person: Person, wrong: tuple[str, ...]) -> None:
    answer = person.runs("create", "wrong", "--once", *wrong)
    assert (answer.code, answer.out) == (2, "")
    assert team.api.get(team.apikey_path("wrong")) is None


def test_ctrl_c_before_the_key_is_there_leaves_nothing(start_team: StartTeam, tmp_path: Path, ctrl_c: int) -> None:
    team = start_team({"propagation_delay": "60s"})  # nobody acknowledges: it is not sealed for a minute
    person = Person(team.cluster, team.namespace, team.cluster.kubeconfig)
    running = person.launches("create", "broken-off", "--once", folder=tmp_path)
    team.wait_until(lambda: team.find_record("broken-off") is not None, about="broken-off", what="the key is staged")
    running.send_signal(ctrl_c)
    assert (running.wait(timeout=60), (tmp_path / "out").read_text()) == (INTERRUPTED, "")
    assert "nothing usable is left" in (tmp_path / "err").read_text()
    assert team.api.get(team.apikey_path("broken-off")) is None
    team.wait_until(lambda: not team.accepted("broken-off"), about="broken-off", what="nothing is accepted")


def test_who_may_not_delete_is_told_that_it_ends_by_itself(start_team: StartTeam, tmp_path: Path) -> None:
    team = start_team({"propagation_delay": "60s", "sealed_wait": "3s"})
    kubectl, namespace = team.cluster.kubectl, team.namespace
    kubectl("-n", namespace, "create", "serviceaccount", "modest")
    kubectl("-n", namespace, "create", "role", "modest", "--verb=create,get,patch", "--resource=apikeys.keyturn.dev")
    kubectl("-n", namespace, "create", "rolebinding", "modest", "--role=modest", f"--serviceaccount={namespace}:modest")
    modest = Person(team.cluster, namespace, team.cluster.kubeconfig).as_service_account("modest", of=namespace, folder=tmp_path)
    started = time.monotonic()
    answer = modest.runs("create", "modest", "--once", "--timeout", "2s")
    assert (answer.code, answer.out) == (1, "")
    assert time.monotonic() - started < 30
    assert "ends by itself" in answer.err
