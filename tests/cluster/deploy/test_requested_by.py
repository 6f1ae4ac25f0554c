"""Who asked for a revocation: nobody may say it of somebody else, but for GitOps and a restore; `keyturn revoke` says it by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gen.fence import REVOCATIONS, revocation
from gen.installed import EVERYWHERE, Installed
from gen.operator_process import unique_name
from gen.person import Person
from gen.team import Api
from testbed.cluster import ApiFailed, wait_until
from testbed.plane import Plane

POLICY = "keyturn-requested-by"
REVOKERS = "security"
EXCEPTED = ("keyturn:gitops", "keyturn:break-glass")
REVIEWS = "system:basic-user"
"""The role, and its binding, by which everybody may ask who they are."""


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    installed = Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("requested-by"))
    groups = [f"--group={group}" for group in (REVOKERS, *EXCEPTED)]
    plane.kubectl("create", "clusterrolebinding", REVOKERS, "--clusterrole=keyturn-revoke", *groups)
    return installed


@contextmanager
def somebody(plane: Plane, user: str, *, group: str = "") -> Iterator[Api]:
    """Somebody who may pull the brake."""
    with closing(Api(plane.login, user=user, group=group)) as api:
        wait_until(lambda: may_list(api), patience=20.0, what=f"{user} to have the right")
        yield api


def may_list(api: Api) -> bool:
    try:
        return "items" in api.ask("GET", REVOCATIONS)
    except ApiFailed:
        return False


def test_whoever_creates_one_may_name_nobody_but_themselves(installed: Installed) -> None:
    with somebody(installed.plane, "sam", group=REVOKERS) as sam:
        for said in ("", "sam"):
            made = sam.ask("POST", f"{REVOCATIONS}?dryRun=All", revocation(unique_name("leak"), requested_by=said))
            assert made["spec"].get("requestedBy", "") == said
        for said in ("ceo@example.com", "Sam", "sam "):
            with pytest.raises(ApiFailed, match=f"'{POLICY}' .*denied request: spec.requestedBy must be you, sam, or unset"):
                sam.ask("POST", f"{REVOCATIONS}?dryRun=All", revocation(unique_name("leak"), requested_by=said))


def test_not_even_the_administrator_says_it_of_somebody_else(installed: Installed, api: Api) -> None:
    assert installed.objects
    with pytest.raises(ApiFailed, match=POLICY):
        api.ask("POST", f"{REVOCATIONS}?dryRun=All", revocation(unique_name("leak"), requested_by="sam"))


@pytest.mark.parametrize("group", EXCEPTED)
def test_what_was_reviewed_or_is_restored_keeps_the_name_it_has(installed: Installed, group: str) -> None:
    with somebody(installed.plane, "argo", group=group) as argo:
        made = argo.ask("POST", f"{REVOCATIONS}?dryRun=All", revocation(unique_name("leak"), requested_by="sam"))
    assert made["spec"]["requestedBy"] == "sam"


@pytest.fixture
def on_call(installed: Installed, namespace: str, tmp_path: Path) -> Iterator[Person]:
    """A person with a token of their own and the role to revoke, nothing else."""
    plane, user = installed.plane, f"system:serviceaccount:{namespace}:on-call"
    plane.kubectl("-n", namespace, "create", "serviceaccount", "on-call")
    plane.kubectl("create", "clusterrolebinding", namespace, "--clusterrole=keyturn-revoke", f"--user={user}")
    with somebody(plane, user):
        yield Person(plane, namespace, plane.kubeconfig).as_service_account("on-call", of=namespace, folder=tmp_path)
    plane.kubectl("delete", "clusterrolebinding", namespace)


def revokes(person: Person, api: Api) -> str:
    """Revoke what nobody has; answers who asked for it, and takes it away again."""
    done = person.runs_anywhere("revoke", "--key-id", "nobodyknows1", "--reason", "Other", "-o", "json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    api.delete(f"{REVOCATIONS}/{made['metadata']['name']}")
    return str(made["spec"].get("requestedBy", ""))


def test_the_command_says_who_calls_it(on_call: Person, api: Api) -> None:
    assert revokes(on_call, api) == f"system:serviceaccount:{on_call.namespace}:on-call"


def test_who_may_not_ask_who_they_are_pulls_the_brake_all_the_same(on_call: Person, api: Api) -> None:
    binding = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{REVIEWS}"
    before = api.ask("GET", binding)
    api.delete(binding)
    try:
        wait_until(lambda: not revokes(on_call, api), patience=20.0, what="the right to be gone")
    finally:
        kept = {"metadata": {"name": REVIEWS}, "roleRef": before["roleRef"], "subjects": before["subjects"]}
        api.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", kept)
