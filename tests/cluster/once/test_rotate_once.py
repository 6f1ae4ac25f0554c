"""`keyturn rotate --once`: the next version of a person's key, shown once; whoever breaks off leaves the key as it was."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from gen.api_call import Call, Drop, Fault, Hold, Refuse
from gen.deliveries import ANNA
from gen.fault_proxy import Door
from gen.person import Person
from gen.team import StartTeam, Team
from gen.verifier_process import VerifierProcess
from keyturn.keys.token_format import Token, parse_token

FINE, INTERRUPTED = 200, 130
REQUEST, RECEIVED = "keyturn.dev/rotate-requested-at", "keyturn.dev/received"


def created(person: Person, name: str) -> Token:
    """The first version of a person's key, as `create --once` printed it."""
    answer = person.runs("create", name, "--once", "--grace-period", "1h")
    assert answer.code == 0, answer.err
    return answer.key


def recipient(team: Team, name: str) -> str:
    return str(team.apikey(name)["spec"]["sealed"]["recipient"])


def test_the_next_key_is_printed_once_and_the_one_before_lives_on_for_its_grace(
    team: Team, verifier: VerifierProcess, person: Person
) -> None:
    first, before = created(person, "laptop"), recipient(team, "laptop")
    answer = person.runs("rotate", "laptop", "--once")
    second = answer.key
    assert answer.code == 0, answer.err
    assert [verifier.check(each.plaintext.reveal()).status for each in (second, first)] == [FINE, FINE]
    team.wait_states("laptop", {1: "Retiring", 2: "Active"})
    assert (team.status("laptop")["keyID"], recipient(team, "laptop")) == (second.key_id, before)
    assert second.plaintext.reveal() not in answer.err
    again = person.runs("rotate", "laptop", "--once")
    assert (again.code, again.out) == (1, "")
    assert "version 1 is still accepted from the last rotation" in again.err
    assert "Nothing was changed" in again.err


def test_a_script_gets_one_object(team: Team, verifier: VerifierProcess, person: Person) -> None:
    created(person, "scripted")
    answer = person.runs("rotate", "apikey/scripted", "--once", "-o", "json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    token = parse_token(told.pop("key"))
    assert isinstance(token, Token)
    assert told == {"namespace": team.namespace, "name": "scripted", "version": 2, "keyID": token.key_id}
    assert verifier.check(token.plaintext.reveal()).status == FINE


def test_a_key_that_waits_for_somebody_else_is_made_anew_and_the_next_one_is_for_them_again(
    team: Team, verifier: VerifierProcess, person: Person
) -> None:
    team.apply_apikey("anna", {"delivery": "Sealed", "sealed": {"recipient": ANNA}})
    team.wait_until(lambda: team.status("anna").get("sealed"), about="anna", what="a version waits for her")
    answer = person.runs("rotate", "anna", "--once")
    assert answer.code == 0, answer.err
    assert "version 1, which waited for its person, ends" in answer.err
    assert (verifier.check(answer.out.strip()).status, recipient(team, "anna")) == (FINE, ANNA)
    states = team.states("anna")
    assert (states.pop(1), min(states.values())) == ("Revoked", "Active")


def test_a_dry_run_changes_nothing(team: Team, verifier: VerifierProcess, person: Person) -> None:
    token, version = created(person, "tried"), team.apikey("tried")["metadata"]["generation"]
    answer = person.runs("rotate", "tried", "--once", "--dry-run")
    assert (answer.code, answer.out) == (0, "")
    assert "server dry run" in answer.err
    assert team.apikey("tried")["metadata"]["generation"] == version
    assert (team.states("tried"), verifier.check(token.plaintext.reveal()).status) == ({1: "Active"}, FINE)


@pytest.mark.usefixtures("verifier")  # without one the Secret comes only after the propagation delay
def test_a_key_for_workloads_is_not_for_a_person(team: Team, person: Person) -> None:
    key_id = team.issue("billing").key_id
    answer = person.runs("rotate", "billing", "--once")
    assert (answer.code, answer.out) == (1, "")
    assert "stands in Secret billing: leave --once away" in answer.err
    assert team.secret("billing").key_id == key_id


@pytest.mark.parametrize("wrong", [("--wait",), ("other",), ("--all",), ("-l", "team=payments")])
def test_what_makes_no_sense_is_refused_before_anything_is_sent(person: Person, wrong: tuple[str, ...]) -> None:
    answer = person.runs("rotate", *(() if wrong[0] in {"--all", "-l"} else ("nobody",)), "--once", *wrong)
    assert (answer.code, answer.out) == (2, "")
    assert person.runs("rotate", "nobody", "-o", "json").code == 2


def started(team: Team, name: str, folder: Path) -> subprocess.Popen[bytes]:
    running = Person(team.cluster, team.namespace, team.cluster.kubeconfig).launches("rotate", name, "--once", folder=folder)
    team.wait_until(lambda: 2 in team.states(name), about=name, what="version 2 is staged")
    return running


def test_ctrl_c_before_the_key_is_there_leaves_it_as_it_was(start_team: StartTeam, tmp_path: Path, ctrl_c: int) -> None:
    team = start_team({"propagation_delay": "20s", "sealed_wait": "30s"})
    person = Person(team.cluster, team.namespace, team.cluster.kubeconfig)
    first = created(person, "broken-off")
    before = recipient(team, "broken-off")
    running = started(team, "broken-off", tmp_path)
    assert recipient(team, "broken-off") != before
    running.send_signal(ctrl_c)
    assert (running.wait(timeout=60), (tmp_path / "out").read_text()) == (INTERRUPTED, "")
    assert "is as it was" in (tmp_path / "err").read_text()
    assert recipient(team, "broken-off") == before
    assert REQUEST not in team.apikey("broken-off")["metadata"]["annotations"]
    team.wait_until(
        lambda: team.accepted("broken-off") == {first.key_id}, about="broken-off", what="the first alone is accepted", patience=90
    )


def test_whoever_keeps_the_recipient_as_it_was_is_named_as_the_reason(start_team: StartTeam, tmp_path: Path) -> None:
    team = start_team({"propagation_delay": "20s"})
    created(Person(team.cluster, team.namespace, team.cluster.kubeconfig), "kept")
    assert REQUEST not in team.apikey("kept")["metadata"].get("annotations", {})
    running = started(team, "kept", tmp_path)
    team.api.merge(team.apikey_path("kept"), {"spec": {"sealed": {"recipient": ANNA}}})
    assert (running.wait(timeout=30), (tmp_path / "out").read_text()) == (1, "")
    assert "somebody wrote another spec.sealed.recipient" in (tmp_path / "err").read_text()
    assert recipient(team, "kept") == ANNA
    assert REQUEST not in team.apikey("kept")["metadata"]["annotations"], "nobody is there for this rotation, whoever has the recipient"


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A person whose way to the API server does harm, and a key of theirs in its first version."""

    team: Team
    person: Person
    door: Door
    first: Token
    before: str

    def recipient(self) -> str:
        return recipient(self.team, "laptop")


@pytest.fixture
def disturbed(quick_team: Team, door: Door) -> Disturbed:
    person = Person(quick_team.cluster, quick_team.namespace, door.kubeconfig)
    first = created(person, "laptop")
    return Disturbed(quick_team, person, door, first, recipient(quick_team, "laptop"))


def is_request(call: Call) -> bool:
    return call.method == "PATCH" and REQUEST.encode() in call.body and b"null" not in call.body


def is_word(call: Call) -> bool:
    return call.method == "PATCH" and RECEIVED.encode() in call.body


def test_a_request_whose_answer_was_lost_leaves_nobody_as_the_recipient(disturbed: Disturbed) -> None:
    disturbed.door.rule = lambda call: Drop(after=True) if is_request(call) else None
    answer = disturbed.person.runs("rotate", "laptop", "--once")
    assert (answer.code, answer.out) == (1, "")
    assert "is as it was" in answer.err
    assert [call.status for call in disturbed.door.calls if is_request(call)] == [200], "it had its effect"
    assert disturbed.recipient() == disturbed.before
    assert REQUEST not in disturbed.team.apikey("laptop")["metadata"]["annotations"]


def test_ctrl_c_while_the_request_is_under_way_leaves_nobody_as_the_recipient(disturbed: Disturbed, tmp_path: Path, ctrl_c: int) -> None:
    team, door = disturbed.team, disturbed.door
    answered = threading.Event()
    door.rule = lambda call: Hold(answered, after=True) if is_request(call) else None
    running = disturbed.person.launches("rotate", "laptop", "--once", folder=tmp_path)
    team.wait_until(lambda: disturbed.recipient() != disturbed.before, about="laptop", what="the request has its effect")
    running.send_signal(ctrl_c)
    assert (running.wait(timeout=60), (tmp_path / "out").read_text()) == (INTERRUPTED, "")
    answered.set()
    assert (disturbed.recipient(), REQUEST in team.apikey("laptop")["metadata"]["annotations"]) == (disturbed.before, False)


def test_a_key_that_is_not_in_force_in_time_is_the_last_one_for_this_process(disturbed: Disturbed) -> None:
    operator = disturbed.team.operator

    def frozen_at_the_word(call: Call) -> Fault | None:
        if is_word(call):
            operator.freeze()
        return None

    disturbed.door.rule = frozen_at_the_word
    try:
        answer = disturbed.person.runs("rotate", "laptop", "--once", "--timeout", "8s")
    finally:
        operator.thaw()
    second = answer.key
    assert (answer.code, disturbed.recipient()) == (1, disturbed.before)
    disturbed.team.wait_until(lambda: disturbed.team.status("laptop")["keyID"] == second.key_id, about="laptop", what="it is in force")


def test_a_recipient_stays_while_the_key_that_was_shown_waits_for_the_word(disturbed: Disturbed) -> None:
    """With another one the operator would end it, and the line that the person is told to type would come too late."""
    disturbed.door.rule = lambda call: Refuse(403) if is_word(call) else None
    answer = disturbed.person.runs("rotate", "laptop", "--once")
    second = answer.key
    assert (answer.code, disturbed.recipient() != disturbed.before) == (4, True)
    assert f"annotate --overwrite apikey laptop {RECEIVED}={second.key_id}" in answer.err
    assert f'"recipient":"{disturbed.before}"' in answer.err


def test_a_recipient_that_somebody_writes_at_the_last_moment_stays(disturbed: Disturbed) -> None:
    team = disturbed.team

    def anna_is_faster(call: Call) -> Fault | None:
        if call.method == "PATCH" and disturbed.before.encode() in call.body:
            team.api.merge(team.apikey_path("laptop"), {"spec": {"sealed": {"recipient": ANNA}}})
        return None

    disturbed.door.rule = anna_is_faster
    answer = disturbed.person.runs("rotate", "laptop", "--once")
    assert (answer.code, disturbed.recipient()) == (0, ANNA), answer.err
