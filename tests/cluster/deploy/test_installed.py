"""Keyturn as deploy/ installs it for the whole cluster: the operator's own account is enough for everything a key goes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gen.installed import DEPLOY, EVERYWHERE, RECORDS, SYSTEM, Installed, assert_nothing_was_refused
from gen.operator_process import OperatorProcess
from gen.team import Api, Team, workload
from testbed.cluster import wait_until
from testbed.plane import Plane

EXAMPLES = sorted(file for file in (DEPLOY / "examples").rglob("*.yaml") if file.parent.name != "product")
"""For any namespace. Those of a product name theirs; test_tenants_page.py applies them."""
SHORT = {"rotation": {"gracePeriod": "1s"}}


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)
        lines = [(line["uid"], line["serial"]) for line in operator.audit_lines()]
        assert len(lines) == len(set(lines)), "the sweep told again of what had ended"


@pytest.fixture
def team(installed: Installed, api: Api, operator: OperatorProcess, namespace: str) -> Team:
    return installed.team(api, operator, namespace)


def documents(file: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each]


def test_the_deployment_runs_under_the_restricted_pod_security_standard(installed: Installed, api: Api) -> None:
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/keyturn-operator"
    wait_until(
        lambda: api.ask("GET", path)["status"].get("availableReplicas") == 2, patience=20.0, what="the operator's pods to be available"
    )
    for name in (SYSTEM, RECORDS):
        labels = api.ask("GET", f"/api/v1/namespaces/{name}")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        assert labels["app.kubernetes.io/part-of"] == "keyturn"
    assert installed.settings.probe_address == "0.0.0.0:8080"


def test_prometheus_finds_every_replica(installed: Installed, api: Api) -> None:
    assert installed.objects
    path = f"/apis/discovery.k8s.io/v1/namespaces/{SYSTEM}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dkeyturn-operator"

    def ready() -> list[tuple[str, int]]:
        slices = api.ask("GET", path)["items"]
        return [(each["ports"][0]["name"], each["ports"][0]["port"]) for each in slices for _ in each["endpoints"] or ()]

    wait_until(lambda: ready() == [("metrics", 8080)] * 2, patience=20.0, what="both replicas to be in the Service")


def test_a_second_apply_changes_nothing(installed: Installed) -> None:
    assert installed.plane.kubectl("diff", "--server-side", "-k", str(EVERYWHERE)) == ""


def test_a_key_is_issued_rotated_rolled_out_and_revoked(team: Team) -> None:
    team.issue("billing", SHORT)
    team.start(workload("Deployment", "web"), workload("StatefulSet", "store"), workload("DaemonSet", "agent"))
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    key_id = team.secret("billing").key_id
    for kind, name in (("Deployment", "web"), ("StatefulSet", "store"), ("DaemonSet", "agent")):
        annotations = team.workload(kind, name)["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {"rollout.keyturn.dev/billing": key_id}
    team.delete_apikey("billing")
    team.wait_until(lambda: team.states("billing") == {1: "Retired", 2: "Revoked"}, about="billing", what="the key is revoked")


def test_a_lost_secret_is_replaced(team: Team) -> None:
    team.issue("billing", SHORT)
    team.api.delete(team.secret_path("billing"))
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert team.accepted("billing") == {team.secret("billing").key_id}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(DEPLOY / "examples")))
def test_an_example_is_accepted_as_it_stands(installed: Installed, namespace: str, file: Path) -> None:
    told = installed.plane.kubectl("-n", namespace, "apply", "--server-side", "--dry-run=server", "-f", str(file))
    assert len(told.splitlines()) == len(documents(file))
    assert "Warning" not in told


def test_all_examples_work_together(team: Team) -> None:
    team.cluster.kubectl("-n", team.namespace, "apply", *(f"--filename={file}" for file in EXAMPLES))
    everything = [each for file in EXAMPLES for each in documents(file)]
    names = {each["metadata"]["name"] for each in everything if each["kind"] == "ApiKey"}
    assert len(names) >= len(EXAMPLES) - 1
    for name in names:
        team.wait_ready(name)
    for name in (each["metadata"]["name"] for each in everything if each["kind"] == "Deployment"):
        team.wait_until(lambda name=name: team.workload("Deployment", name)["status"].get("availableReplicas") == 2, about="", what=name)
    secret = team.secret("warehouse-connection")
    assert secret.data["url"] == f"https://reporting:{secret.token}@warehouse.example.com/v1"
    assert secret.labels["team"] == "reporting"
    assert team.status("payroll")["nextRotationTime"] > team.status("payroll")["versions"][0]["activeTime"]


def test_the_retained_key_outlives_its_apikey_and_is_taken_over_again(team: Team) -> None:
    apply = ("-n", team.namespace, "apply", "-f", str(DEPLOY / "examples" / "retain.yaml"))
    team.cluster.kubectl(*apply)
    team.wait_ready("ledger")
    token = team.secret("ledger").token
    team.delete_apikey("ledger")
    team.wait_until(lambda: team.record("ledger").retained, about="ledger", what="the record says that it is kept")
    assert team.accepted("ledger") == {team.secret("ledger").key_id}
    team.cluster.kubectl(*apply)
    team.wait_ready("ledger")
    assert team.secret("ledger").token == token


def test_the_previous_key_is_in_the_secret_during_the_overlap(team: Team) -> None:
    team.cluster.kubectl("-n", team.namespace, "apply", "-f", str(DEPLOY / "examples" / "keep-previous.yaml"))
    team.wait_ready("search")
    old = team.secret("search").token
    team.request_rotation("search")
    team.wait_ready("search", version=2)
    assert team.secret("search").data["previous-api-key"] == old
