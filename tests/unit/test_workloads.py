"""What is read out of the API server's objects. The objects are cut down to the fields that are looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.api.workloads import Operator, Pod, Requirement, Selector, Strategy, Workload
from keyturn.cluster.workloads import decode_pod, decode_workload, uses_secret

RAW = dict[str, Any]
CONTAINER = {"name": "main", "image": "web:1"}
FROM_SECRET = {"secretKeyRef": {"name": "billing", "key": "api-key"}}
ENV = {**CONTAINER, "env": [{"name": "PLAIN", "value": "1"}, {"name": "KEY", "valueFrom": FROM_SECRET}]}
ENV_FROM = {**CONTAINER, "envFrom": [{"configMapRef": {"name": "billing"}}, {"secretRef": {"name": "billing"}}]}
VOLUME = {"name": "key", "secret": {"secretName": "billing"}}
PROJECTED = {"name": "all", "projected": {"sources": [{"configMap": {"name": "billing"}}, {"secret": {"name": "billing"}}]}}


@pytest.mark.parametrize(
    "pod_spec",
    [
        {"containers": [CONTAINER, ENV]},
        {"containers": [ENV_FROM]},
        {"containers": [CONTAINER], "initContainers": [ENV]},
        {"containers": [CONTAINER], "ephemeralContainers": [ENV]},
        {"containers": [CONTAINER], "volumes": [{"name": "tmp", "emptyDir": {}}, VOLUME]},
        {"containers": [CONTAINER], "volumes": [PROJECTED]},
    ],
)
def test_a_pod_uses_the_secret_wherever_a_container_can_read_it(pod_spec: RAW) -> None:
    assert uses_secret(pod_spec, secret_name="billing")
    assert not uses_secret(pod_spec, secret_name="bill")


@pytest.mark.parametrize(
    "pod_spec",
    [
        {"containers": [CONTAINER], "imagePullSecrets": [{"name": "billing"}]},
        {"containers": [{**CONTAINER, "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "billing", "key": "a"}}}]}]},
        {"containers": [CONTAINER], "volumes": [{"name": "billing", "configMap": {"name": "billing"}}]},
        {"containers": [{**CONTAINER, "env": None, "envFrom": None}], "initContainers": None, "volumes": None},
        {},
    ],
)
def test_other_mentions_of_the_name_do_not_count(pod_spec: RAW) -> None:
    assert not uses_secret(pod_spec, secret_name="billing")


def workload_of(raw: RAW, kind: str = "Deployment") -> Workload:
    raw = {"metadata": {"name": "web", "uid": "u1", **raw.pop("metadata", {})}, **raw}
    return decode_workload(raw, kind, secret_name="billing", apikey_name="billing-key")


BLANK = Workload(kind="Deployment", name="web", uid="u1", references=False, generation=0, observed_generation=0)


def test_a_deployment_is_read_whole() -> None:
    raw: RAW = {
        "metadata": {"generation": 7, "annotations": {"keyturn.dev/rollout": "allow"}},
        "spec": {
            "paused": True,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "track", "operator": "NotIn", "values": ["canary"]}]},
            "template": {
                "metadata": {"annotations": {"rollout.keyturn.dev/billing-key": "k2", "rollout.keyturn.dev/other": "x"}},
                "spec": {"containers": [ENV]},
            },
        },
        "status": {
            "observedGeneration": 6,
            "conditions": [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"},
            ],
        },
    }
    assert workload_of(raw) == Workload(
        kind="Deployment",
        name="web",
        uid="u1",
        references=True,
        allows=True,
        template_annotation="k2",
        selector=Selector((("app", "web"),), (Requirement("track", Operator.NOT_IN, ("canary",)),)),
        generation=7,
        observed_generation=6,
        strategy=Strategy.RECREATE,
        paused=True,
        progress_deadline_exceeded=True,
        replica_failure=True,
    )


def test_a_deployment_that_says_nothing_has_the_defaults() -> None:
    assert workload_of({"spec": {"template": {"spec": {}}}}) == BLANK


def test_another_word_than_allow_does_not_allow() -> None:
    raw: RAW = {"metadata": {"annotations": {"keyturn.dev/rollout": "true"}}, "spec": {}}
    assert not workload_of(raw).allows


@pytest.mark.parametrize(
    ("update_strategy", "strategy", "partition"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}, Strategy.ROLLING_UPDATE, 3),
        ({"type": "OnDelete"}, Strategy.ON_DELETE, 0),
        ({"type": "RollingUpdate", "rollingUpdate": None}, Strategy.ROLLING_UPDATE, 0),
    ],
)
def test_a_statefulset_says_how_it_updates(update_strategy: RAW, strategy: Strategy, partition: int) -> None:
    seen = workload_of({"spec": {"updateStrategy": update_strategy}}, "StatefulSet")
    assert (seen.strategy, seen.partition) == (strategy, partition)


def test_an_argo_rollout_is_read_though_it_writes_things_its_own_way() -> None:
    """It has no strategy type, its observedGeneration is a string, and a pause is a phase."""
    raw: RAW = {
        "metadata": {"generation": 4},
        "spec": {
            "strategy": {"canary": {"steps": []}},
            "workloadRef": {"kind": "Deployment", "name": "web-template"},
        },
        "status": {"observedGeneration": "4", "phase": "Paused"},
    }
    seen = workload_of(raw, "Rollout")
    assert (seen.observed_generation, seen.strategy, seen.paused, seen.template_from) == (4, Strategy.ROLLING_UPDATE, True, "web-template")


def test_a_degraded_argo_rollout_ran_out_of_time() -> None:
    assert workload_of({"spec": {}, "status": {"phase": "Degraded"}}, "Rollout").progress_deadline_exceeded


def pod_of(**changes: Any) -> Pod:  # noqa: ANN401 - parts of a pod
    metadata: RAW = {"name": "web-1", "uid": "p1", "creationTimestamp": "2026-11-24T06:00:00Z", **changes.pop("metadata", {})}
    raw: RAW = {"metadata": metadata, "spec": {"containers": [ENV]}, "status": {"phase": "Running"}, **changes}
    return decode_pod(raw, secret_name="billing", apikey_name="billing-key")


PLAIN_POD = Pod(name="web-1", uid="p1", created=datetime(2026, 11, 24, 6, tzinfo=UTC), references=True)


def test_a_bare_pod_is_read() -> None:
    assert pod_of() == PLAIN_POD


def test_a_pod_is_read_whole() -> None:
    metadata = {
        "annotations": {"rollout.keyturn.dev/billing-key": "k2"},
        "labels": {"app": "web"},
        "deletionTimestamp": "2026-11-24T06:01:00Z",
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "no-controller"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "controller": True},
        ],
    }
    status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}
    assert pod_of(metadata=metadata, spec={"containers": [CONTAINER]}, status=status) == Pod(
        name="web-1",
        uid="p1",
        created=PLAIN_POD.created,
        references=False,
        annotation="k2",
        labels=(("app", "web"),),
        deleting=True,
        unschedulable=True,
        controller_kind="ReplicaSet",
        controller_name="web-5d4f",
    )


@pytest.mark.parametrize(
    ("phase", "finished"), [("Pending", False), ("Running", False), ("Unknown", False), ("Succeeded", True), ("Failed", True)]
)
def test_a_pod_is_finished_when_nothing_of_it_runs(phase: str, *, finished: bool) -> None:
    assert pod_of(status={"phase": phase}).finished is finished


@pytest.mark.parametrize(
    ("api_version", "kind", "seen"),
    [
        ("apps/v1", "StatefulSet", "StatefulSet"),
        ("batch/v1", "Job", "Job"),
        ("v1", "ReplicationController", "ReplicationController"),
        ("apps.kruise.io/v1beta1", "StatefulSet", "StatefulSet.apps.kruise.io"),
        (
            "a.long.group.of.a.vendor.who.does.not.know.when.to.stop.example.com/v1",
            "Thing",
            "Thing.a.long.group.of.a.vendor.who.does.not.know.when.to.stop.e",
        ),
    ],
)
def test_another_groups_kind_is_not_taken_for_kubernetes_own(api_version: str, kind: str, seen: str) -> None:
    owner = {"apiVersion": api_version, "kind": kind, "name": "db", "controller": True}
    assert pod_of(metadata={"ownerReferences": [owner]}).controller_kind == seen
