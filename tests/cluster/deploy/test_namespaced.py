"""Keyturn for some namespaces: bound there and nowhere else, and that is enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.installed import ACCOUNT, NAMESPACED, SYSTEM, Installed, assert_nothing_was_refused
from gen.operator_process import OperatorProcess, unique_name
from gen.team import APIKEYS, Api, Team, workload
from testbed.plane import Plane

API_VERSION = {"apiVersion": "keyturn.dev/v1alpha1"}
SHORT = {"rotation": {"gracePeriod": "1s"}}


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, NAMESPACED, scratch=tmp_path_factory.mktemp("namespaced"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)


@pytest.fixture(params=["team-a", "team-b"])
def team(installed: Installed, api: Api, operator: OperatorProcess, request: pytest.FixtureRequest) -> Team:
    return installed.team(api, operator, request.param)


def test_a_key_is_issued_rotated_rolled_out_and_revoked(team: Team) -> None:
    key, app = unique_name("key"), unique_name("app")
    team.issue(key, SHORT)
    team.start(workload("Deployment", app, secret=key))
    team.request_rotation(key)
    team.wait_ready(key, version=2)
    team.wait_states(key, {1: "Retired", 2: "Active"})
    annotations = team.workload("Deployment", app)["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {f"rollout.keyturn.dev/{key}": team.secret(key).key_id}
    team.delete_apikey(key)
    team.wait_until(lambda: team.states(key) == {1: "Retired", 2: "Revoked"}, about=key, what="the key is revoked")


def test_revocations_are_left_out_with_a_warning_until_their_role_is_bound(
    installed: Installed, plane: Plane, api: Api, operator: OperatorProcess
) -> None:
    assert "ApiKeyRevocations are not followed" in operator.messages()
    team, key = installed.team(api, operator, "team-a"), unique_name("key")
    old = team.issue(key, SHORT)
    name, role = unique_name("leak"), "keyturn-operator-revocations"
    path = f"{APIKEYS}/apikeyrevocations/{name}"
    spec = {"keyIDs": [old.key_id], "reason": "Leaked"}
    api.ask("POST", path.rpartition("/")[0], {"kind": "ApiKeyRevocation", **API_VERSION, "metadata": {"name": name}, "spec": spec})
    plane.kubectl("create", "clusterrolebinding", role, f"--clusterrole={role}", f"--serviceaccount={SYSTEM}:{ACCOUNT}")
    operator.kill()
    operator.restart()
    operator.wait_ready()
    team.wait_until(lambda: team.states(key).get(1) == "Revoked", about=key, what="the key is revoked")
    plane.kubectl("delete", "clusterrolebinding", role)
    api.delete(path)


def test_a_deletion_that_nobody_saw_is_found(installed: Installed, api: Api, operator: OperatorProcess) -> None:
    team, key = installed.team(api, operator, "team-b"), unique_name("key")
    team.issue(key, SHORT)
    operator.kill()
    team.delete_apikey(key)
    operator.restart()
    operator.wait_ready()
    team.wait_until(lambda: team.states(key) == {1: "Revoked"}, about=key, what="the key is revoked")


def test_other_namespaces_are_left_alone(installed: Installed, api: Api, operator: OperatorProcess) -> None:
    ours, theirs = installed.team(api, operator, "team-a"), installed.team(api, operator, "team-c")
    theirs.apply_apikey("billing")
    ours.issue(unique_name("key"), SHORT)
    assert theirs.status("billing") == {}
    assert theirs.find_secret("billing") is None
    assert theirs.raw_record("billing") is None
    theirs.delete_apikey("billing")
