"""`keyturn rotate --once`: the next version of a person's key, shown once; whoever breaks off leaves the key as it was."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.deliveries import ANNA
from gen.person import BIN, Person
from gen.team import StartTeam, Team
from gen.team_verifier import team_verifier
from gen.verifier_process import VerifierProcess
from keyturn.keys.token_format import Token, parse_token

FINE, INTERRUPTED = 200, 130


@pytest.fixture(scope="module")
def team(start_module_team: StartTeam) -> Team:
    return start_module_team({"propagation_delay": "60s", "propagation_timeout": "5s", "sealed_wait": "60s"})


@pytest.fixture(scope="module")
def verifier(team: Team) -> Iterator[VerifierProcess]:
    with team_verifier(team) as verifier:
        yield verifier


@pytest.fixture
def person(team: Team) -> Person:
    return Person(team.cluster, team.namespace, team.cluster.kubeconfig)


def created(person: Person, name: str) -> Token:
    """The first version of a person's key, as `create --once` printed it."""
    answer = person.runs("create", name, "--once", "--grace-period", "1h")
    assert answer.code == 0, answer.err
    return token_in(answer.out.removesuffix("\n"))


def token_in(text: str) -> Token:
    token = parse_token(text)
    assert isinstance(token, Token)
    return token


def recipient(team: Team, name: str) -> str:
    return str(team.apikey(name)["spec"]["sealed"]["recipient"])


def test_the_next_key_is_printed_once_and_the_one_before_lives_on_for_its_grace(
    team: Team, verifier: VerifierProcess, person: Person
) -> None:
    first, before = created(person, "laptop"), recipient(team, "laptop")
    answer = person.runs("rotate", "laptop", "--once")
    assert answer.code == 0, answer.err
    second = token_in(answer.out.removesuffix("\n"))
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
    token = token_in(told.pop("key"))
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
    environment = {"PATH": f"{BIN}{os.pathsep}/usr/bin", "KUBECONFIG": str(team.cluster.kubeconfig), "HOME": str(folder)}
    words = [str(BIN / "keyturn"), "rotate", name, "--once", "-n", team.namespace]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        running = subprocess.Popen(words, env=environment, stdout=out, stderr=err)
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
    assert "keyturn.dev/rotate-requested-at" not in team.apikey("broken-off")["metadata"]["annotations"]
    team.wait_until(
        lambda: team.accepted("broken-off") == {first.key_id}, about="broken-off", what="the first alone is accepted", patience=90
    )


def test_whoever_keeps_the_recipient_as_it_was_is_named_as_the_reason(start_team: StartTeam, tmp_path: Path) -> None:
    team = start_team({"propagation_delay": "20s"})
    created(Person(team.cluster, team.namespace, team.cluster.kubeconfig), "kept")
    running = started(team, "kept", tmp_path)
    team.api.merge(team.apikey_path("kept"), {"spec": {"sealed": {"recipient": ANNA}}})
    assert (running.wait(timeout=30), (tmp_path / "out").read_text()) == (1, "")
    assert "somebody wrote another spec.sealed.recipient" in (tmp_path / "err").read_text()
    assert recipient(team, "kept") == ANNA
