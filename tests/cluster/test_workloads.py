"""Rollouts on a real API server with real controllers: what is annotated rolls, and is seen to be done."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from keyturn.api.workloads import Pending, PendingReason, RolloutView, Target
from keyturn.base.clock import SECOND, utc_now
from keyturn.base.errors import Conflict
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.client import Client
from keyturn.cluster.workloads import annotate_workload, list_pods, list_workloads
from keyturn.lifecycle.plan import Annotate
from keyturn.lifecycle.rollout import new_pod_cutoff, pending_workloads, workloads_to_annotate
from testbed.cluster import Cluster, wait_until

KEY_ID = "newnewnewnew"
PATIENCE = 60.0
ENV = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "billing", "key": "api-key"}}}]


@pytest.fixture
async def client(plane: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(timeout=10 * SECOND, kubeconfig=str(plane.kubeconfig)) as client:
        yield client


@dataclass(frozen=True, slots=True)
class Consumers:
    """A namespace's consumers, seen as ApiKey `apikey` with its Secret `billing` sees them."""

    client: Client
    namespace: str
    apikey: str = "billing"

    async def look(self, *, everything: bool = False) -> RolloutView:
        about = {"secret_name": "billing", "apikey_name": self.apikey}
        pods = await list_pods(self.client, self.namespace, everything=everything, **about)
        return RolloutView(await list_workloads(self.client, self.namespace, **about), pods)

    async def annotate(self, step: Annotate) -> None:
        await annotate_workload(
            self.client, self.namespace, kind=step.kind, name=step.name, uid=step.uid, key_id=step.key_id, apikey_name=self.apikey
        )

    async def roll_out(self, *, cutoff: datetime, target: Target | None = None) -> list[str]:
        """As the operator does, until nothing is pending; answer what was annotated."""
        end, annotated, targets = time.monotonic() + PATIENCE, list[str](), [target] if target else []
        while True:
            view = await self.look(everything=bool(targets))
            for step in workloads_to_annotate(view, key_id=KEY_ID, cutoff=cutoff, targets=targets):
                await self.annotate(step)
                annotated.append(f"{step.kind}/{step.name}")
            pending = pending_workloads(view, key_id=KEY_ID, cutoff=cutoff, targets=targets)
            if not pending:
                return annotated
            assert time.monotonic() < end, f"still pending: {', '.join(map(str, pending))}"
            await asyncio.sleep(0.2)


@pytest.fixture
def consumers(client: Client, namespace: str) -> Consumers:
    return Consumers(client, namespace)


def manifest(kind: str, name: str, *, env: list[Any] = ENV, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of a spec
    labels = {"app": name}
    replicas = {} if kind == "DaemonSet" else {"replicas": 2}
    service = {"serviceName": name} if kind == "StatefulSet" else {}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1", "env": env}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **replicas, **service, **spec},
    }


def start(plane: Cluster, namespace: str, *manifests: dict[str, Any]) -> None:
    """Create workloads and wait until each has all its pods."""
    for each in manifests:
        plane.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(each))
    for each in manifests:
        path = f"{each['kind'].lower()}/{each['metadata']['name']}"
        if (each["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
            plane.kubectl("-n", namespace, "rollout", "status", path, "--timeout=60s")
        else:
            wait_until(lambda name=each["metadata"]["name"]: pod_names(plane, namespace, name) != set(), patience=PATIENCE, what=path)


def pod_names(plane: Cluster, namespace: str, app: str) -> set[str]:
    return set(plane.kubectl("-n", namespace, "get", "pods", "-l", f"app={app}", "-o", "jsonpath={.items[*].metadata.uid}").split())


def switched_now() -> datetime:
    return new_pod_cutoff(switch_time=utc_now(), settle=0 * SECOND)


async def test_every_kind_rolls_and_is_seen_to_be_done(plane: Cluster, namespace: str, consumers: Consumers) -> None:
    start(plane, namespace, manifest("Deployment", "web"), manifest("StatefulSet", "db"), manifest("DaemonSet", "agent"))
    start(plane, namespace, manifest("Deployment", "stranger", env=[]))
    before = {name: pod_names(plane, namespace, name) for name in ("web", "db", "agent", "stranger")}
    assert all(before.values())

    annotated = await consumers.roll_out(cutoff=switched_now())

    assert sorted(annotated) == ["DaemonSet/agent", "Deployment/web", "StatefulSet/db"]
    after = {name: pod_names(plane, namespace, name) for name in before}
    assert {name for name in before if before[name] & after[name]} == {"stranger"}


async def test_a_second_apikey_on_the_same_workload_keeps_its_annotation(plane: Cluster, namespace: str, consumers: Consumers) -> None:
    start(plane, namespace, manifest("Deployment", "web"))
    other = Consumers(consumers.client, namespace, apikey="mail")
    await consumers.roll_out(cutoff=switched_now())
    (web,) = (await other.look()).workloads or ()
    await other.annotate(Annotate(kind=web.kind, name=web.name, uid=web.uid, key_id="mailmailmail"))
    seen = [(await each.look()).workloads or () for each in (consumers, other)]
    assert [each.template_annotation for (each,) in seen] == [KEY_ID, "mailmailmail"]


async def test_annotating_again_starts_nothing(plane: Cluster, namespace: str, consumers: Consumers) -> None:
    start(plane, namespace, manifest("Deployment", "web"))
    (web,) = (await consumers.look()).workloads or ()
    step = Annotate(kind=web.kind, name=web.name, uid=web.uid, key_id=KEY_ID)
    await consumers.annotate(step)
    (once,) = (await consumers.look()).workloads or ()
    await consumers.annotate(step)
    (twice,) = (await consumers.look()).workloads or ()
    assert (once.generation, twice.generation) == (web.generation + 1, web.generation + 1)


async def test_a_workload_that_was_deleted_and_created_again_is_a_conflict(plane: Cluster, namespace: str, consumers: Consumers) -> None:
    start(plane, namespace, manifest("Deployment", "web"))
    (web,) = (await consumers.look()).workloads or ()
    plane.kubectl("-n", namespace, "delete", "deployment", "web", "--wait")
    step = Annotate(kind=web.kind, name=web.name, uid=web.uid, key_id=KEY_ID)
    with pytest.raises(NotFound):
        await consumers.annotate(step)
    start(plane, namespace, manifest("Deployment", "web"))
    with pytest.raises(Conflict):
        await consumers.annotate(step)
    assert [each.template_annotation for each in (await consumers.look()).workloads or ()] == [None]


async def test_on_delete_and_bare_pods_are_waited_for_until_a_person_deletes_them(
    plane: Cluster, namespace: str, consumers: Consumers
) -> None:
    start(plane, namespace, manifest("StatefulSet", "db", updateStrategy={"type": "OnDelete"}, replicas=1))
    lonely = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lonely"},
        "spec": manifest("Deployment", "x")["spec"]["template"]["spec"],
    }
    plane.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(lonely))
    cutoff = switched_now()
    for step in workloads_to_annotate(await consumers.look(), key_id=KEY_ID, cutoff=cutoff):
        await consumers.annotate(step)
    assert pending_workloads(await consumers.look(), key_id=KEY_ID, cutoff=cutoff) == (
        Pending("Pod", "lonely", PendingReason.BARE_POD),
        Pending("StatefulSet", "db", PendingReason.ON_DELETE),
    )
    plane.kubectl("-n", namespace, "delete", "pod", "lonely", "db-0", "--wait")
    assert await consumers.roll_out(cutoff=cutoff) == []


async def test_a_target_rolls_only_once_it_agrees(plane: Cluster, namespace: str, consumers: Consumers) -> None:
    start(plane, namespace, manifest("Deployment", "sidecar", env=[]))
    target, cutoff = Target("Deployment", "sidecar"), switched_now()
    view = await consumers.look(everything=True)
    assert workloads_to_annotate(view, key_id=KEY_ID, cutoff=cutoff, targets=[target]) == ()
    assert pending_workloads(view, key_id=KEY_ID, cutoff=cutoff, targets=[target]) == (
        Pending("Deployment", "sidecar", PendingReason.TARGET_NOT_ALLOWED),
    )
    plane.kubectl("-n", namespace, "annotate", "deployment", "sidecar", "keyturn.dev/rollout=allow")
    assert await consumers.roll_out(cutoff=cutoff, target=target) == ["Deployment/sidecar"]


async def test_another_namespace_is_never_seen(plane: Cluster, namespace: str, consumers: Consumers) -> None:
    plane.create_namespace(f"{namespace}-other")
    start(plane, f"{namespace}-other", manifest("Deployment", "web"))
    assert await consumers.look() == RolloutView((), ())


async def test_a_cluster_without_argo_rollouts_has_none(client: Client, namespace: str) -> None:
    assert await list_workloads(client, namespace, secret_name="billing", apikey_name="billing", has_rollouts=True) == ()
