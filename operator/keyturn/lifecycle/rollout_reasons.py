"""Why an owner still has old pods: the first reason that applies. Used by `rollout.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keyturn.api.workloads import PendingReason, Pod, Strategy, Workload

_REASON_BY_CONTROLLER: Final = {"Pod": PendingReason.BARE_POD, "Job": PendingReason.JOB, "ReplicaSet": PendingReason.REPLICA_SET}
_RESTARTABLE: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Rollout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Laggard:
    """A workload that still has old pods."""

    workload: Workload
    template: Workload
    """Whose pod template its pods come from: its own, but for an Argo Rollout with a workloadRef."""
    is_target: bool
    old: tuple[Pod, ...]
    fresh: tuple[Pod, ...]
    key_id: str

    @property
    def may_be_annotated(self) -> bool:
        """Whether the operator may restart it: it uses the Secret, or is a target that agrees."""
        return self.template.references or (self.is_target and self.workload.allows)

    @property
    def status_is_current(self) -> bool:
        """Whether its conditions speak of its present spec."""
        return self.workload.observed_generation >= self.workload.generation


def reason_of(laggard: Laggard) -> PendingReason:
    """Why it still has old pods."""
    return next((reason for reason, applies in _REASONS if applies(laggard)), PendingReason.PROGRESSING)


def reason_without_workload(kind: str, *, old: tuple[Pod, ...]) -> PendingReason:
    """The same for an owner of which only its kind is known."""
    if all_are_terminating(old):
        return PendingReason.OLD_PODS_TERMINATING
    if kind in _RESTARTABLE:
        return PendingReason.PROGRESSING
    return _REASON_BY_CONTROLLER.get(kind, PendingReason.UNKNOWN_CONTROLLER)


def all_are_terminating(pods: tuple[Pod, ...]) -> bool:
    """Whether nothing is left to be done but to wait for them."""
    return all(pod.deleting for pod in pods)


def _only_terminating_pods_are_left(laggard: Laggard) -> bool:
    return all_are_terminating(laggard.old)


def _is_a_target_that_does_not_agree(laggard: Laggard) -> bool:
    return laggard.is_target and not laggard.may_be_annotated


def _waits_for_deletions(laggard: Laggard) -> bool:
    return laggard.workload.strategy is Strategy.ON_DELETE


def _is_not_annotated(laggard: Laggard) -> bool:
    return laggard.may_be_annotated and laggard.template.template_annotation != laggard.key_id


def _is_paused(laggard: Laggard) -> bool:
    return laggard.workload.paused


def _is_held_by_its_partition(laggard: Laggard) -> bool:
    partition = laggard.workload.partition
    return partition > 0 and all(_ordinal(pod) < partition for pod in laggard.old if not pod.deleting)


def _cannot_create_pods(laggard: Laggard) -> bool:
    return laggard.status_is_current and laggard.workload.replica_failure


def _finds_no_node(laggard: Laggard) -> bool:
    return any(pod.unschedulable for pod in laggard.fresh)


def _ran_out_of_time(laggard: Laggard) -> bool:
    return laggard.status_is_current and laggard.workload.progress_deadline_exceeded


def _ordinal(pod: Pod) -> int:
    digits = pod.name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


_REASONS: Final[tuple[tuple[PendingReason, Callable[[Laggard], bool]], ...]] = (
    (PendingReason.OLD_PODS_TERMINATING, _only_terminating_pods_are_left),
    (PendingReason.TARGET_NOT_ALLOWED, _is_a_target_that_does_not_agree),
    (PendingReason.ON_DELETE, _waits_for_deletions),
    (PendingReason.NOT_STARTED, _is_not_annotated),
    (PendingReason.PAUSED, _is_paused),
    (PendingReason.PARTITION, _is_held_by_its_partition),
    (PendingReason.REPLICA_FAILURE, _cannot_create_pods),
    (PendingReason.UNSCHEDULABLE, _finds_no_node),
    (PendingReason.PROGRESS_DEADLINE_EXCEEDED, _ran_out_of_time),
)
