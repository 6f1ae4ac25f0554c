"""Who may write Keyturn's own Secrets besides the operator: nobody, but for the break-glass group; and what goes on all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gen.fence import RECORDS, SYSTEM, WHO_BREAKS_GLASS, credential, record, secret
from gen.installed import EVERYWHERE, VERIFIER, Installed, assert_nothing_was_refused
from gen.operator_process import OperatorProcess, unique_name
from gen.team import APIKEYS, Api, Team
from testbed.cluster import ApiFailed, Cluster, KubectlFailed, wait_until
from testbed.plane import Plane

Json = dict[str, Any]

RESERVED = "keyturn-reserved-types"
CLOSED = "keyturn-records"
CONSUME = "keyturn-consume"


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("reserved"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)


@pytest.fixture
def team(installed: Installed, api: Api, operator: OperatorProcess, namespace: str) -> Team:
    return installed.team(api, operator, namespace)


def refusal(cluster: Cluster, *arguments: str, body: Json | None = None) -> str:
    with pytest.raises(KubectlFailed) as refused:
        cluster.kubectl(*arguments, input=json.dumps(body) if body else None)
    return str(refused.value)


@pytest.mark.parametrize(
    "made",
    [credential("new"), secret("new", "keyturn.dev/api-key"), secret("new", "keyturn.dev/root"), record("shop", "new")],
    ids=lambda made: str(made["type"]),
)
def test_not_even_the_administrator_creates_one(installed: Installed, namespace: str, made: Json) -> None:
    told = refusal(installed.plane, "-n", namespace, "create", "-f", "-", body=made)
    assert f"'{RESERVED}' denied request" in told
    assert "docs/how-to/break-glass.md" in told


@pytest.mark.parametrize(
    "change",
    [
        {"stringData": {"api-key": "mine"}},
        {"data": {"api-key": None}},
        {"immutable": True},
        {"metadata": {"labels": {"keyturn.dev/apikey": "other"}}},
        {"metadata": {"labels": {"keyturn.dev/apikey": None}}},
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}},
        {"metadata": {"labels": {"keyturn.dev/namespace": "shop"}}},
        {"metadata": {"annotations": {"keyturn.dev/version": "7"}}},
        {"metadata": {"annotations": {"keyturn.dev/adoption-tag": None}}},
        {"metadata": {"annotations": {"keyturn.dev/new": "x"}}},
    ],
    ids=json.dumps,
)
def test_what_keyturn_says_in_it_nobody_else_changes(team: Team, change: Json) -> None:
    before = team.issue("billing").raw
    with pytest.raises(ApiFailed, match=RESERVED):
        team.api.merge(team.secret_path("billing"), change)
    assert team.secret("billing").raw == before


def test_others_labels_and_annotations_are_welcome_and_it_may_be_deleted(team: Team) -> None:
    before = team.issue("billing")
    team.api.merge(team.secret_path("billing"), {"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}}})
    after = team.secret("billing")
    assert (after.labels["team"], after.annotations["note"], after.token) == ("shop", "x", before.token)
    team.api.delete(team.secret_path("billing"))
    team.wait_ready("billing", version=2)


def test_a_restore_with_the_break_glass_group_is_let_through(team: Team) -> None:
    """The Secret and its record go, and come back from a backup: the key is accepted as before."""
    team.apply_apikey("billing", {"rotation": {"policy": "Manual"}}, annotations={"keyturn.dev/paused": "true"})
    team.annotate_apikey("billing", "keyturn.dev/paused", None)
    team.wait_ready("billing")
    secret_before, record_before = team.secret("billing"), team.raw_record("billing")
    assert record_before is not None
    team.annotate_apikey("billing", "keyturn.dev/paused", "true")
    team.wait_until(lambda: team.says("billing", "Paused")[0] == "True", about="billing", what="it is paused")
    for path, raw in ((team.secret_path("billing"), secret_before.raw), (team.record_path("billing"), record_before.raw)):
        _, _, _, _, namespace, _, name = path.split("/")
        metadata = {
            key: raw["metadata"][key] for key in ("name", "namespace", "labels", "annotations", "ownerReferences") if key in raw["metadata"]
        }
        backup = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": raw["type"], "data": raw["data"]}
        team.cluster.kubectl("-n", namespace, *WHO_BREAKS_GLASS, "delete", "secret", name)
        # The operator saw the record go, and may have put it back first.
        team.cluster.kubectl(*WHO_BREAKS_GLASS, "apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(backup))
    team.annotate_apikey("billing", "keyturn.dev/paused", None)
    team.wait_until(lambda: team.accepted("billing") == {team.secret("billing").key_id}, about="billing", what="a key is accepted")


def test_the_records_namespace_is_closed(team: Team) -> None:
    team.issue("billing")
    name = f"{team.namespace}.billing"
    for arguments, body in (
        (("create", "-f", "-"), secret("new")),
        (("label", "secret", name, "a=b"), None),
        (("delete", "secret", name), None),
        (("delete", "secrets", "--all"), None),
    ):
        assert CLOSED in refusal(team.cluster, "-n", RECORDS, *arguments, body=body)
    assert team.accepted("billing") == {team.secret("billing").key_id}


def report(kind: str, component: str) -> Json:
    """A Lease or ConfigMap as far as it counts for a verifier's."""
    labels = {"app.kubernetes.io/managed-by": "keyturn", "app.kubernetes.io/component": component}
    group = "coordination.k8s.io/v1" if kind == "Lease" else "v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": unique_name("mine"), "labels": labels}}


REPORTS = [report("Lease", "verifier"), report("ConfigMap", "verifier-use"), report("ConfigMap", "verifier-newer-records")]


@pytest.fixture
def on_call(plane: Plane, installed: Installed) -> Iterator[tuple[str, ...]]:
    """Somebody who edits all namespaces, and whom nobody made a verifier."""
    assert installed.objects
    plane.kubectl("create", "clusterrolebinding", "on-call", "--clusterrole=edit", "--user=olga")
    who = ("--as=olga", "--as-group=system:authenticated", "-n", RECORDS)
    wait_until(lambda: may_create_configmaps(plane, who), patience=20.0, what="her rights to count")
    yield who
    plane.kubectl("delete", "clusterrolebinding", "on-call")


def may_create_configmaps(plane: Plane, who: tuple[str, ...]) -> bool:
    try:
        return bool(plane.kubectl(*who, "auth", "can-i", "create", "configmaps"))
    except KubectlFailed:  # it says no by its exit status
        return False


@pytest.mark.parametrize("made", REPORTS, ids=lambda made: str(made["metadata"]["labels"]["app.kubernetes.io/component"]))
def test_nobody_speaks_for_a_verifier_who_is_none(plane: Plane, on_call: tuple[str, ...], made: Json) -> None:
    """A report ends keys, and a Lease that never acknowledges holds all of them back."""
    assert f"'{CLOSED}'" in refusal(plane, *on_call, "create", "-f", "-", body=made)
    kind, name = made["kind"].lower(), made["metadata"]["name"]
    plane.kubectl("-n", RECORDS, "create", "-f", "-", input=json.dumps(made))
    for change in (("delete", kind, name), ("label", kind, name, "app.kubernetes.io/component-"), ("annotate", kind, name, "a=b")):
        assert f"'{CLOSED}'" in refusal(plane, *on_call, *change)
    plane.kubectl("-n", RECORDS, "delete", kind, name)


def test_a_name_that_a_verifier_may_need_is_kept_for_it_and_others_are_free(plane: Plane, on_call: tuple[str, ...]) -> None:
    assert f"'{CLOSED}'" in refusal(plane, *on_call, "create", "configmap", "verifier-use-a-0")
    plane.kubectl(*on_call, "create", "configmap", "istio-ca-root-cert")
    plane.kubectl(*on_call, "delete", "configmap", "istio-ca-root-cert")


def test_no_pod_starts_among_the_records(installed: Installed, plane: Plane) -> None:
    """One that the pod security standard would let in."""
    (pod,) = [
        each["spec"]["template"]["spec"]
        for each in installed.objects
        if each["metadata"]["name"] == VERIFIER and each["kind"] == "Deployment"
    ]
    spec = {
        "containers": [{**pod["containers"][0], "envFrom": [], "env": [], "volumeMounts": []}],
        "securityContext": pod["securityContext"],
    }
    spy = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "spy"}, "spec": spec}
    wait_until(
        lambda: "exceeded quota: keyturn-no-pods" in refusal(plane, "-n", RECORDS, "create", "-f", "-", body=spy),
        patience=20.0,
        what="the quota to be counted",
    )
    account = json.loads(plane.kubectl("-n", RECORDS, "get", "serviceaccount", "default", "-o", "json"))
    assert account["automountServiceAccountToken"] is False


@pytest.fixture
def jane(plane: Plane, namespace: str) -> Iterator[Api]:
    """Somebody who edits one namespace."""
    plane.kubectl("-n", namespace, "create", "rolebinding", "jane", "--clusterrole=edit", "--user=jane")
    api = Api(plane.login, user="jane", group="system:authenticated")
    wait_until(lambda: may_list(api, namespace), patience=20.0, what="jane to have her rights")
    yield api
    api.close()


def may_list(api: Api, namespace: str) -> bool:
    try:
        return "items" in api.ask("GET", f"{APIKEYS}/namespaces/{namespace}/apikeys")
    except ApiFailed:
        return False


def apikey(name: str, *, product: str = "", namespace: str = "", **spec: object) -> Json:
    reference = {"productRef": {"name": product, **({"namespace": namespace} if namespace else {})}} if product else {}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name}, "spec": {**reference, **spec}}


@pytest.fixture
def payments(plane: Plane, installed: Installed) -> Iterator[str]:
    """The namespace of an API's owner."""
    assert installed.objects
    name = unique_name("payments")
    plane.create_namespace(name)
    yield name
    plane.delete_namespace(name)


def test_a_key_of_another_namespaces_product_needs_the_verb_consume(plane: Plane, jane: Api, namespace: str, payments: str) -> None:
    """The owner gives it for one product; for another it is still refused."""
    path = f"{APIKEYS}/namespaces/{namespace}/apikeys"
    jane.ask("POST", path, apikey("plain"))
    jane.ask("POST", path, apikey("ours", product="own", namespace=namespace))
    with pytest.raises(ApiFailed, match=f"you may not have keys of ApiProduct {payments}/cards"):
        jane.ask("POST", path, apikey("theirs", product="cards", namespace=payments))
    owner = ("--as=olga", "--as-group=system:authenticated", "-n", payments)
    plane.kubectl("-n", payments, "create", "rolebinding", "olga", "--clusterrole=admin", "--user=olga")
    wait_until(lambda: granted(plane, *owner), patience=20.0, what="olga to give jane the verb")

    def is_let_through() -> bool:
        try:
            return bool(jane.ask("POST", f"{path}?dryRun=All", apikey("theirs", product="cards", namespace=payments)))
        except ApiFailed:
            return False

    wait_until(is_let_through, patience=20.0, what="jane's new right to count")
    with pytest.raises(ApiFailed, match=CONSUME):
        jane.ask("POST", path, apikey("more", product="gifts", namespace=payments))


def granted(plane: Plane, *owner: str) -> bool:
    """Whoever administers the product's namespace can give the verb: the role `admin` has it."""
    try:
        plane.kubectl(*owner, "create", "role", "cards", "--verb=consume", "--resource=apiproducts.keyturn.dev", "--resource-name=cards")
        plane.kubectl(*owner, "create", "rolebinding", "cards", "--role=cards", "--user=jane")
    except KubectlFailed:
        return False
    return True


def test_what_is_there_already_is_not_asked_about_again(api: Api, jane: Api, namespace: str, payments: str) -> None:
    """Else the garbage collector's own updates were refused."""
    path = f"{APIKEYS}/namespaces/{namespace}/apikeys"
    made = api.ask("POST", path, apikey("theirs", product="cards", namespace=payments, plan="small"))
    for change in (
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"finalizers": ["foregroundDeletion"]}},
        {"spec": {"disabled": True}},
    ):
        jane.merge(f"{path}/theirs", change)
    with pytest.raises(ApiFailed, match=CONSUME):
        jane.merge(f"{path}/theirs", {"spec": {"plan": "large"}})
    with pytest.raises(ApiFailed, match=CONSUME):
        jane.merge(f"{path}/theirs", {"spec": {"scopes": ["cards:write"]}})
    jane.merge(f"{path}/theirs", {"spec": {"disabled": None}})
    assert api.ask("GET", f"{path}/theirs")["spec"] == made["spec"]
    api.merge(f"{path}/theirs", {"metadata": {"finalizers": None}})


def test_who_asked_for_no_scope_and_asks_for_all_is_asked_about(api: Api, jane: Api, namespace: str, payments: str) -> None:
    """Scopes that are not set are all that was approved: leaving an empty list out widens."""
    path = f"{APIKEYS}/namespaces/{namespace}/apikeys"
    api.ask("POST", path, apikey("none", product="cards", namespace=payments, scopes=[]))
    jane.merge(f"{path}/none", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(ApiFailed, match=CONSUME):
        jane.merge(f"{path}/none", {"spec": {"scopes": None}})
    assert api.ask("GET", f"{path}/none")["spec"]["scopes"] == []


def test_the_gitops_group_needs_no_verb(plane: Plane, namespace: str, payments: str) -> None:
    plane.kubectl("-n", namespace, "create", "rolebinding", "argo", "--clusterrole=edit", "--group=keyturn:gitops")
    argo = Api(plane.login, user="argo", group="keyturn:gitops")
    wait_until(lambda: may_list(argo, namespace), patience=20.0, what="Argo CD to have its rights")
    argo.ask("POST", f"{APIKEYS}/namespaces/{namespace}/apikeys", apikey("theirs", product="cards", namespace=payments))
    argo.close()


def test_a_namespace_with_keys_goes_when_it_is_deleted(installed: Installed, api: Api, operator: OperatorProcess, payments: str) -> None:
    name = unique_name("going")
    installed.plane.create_namespace(name)
    team = installed.team(api, operator, name)
    team.issue("billing")
    team.apply_apikey("theirs", {"productRef": {"name": "cards", "namespace": payments}})
    installed.plane.kubectl("delete", "namespace", name, "--timeout=60s")
    assert not installed.plane.answers(f"/api/v1/namespaces/{name}")
    team.wait_until(lambda: team.states("billing") == {1: "Revoked"}, about="", what="the key to be revoked")


@pytest.mark.parametrize("how", ["background", "foreground", "orphan"])
def test_the_garbage_collector_does_its_work(team: Team, how: str) -> None:
    team.issue("billing")
    team.cluster.kubectl("-n", team.namespace, "delete", "apikey", "billing", f"--cascade={how}", "--timeout=60s")
    if how == "orphan":
        team.wait_until(lambda: "ownerReferences" not in team.secret("billing").raw["metadata"], about="", what="the owner to be taken off")
    else:
        team.wait_until(lambda: team.find_secret("billing") is None, about="", what="the Secret to be gone", patience=60.0)


def test_the_records_namespace_goes_too_with_all_that_is_in_it(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A plane of its own: it is not to be missed by others."""
    with Plane.start() as own:
        Installed.install(own, EVERYWHERE, scratch=tmp_path_factory.mktemp("own"))
        assert own is not plane
        own.kubectl("-n", RECORDS, *WHO_BREAKS_GLASS, "create", "-f", "-", input=json.dumps(record("shop", "billing")))
        own.kubectl("delete", "namespace", RECORDS, SYSTEM, "--timeout=120s")
        assert not own.answers(f"/api/v1/namespaces/{RECORDS}")
