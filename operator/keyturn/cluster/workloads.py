"""Reads the workloads and pods of a namespace as one ApiKey sees them, and writes the one annotation that restarts a workload.

`lifecycle/rollout.py` decides by what is read here. Whole objects do not leave this module: a namespace may hold
thousands of pods of 10 kB each, of which a few words matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar, cast

from keyturn.api.workloads import Operator, Pod, Requirement, Selector, Strategy, Workload
from keyturn.base.clock import parse_time
from keyturn.base.errors import Conflict
from keyturn.base.names import ROLLOUT_ALLOW_ANNOTATION, ROLLOUT_ANNOTATION_PREFIX
from keyturn.cluster.api_errors import Invalid, NotFound
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.discovery import serves

Raw = dict[str, Any]
Decoded = TypeVar("Decoded")

_ALLOW: Final = "allow"
_FROM_WATCH_CACHE: Final = {"resourceVersion": "0"}
"""Any version will do. A consistent LIST right after a write waits about 100 ms for the watch cache."""
_COLLECTIONS: Final = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Rollout": "/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts",
}
_KNOWN_GROUPS: Final = frozenset({"v1", "apps", "batch", "argoproj.io"})
_CONTAINER_LISTS: Final = ("containers", "initContainers", "ephemeralContainers")
_UID_FIELD: Final = "metadata.uid"
_KIND_LIMIT: Final = 63
"""Of `status.rollout.pending[].kind`."""


async def serves_rollouts(client: Client) -> bool:
    """Whether Argo Rollouts are there: who may not list them gets a refusal also where they do not exist. Raises RetryLater."""
    return await serves(client, "argoproj.io/v1alpha1", "rollouts")


async def list_workloads(
    client: Client, namespace: str, *, secret_name: str, apikey_name: str, has_rollouts: bool = False, consistent: bool = False
) -> tuple[Workload, ...]:
    """All workloads of a namespace, in one request a kind; `consistent`: none older than now. Raises as `Client.request` does."""

    async def of_kind(kind: str) -> list[Workload]:
        def decode(raw: Raw) -> Workload:
            return decode_workload(raw, kind, secret_name=secret_name, apikey_name=apikey_name)

        try:
            return await _list(client, _COLLECTIONS[kind].format(namespace), decode=decode, consistent=consistent)
        except NotFound:
            if kind == "Rollout":
                return []  # its CRD went away since discovery
            raise

    kinds = [kind for kind in _COLLECTIONS if has_rollouts or kind != "Rollout"]
    return tuple(workload for found in await asyncio.gather(*map(of_kind, kinds)) for workload in found)


async def list_pods(
    client: Client, namespace: str, *, secret_name: str, apikey_name: str, everything: bool = False, consistent: bool = False
) -> tuple[Pod, ...]:
    """The pods of a namespace that use the Secret; `everything`: the others too, for explicit targets. Raises as `Client.request`."""

    def decode(raw: Raw) -> Pod | None:
        pod = decode_pod(raw, secret_name=secret_name, apikey_name=apikey_name)
        return pod if everything or pod.references else None

    found = await _list(client, f"/api/v1/namespaces/{namespace}/pods", decode=decode, consistent=consistent)
    return tuple(pod for pod in found if pod is not None)


async def annotate_workload(client: Client, namespace: str, *, kind: str, name: str, uid: str, key_id: str, apikey_name: str) -> None:
    """Make a workload roll out. Raises Conflict if it is another one of the same name by now, NotFound, Forbidden (the fence).

    A merge patch and not an apply: several ApiKeys may share a workload, and an apply would take the other's annotation off.
    To a merge patch with another uid the API server does not answer 409 but 422, metadata.uid is immutable.
    """
    annotations = {ROLLOUT_ANNOTATION_PREFIX + apikey_name: key_id}
    body = {"metadata": {"uid": uid}, "spec": {"template": {"metadata": {"annotations": annotations}}}}
    try:
        await client.patch_merge(f"{_COLLECTIONS[kind].format(namespace)}/{name}", body, accept=METADATA_ONLY)
    except Invalid as refused:
        if _UID_FIELD in refused.fields:
            raise Conflict(f"{kind} {namespace}/{name} is another one by now") from refused
        raise


def decode_workload(raw: Raw, kind: str, *, secret_name: str, apikey_name: str) -> Workload:
    """What matters of a Deployment, StatefulSet, DaemonSet or Argo Rollout. `kind` is given: items of a list do not carry one."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    template = spec.get("template") or {}
    strategy = spec.get("updateStrategy") or spec.get("strategy") or {}
    conditions = {(each.get("type"), each.get("status"), each.get("reason")) for each in status.get("conditions") or ()}
    return Workload(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        references=uses_secret(template.get("spec") or {}, secret_name=secret_name),
        allows=_annotation(metadata, ROLLOUT_ALLOW_ANNOTATION) == _ALLOW,
        template_annotation=_annotation(template.get("metadata") or {}, ROLLOUT_ANNOTATION_PREFIX + apikey_name),
        template_from=_deployment_behind(spec),
        selector=_selector(spec.get("selector") or {}),
        generation=int(metadata.get("generation") or 0),
        observed_generation=int(status.get("observedGeneration") or 0),  # Argo Rollouts write it as a string
        strategy=Strategy(strategy["type"]) if strategy.get("type") in set(Strategy) else Strategy.ROLLING_UPDATE,
        partition=int((strategy.get("rollingUpdate") or {}).get("partition") or 0),
        paused=bool(spec.get("paused")) or (kind == "Rollout" and status.get("phase") == "Paused"),
        progress_deadline_exceeded=("Progressing", "False", "ProgressDeadlineExceeded") in conditions or status.get("phase") == "Degraded",
        replica_failure=any(condition[:2] == ("ReplicaFailure", "True") for condition in conditions),
    )


def decode_pod(raw: Raw, *, secret_name: str, apikey_name: str) -> Pod:
    """What matters of a pod."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    controller = next((each for each in metadata.get("ownerReferences") or () if each.get("controller")), None)
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=parse_time(metadata["creationTimestamp"]),
        references=uses_secret(raw["spec"], secret_name=secret_name),
        annotation=_annotation(metadata, ROLLOUT_ANNOTATION_PREFIX + apikey_name),
        labels=tuple((metadata.get("labels") or {}).items()),
        finished=status.get("phase") in ("Succeeded", "Failed"),
        deleting=metadata.get("deletionTimestamp") is not None,
        unschedulable=any(
            each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable" for each in status.get("conditions") or ()
        ),
        controller_kind=_kind_with_group(controller) if controller else None,
        controller_name=controller["name"] if controller else None,
    )


def uses_secret(pod_spec: Raw, *, secret_name: str) -> bool:
    """Whether a container can read the Secret: env, envFrom, a volume. imagePullSecrets are the kubelet's, not the container's."""
    return secret_name in _secrets_of_containers(pod_spec) or secret_name in _secrets_of_volumes(pod_spec)


def _secrets_of_containers(pod_spec: Raw) -> Iterator[str | None]:
    for container in (each for field in _CONTAINER_LISTS for each in pod_spec.get(field) or ()):
        for variable in container.get("env") or ():
            yield ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
        for source in container.get("envFrom") or ():
            yield (source.get("secretRef") or {}).get("name")


def _secrets_of_volumes(pod_spec: Raw) -> Iterator[str | None]:
    for volume in pod_spec.get("volumes") or ():
        yield (volume.get("secret") or {}).get("secretName")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield (source.get("secret") or {}).get("name")


async def _list(client: Client, path: str, *, decode: Callable[[Raw], Decoded], consistent: bool) -> list[Decoded]:
    answer = await client.request("GET", path, query=None if consistent else _FROM_WATCH_CACHE)
    return list(_drain(cast("list[Raw]", answer.pop("items", None) or []), decode=decode))


def _drain(items: list[Raw], *, decode: Callable[[Raw], Decoded]) -> Iterable[Decoded]:
    """Decode item by item, letting go of each raw one: never both lists in full at once."""
    items.reverse()
    while items:
        yield decode(items.pop())


def _annotation(metadata: Raw, key: str) -> str | None:
    return (metadata.get("annotations") or {}).get(key)


def _deployment_behind(spec: Raw) -> str | None:
    """The Deployment whose template an Argo Rollout uses, https://argo-rollouts.readthedocs.io/en/stable/migrating/."""
    reference = spec.get("workloadRef") or {}
    return reference.get("name") if reference.get("kind") == "Deployment" else None


def _selector(raw: Raw) -> Selector:
    return Selector(
        match_labels=tuple((raw.get("matchLabels") or {}).items()),
        match_expressions=tuple(
            Requirement(each["key"], Operator(each["operator"]), tuple(each.get("values") or ()))
            for each in raw.get("matchExpressions") or ()
        ),
    )


def _kind_with_group(controller: Raw) -> str:
    """Another group's StatefulSet must not be taken for ours: it is named as kubectl would, `StatefulSet.apps.kruise.io`."""
    group = controller["apiVersion"].partition("/")[0]
    kind = controller["kind"] if group in _KNOWN_GROUPS else f"{controller['kind']}.{group}"
    return cast("str", kind)[:_KIND_LIMIT]
