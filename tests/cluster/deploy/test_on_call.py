"""Who is on call has what deploy/ gives to those who pull the brake, and nothing else: it is enough for what the runbook says."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gen.fence_probes import KINDS, ROLLOUT_CRD, VICTIM
from gen.installed import EVERYWHERE, RECORDS, Installed
from gen.operator_process import OperatorProcess, unique_name
from gen.person import Person
from gen.product_owner import READ, Owner
from gen.team import Api, Team, workload
from gen.verifier_process import VerifierProcess
from keyturn.keys.token_format import SECRET_LENGTH, format_token
from testbed.cluster import wait_until
from testbed.plane import Plane

RETAIN = {"deletionPolicy": "Retain"}


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """With Argo Rollouts beside it."""
    plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(ROLLOUT_CRD))
    wait_until(lambda: plane.answers(KINDS["Rollout"]), patience=20.0, what="Rollouts to be served")
    yield Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("on-call"))
    plane.kubectl("delete", "crd", "rollouts.argoproj.io")


@pytest.fixture(scope="module")
def verifier(installed: Installed, operator: OperatorProcess) -> Iterator[VerifierProcess]:
    assert operator.is_running
    with installed.start_verifier(settings={"use_report_pause": "100ms", "use_day_pause": "1s"}) as verifier:
        yield verifier.wait_ready()


@pytest.fixture(scope="module")
def owner(plane: Plane, api: Api) -> Iterator[Owner]:
    name = unique_name("owner")
    plane.create_namespace(name)
    owner = Owner(api, name)
    yield owner
    owner.withdraws()
    plane.delete_namespace(name)


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator({"secret_look_interval": "200ms"}) as operator:
        yield operator.wait_ready()
        operator.stop()


@pytest.fixture(scope="module")
def team(plane: Plane, api: Api, operator: OperatorProcess) -> Iterator[Team]:
    name = unique_name("t")
    plane.create_namespace(name)
    yield Team(plane, api, name, operator, records_namespace=RECORDS, system_namespace=operator.setting("namespace"))
    plane.delete_namespace(name)


@pytest.fixture(scope="module")
def revoker(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Whoever has the ClusterRole alone."""
    with bound(team, "revoker", tmp_path_factory.mktemp("revoker")) as person:
        yield person


@pytest.fixture(scope="module")
def on_call(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Bound to both roles, as docs/how-to/a-key-leaked.md says."""
    account = f"--user=system:serviceaccount:{team.namespace}:on-call"
    team.cluster.kubectl("-n", RECORDS, "create", "rolebinding", "on-call", "--role=keyturn-revoke", account)
    with bound(team, "on-call", tmp_path_factory.mktemp("on-call")) as person:
        wait_until(lambda: may(person, "list", f"secrets -n {RECORDS}"), patience=20.0, what="the right to compare")
        yield person
    team.cluster.kubectl("-n", RECORDS, "delete", "rolebinding", "on-call")


@contextmanager
def bound(team: Team, name: str, folder: Path) -> Iterator[Person]:
    plane = team.cluster
    account = f"--user=system:serviceaccount:{team.namespace}:{name}"
    plane.kubectl("-n", team.namespace, "create", "serviceaccount", name)
    plane.kubectl("create", "clusterrolebinding", name, "--clusterrole=keyturn-revoke", account)
    person = Person(plane, team.namespace, plane.kubeconfig).as_service_account(name, of=team.namespace, folder=folder)
    wait_until(lambda: may(person, "create", "apikeyrevocations.keyturn.dev"), patience=20.0, what="the right to revoke")
    yield person
    plane.kubectl("delete", "clusterrolebinding", name)


def may(person: Person, verb: str, what: str) -> bool:
    return person.calls("kubectl", "auth", "can-i", verb, *what.split()).code == 0


def found(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """Somebody pipes a key in."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{token}\n".encode())))


def made_up(key_id: str) -> str:
    """A well-formed key under somebody else's key ID: the checksum is no secret."""
    return format_token("kt", key_id=key_id, secret="0" * SECRET_LENGTH)


def test_a_found_key_is_compared_and_revoked(team: Team, on_call: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    old = team.issue("billing")
    found(monkeypatch, old.token)
    done = on_call.runs_anywhere("leak", "--wait")
    assert (done.code, done.err.splitlines()[0]) == (0, f"Key ID {old.key_id} is that of ApiKey {team.namespace}/billing")
    assert team.states("billing")[1] == "Revoked"


def test_a_made_up_key_under_a_real_key_id_revokes_nothing(team: Team, on_call: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key IDs stand in logs: whoever reads one must not have security end the key by its own runbook."""
    old = team.issue("victim")
    found(monkeypatch, made_up(old.key_id))
    done = on_call.runs_anywhere("leak")
    assert (done.code, done.out) == (1, "")
    assert f"that of ApiKey {team.namespace}/victim, but this is not the key it was issued: nothing was revoked" in done.err
    assert team.states("victim") == {1: "Active"}


def test_a_key_that_outlived_its_apikey_is_compared_too(team: Team, on_call: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    old = team.issue("retained", RETAIN)
    team.delete_apikey("retained")
    wait_until(lambda: team.record("retained").retained, patience=20, what="the key to be retained")
    found(monkeypatch, made_up(old.key_id))
    assert on_call.runs_anywhere("leak").code == 1
    assert team.states("retained") == {1: "Active"}
    found(monkeypatch, old.token)
    assert on_call.runs_anywhere("leak", "--wait").code == 0
    assert team.states("retained") == {1: "Revoked"}
    found(monkeypatch, old.token)
    again = on_call.runs_anywhere("leak")
    assert (again.code, again.out) == (0, "")
    assert f"Key ID {old.key_id} was that of ApiKey {team.namespace}/retained and has ended" in again.err


def test_a_dry_run_shows_product_last_use_and_every_kind_of_workload(
    team: Team, owner: Owner, verifier: VerifierProcess, on_call: Person
) -> None:
    owner.says(access={"namespaces": {"from": "All"}, "approval": "Automatic"})
    key = team.issue("priced", {"productRef": {"name": "invoices", "namespace": owner.namespace}, "scopes": [READ]})
    assert verifier.check(key.token, path="/verify?audience=invoices").status == 200
    used = team.wait_until(lambda: team.status("priced").get("lastUsedTime"), about="priced", what="its day of use")
    for kind in KINDS:
        made = workload(kind, "shop", secret="priced")
        team.api.ask("POST", KINDS[kind].replace(f"/{VICTIM}/", f"/{team.namespace}/"), {**made, "apiVersion": api_version(kind)})
    told = on_call.runs_anywhere("revoke", "--key-id", key.key_id, "--reason", "Leaked", "--dry-run")
    workloads = "deployment/shop, statefulset/shop, daemonset/shop, rollout/shop"
    row = [team.namespace, "priced", "1", key.key_id, "Active", f"{owner.namespace}/invoices", used[:10], workloads]
    assert (told.code, told.out.rstrip("\n").split("\t")) == (0, row)
    assert team.states("priced") == {1: "Active"}


def api_version(kind: str) -> str:
    return "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"


def test_where_nothing_can_be_compared_nothing_is_revoked_unless_that_is_said(
    team: Team, revoker: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = team.issue("guarded")
    found(monkeypatch, old.token)
    refused = revoker.runs_anywhere("leak")
    assert (refused.code, refused.out) == (4, "")
    assert "binds you the Role keyturn-revoke in the namespace of the records" in refused.err
    assert team.states("guarded") == {1: "Active"}
    found(monkeypatch, made_up(old.key_id))
    done = revoker.runs_anywhere("leak", "--without-comparing", "--wait")
    assert (done.code, "the digest was not compared" in done.err) == (0, True)
    assert team.states("guarded")[1] == "Revoked"


def test_where_the_records_are_elsewhere_nothing_is_revoked(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty namespace knows no key ID: that must not pass for a key that nobody issued."""
    old = team.issue("elsewhere")
    found(monkeypatch, old.token)
    done = Person(team.cluster, team.namespace, team.cluster.kubeconfig).runs_anywhere("leak", "--records-namespace", "default")
    assert (done.code, done.out) == (1, "")
    assert f"No record in namespace default knows key ID {old.key_id}: nothing was revoked" in done.err
    assert "If a verifier accepts it all the same, its record is lost: add --without-comparing" in done.err
    assert team.states("elsewhere") == {1: "Active"}
