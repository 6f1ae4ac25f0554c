"""Somebody has the operator's token: what its rights let through, the admission policies refuse, and what the operator does is allowed.

The token is real, of the account as deploy/ installs it, with exactly the rights that deploy/ gives.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any, Final

import pytest

from gen.fence import MASTERS, OPERATOR, RECORDS, SECRETS, SYSTEM, WHO_BREAKS_GLASS, credential, record, secret
from gen.fence_probes import (
    APPLIES,
    AS_ITSELF,
    FOREIGN,
    GROUPS,
    IN_GIT,
    ITS_ANNOTATION,
    KINDS,
    OF_GITOPS,
    OWN,
    OWN_ACTIONS,
    PROBES,
    RECORD,
    ROLLOUT_CRD,
    SECRET,
    VICTIM,
    WITH_MORE_RIGHTS,
    Probe,
    applied,
    assert_refused,
)
from gen.installed import EVERYWHERE, Installed, assert_nothing_was_refused
from gen.operator_process import OperatorProcess
from gen.team import APPLY, MERGE, Api, Team, bare_pod, workload
from testbed.cluster import ApiFailed, Login, wait_until
from testbed.plane import Plane

UPDATES_KEPT: Final = 10


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("fence"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)


@pytest.fixture(scope="module")
def attacker(installed: Installed, plane: Plane) -> Iterator[Api]:
    """With the operator's token and nothing else; no client certificate."""
    token = json.loads(installed.kubeconfig.read_text())["users"][0]["user"]["token"]
    api = Api(Login(plane.url, ssl.create_default_context(cafile=str(plane.ca)), token))
    yield api
    api.close()


@pytest.fixture(scope="module")
def scene(plane: Plane) -> Iterator[str]:
    """A namespace of its own, also where one of that name was there before."""
    wait_until(lambda: not plane.answers(f"/api/v1/namespaces/{VICTIM}"), patience=60.0, what="the one of before to be gone")
    plane.create_namespace(VICTIM)
    yield VICTIM
    plane.delete_namespace(VICTIM)


@pytest.fixture(scope="module")
def victim(installed: Installed, scene: str, operator: OperatorProcess, plane: Plane, api: Api, attacker: Api) -> Iterator[str]:
    """With all in it that can be attacked; the operator has made the root secret."""
    assert scene == VICTIM
    plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(ROLLOUT_CRD))
    wait_until(lambda: plane.answers(KINDS["Rollout"]), patience=20.0, what="Rollouts to be served")
    team = installed.team(api, operator, VICTIM)
    team.create(secret("foreign"))
    team.create(bare_pod("single", secret="foreign"))
    for kind, path in KINDS.items():
        made = {**workload(kind, "web", secret="foreign"), "apiVersion": GROUPS[kind]}
        made["spec"]["template"]["metadata"]["annotations"] = {"team": "shop"}
        api.ask("POST", path, made)
        api.ask("PATCH", f"{path}/web?fieldManager={APPLIES}", applied(kind, IN_GIT), content_type=APPLY)
    api.ask("PATCH", f"{KINDS['Deployment']}/web?fieldManager=argocd", applied("Deployment", OF_GITOPS), content_type=APPLY)
    attacker.ask("POST", SECRET, credential("own"))
    attacker.ask("POST", SECRETS.format(RECORDS), record(VICTIM, "own"))
    yield VICTIM
    plane.kubectl("-n", RECORDS, *WHO_BREAKS_GLASS, "delete", "secret", f"{VICTIM}.own")
    plane.kubectl("delete", "crd", "rollouts.argoproj.io")


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_who_has_the_operators_token_is_refused(victim: str, attacker: Api, probe: Probe) -> None:
    assert victim
    assert_refused(probe, attacker)


@pytest.mark.parametrize("probe", WITH_MORE_RIGHTS, ids=str)
def test_more_rights_would_not_help(victim: str, plane: Plane, probe: Probe) -> None:
    """The operator's account, in the administrators' group."""
    assert victim
    api = Api(plane.login, user=OPERATOR, group=MASTERS)
    assert_refused(probe, api)
    api.close()


def test_the_probes_changed_nothing(victim: str, attacker: Api, api: Api) -> None:
    things = [FOREIGN, OWN, RECORD, f"{SECRETS.format(SYSTEM)}/keyturn-root", *(f"{path}/web" for path in KINDS.values())]
    before = [api.ask("GET", path)["metadata"]["uid"] for path in things]
    assert victim
    for probe in PROBES:
        with pytest.raises(ApiFailed):
            probe.run(attacker)
    after = [api.ask("GET", path) for path in things]
    assert [each["metadata"]["uid"] for each in after] == before
    assert {each["metadata"]["name"] for each in api.ask("GET", SECRET)["items"]} == {"foreign", "own"}
    assert after[0]["data"] == {"password": "eA=="}
    assert not [each["metadata"]["name"] for each in after[1:4] if "immutable" in each or "ownerReferences" in each["metadata"]]
    for each in after[4:]:
        assert each["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"
        assert "ownerReferences" not in each["metadata"]
        assert APPLIES in managers(each)


@pytest.mark.parametrize("action", OWN_ACTIONS, ids=str)
def test_what_the_operator_does_is_allowed(victim: str, attacker: Api, action: Probe) -> None:
    assert victim
    answer = action.run(attacker, query="dryRun=All")
    assert answer["metadata"]["name"]


def test_a_workload_that_many_have_updated_is_restarted(victim: str, attacker: Api, api: Api) -> None:
    """The API server keeps ten entries of updates: the operator's is one too many, so an older one goes, in the same write."""
    assert victim
    path = f"{KINDS['Deployment']}/busy"
    api.ask("POST", KINDS["Deployment"], workload("Deployment", "busy", secret="foreign"))
    for number in range(UPDATES_KEPT + 1):
        changed = {"metadata": {"annotations": {f"example.com/{number}": "x"}}}
        api.ask("PATCH", f"{path}?fieldManager=a-team-{number}", changed, content_type=MERGE)  # of one second, the first by name goes
    before = managers(api.ask("GET", path))
    after = managers(attacker.ask("PATCH", f"{path}{AS_ITSELF}", ITS_ANNOTATION, content_type=MERGE))
    assert "keyturn" in after
    assert before - after


def managers(stored: dict[str, Any]) -> set[str]:
    return {entry["manager"] for entry in stored["metadata"]["managedFields"]}


def test_a_key_lives_its_whole_life_under_the_policies(installed: Installed, api: Api, operator: OperatorProcess, namespace: str) -> None:
    team: Team = installed.team(api, operator, namespace)
    spec = {
        "rotation": {"gracePeriod": "1s"},
        "secretTemplate": {"keepPrevious": True, "labels": {"team": "shop"}, "data": {"url": "$(API_KEY)"}},
    }
    first = team.issue("billing", spec)
    team.start(workload("Deployment", "web"), workload("StatefulSet", "store"), workload("DaemonSet", "agent"))
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.wait_until(
        lambda: team.secret("billing").data.get("previous-api-key") == first.token, about="billing", what="the old key to be kept"
    )
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    team.wait_until(lambda: "previous-api-key" not in team.secret("billing").data, about="billing", what="the old key to be gone")
    api.delete(team.secret_path("billing"))
    team.wait_states("billing", {1: "Retired", 2: "Retired", 3: "Active"})
    team.apply_apikey("billing", {**spec, "disabled": True})
    team.wait_until(lambda: team.accepted("billing") == set(), about="billing", what="the key to be refused")
    team.delete_apikey("billing")
    team.wait_until(lambda: team.states("billing")[3] == "Revoked", about="billing", what="the key to be revoked")
    team.wait_until(lambda: team.find_secret("billing") is None, about="billing", what="the Secret to be gone", patience=60.0)


def test_labels_that_were_lost_are_put_back(installed: Installed, api: Api, operator: OperatorProcess, namespace: str) -> None:
    """Somebody with the break-glass group took them: the policy tells the operator's Secret by its type."""
    team: Team = installed.team(api, operator, namespace)
    team.issue("billing")
    team.cluster.kubectl("-n", namespace, *WHO_BREAKS_GLASS, "label", "secret", "billing", "keyturn.dev/apikey-")
    team.wait_until(
        lambda: team.secret("billing").labels.get("keyturn.dev/apikey") == "billing", about="billing", what="the label to be back"
    )
    team.wait_until(lambda: team.secret("billing").key_id in team.accepted("billing"), about="billing", what="its key to be accepted")
