"""Which workloads must roll out after a switch of the credential Secret, and which are not done. Pure.

Before it: `cluster/workloads.py` looks at the namespace. After it: `overlap.py` plans the annotations and keeps the old key.

The evidence is the pods, never a workload's status: `kubectl rollout status` says done while old pods still terminate, and
they still answer. A pod is *new* if it carries the new key ID, or was created when no kubelet served the old value any more
(switch + settle). Every other pod that is not finished is *old*. A workload is done when none of its pods is old:

| workload | gets new pods by | done when | otherwise waits as |
|---|---|---|---|
| Deployment, RollingUpdate | the annotation | its old pods are gone, not only replaced | Progressing, OldPodsTerminating |
| Deployment, Recreate | the annotation; old pods go first | the same | OldPodsTerminating, Progressing |
| Deployment or Argo Rollout, paused | the annotation, once it is resumed | the same | Paused |
| Argo Rollout | the annotation (with workloadRef: on the Deployment) | old ReplicaSets are at 0 | Paused (at a step), Progressing |
| StatefulSet, DaemonSet, RollingUpdate | the annotation, one pod after the other | every pod is new | Progressing |
| StatefulSet with a partition | the annotation, from the partition upwards | every pod is new, also those below | Partition |
| StatefulSet, DaemonSet, OnDelete | the annotation, but only when a person deletes a pod | every pod is new | OnDelete |
| anything with 0 replicas | the next start | at once: no pod runs, and the next one reads the new Secret | |
| with minReadySeconds | the annotation | as above; it only takes longer | Progressing |
| new pods cannot start | | never, by itself | ReplicaFailure, Unschedulable, ProgressDeadlineExceeded |
| a target without `keyturn.dev/rollout: allow` | its owner | every pod is new | TargetNotAllowed |
| Job, CronJob | its end | its pod has finished | Job |
| bare pod, ReplicaSet, other controllers | its owner | the pod is gone | BarePod, ReplicaSet, UnknownController |

What never gets done keeps the old key until its overlap limit, and says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.api.workloads import Pending, PendingReason, Pod, RolloutView, Target, Workload, WorkloadKey
from keyturn.lifecycle.plan import Annotate
from keyturn.lifecycle.rollout_owners import running_consumers
from keyturn.lifecycle.rollout_progress import is_stalled, next_look_time, rollout_summary
from keyturn.lifecycle.rollout_reasons import Laggard, all_are_terminating, reason_of, reason_without_workload

__all__ = [
    "is_stalled",
    "new_pod_cutoff",
    "next_look_time",
    "participants",
    "pending_workloads",
    "pod_is_old",
    "rollout_summary",
    "targets_of",
    "workloads_to_annotate",
]


def targets_of(apikey: ApiKey) -> tuple[Target, ...]:
    """The workloads that an ApiKey names, beside those that are found by reference."""
    rollout = apikey.spec.rollout
    return tuple(Target(str(each.kind), each.name) for each in (rollout.targets if rollout else None) or ())


def new_pod_cutoff(*, switch_time: datetime, settle: timedelta) -> datetime:
    """From when on a pod's creation alone proves that it has the new key. Rounded up: creation times are cut to seconds."""
    exact = switch_time + settle
    return exact.replace(microsecond=0) + timedelta(seconds=1 if exact.microsecond else 0)


def pod_is_old(pod: Pod, *, key_id: str, cutoff: datetime) -> bool:
    """Whether the pod may still use a key from before the switch."""
    return not pod.finished and pod.annotation != key_id and pod.created < cutoff


def workloads_to_annotate(view: RolloutView, *, key_id: str, cutoff: datetime, targets: Collection[Target] = ()) -> tuple[Annotate, ...]:
    """The workloads to restart: not annotated yet, and running an old pod that nobody is replacing already.

    What runs decides, not the missing annotation: Git may take it off again long after the rollout, and that restarts nothing.
    """
    wanted = {
        laggard.template.key: laggard.template
        for laggard in _laggards(view, key_id=key_id, cutoff=cutoff, targets=targets)
        if laggard.may_be_annotated and laggard.template.template_annotation != key_id and not all_are_terminating(laggard.old)
    }
    return tuple(Annotate(kind=each.kind, name=each.name, uid=each.uid, key_id=key_id) for _, each in sorted(wanted.items()))


def pending_workloads(view: RolloutView, *, key_id: str, cutoff: datetime, targets: Collection[Target] = ()) -> tuple[Pending, ...]:
    """What still runs old pods, and why, sorted. Empty: nobody needs the old key for a pod's sake. Not cut to a length."""
    known = {each.key for each in view.workloads or ()}
    laggards = _laggards(view, key_id=key_id, cutoff=cutoff, targets=targets)
    pending = [Pending(each.workload.kind, each.workload.name, reason_of(each)) for each in laggards]
    for owner, pods in running_consumers(view, targets=targets).items():
        old = tuple(pod for pod in pods if pod_is_old(pod, key_id=key_id, cutoff=cutoff))
        if old and owner not in known:
            pending.append(Pending(*owner, reason_without_workload(owner[0], old=old)))
    if view.workloads is not None:
        told = known | {(each.kind, each.name) for each in pending}  # one that was deleted may leave old pods behind
        pending.extend(Pending(*target.key, PendingReason.TARGET_NOT_FOUND) for target in targets if target.key not in told)
    return tuple(sorted(set(pending)))


def participants(view: RolloutView, *, targets: Collection[Target] = ()) -> int:
    """How many take part: workloads that use the Secret or are targets, and whatever else runs pods that use it."""
    using = {each.key for each in view.workloads or () if each.references}
    return len(using | {target.key for target in targets} | set(running_consumers(view, targets=targets)))


def _laggards(view: RolloutView, *, key_id: str, cutoff: datetime, targets: Collection[Target]) -> Iterator[Laggard]:
    workloads = {each.key: each for each in view.workloads or ()}
    consumers = running_consumers(view, targets=targets)
    target_keys = {target.key for target in targets}
    for key, workload in workloads.items():
        pods = consumers.get(key, ())
        old = tuple(pod for pod in pods if pod_is_old(pod, key_id=key_id, cutoff=cutoff))
        if old:
            yield Laggard(
                workload=workload,
                template=_template_of(workload, among=workloads),
                is_target=key in target_keys,
                old=old,
                fresh=tuple(pod for pod in pods if pod not in old),
                key_id=key_id,
            )


def _template_of(workload: Workload, *, among: Mapping[WorkloadKey, Workload]) -> Workload:
    if workload.template_from is None:
        return workload
    return among.get(("Deployment", workload.template_from), workload)
