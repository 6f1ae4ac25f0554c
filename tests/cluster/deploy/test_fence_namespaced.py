"""Somebody has the token of an operator of some namespaces: there it is refused the same, and beyond them it can do nothing at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cluster.deploy.test_fence import (  # noqa: F401 - pytest collects them here
    attacker,
    scene,
    test_the_probes_changed_nothing,
    test_what_the_operator_does_is_allowed,
    victim,
)
from gen.fence import ACCOUNT, SECRETS, SYSTEM, WHO_BREAKS_GLASS, credential, secret
from gen.fence_probes import AS_ITSELF, BY_RIGHTS, ITS_ANNOTATION, PROBES, Probe, assert_refused, creates, event, patches, reads
from gen.installed import NAMESPACED, Installed, assert_nothing_was_refused
from gen.operator_process import OperatorProcess
from gen.team import Api, workload
from testbed.cluster import wait_until
from testbed.plane import Plane

BEYOND = "team-c"
ROOT = f"{SECRETS.format(SYSTEM)}/keyturn-root"
CORE, APPS = f"/api/v1/namespaces/{BEYOND}", f"/apis/apps/v1/namespaces/{BEYOND}"
OURS = f"/apis/keyturn.dev/v1alpha1/namespaces/{BEYOND}"
WITHIN_PROBES = [replace(probe, refused_by=BY_RIGHTS) if (probe.method, probe.path) == ("PATCH", ROOT) else probe for probe in PROBES]
"""At home it has a right on no Secret but the canary and the root, and may only read that one: the policies are not asked."""
BEYOND_PROBES = [
    patches("reads a Secret by an empty patch", BY_RIGHTS, f"{CORE}/secrets/foreign", {}),
    patches("reads a credential by an empty patch", BY_RIGHTS, f"{CORE}/secrets/own", {}),
    patches("changes a credential", BY_RIGHTS, f"{CORE}/secrets/own", {"stringData": {"api-key": "mine"}}),
    creates("creates a credential", BY_RIGHTS, f"{CORE}/secrets", credential("new")),
    reads("reads a Secret", f"{CORE}/secrets/foreign"),
    reads("lists Secrets", f"{CORE}/secrets"),
    reads("lists pods", f"{CORE}/pods"),
    reads("lists the pods of all namespaces", "/api/v1/pods"),
    reads("lists Deployments", f"{APPS}/deployments"),
    patches("restarts a Deployment", BY_RIGHTS, f"{APPS}/deployments/web{AS_ITSELF}", ITS_ANNOTATION),
    creates("tells of an ApiKey", BY_RIGHTS, f"/apis/events.k8s.io/v1/namespaces/{BEYOND}/events", event()),
    reads("lists ApiKeys", f"{OURS}/apikeys"),
    patches("writes the status of an ApiKey", BY_RIGHTS, f"{OURS}/apikeys/billing/status", {"status": {}}),
    patches("writes the status of a revocation", BY_RIGHTS, "/apis/keyturn.dev/v1alpha1/apikeyrevocations/x/status", {"status": {}}),
]


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, NAMESPACED, scratch=tmp_path_factory.mktemp("namespaced"))


@pytest.fixture(scope="module")
def operator(installed: Installed, scene: str, plane: Plane) -> Iterator[OperatorProcess]:  # noqa: F811
    """With one more namespace bound, as the administrator would do it."""
    plane.kubectl("-n", scene, "create", "rolebinding", ACCOUNT, f"--clusterrole={ACCOUNT}", f"--serviceaccount={SYSTEM}:{ACCOUNT}")
    with installed.start_operator({"watch_namespaces": f"{installed.settings.watch_namespaces},{scene}"}) as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)


@pytest.fixture(scope="module")
def beyond(installed: Installed, plane: Plane, api: Api) -> Iterator[str]:
    """A namespace that is not served: with a Secret, a credential that was left there, and a workload."""
    assert installed.objects
    api.ask("POST", SECRETS.format(BEYOND), secret("foreign"))
    plane.kubectl("-n", BEYOND, *WHO_BREAKS_GLASS, "create", "-f", "-", input=json.dumps(credential("own")))
    api.ask("POST", f"{APPS}/deployments", workload("Deployment", "web"))
    yield BEYOND
    for path in (f"{CORE}/secrets/foreign", f"{CORE}/secrets/own", f"{APPS}/deployments/web"):
        api.delete(path)


@pytest.mark.parametrize("probe", WITHIN_PROBES, ids=str)
def test_in_its_namespaces_it_is_refused_the_same(victim: str, attacker: Api, probe: Probe) -> None:  # noqa: F811
    assert victim
    assert_refused(probe, attacker)


@pytest.mark.parametrize("probe", BEYOND_PROBES, ids=str)
def test_beyond_its_namespaces_nothing_is_let_through(beyond: str, attacker: Api, probe: Probe) -> None:  # noqa: F811
    assert beyond
    assert_refused(probe, attacker)


def test_the_secret_beyond_is_there_for_whoever_may_read_it(beyond: str, api: Api) -> None:
    """Else the probes would be refused for want of something to refuse."""
    wait_until(lambda: api.ask("GET", f"{CORE}/secrets/foreign")["data"] == {"password": "eA=="}, patience=5.0, what=f"it in {beyond}")
