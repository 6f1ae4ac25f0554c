"""The commands against a real API server, as a person and a script call them. No operator: statuses are written by the tests."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from gen.apikey_json import overlapping, stalled, steady, version
from gen.person import APIKEYS, BIN, Answer, Person
from gen.team import workload
from keyturn.base.clock import SECOND
from keyturn.cluster.apikeys import list_apikeys
from keyturn.cluster.client import Client
from testbed.cluster import ApiFailed, Cluster, wait_until
from testbed.plane import Plane, bare

PATIENCE = 30.0


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """An API server of these tests' own: on the shared one an operator may run, and it would write the statuses."""
    with Plane.start(bare()) as own:
        yield own


@pytest.fixture(scope="module", autouse=True)
def _resources(plane: Cluster) -> None:
    """Installed the way `keyturn crds --help` says."""
    crds = subprocess.run([BIN / "keyturn", "crds"], capture_output=True, text=True, check=True).stdout
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=crds)
    plane.kubectl("wait", "--for=condition=Established", "crd/apikeys.keyturn.dev", "--timeout=30s")
    wait_until(lambda: is_served(plane), patience=PATIENCE, what="the API of ApiKeys")


def is_served(plane: Cluster) -> bool:
    """Whether ApiKeys can be read; just after their definition the API server answers 429 for a moment."""
    try:
        return plane.answers("/apis/keyturn.dev/v1alpha1/apikeys")
    except ApiFailed as failure:
        if failure.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        return False


@pytest.fixture
def person(plane: Cluster, namespace: str) -> Person:
    return Person(plane, namespace, plane.kubeconfig)


@pytest.fixture
def reader(plane: Cluster, namespace: str, tmp_path: Path) -> Person:
    """Somebody who may read ApiKeys and nothing else."""
    plane.kubectl("-n", namespace, "create", "serviceaccount", "reader")
    plane.kubectl("-n", namespace, "create", "role", "reader", "--verb=get,list", "--resource=apikeys.keyturn.dev")
    plane.kubectl("-n", namespace, "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader")
    return Person(plane, namespace, plane.kubeconfig).as_service_account("reader", of=namespace, folder=tmp_path)


def columns(answer: Answer) -> list[list[str]]:
    """A pipe's table without its ages."""
    return [line.split("\t")[:-1] for line in answer.out.splitlines()]


def test_a_key_is_created_and_listed(person: Person) -> None:
    created = person.runs("create", "billing", "--interval", "720h", "--label", "team=payments")
    assert created == Answer(0, "apikey/billing created\n", "")
    assert person.reads("billing")["spec"] == {"rotation": {"interval": "720h"}, "deletionPolicy": "Revoke", "delivery": "Secret"}
    person.sets_status("billing", steady())
    assert columns(person.runs("get")) == [["billing", "True", "", "2", "Qm8sT2fLx0Za", "2026-12-06T12:01:00Z"]]
    assert person.runs("get", "-l", "team=payments", "-o", "name").out == "apikey/billing\n"
    nobody = person.runs("get", "-l", "team=other")
    assert nobody == Answer(0, "", f"No ApiKey in namespace {person.namespace} matches team=other\n")


def test_kubectl_finds_the_command_as_its_plugin(person: Person) -> None:
    person.runs("create", "billing")
    plugin = person.calls("kubectl", "keyturn", "get", "-n", person.namespace)
    assert (plugin.code, columns(plugin)) == (0, [["billing", "Unknown", "", "", "", ""]])


def test_a_second_key_of_the_name_is_refused_with_what_to_do(person: Person) -> None:
    person.runs("create", "billing")
    where = person.namespace
    there = f'Error: apikeys.keyturn.dev "billing" already exists in namespace {where}. Choose another name, or look at it: '
    assert person.runs("create", "billing") == Answer(1, "", f"{there}keyturn describe billing -n {where}\n")


def test_a_namespace_that_is_not_there_is_not_taken_for_a_cluster_without_keyturn(person: Person) -> None:
    nowhere = f"{person.namespace}-nowhere"
    answer = person.calls("keyturn", "create", "billing", "-n", nowhere)
    assert answer == Answer(1, "", f'Error: namespaces "{nowhere}" not found. Make it, or name another one by -n\n')


def test_a_dry_run_stores_nothing(person: Person) -> None:
    assert person.runs("create", "billing", "--dry-run=server").out == "apikey/billing created (server dry run)\n"
    assert person.runs("get").out == ""
    person.runs("create", "billing")
    before = person.reads("billing")
    assert person.runs("rotate", "billing", "--dry-run").out == "apikey/billing rotation requested (server dry run)\n"
    assert person.runs("disable", "--all", "--dry-run").out == "apikey/billing disabled (server dry run)\n"
    assert person.reads("billing") == before


def test_what_is_missing_is_complained_about_beside_what_is_there(person: Person) -> None:
    person.runs("create", "billing")
    where = person.namespace
    missing = f'apikeys.keyturn.dev "nope" not found in namespace {where}. To see what there is: keyturn get -n {where}\n'
    got = person.runs("get", "nope", "apikey/billing")
    assert (got.code, columns(got)[0][0], got.err) == (1, "billing", f"Error: {missing}")
    assert person.runs("rotate", "nope", "billing") == Answer(1, "apikey/billing rotation requested\n", f"Error: apikey/nope: {missing}")


def test_objects_come_as_kubectl_has_them(person: Person) -> None:
    person.runs("create", "billing")
    stored = person.reads("billing")
    del stored["metadata"]["managedFields"]
    assert json.loads(person.runs("get", "billing", "-o", "json").out) == stored
    assert json.loads(person.runs("get", "-o", "json").out)["items"] == [stored]


def test_the_owner_of_a_key_id_is_found_also_when_it_was_replaced(person: Person) -> None:
    """Incident: a key ID in a leak report, and nobody knows whose it is."""
    for name in ("billing", "reports"):
        person.runs("create", name)
    person.sets_status("billing", overlapping())
    for key_id in ("Qm8sT2fLx0Za", "a1B2c3D4e5F6"):
        assert person.runs("get", "--key-id", key_id, "-o", "name") == Answer(0, "apikey/billing\n", "")
    nobody = person.runs("get", "--key-id", "ZZZZZZZZZZZZ")
    assert nobody == Answer(1, "", f"No ApiKey in namespace {person.namespace} has or had key ID ZZZZZZZZZZZZ: look everywhere with -A\n")


async def test_long_lists_are_read_in_chunks(person: Person) -> None:
    names = [f"key-{number:02}" for number in range(7)]
    person.plane.kubectl("-n", person.namespace, "create", "-f", "-", input="\n---\n".join(
        json.dumps({"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name}, "spec": {}}) for name in names
    ))  # fmt: skip
    requests: list[str] = []
    async with await Client.connect(timeout=10 * SECOND, kubeconfig=str(person.kubeconfig)) as client:
        client.on_request = lambda verb, _resource, _status: requests.append(verb)
        items = await list_apikeys(client, person.namespace, chunk=3)
    assert [item["metadata"]["name"] for item in items if isinstance(item["metadata"], dict)] == names
    assert requests == ["list"] * 3


def test_rotate_writes_the_annotation_and_says_what_keeps_it_waiting(person: Person) -> None:
    for name in ("billing", "legacy"):
        person.runs("create", name)
    person.sets_status("billing", steady())
    person.sets_status("legacy", stalled())
    answer = person.runs("rotate", "--all")
    assert (answer.code, sorted(answer.out.splitlines())) == (0, ["apikey/billing rotation requested", "apikey/legacy rotation requested"])
    assert answer.err == (
        "Warning: apikey/legacy: it is stalled and rotates once that is mended: "
        "Secret billing is not Keyturn's. Remove it (SecretConflict)\n"
    )
    written = person.reads("billing")["metadata"]["annotations"]["keyturn.dev/rotate-requested-at"]
    assert written.startswith("20")
    assert written.endswith("Z")


def test_rotate_waits_until_the_new_version_is_in_the_secret(person: Person) -> None:
    person.runs("create", "billing")
    person.sets_status("billing", steady())
    staged = steady(versions=[*steady()["versions"], version(3, "ThirdThird12", "Staged")])
    rotated = steady(activeVersion=3, keyID="ThirdThird12", versions=[version(3, "ThirdThird12", "Active")])
    with as_operator(person, lambda: [person.sets_status("billing", staged), person.sets_status("billing", rotated)]):
        answer = person.runs("rotate", "billing", "--wait", "--timeout", "30s")
    assert (answer.code, answer.out) == (0, "apikey/billing rotation requested\napikey/billing rotated (version 3, key ID ThirdThird12)\n")


def test_rotate_does_not_wait_for_what_cannot_happen(person: Person) -> None:
    person.runs("create", "billing")
    person.sets_status("billing", stalled())
    answer = person.runs("rotate", "billing", "--wait")
    assert (answer.code, answer.err) == (1, "Error: apikey/billing: stalled, SecretConflict: Secret billing is not Keyturn's. Remove it\n")


def test_rotate_gives_up_and_says_where_it_stands(person: Person) -> None:
    person.runs("create", "billing")
    answer = person.runs("rotate", "billing", "--wait", "--timeout", "300ms")
    assert (answer.code, answer.err.splitlines()[-1]) == (1, "Error: apikey/billing is not rotated after 300ms: waits for the operator")


def test_disable_and_enable_set_and_remove_the_field(person: Person) -> None:
    person.runs("create", "billing")
    mark = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}}
    person.asks("PATCH", f"{APIKEYS.format(person.namespace)}/billing", mark)
    warning = "Warning: apikey/billing: Argo CD manages it and may put spec.disabled back: change it in Git as well\n"
    assert person.runs("disable", "billing") == Answer(0, "apikey/billing disabled\n", warning)
    assert person.reads("billing")["spec"]["disabled"] is True
    assert person.runs("enable", "--all") == Answer(0, "apikey/billing enabled\n", warning)
    assert "disabled" not in person.reads("billing")["spec"]


def test_describe_tells_of_workloads_and_never_of_the_plaintext(person: Person) -> None:
    person.runs("create", "billing")
    person.sets_status("billing", steady())
    data = {"stringData": {"api-key": "letmein"}, "type": "keyturn.dev/api-key"}
    marks = {"keyturn.dev/key-id": "Qm8sT2fLx0Za", "keyturn.dev/version": "2"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "billing", "annotations": marks}, **data}
    pod = {"containers": [{"name": "main", "image": "web:1", "envFrom": [{"secretRef": {"name": "billing"}}]}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "billing.1"},
        "type": "Normal",
        "reason": "Rotated",
        "message": "Done",
    }
    event["involvedObject"] = {
        "kind": "ApiKey",
        "name": "billing",
        "namespace": person.namespace,
        "uid": person.reads("billing")["metadata"]["uid"],
    }
    for each in (secret, web, event):
        person.plane.kubectl("-n", person.namespace, "create", "-f", "-", input=json.dumps(each))
    told = json.loads(person.runs("describe", "billing", "-o", "json").out)
    assert told["secret"] == {"name": "billing", "present": True, "keyID": "Qm8sT2fLx0Za"}
    assert told["consumers"] == [{"kind": "Deployment", "name": "web", "pods": 0, "done": None, "reason": None}]
    assert [each["reason"] for each in told["events"]] == ["Rotated"]
    assert (told["waitsFor"], told["nextSteps"], told["notSeen"]) == ([], [], [])
    text = person.runs("describe", "billing")
    assert "Deployment/web" in text.out
    assert "letmein" not in text.out + text.err + json.dumps(told)


def test_describe_says_what_the_role_does_not_let_it_see(person: Person, reader: Person) -> None:
    person.runs("create", "billing")
    answer = reader.runs("describe", "billing")
    assert answer.code == 0
    assert answer.out.partition("Not seen:\n")[2] == (
        "  Events: your role does not allow it\n"
        "  Secret billing: your role does not allow it\n"
        "  workloads and pods: your role does not allow it\n"
    )


def test_who_may_read_workloads_sees_them_where_there_are_no_argo_rollouts(person: Person, reader: Person) -> None:
    """The roles of Kubernetes do not speak of Rollouts, and the API server refuses what it does not have as well."""
    person.runs("create", "billing")
    person.sets_status("billing", steady())
    person.plane.kubectl("-n", person.namespace, "create", "-f", "-", input=json.dumps(workload("Deployment", "web")))
    resources = "--resource=pods,deployments.apps,statefulsets.apps,daemonsets.apps"
    person.plane.kubectl("-n", person.namespace, "create", "role", "viewer", "--verb=list", resources)
    account = f"--serviceaccount={person.namespace}:reader"
    person.plane.kubectl("-n", person.namespace, "create", "rolebinding", "viewer", "--role=viewer", account)
    wait_until(lambda: "Deployment/web" in reader.runs("describe", "billing").out, patience=PATIENCE, what="the workload to be seen")
    assert reader.runs("revoke", "billing", "--reason", "Other", "--dry-run").out.rstrip("\n").endswith("\tdeployment/web")


def test_who_is_not_allowed_gets_code_4_and_the_reason(person: Person, reader: Person) -> None:
    person.runs("create", "billing")
    for arguments in (["rotate", "billing"], ["disable", "--all"], ["create", "other"]):
        answer = reader.runs(*arguments)
        assert (answer.code, answer.out) == (4, "")
        assert "Not allowed: apikeys.keyturn.dev" in answer.err
        assert "Ask for one of Keyturn's roles in this namespace" in answer.err


def test_the_shell_completes_names_of_keys(person: Person) -> None:
    for name in ("billing", "bills", "reports"):
        person.runs("create", name)
    words = ["__complete", "--", "rotate", "-n", person.namespace, "billing", "bi"]
    # Its deadline is short, and completing nothing is right on a machine too busy for it: a person presses TAB again.
    wait_until(lambda: person.calls("keyturn", *words) == Answer(0, "bills\n:4\n", ""), patience=PATIENCE, what="the other name")


class as_operator:  # noqa: N801 - read as a word in `with`
    """While the body runs, do something to the cluster once the rotation was asked for."""

    def __init__(self, person: Person, work: Callable[[], object]) -> None:
        self._person = person
        self._work = work
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        wait_until(
            lambda: "keyturn.dev/rotate-requested-at" in self._person.reads("billing")["metadata"].get("annotations", {}),
            patience=PATIENCE,
            what="the annotation",
        )
        self._work()
