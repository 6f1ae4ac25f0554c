"""The verifier's rights: all it asks for, nothing else, a missing one is named at the start; and they are enough to answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from gen.installed import (
    ACCOUNT,
    EVERYWHERE,
    NAMESPACED,
    RBAC,
    RECORDS,
    SYSTEM,
    VERIFIER,
    Installed,
    Json,
    granted_rights,
    log_in,
    rendered,
)
from gen.installed import verifier_settings_of as settings_of
from gen.operator_process import OperatorProcess
from gen.team import Api, Team
from keyturn.base.clock import SECOND
from keyturn.cluster.client import Client
from keyturn.cluster.permissions import Right, missing_rights
from keyturn.verifier.service.rights import needed_rights
from keyturn.verifier.service.settings import VerifierSettings
from testbed.cluster import wait_until
from testbed.plane import Plane

SETTINGS = VerifierSettings(namespace=SYSTEM, records_namespace=RECORDS)
NOT_ITS_BUSINESS = [
    Right("get", "", "secrets", namespace=SYSTEM, name="keyturn-root"),
    Right("list", "", "secrets", namespace=SYSTEM),
    Right("list", "", "configmaps", namespace=SYSTEM),
    Right("patch", "", "configmaps", namespace=SYSTEM, name="keyturn-verification-keys"),
    Right("update", "coordination.k8s.io", "leases", namespace=SYSTEM, name="keyturn-operator"),
    *(Right(verb, "", "secrets", namespace=RECORDS) for verb in ("get", "create", "update", "patch", "delete")),
    *(Right(verb, "", "configmaps", namespace=RECORDS) for verb in ("update", "delete")),
    Right("list", "", "secrets", namespace="team-a"),
    Right("list", "keyturn.dev", "apikeys", namespace="team-a"),
    Right("list", "", "secrets"),
    Right("report", "keyturn.dev", "verifiers", namespace=SYSTEM),
]


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("verifier"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()


@pytest.fixture
async def verifier_client(installed: Installed) -> AsyncIterator[Client]:
    kubeconfig = log_in(installed.plane, installed.kubeconfig.parent, account=VERIFIER)
    async with await Client.connect(timeout=10 * SECOND, kubeconfig=str(kubeconfig)) as client:
        yield client


@pytest.fixture
def roles(installed: Installed, api: Api) -> Iterator[list[Json]]:
    """The verifier's roles, to be changed on the cluster; afterwards they are as they were."""
    roles = [each for each in installed.objects if each["kind"] == "Role" and each["metadata"]["name"] == VERIFIER]
    yield roles
    for role in roles:
        put_role(api, role)


def put_role(api: Api, role: Json) -> None:
    api.ask("PUT", f"{RBAC}/namespaces/{role['metadata']['namespace']}/roles/{VERIFIER}", role)


@pytest.mark.parametrize("folder", [EVERYWHERE, NAMESPACED], ids=lambda folder: folder.name)
def test_what_is_granted_is_exactly_what_is_asked_for(plane: Plane, folder: object) -> None:
    objects = rendered(plane, folder)
    assert granted_rights(objects, account=VERIFIER) == set(needed_rights(settings_of(objects)))


async def test_nothing_is_missing_and_nothing_else_is_allowed(installed: Installed, verifier_client: Client) -> None:
    assert installed.objects
    assert await missing_rights(verifier_client, needed_rights(SETTINGS)) == ()
    assert await missing_rights(verifier_client, NOT_ITS_BUSINESS) == tuple(f"May not {right}" for right in NOT_ITS_BUSINESS)


def test_the_operators_account_and_the_verifiers_are_two(installed: Installed) -> None:
    pods = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in installed.objects if each["kind"] == "Deployment"}
    assert {name: pod["serviceAccountName"] for name, pod in pods.items()} == {ACCOUNT: ACCOUNT, VERIFIER: VERIFIER}


def test_a_verifier_with_no_more_rights_checks_a_key_and_is_refused_nothing(
    installed: Installed, api: Api, operator: OperatorProcess, namespace: str
) -> None:
    team: Team = installed.team(api, operator, namespace)
    token = team.issue("billing").token
    with installed.start_verifier() as verifier:
        verifier.wait_ready()
        wait_until(lambda: verifier.check(token).status == 200, patience=20.0, what="the key to be accepted")
        wait_until(lambda: verifier.check(token.swapcase()).status == 401, patience=20.0, what="an unknown key to be known as such")
        refused = [series for series, count in verifier.metrics().items() if count and 'code="403"' in series]
        verifier.stop()
    assert refused == []


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_verifier_ends_with_4_and_names_everything_it_may_not(
    roles: list[Json], installed: Installed, api: Api, processes: str
) -> None:
    for role in roles:
        put_role(api, {**role, "rules": []})
    with installed.start_verifier(settings={"processes": processes}) as verifier:
        assert verifier.wait_exit() == 4
        lines = [line for line in verifier.log_lines() if line["message"] == "Missing permission"]
        said = [line["problem"] for line in lines if line.get("process") == lines[0].get("process")]
    assert said == [f"May not {right}" for right in needed_rights(SETTINGS)]


def test_the_deployment_runs_under_the_restricted_pod_security_standard(installed: Installed, api: Api) -> None:
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{VERIFIER}"
    wait_until(lambda: api.ask("GET", path)["status"].get("availableReplicas") == 2, patience=20.0, what="the verifier's pods")
    dry_run = ("-n", SYSTEM, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
    deployment = next(each for each in installed.objects if (each["kind"], each["metadata"]["name"]) == ("Deployment", VERIFIER))
    told = installed.plane.kubectl(*dry_run, input=json.dumps(deployment))
    assert "Warning" not in told
