"""`keyturn revoke` against a real API server and operator: what it shows, what it creates, what it waits for."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from gen.team import APIKEYS, Team, workload
from gen.verifier_lease import LeaseByHand
from keyturn.cli.console import Console
from keyturn.cli.deps import Deps, connect
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.main import run_cli
from keyturn.cli.place import Place
from keyturn.cli.revocations.revocation_manifest import Order, Target, revocation_manifests
from keyturn.cli.revocations.revoke_command import Options, run
from keyturn.keys.token_format import SECRET_LENGTH, format_token
from testbed.cluster import wait_until

Json = dict[str, Any]


class Shell:
    """Security's terminal."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.code, self.out, self.err = 0, "", ""

    def runs(self, *arguments: str, command: str = "revoke") -> str:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            self.code = run_cli([command, *arguments, "--kubeconfig", str(self.team.cluster.kubeconfig)])
        self.out, self.err = out.getvalue(), err.getvalue()
        return self.out

    def revocations(self) -> list[Json]:
        return self.team.api.ask("GET", f"{APIKEYS}/apikeyrevocations")["items"]

    def of_its_namespace(self, *, least: int = 0) -> list[Json]:
        """Those by name; an object without a status for each that is missing of so many."""
        found = [each for each in self.revocations() if each["spec"].get("apiKeyRef", {}).get("namespace") == self.team.namespace]
        return [*found, *({} for _ in range(least - len(found)))]


@pytest.fixture
def shell(team: Team) -> Iterator[Shell]:
    shell = Shell(team)
    before = {each["metadata"]["name"] for each in shell.revocations()}
    yield shell
    for each in shell.revocations():
        if each["metadata"]["name"] not in before:
            team.api.delete(f"{APIKEYS}/apikeyrevocations/{each['metadata']['name']}")


def test_a_dry_run_shows_what_would_end_and_who_uses_it_and_changes_nothing(shell: Shell) -> None:
    team = shell.team
    old = team.issue("billing")
    team.start(workload("Deployment", "web"))
    before = len(shell.revocations())
    told = shell.runs("billing", "-n", team.namespace, "--reason", "Leaked", "--dry-run")
    assert told.rstrip("\n").split("\t") == [team.namespace, "billing", "1", old.key_id, "Active", "", "", "deployment/web"]
    assert (shell.code, shell.err.split(".")[0]) == (0, "1 key version would end at once (dry run)")
    assert shell.runs("--key-id", old.key_id, "--reason", "Leaked", "--dry-run") == told
    assert shell.runs("--all", "-n", team.namespace, "--reason", "Leaked", "--dry-run") == told
    assert shell.runs("--product", f"{team.namespace}/none", "--reason", "Leaked", "--dry-run") == ""
    assert len(shell.revocations()) == before
    assert team.states("billing") == {1: "Active"}


def test_what_it_prints_for_git_can_be_applied(shell: Shell) -> None:
    team = shell.team
    old = team.issue("billing")
    printed = shell.runs("--key-id", old.key_id, "--reason", "Leaked", "--note", "in a log", "--dry-run", "-o", "yaml")
    revocation = yaml.safe_load(printed)
    assert revocation["spec"] == {"keyIDs": [old.key_id], "mode": "Immediate", "reason": "Leaked", "note": "in a log"}
    team.api.ask("POST", f"{APIKEYS}/apikeyrevocations", revocation)
    team.wait_ready("billing", version=2)
    assert team.states("billing")[1] == "Revoked"


def test_it_revokes_and_waits_until_every_verifier_knows(shell: Shell) -> None:
    team = shell.team
    for name in ("first", "second"):
        team.issue(name)
    lines = shell.runs("first", "apikey/second", "-n", team.namespace, "--reason", "OwnerLeft", "--wait").splitlines()
    assert shell.code == 0
    assert [line.split(":")[0].split(" ")[1] for line in lines] == ["created", "created", "complete", "complete"]
    assert "1 key version ended for good, and every live verifier knows" in lines[2]
    assert lines[2].endswith("after its creation")
    assert [team.states(name)[1] for name in ("first", "second")] == ["Revoked", "Revoked"]
    assert {entry.reason for entry in team.record("first").dead if entry.number == 1} == {"OwnerLeft"}


LONG = ("customer-portal-api-key-1", "customer-portal-api-key-2")
"""Their revocations' names are the same but for what no longer fits into one."""


@pytest.fixture
def hung(own_team: Team) -> Iterator[Shell]:
    """Two keys, and a verifier that lives and confirms nothing any more."""
    for name in LONG:
        own_team.issue(name)
    verifier = LeaseByHand(own_team, "hangs")
    verifier.renew(applied=1)
    yield Shell(own_team)
    verifier.delete()


def test_all_keys_are_dead_before_the_first_is_waited_for(hung: Shell) -> None:
    """The second one lived until every verifier had confirmed the first, or the five minutes were over."""
    team, begun = hung.team, time.monotonic()
    lines = hung.runs(*LONG, "-n", team.namespace, "--reason", "PolicyViolation", "--wait", "--timeout", "6s").splitlines()
    assert (hung.code, time.monotonic() - begun < 12) == (1, True), "one time for both of them"
    assert [line.split(" ")[1] for line in lines] == ["created", "created"]
    assert hung.err.count("is not complete") == 2
    first, second = sorted(datetime.fromisoformat(each["metadata"]["creationTimestamp"]) for each in hung.of_its_namespace())
    assert second - first < timedelta(seconds=4)
    assert [team.states(name)[1] for name in LONG] == ["Revoked", "Revoked"]


def test_ctrl_c_ends_the_looking_on_and_says_that_the_revocations_go_on(hung: Shell, ctrl_c: int) -> None:
    team = hung.team

    def interrupt() -> None:
        wait_until(lambda: all(each.get("status") for each in hung.of_its_namespace(least=2)), patience=30.0, what="both to be seen")
        os.kill(os.getpid(), ctrl_c)

    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(interrupt)
        hung.runs(*LONG, "-n", team.namespace, "--reason", "Leaked", "--wait")
        done.result()
    assert hung.code == ExitCode.INTERRUPTED
    assert "The looking on has ended, and nothing else: what was created goes on" in hung.err
    assert all(f"keyturn revoke-all --follow {each['metadata']['name']}" in hung.err for each in hung.of_its_namespace())
    assert [team.states(name)[1] for name in LONG] == ["Revoked", "Revoked"]


def test_one_that_is_refused_holds_up_none_of_the_others(shell: Shell) -> None:
    team, names, now = shell.team, ("first", "second", "third"), datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
    for name in names:
        team.issue(name)
    target, order = Target(names=names, namespace=team.namespace), Order(reason="Other")
    in_the_way = revocation_manifests(target, order, now=now)[1]
    elsewhere = {"mode": "Immediate", "reason": "Other", "apiKeyRef": {"namespace": team.namespace, "name": "nobody"}}
    team.api.ask("POST", f"{APIKEYS}/apikeyrevocations", {**in_the_way, "spec": elsewhere})
    options = Options(Place(kubeconfig=str(team.cluster.kubeconfig), namespace=team.namespace), target, order, wait=True)
    assert asyncio.run(run(options, Deps(Console.of_process(), lambda: now, connect))) == ExitCode.FAILED
    assert [team.states(name)[1] for name in names] == ["Revoked", "Active", "Revoked"]


def test_a_name_or_key_id_that_is_misspelt_is_not_called_done(shell: Shell) -> None:
    """It said complete and ended with 0, and the key that had leaked lived on."""
    team = shell.team
    team.issue("billing")
    nobody, nothing = ("biling", "-n", team.namespace), ("--key-id", "AAAAAAAAAAAA")
    there_is_none = f"Warning: There is no ApiKey {team.namespace}/biling. Is that spelt right?"
    for target, told in ((nobody, there_is_none), (nothing, "Warning: No ApiKey tells of key ID AAAAAAAAAAAA.")):
        shell.runs(*target, "--reason", "Leaked", "--dry-run")
        assert (shell.code, told in shell.err) == (0, True)
    shell.runs(*nobody, "--reason", "Leaked")
    assert (shell.code, there_is_none in shell.err) == (0, True)
    shell.runs(*nobody, "--reason", "Other", "--wait")
    assert (shell.code, f"did not end all that it names: There is no ApiKey {team.namespace}/biling" in shell.err) == (1, True)
    shell.runs(*nothing, "--reason", "Leaked", "--wait")
    assert (shell.code, "did not end all that it names: key ID AAAAAAAAAAAA is in no record" in shell.err) == (1, True)
    assert team.states("billing") == {1: "Active"}


def test_a_wrong_time_ends_with_2_and_nothing_is_created(shell: Shell) -> None:
    before = len(shell.revocations())
    shell.runs("--minted-before", "yesterday", "--reason", "Leaked")
    assert (shell.code, "spec.match.mintedBefore: must be a date and time" in shell.err) == (2, True)
    shell.runs("billing", "-n", shell.team.namespace, "--replace-within", "1h", "--reason", "Leaked")
    assert (shell.code, "replaceWithin belongs to mode Replace" in shell.err) == (2, True)
    assert len(shell.revocations()) == before


def test_json_is_one_object_for_one_revocation_and_a_list_for_several(shell: Shell) -> None:
    namespace = shell.team.namespace
    one = json.loads(shell.runs("a", "-n", namespace, "--reason", "Other", "--dry-run", "-o", "json"))
    several = json.loads(shell.runs("a", "b", "-n", namespace, "--reason", "Other", "--dry-run", "-o", "json"))
    assert one["spec"]["apiKeyRef"] == {"namespace": namespace, "name": "a"}
    assert [each["spec"]["apiKeyRef"]["name"] for each in several["items"]] == ["a", "b"]


def found(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """Somebody pipes a key in."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{token}\n".encode())))


def test_a_key_that_somebody_found_is_revoked_and_never_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    team = shell.team
    old = team.issue("billing")
    records = ("--records-namespace", team.records_namespace)
    found(monkeypatch, old.token)
    told = shell.runs("--dry-run", *records, command="leak")
    assert told.split("\t")[:4] == [team.namespace, "billing", "1", old.key_id]
    assert team.states("billing") == {1: "Active"}
    found(monkeypatch, old.token)
    assert "complete" in shell.runs("--wait", "--note", "in a log", *records, command="leak")
    assert (shell.code, shell.err.splitlines()[0]) == (0, f"Key ID {old.key_id} is that of ApiKey {team.namespace}/billing")
    assert old.token[-20:] not in told + shell.out + shell.err + json.dumps(shell.revocations())
    assert team.states("billing")[1] == "Revoked"


def test_another_key_under_a_known_key_id_revokes_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    team = shell.team
    old = team.issue("billing")
    found(monkeypatch, format_token("kt", key_id=old.key_id, secret="0" * SECRET_LENGTH))
    shell.runs("--records-namespace", team.records_namespace, command="leak")
    assert (shell.code, shell.out) == (1, "")
    assert "this is not the key it was issued: nothing was revoked" in shell.err
    assert team.states("billing") == {1: "Active"}


def test_what_is_no_key_is_not_sent_anywhere(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, "hunter2")
    shell.runs(command="leak")
    assert (shell.code, "This is no key of Keyturn's" in shell.err) == (1, True)
    shell.runs("kt_on_the_command_line", command="leak")
    assert (shell.code, "stays in the shell's history" in shell.err) == (2, True)


def test_a_leaked_backup_ends_by_one_command_that_shows_how_far_it_is(shell: Shell) -> None:
    team = shell.team
    old = [team.issue(name) for name in ("first", "second", "third")]
    where = ("-n", team.namespace, "--minted-before", "2999-01-01T00:00:00Z", "--reason", "Leaked")
    told = shell.runs(*where, "--dry-run", command="revoke-all")
    assert told.rstrip("\n").split("\t") == [team.namespace, "3", "3", ""]
    assert shell.err.startswith("3 key versions of 3 ApiKeys would end at once (dry run)")
    assert json.loads(shell.runs(*where, "--dry-run", "-o", "json", command="revoke-all")) == {
        "namespaces": [{"namespace": team.namespace, "apiKeys": 3, "versions": 3, "lastUsed": None}]
    }
    start = time.monotonic()
    done = json.loads(shell.runs(*where, "-o", "json", command="revoke-all"))
    assert shell.code == 0
    assert {**done, "name": "", "latencySeconds": 0} == {
        "name": "",
        "complete": True,
        "revokedVersions": 3,
        "remainingVersions": 0,
        "deadBeforeVersions": 0,
        "latencySeconds": 0,
        "message": done["message"],
    }
    assert 0 < done["latencySeconds"] <= time.monotonic() - start
    assert f"keyturn revoke-all --follow {done['name']}" in shell.err
    assert [team.states(name)[1] for name in ("first", "second", "third")] == ["Revoked"] * 3
    again = shell.runs("--follow", done["name"], command="revoke-all")
    assert again == f"apikeyrevocation/{done['name']} complete: {done['message']}\n"
    assert not {each.key_id for each in old} & team.accepted("first")


def test_looking_on_ends_when_its_time_is_up_and_the_revocation_goes_on(shell: Shell) -> None:
    team = shell.team
    team.issue("billing", {"rollout": {"policy": "Disabled"}, "rotation": {"gracePeriod": "1h", "overlapLimit": "2h"}})
    spec = ("--mode", "Replace", "--replace-within", "8s", "--minted-before", "2999-01-01T00:00:00Z", "--reason", "Leaked")
    shell.runs("-n", team.namespace, *spec, "--timeout", "2s", command="revoke-all")
    assert (shell.code, shell.out) == (1, "")
    assert "0 of 1 dead" not in shell.err
    assert "is not complete: 1 key version will end once all consumers have moved" in shell.err
    (made,) = [each["metadata"]["name"] for each in shell.revocations() if each["spec"].get("match", {}).get("namespace") == team.namespace]
    assert "complete: 1 key version ended for good" in shell.runs("--follow", made, "--timeout", "60s", command="revoke-all")
    assert shell.code == 0
    shell.runs("--follow", "nobody", command="revoke-all")
    assert shell.code == 1
