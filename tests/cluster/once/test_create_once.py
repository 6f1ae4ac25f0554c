"""`keyturn create --once`: a key for a person at a terminal, shown once; whoever breaks off has nothing, and leaves nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from gen.api_call import Call, Drop, Fault, Hold, Refuse
from gen.deliveries import ANNA
from gen.fault_proxy import Door
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


@pytest.fixture
def disturbed(quick_team: Team, door: Door) -> Person:
    """Somebody whose way to the API server does harm."""
    return Person(quick_team.cluster, quick_team.namespace, door.kubeconfig)


def is_creation(call: Call) -> bool:
    return (call.method, call.resource) == ("POST", "apikeys")


def test_a_key_whose_creation_had_no_answer_is_taken_all_the_same(quick_team: Team, door: Door, disturbed: Person) -> None:
    door.rule = lambda call: Drop(after=True) if is_creation(call) else None
    answer = disturbed.runs("create", "laptop", "--once")
    assert answer.code == 0, answer.err
    assert [call.status for call in door.calls if is_creation(call)] == [201], "it had its effect, and is not asked for again"
    assert quick_team.wait_ready("laptop")["keyID"] == answer.key.key_id


def test_a_request_that_did_not_arrive_may_be_repeated(quick_team: Team, door: Door, disturbed: Person) -> None:
    door.rule = lambda call: Drop(after=False) if is_creation(call) else None
    answer = disturbed.runs("create", "laptop", "--once")
    assert (answer.code, answer.out) == (1, "")
    assert "apikey/laptop was not created" in answer.err
    assert quick_team.api.get(quick_team.apikey_path("laptop")) is None


def test_who_was_faster_keeps_the_name(quick_team: Team, door: Door, disturbed: Person) -> None:
    def anna_is_faster(call: Call) -> Fault | None:
        if not is_creation(call):
            return None
        quick_team.apply_apikey("laptop", {"delivery": "Sealed", "sealed": {"recipient": ANNA}})
        return Drop(after=True)

    door.rule = anna_is_faster
    answer = disturbed.runs("create", "laptop", "--once")
    assert (answer.code, answer.out) == (1, "")
    assert "or somebody else's has that name" in answer.err
    assert quick_team.apikey("laptop")["spec"]["sealed"]["recipient"] == ANNA


def test_where_nobody_can_look_it_is_said_how_to_clear_up(quick_team: Team, door: Door, disturbed: Person) -> None:
    def looks_are_refused(call: Call) -> Fault | None:
        return Drop(after=True) if is_creation(call) else Refuse(403) if (call.method, call.resource) == ("GET", "apikeys") else None

    door.rule = looks_are_refused
    answer = disturbed.runs("create", "laptop", "--once")
    assert (answer.code, answer.out) == (1, "")
    assert "Nobody knows whether apikey/laptop was created" in answer.err
    assert f"If its recipient is {quick_team.apikey('laptop')['spec']['sealed']['recipient']}" in answer.err
    assert f"kubectl -n {quick_team.namespace} delete apikey laptop" in answer.err


def test_ctrl_c_before_the_answer_leaves_nothing(quick_team: Team, door: Door, disturbed: Person, tmp_path: Path, ctrl_c: int) -> None:
    answered = threading.Event()
    door.rule = lambda call: Hold(answered, after=True) if is_creation(call) else None
    running = disturbed.launches("create", "laptop", "--once", folder=tmp_path)
    path = quick_team.apikey_path("laptop")
    quick_team.wait_until(lambda: quick_team.api.get(path) is not None, about="laptop", what="it is created")
    running.send_signal(ctrl_c)
    assert (running.wait(timeout=60), (tmp_path / "out").read_text()) == (INTERRUPTED, "")
    answered.set()
    assert "is not there: nothing usable is left" in (tmp_path / "err").read_text()
    assert quick_team.api.get(path) is None
