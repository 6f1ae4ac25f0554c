"""The chart's life on a real API server, with one key that must go on working: install, upgrade, roll back, uninstall, install again.

Pods run nothing here; the operator is a process with the rights of the release's own account. Real pods: test_pods.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.chart import CHART, CURRENT, HelmFailed, Json, Release, helm_command, older_chart, remove_crds, rendered_chart
from gen.installed import ACCOUNT, RBAC, RECORDS, SYSTEM, Installed, assert_nothing_was_refused, log_in, serves_apikeys
from gen.operator_process import OperatorProcess, unique_name
from gen.team import Api, Team
from testbed.cluster import wait_until
from testbed.plane import Plane

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apikeys.keyturn.dev"
OPERATOR = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/keyturn-operator"
SHORT = {"rotation": {"gracePeriod": "1s"}}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return older_chart(tmp_path)


@pytest.fixture
def team(release: Release, plane: Plane, api: Api, old: Path, tmp_path: Path) -> Iterator[Team]:
    """Served by an operator that runs with the rights of the older release."""
    release.install(chart=old)
    wait_until(lambda: serves_apikeys(plane), patience=20.0, what="the CRDs to be served")
    with start_operator(plane, tmp_path) as operator:
        team = Team(plane, api, "team-a", operator, records_namespace=RECORDS, system_namespace=SYSTEM)
        yield team
    release.run("uninstall", "--ignore-not-found")
    remove_crds(plane)


@pytest.fixture
def key(team: Team) -> str:
    """The name of an ApiKey that has its key."""
    name = unique_name("key")
    team.issue(name, SHORT)
    return name


def start_operator(plane: Plane, scratch: Path) -> OperatorProcess:
    installed = Installed(plane, list(rendered_chart().values()), log_in(plane, scratch))
    return installed.start_operator().wait_ready()


def crd_version(api: Api) -> str:
    return api.ask("GET", CRD)["metadata"]["labels"]["app.kubernetes.io/version"]


def image(api: Api) -> str:
    return api.ask("GET", OPERATOR)["spec"]["template"]["spec"]["containers"][0]["image"]


def test_keys_go_on_working_through_upgrade_and_rollback(team: Team, key: str, release: Release, api: Api) -> None:
    secret = team.secret(key)
    release.upgrade({"settings": {"rotationInterval": "720h"}})
    assert (crd_version(api), image(api)) == (CURRENT, f"keyturn:{CURRENT}")
    team.operator.stop()
    team.operator.restart()
    team.operator.wait_ready()
    assert team.secret(key).token == secret.token, "an upgrade rotates nothing"
    assert team.accepted(key) == {secret.key_id}
    team.request_rotation(key)
    team.wait_states(key, {1: "Retired", 2: "Active"})
    release.run("rollback", "--wait")
    assert (crd_version(api), image(api)) == ("0.0.9", "keyturn:0.0.9")
    team.request_rotation(key, "again")
    team.wait_states(key, {1: "Retired", 2: "Retired", 3: "Active"})
    assert team.accepted(key) == {team.secret(key).key_id}
    assert_nothing_was_refused(team.operator)


def test_uninstalling_leaves_what_people_own_and_an_install_takes_it_up_again(
    team: Team, key: str, release: Release, plane: Plane, api: Api, tmp_path: Path
) -> None:
    secret, marks = team.secret(key), team.marks(key)
    team.operator.stop()
    release.run("uninstall", "--wait")
    assert api.get(OPERATOR) is None
    assert api.get(f"{RBAC}/clusterroles/{ACCOUNT}") is None
    assert team.marks(key) == marks, "ApiKey, Secret and record are untouched"
    assert team.accepted(key) == {secret.key_id}
    release.install()
    assert crd_version(api) == CURRENT
    with start_operator(plane, tmp_path) as operator:
        again = Team(plane, api, "team-a", operator, records_namespace=RECORDS, system_namespace=SYSTEM)
        again.issue(unique_name("key"), SHORT)
        assert again.secret(key).token == secret.token
        again.request_rotation(key)
        again.wait_states(key, {1: "Retired", 2: "Active"})


def test_what_is_no_longer_installed_by_the_chart_is_not_deleted_either(team: Team, key: str, release: Release, plane: Plane) -> None:
    secret = team.secret(key)
    release.upgrade()
    release.upgrade({"crds": {"install": False}, "recordsNamespace": {"create": False}})
    assert "apikeys" in plane.kubectl("get", "crd", "apikeys.keyturn.dev", "-o", "name")
    assert team.accepted(key) == {secret.key_id}
    assert team.secret(key).token == secret.token


@pytest.mark.slow
def test_an_upgrade_that_was_killed_is_rolled_back_and_done_again(team: Team, key: str, release: Release, plane: Plane, api: Api) -> None:
    """Slow: four times pods come and go."""
    secret = team.secret(key)
    kill_an_upgrade(release, plane)
    with pytest.raises(HelmFailed, match=r"another operation .* is in progress"):
        release.upgrade()
    assert api.ask("GET", OPERATOR)["status"]["availableReplicas"] == 2, "the old pods are still there"
    assert team.accepted(key) == {secret.key_id}
    release.run("rollback")
    release.run("upgrade", str(CHART), "--reset-then-reuse-values", "--wait")
    assert (crd_version(api), image(api)) == (CURRENT, f"keyturn:{CURRENT}")
    assert team.secret(key).token == secret.token
    team.request_rotation(key)
    team.wait_states(key, {1: "Retired", 2: "Active"})


def kill_an_upgrade(release: Release, plane: Plane) -> None:
    """Its new pods fit on no node, so that it waits; then it dies as if the machine had."""
    command = helm_command("upgrade", release.name, str(CHART), "--wait", "--set-string", "operator.nodeSelector.nowhere=true")
    connection = ("--namespace", release.namespace, "--kubeconfig", str(plane.kubeconfig))
    with subprocess.Popen([*command, *connection], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as upgrade:
        wait_until(lambda: pending_pods(plane) > 0, patience=30.0, what="the upgrade to be under way")
        upgrade.kill()


def pending_pods(plane: Plane) -> int:
    pods = plane.kubectl("-n", SYSTEM, "get", "pods", "--field-selector", "status.phase=Pending", "-o", "name")
    return len(pods.splitlines())


@pytest.mark.slow
def test_an_upgrade_that_fails_comes_back_by_itself(team: Team, key: str, release: Release, api: Api) -> None:
    """Slow: it fails by waiting."""
    values: Json = {"operator": {"nodeSelector": {"nowhere": "true"}}}
    with pytest.raises(HelmFailed):
        release.upgrade(values, "--rollback-on-failure", "--timeout", "5s")
    assert image(api) == "keyturn:0.0.9"
    assert team.accepted(key) == {team.secret(key).key_id}
