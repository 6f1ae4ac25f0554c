"""Guarded: the operator issues, rotates and repairs without the right to read a Secret, and only where the fence stands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gen.api_call import Call, Refuse
from gen.fault_proxy import FaultProxy
from gen.fence import ACCOUNT, RECORDS, SECRETS, SYSTEM, WHO_BREAKS_GLASS, missing_in_the_fence
from gen.installed import EVERYWHERE, Installed, assert_nothing_was_refused
from gen.operator_process import OperatorProcess
from gen.team import Api, Team, foreign_secret
from keyturn.base import names
from keyturn.base.settings import SecretAccess
from keyturn.controller.fence import OPENS
from testbed.cluster import wait_until
from testbed.plane import Plane

Json = dict[str, Any]

LONG = {"rotation": {"gracePeriod": "60s"}}
CANARY = f"{SECRETS.format(SYSTEM)}/keyturn-canary"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
BINDINGS = f"{ADMISSION}/validatingadmissionpolicybindings"
POLICY = names.SECRETS_POLICY
BINDING = f"{BINDINGS}/{POLICY}"
NO_LOOKS = {"secret_look_interval": "1h"}


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("guarded"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    assert installed.settings.secret_access is SecretAccess.GUARDED
    with installed.start_operator() as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)
        operator.stop()


@pytest.fixture
def team(installed: Installed, api: Api, operator: OperatorProcess, namespace: str) -> Team:
    return installed.team(api, operator, namespace)


@pytest.fixture
def neighbours_namespace(plane: Plane, namespace: str) -> Iterator[str]:
    name = f"{namespace}-neighbour"
    plane.create_namespace(name)
    yield name
    plane.delete_namespace(name)


@pytest.fixture
def open_fence(installed: Installed, api: Api) -> Iterator[None]:
    """The policy is there and bound to nothing."""
    before = api.ask("GET", BINDING)
    api.delete(BINDING)
    wait_until(lambda: missing_in_the_fence(installed.plane.login) != [], patience=20.0, what="the fence to be open")
    yield
    if api.get(BINDING) is None:
        put_back(api, BINDING, before["spec"])
    wait_until(lambda: missing_in_the_fence(installed.plane.login) == [], patience=20.0, what="the fence to stand")


def put_back(api: Api, path: str, spec: Json) -> None:
    folder, _, name = path.rpartition("/")
    api.ask("POST", folder, {"metadata": {"name": name}, "spec": spec})


def intact(operator: OperatorProcess) -> dict[str, float]:
    """What the operator tells of each policy."""
    return {policy: operator.metric("keyturn_fence_intact", policy=policy) for policy in names.POLICIES}


def break_glass(team: Team, *command: str) -> None:
    """As somebody whom the policies let change a credential Secret."""
    team.cluster.kubectl("-n", team.namespace, *WHO_BREAKS_GLASS, *command)


def test_a_policy_that_is_in_force_a_moment_late_is_no_hole_in_the_fence(installed: Installed, tmp_path: Path) -> None:
    """A first installation brings policies and operator at once."""
    asked: list[Call] = []

    def comes_late(call: Call) -> Refuse | None:
        if call.path.rpartition("/")[2] != names.RECORDS_POLICY:
            return None
        asked.append(call)
        return Refuse(404) if len(asked) == 1 else None

    account = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
    with FaultProxy(installed.plane, folder=tmp_path, records_namespace=RECORDS, namespace=SYSTEM, account=account) as proxy:
        door = proxy.door("new")
        door.rule = comes_late
        with replace(installed, kubeconfig=door.kubeconfig).start_operator() as new:
            new.wait_until(lambda: new.ask("/readyz")[0] == 200, what="to be ready, or to stand by")
            new.wait_until(lambda: set(intact(new).values()) == {1}, what="to see all of the fence")
            assert not [message for message in new.messages() if message.startswith("Fence is open")]
            new.stop()  # it may lead by now: the next one shall not have to wait for its Lease to end


def test_a_key_is_issued_and_rotated_and_the_previous_one_kept(team: Team) -> None:
    first = team.issue("billing", {**LONG, "secretTemplate": {"keepPrevious": True}})
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    second = team.secret("billing")
    assert team.accepted("billing") == {first.key_id, second.key_id}
    assert second.data["previous-api-key"] == first.token


def test_what_others_put_beside_the_key_is_found_and_undone(team: Team) -> None:
    before = team.issue("billing", LONG)
    break_glass(team, "patch", "secret", "billing", "--patch", '{"data": {"extra": "eA=="}}')
    team.wait_until(lambda: "extra" not in team.secret("billing").data, about="billing", what="the edit is undone")
    assert team.secret("billing").token == before.token
    assert team.states("billing") == {1: "Active"}


def test_our_labels_that_were_lost_are_put_back_and_the_key_stays(team: Team) -> None:
    """The fence keeps such a Secret from the operator too, but for one thing: to make it its own again."""
    before = team.issue("billing", LONG)
    break_glass(team, "label", "secret", "billing", "app.kubernetes.io/managed-by-", "keyturn.dev/apikey-", "keyturn.dev/namespace=x")
    team.wait_until(lambda: team.secret("billing").labels == before.labels, about="billing", what="the labels are back")
    team.wait_until(lambda: team.says("billing", "Ready")[0] == "True", about="billing", what="the key is ready")
    assert team.secret("billing").token == before.token
    assert team.states("billing") == {1: "Active"}


def test_labels_of_others_stay_and_cost_one_look_at_the_body(team: Team, operator: OperatorProcess) -> None:
    before = team.issue("billing", LONG)
    team.api.merge(team.secret_path("billing"), {"metadata": {"labels": {"theirs": "yes"}}})
    time.sleep(1.5)  # three turns
    after = team.secret("billing")
    assert after.labels["theirs"] == "yes"
    assert after.token == before.token
    assert team.states("billing") == {1: "Active"}
    assert operator.metric("keyturn_secret_edits_undone_total") <= 1


def test_a_foreign_secret_is_told_by_the_fence_and_left_alone_until_it_goes(team: Team) -> None:
    team.create(foreign_secret("billing"))
    before = team.secret("billing").raw
    team.apply_apikey("billing")
    told = team.wait_says("billing", "Stalled", "True", "SecretConflict")
    assert "Delete or rename it" in told["message"]
    assert team.secret("billing").raw == before
    team.api.delete(team.secret_path("billing"))
    team.wait_ready("billing")


def test_a_foreign_secret_in_place_of_a_lost_one_is_told_too(team: Team) -> None:
    team.issue("billing", LONG)
    team.api.delete(team.secret_path("billing"))
    team.create(foreign_secret("billing"))
    team.wait_says("billing", "Stalled", "True", "SecretConflict")
    team.api.delete(team.secret_path("billing"))
    team.wait_ready("billing", version=2)


def test_a_look_writes_nothing(team: Team, operator: OperatorProcess) -> None:
    team.issue("billing", LONG)
    before = team.secret("billing").raw
    looked = operator.metric("keyturn_api_requests_total", resource="secrets", verb="patch")
    operator.wait_until(
        lambda: operator.metric("keyturn_api_requests_total", resource="secrets", verb="patch") > looked + 5, what="to look at it"
    )
    assert team.secret("billing").raw == before


def test_a_restart_reads_no_secret_and_finds_what_was_done_meanwhile(
    installed: Installed, api: Api, namespace: str, operator: OperatorProcess
) -> None:
    team = installed.team(api, operator, namespace)
    for name in ("lost", "kept"):
        team.issue(name, LONG)
    kept = team.secret("kept")
    operator.stop()
    team.api.delete(team.secret_path("lost"))
    operator.restart()
    operator.wait_ready()
    team.wait_ready("lost", version=2)
    assert team.secret("kept").raw == kept.raw
    assert team.accepted("kept") == {kept.key_id}


def test_who_touches_an_apikey_has_its_secret_looked_at_at_once(
    installed: Installed, api: Api, namespace: str, operator: OperatorProcess
) -> None:
    operator.stop()
    with installed.start_operator(NO_LOOKS) as patient:
        team = installed.team(api, patient.wait_ready(), namespace)
        team.issue("billing", LONG)
        team.api.delete(team.secret_path("billing"))
        time.sleep(1)
        assert team.states("billing") == {1: "Active"}
        team.annotate_apikey("billing", "note", "x")
        team.wait_ready("billing", version=2)
        patient.stop()
    operator.restart()
    operator.wait_ready()


def test_a_neighbour_with_many_secrets_does_not_hide_what_was_done_to_ours(
    installed: Installed, api: Api, namespace: str, neighbours_namespace: str, operator: OperatorProcess
) -> None:
    """Ours is looked at last of all, and one round over all of them takes half a minute."""
    operator.stop()
    with installed.start_operator({"secret_look_rate": "1", "secret_look_interval": "100ms"}) as slow:
        neighbour, team = (installed.team(api, slow.wait_ready(), where) for where in (neighbours_namespace, namespace))
        for number in range(30):
            neighbour.apply_apikey(f"many-{number}", LONG)
        for number in range(30):
            neighbour.wait_ready(f"many-{number}")
        team.issue("billing", LONG)
        began = time.monotonic()
        team.api.delete(team.secret_path("billing"))
        team.wait_ready("billing", version=2)
        assert time.monotonic() - began < 10
        slow.stop()
    operator.restart()
    operator.wait_ready()


def test_it_refuses_to_start_without_the_canary(installed: Installed, api: Api) -> None:
    before = api.ask("GET", CANARY)
    api.delete(CANARY)
    with installed.start_operator() as operator:
        assert operator.wait_exit() == 4
        (said,) = [line["problem"] for line in operator.log_lines() if line["message"] == "Cannot start"]
    api.ask(
        "POST",
        CANARY.rpartition("/")[0],
        {"metadata": {"name": "keyturn-canary", "labels": before["metadata"]["labels"]}, "type": "Opaque"},
    )
    assert "keyturn-canary is missing" in said


@pytest.mark.usefixtures("open_fence")
def test_a_fence_that_is_taken_away_is_told_of_and_keys_go_on(
    team: Team, api: Api, installed: Installed, operator: OperatorProcess
) -> None:
    operator.wait_until(lambda: intact(operator)[POLICY] == 0, what="to notice that the fence is open")
    team.issue("billing", LONG)
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    with installed.start_operator() as another:
        assert another.wait_exit() == 4
        (said,) = [line["problem"] for line in another.log_lines() if line["message"] == "Cannot start"]
    assert "keyturn-canary can be read by an empty patch" in said
    assert "--secret-access watch" in said
    put_back(api, BINDING, {"policyName": POLICY, "validationActions": ["Deny"]})
    operator.wait_until(lambda: intact(operator)[POLICY] == 1, what="to notice that the fence stands")


@pytest.mark.parametrize("policy", names.POLICIES)
@pytest.mark.parametrize("kind", ["validatingadmissionpolicies", "validatingadmissionpolicybindings"])
def test_each_policy_that_is_taken_away_is_named_and_none_besides(api: Api, operator: OperatorProcess, policy: str, kind: str) -> None:
    operator.wait_until(lambda: set(intact(operator).values()) == {1}, what="to see that all of the fence stands")
    path, said = f"{ADMISSION}/{kind}/{policy}", len(operator.log_lines())
    before = api.ask("GET", path)
    api.delete(path)
    operator.wait_until(lambda: intact(operator)[policy] == 0, what=f"to miss {policy}")
    assert [each for each, stands in intact(operator).items() if not stands] == [policy]
    lines = operator.log_lines()[said:]
    (told,) = [line for line in lines if line["message"] == "Fence is open: an admission policy is not in force"]
    assert (told["policy"], told["opens"]) == (policy, OPENS[policy])
    put_back(api, path, before["spec"])
    operator.wait_until(lambda: intact(operator)[policy] == 1, what=f"to see {policy} again")
    (told,) = [line for line in operator.log_lines()[said:] if line["message"] == "Fence stands again"]
    assert told["policy"] == policy


def test_a_policy_about_another_account_is_named(api: Api, operator: OperatorProcess) -> None:
    path = f"{ADMISSION}/validatingadmissionpolicies/{names.WORKLOADS_POLICY}"
    before = api.ask("GET", path)["spec"]["matchConditions"]
    (condition,) = before
    other = {**condition, "expression": condition["expression"].replace(ACCOUNT, "robot")}
    api.merge(path, {"spec": {"matchConditions": [other]}})
    operator.wait_until(lambda: intact(operator)[names.WORKLOADS_POLICY] == 0, what="to see that it is not meant")
    api.merge(path, {"spec": {"matchConditions": before}})
    operator.wait_until(lambda: intact(operator)[names.WORKLOADS_POLICY] == 1, what="to see that it is")


@pytest.mark.parametrize(
    "change", [{"validationActions": ["Audit"]}, {"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}], ids=str
)
def test_a_policy_that_is_not_bound_to_deny_everywhere_is_named(api: Api, operator: OperatorProcess, change: Json) -> None:
    path = f"{BINDINGS}/{names.RECORDS_POLICY}"
    before = api.ask("GET", path)["spec"]
    api.merge(path, {"spec": change})
    operator.wait_until(lambda: intact(operator)[names.RECORDS_POLICY] == 0, what="to miss the policy")
    api.delete(path)
    put_back(api, path, before)
    operator.wait_until(lambda: intact(operator)[names.RECORDS_POLICY] == 1, what="to see it again")
