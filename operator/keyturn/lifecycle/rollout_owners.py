"""Whose pods these are. Used by `rollout.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final

from keyturn.api.workloads import Pod, RolloutView, Target, Workload, WorkloadKey

_KIND_BY_HASH_LABEL: Final = {"pod-template-hash": "Deployment", "rollouts-pod-template-hash": "Rollout"}
_OWNERS_OF_REPLICA_SETS: Final = frozenset(_KIND_BY_HASH_LABEL.values())


def owner_of(pod: Pod, *, workloads: Collection[Workload] | None) -> WorkloadKey:
    """The workload a pod belongs to; its controller, or the pod itself, where there is none. `workloads` None: not known.

    A ReplicaSet is named after its Deployment and the hash that its pods carry as a label. The name comes before the
    selector: selectors may overlap (`app=web` beside `app=web,track=canary`), names cannot.
    """
    if pod.controller_kind is None or pod.controller_name is None:
        return ("Pod", pod.name)
    if pod.controller_kind != "ReplicaSet":
        return (pod.controller_kind, pod.controller_name)
    named = _owner_by_name(pod, replica_set=pod.controller_name)
    if named is not None and (workloads is None or any(each.key == named for each in workloads)):
        return named
    return _owner_by_selector(pod, workloads=workloads or ()) or ("ReplicaSet", pod.controller_name)


def running_consumers(view: RolloutView, *, targets: Collection[Target]) -> Mapping[WorkloadKey, tuple[Pod, ...]]:
    """The pods that may use the key, by owner: those that use the Secret, and all of an explicit target's."""
    target_keys = {target.key for target in targets}
    found: defaultdict[WorkloadKey, list[Pod]] = defaultdict(list)
    for pod in view.pods:
        if pod.finished:
            continue
        owner = owner_of(pod, workloads=view.workloads)
        if pod.references or owner in target_keys:
            found[owner].append(pod)
    return {owner: tuple(pods) for owner, pods in found.items()}


def _owner_by_name(pod: Pod, *, replica_set: str) -> WorkloadKey | None:
    for label, value in pod.labels:
        kind = _KIND_BY_HASH_LABEL.get(label)
        if kind is not None and replica_set.endswith(f"-{value}"):
            return (kind, replica_set.removesuffix(f"-{value}"))
    return None


def _owner_by_selector(pod: Pod, *, workloads: Collection[Workload]) -> WorkloadKey | None:
    """For a ReplicaSet that was adopted: its name says nothing about its Deployment."""
    labels = dict(pod.labels)
    return next((each.key for each in workloads if each.kind in _OWNERS_OF_REPLICA_SETS and each.selector.matches(labels)), None)
