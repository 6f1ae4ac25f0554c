"""A right is taken from the running operator: the team is told which one, the old key goes on, and all is well when it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy

import pytest

from gen.fence import WHO_BREAKS_GLASS
from gen.installed import ACCOUNT, EVERYWHERE, RBAC, SYSTEM, Installed
from gen.operator_process import OperatorProcess, unique_name
from gen.team import Api, Team, workload
from keyturn.base import names
from testbed.cluster import wait_until
from testbed.plane import Plane

TakeRight = Callable[[str, str], None]
BINDING_ON_POLICIES = ("ClusterRoleBinding", f"{ACCOUNT}-policies")
LONG = {"rotation": {"gracePeriod": "1s", "overlapLimit": "100h"}}


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("taken"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()


@pytest.fixture
def team(installed: Installed, api: Api, operator: OperatorProcess, namespace: str) -> Team:
    return installed.team(api, operator, namespace)


@pytest.fixture
def take_right(installed: Installed, api: Api) -> Iterator[TakeRight]:
    """Take a verb on a resource from the operator's role in the teams' namespaces; at the end it is given back."""
    role = next(each for each in installed.objects if (each["kind"], each["metadata"]["name"]) == ("ClusterRole", ACCOUNT))
    taken: list[tuple[str, str]] = []

    def take(verb: str, resource: str) -> None:
        less = deepcopy(role)
        for rule in less["rules"]:
            if resource in rule["resources"]:
                rule["verbs"].remove(verb)
        less["rules"] = [rule for rule in less["rules"] if rule["verbs"]]
        api.ask("PUT", f"{RBAC}/clusterroles/{ACCOUNT}", less)
        taken.append((verb, resource))
        wait_until(lambda: not may(api, verb, resource), patience=10.0, what=f"{verb} {resource} to be forbidden")

    yield take
    api.ask("PUT", f"{RBAC}/clusterroles/{ACCOUNT}", role)
    for verb, resource in taken:
        wait_until(lambda verb=verb, resource=resource: may(api, verb, resource), patience=10.0, what=f"{verb} {resource} to be allowed")


def may(api: Api, verb: str, resource: str) -> bool:
    """Whether the operator's account has a right in the teams' namespaces now."""
    group = "apps" if resource == "deployments" else ""
    asked = {"verb": verb, "resource": resource, "group": group, "namespace": "team-a"}
    spec = {"user": f"system:serviceaccount:{SYSTEM}:{ACCOUNT}", "resourceAttributes": asked}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return api.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


def give_back(installed: Installed, api: Api, team: Team, name: str) -> None:
    """The role as it was; touched, so that the test need not wait half a minute."""
    role = next(each for each in installed.objects if (each["kind"], each["metadata"]["name"]) == ("ClusterRole", ACCOUNT))
    api.ask("PUT", f"{RBAC}/clusterroles/{ACCOUNT}", role)
    wait_until(
        lambda: all(may(api, *right) for right in (("list", "pods"), ("list", "deployments"), ("patch", "secrets"))),
        patience=10.0,
        what="the rights to be back",
    )
    team.annotate_apikey(name, "note", unique_name("touched"))


@pytest.mark.parametrize(
    ("resource", "alike"),
    [("pods", ("pods",)), ("deployments", ("deployments", "statefulsets", "daemonsets"))],  # one rule; the first to be answered is named
)
def test_the_old_key_is_kept_while_consumers_may_not_be_listed(
    team: Team, installed: Installed, api: Api, take_right: TakeRight, resource: str, alike: tuple[str, ...]
) -> None:
    old = team.issue("billing", LONG)
    team.start(workload("Deployment", "web"))
    take_right("list", resource)
    team.request_rotation("billing")
    told = team.wait_says("billing", "Stalled", "True", "PermissionMissing")
    assert any(f"list {each} {team.namespace}: 403" in told["message"] for each in alike)
    assert team.says("billing", "Ready") == ("True", "Issued")
    assert team.says("billing", "RolloutComplete") == ("False", "PermissionMissing")
    assert old.key_id in team.accepted("billing")
    team.wait_event("billing", "Warning/PermissionMissing")
    give_back(installed, api, team, "billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    team.wait_until(lambda: team.condition("billing", "Stalled") == {}, about="billing", what="it is not stalled any more")


def test_a_secret_that_may_not_be_read_is_said_and_not_replaced(team: Team, installed: Installed, api: Api, take_right: TakeRight) -> None:
    before = team.issue("billing", LONG)
    take_right("patch", "secrets")
    patch = ("patch", "secret", "billing", "--patch", '{"data": {"extra": "eA=="}}')
    team.cluster.kubectl("-n", team.namespace, *WHO_BREAKS_GLASS, *patch)
    team.annotate_apikey("billing", "note", "touched")
    told = team.wait_says("billing", "Stalled", "True", "PermissionMissing")
    assert f"patch secrets {team.namespace}/billing: 403" in told["message"]
    assert team.says("billing", "Ready") == ("Unknown", "PermissionMissing")
    assert team.accepted("billing") == {before.key_id}
    give_back(installed, api, team, "billing")
    team.wait_ready("billing")
    team.wait_until(lambda: "extra" not in team.secret("billing").data, about="billing", what="the edit is undone")
    assert team.secret("billing").token == before.token
    assert team.states("billing") == {1: "Active"}


def test_without_the_right_to_look_at_policies_it_works_and_says_that_they_cannot_be_seen(installed: Installed, api: Api) -> None:
    """No key needs that right: for want of it no revocation may wait."""
    path = f"{RBAC}/clusterrolebindings/{ACCOUNT}-policies"
    binding = next(each for each in installed.objects if (each["kind"], each["metadata"]["name"]) == BINDING_ON_POLICIES)
    api.delete(path)
    try:
        with installed.start_operator() as started:
            started.wait_until(lambda: started.ask("/readyz")[0] == 200, what="to be ready, or to stand by")
            started.wait_until(lambda: "cannot be seen" in started.tail(), what="to say that it cannot see the policies")
            unseen = lambda: started.metric("keyturn_fence_intact", policy=names.RECORDS_POLICY) == 0  # noqa: E731
            started.wait_until(unseen, what="to count each as not seen")
            api.apply(path, binding)
            started.wait_until(
                lambda: started.metric("keyturn_fence_intact", policy=names.RECORDS_POLICY) == 1, what="to see them without a restart"
            )
            started.stop()  # it may lead by now: the next one shall not have to wait for its Lease to end
    finally:
        api.apply(path, binding)
