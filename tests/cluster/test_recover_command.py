"""`keyturn recover`, real API server and operator: what an audit log knows more than the records is done, and waited for."""

from __future__ import annotations

import io
import json
import re
import threading
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gen.fence import REVOCATIONS, revocation
from gen.team import Team
from keyturn.cli.main import run_cli

NEWER = 5
"""Versions that the log knows of and the records do not."""
WATCHES_THAT_BEGIN_ANEW = 1
"""Each with a list of its own, within the two seconds of a test: the operator's do so every five minutes."""


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


def recover(team: Team, *arguments: str) -> Said:
    out, err = io.StringIO(), io.StringIO()
    namespaces = ["--namespace", team.system_namespace, "--records-namespace", team.records_namespace]
    place = ["--kubeconfig", str(team.cluster.kubeconfig), *namespaces]
    with redirect_stdout(out), redirect_stderr(err):
        code = run_cli(["recover", *arguments, *place])
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture
def log(own_team: Team, tmp_path: Path) -> Path:
    """Of a key in its first version, that has gone through some more since: the cluster was restored from a backup."""
    own_team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    own_team.wait_until(lambda: own_team.audit("billing")[-1:] == ["Activated"], about="billing", what="it stands in the audit log")
    last = own_team.operator.audit_lines(own_team.namespace, "billing")[-1]
    file = tmp_path / "audit.jsonl"
    file.write_text(json.dumps(later(last)) + "\n")
    return file


def later(line: dict[str, Any]) -> dict[str, Any]:
    newest = {"number": 1 + NEWER, "keyID": "nobodyknows1", "state": "Active"}
    dead = [{**version, "state": "Retired"} for version in line["versions"]]
    return {**line, "serial": line["serial"] + 1, "versions": [*dead, newest]}


def test_it_waits_until_what_it_revoked_is_dead_and_says_how_far_it_is(own_team: Team, log: Path) -> None:
    said = recover(own_team, "--audit", str(log), "--wait")
    assert said.code == 0, said.err
    assert own_team.states("billing")[1] == "Revoked", "when it ends, the key is dead"
    (name,) = re.findall(r"apikeyrevocation/(\S+) created", said.err)
    assert f"apikeyrevocation/{name} complete: " in said.err
    own_team.wait_ready("billing", version=2 + NEWER)


def test_what_does_not_happen_in_time_is_exit_code_1(own_team: Team, log: Path) -> None:
    """Nobody is there to do it."""
    own_team.annotate_apikey("billing", "keyturn.dev/highest-version", str(1 + NEWER))
    own_team.wait_until(lambda: own_team.record("billing").highest == 1 + NEWER, about="billing", what="the number is known")
    own_team.operator.kill()
    said = recover(own_team, "--audit", str(log), "--wait", "--timeout", "1s")
    assert said.code == 1
    assert "is not complete: waits for the operator" in said.err


def test_a_second_run_waits_for_what_the_first_one_began(own_team: Team, log: Path) -> None:
    own_team.annotate_apikey("billing", "keyturn.dev/highest-version", str(1 + NEWER))
    own_team.wait_until(lambda: own_team.record("billing").highest == 1 + NEWER, about="billing", what="the number is known")
    own_team.operator.kill()
    (name,) = re.findall(r"apikeyrevocation/(\S+) created", recover(own_team, "--audit", str(log)).err)
    own_team.api.delete(own_team.record_path("billing"))  # nothing is left for the second run to find
    said = recover(own_team, "--audit", str(log), "--wait", "--timeout", "1s")
    assert said.code == 1, said.err
    assert f"apikeyrevocation/{name} is not complete: waits for the operator" in said.err


def test_a_revocation_of_the_folder_that_is_there_already_is_waited_for_too(own_team: Team, tmp_path: Path) -> None:
    own_team.operator.kill()
    manifest = revocation(f"{own_team.namespace}-there-already")
    own_team.api.ask("POST", REVOCATIONS, manifest)
    (tmp_path / "leak.json").write_text(json.dumps(manifest))
    said = recover(own_team, "--revocations", str(tmp_path), "--wait", "--timeout", "1s")
    assert (said.code, "created" in said.err) == (1, False), said.err
    assert f"apikeyrevocation/{own_team.namespace}-there-already is not complete" in said.err


def test_while_it_waits_for_a_number_it_asks_for_the_one_record_that_has_to_know_it(own_team: Team, log: Path) -> None:
    lists = lists_of_secrets(own_team)
    own_team.operator.freeze()
    threading.Timer(2.0, own_team.operator.thaw).start()
    said = recover(own_team, "--audit", str(log))
    assert said.code == 0, said.err
    assert "has not taken" not in said.err
    assert own_team.record("billing").highest >= 1 + NEWER, "it has waited for it"
    assert lists_of_secrets(own_team) <= lists + 1 + WATCHES_THAT_BEGIN_ANEW, "all records were read once, not at each of its looks"


def test_for_an_operator_that_was_stopped_it_does_not_wait(own_team: Team, log: Path) -> None:
    own_team.operator.stop()
    said = recover(own_team, "--audit", str(log))
    assert (said.code, "No operator leads: it takes the numbers up when it starts" in said.err) == (0, True), said.err
    own_team.operator.restart()
    own_team.wait_ready("billing", version=2 + NEWER)


def test_the_log_of_another_installation_changes_nothing_and_is_no_success(own_team: Team, log: Path) -> None:
    """A cluster beside this one has ApiKeys of the same names."""
    log.write_text(json.dumps({**json.loads(log.read_text()), "installation": "0123456789abcdef"}) + "\n")
    before = own_team.marks("billing")
    said = recover(own_team, "--audit", str(log))
    assert (said.code, said.out) == (1, ""), said.err
    assert f"About keys of this installation ({own_team.record('billing').installation}): 0 of 1 line" in said.err
    assert "created" not in said.err
    assert own_team.marks("billing") == before
    assert "keyturn.dev/highest-version" not in own_team.apikey("billing")["metadata"].get("annotations", {})


def test_lines_of_another_installation_are_left_aside(own_team: Team, log: Path) -> None:
    ours = json.loads(log.read_text())
    foreign = {**ours, "installation": "0123456789abcdef", "versions": [{"number": 99, "keyID": "nobodyknows2", "state": "Active"}]}
    log.write_text("".join(json.dumps(line) + "\n" for line in (foreign, ours)))
    said = recover(own_team, "--audit", str(log), "--wait")
    assert said.code == 0, said.err
    assert "1 of 2 lines. What is of 0123456789abcdef counts for nothing" in said.err
    own_team.wait_ready("billing", version=2 + NEWER)


def test_a_dry_run_waits_for_nothing(own_team: Team, log: Path) -> None:
    said = recover(own_team, "--audit", str(log), "--dry-run", "--wait")
    assert (said.code, "--wait and --dry-run exclude each other" in said.err) == (2, True)


def lists_of_secrets(team: Team) -> int:
    found = re.findall(r'^apiserver_request_total\{.*resource="secrets".*verb="LIST".*\} (\S+)$', team.cluster.metrics(), re.MULTILINE)
    return sum(int(float(count)) for count in found)
