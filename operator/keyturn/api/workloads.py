"""What a rollout may know of the workloads and pods in a namespace: compact, frozen, seen by one ApiKey.

`cluster/workloads.py` makes these from the API server's answers; `lifecycle/rollout.py` decides by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

WorkloadKey = tuple[str, str]
"""(kind, name), within one namespace."""


class Strategy(StrEnum):
    """How a workload replaces its pods. Argo Rollouts' canary and blueGreen count as RollingUpdate."""

    ROLLING_UPDATE = "RollingUpdate"
    RECREATE = "Recreate"
    ON_DELETE = "OnDelete"


class Operator(StrEnum):
    """The four words of a label selector's matchExpressions."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a selector's matchExpressions."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it. A missing label satisfies NotIn, as it does in Kubernetes."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """A workload's label selector. One that asks for nothing selects nothing: no workload owns a whole namespace."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod with these labels is selected."""
        if not self.match_labels and not self.match_expressions:
            return False
        return all(labels.get(key) == value for key, value in self.match_labels) and all(
            each.matches(labels) for each in self.match_expressions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment, StatefulSet, DaemonSet or Argo Rollout, as one ApiKey sees it."""

    kind: str
    name: str
    uid: str
    references: bool
    """Its pod template uses the credential Secret."""
    allows: bool = False
    """It carries `keyturn.dev/rollout: allow`, so an ApiKey may name it as a target."""
    template_annotation: str | None = None
    """The value of this ApiKey's annotation on the pod template: a key ID."""
    template_from: str | None = None
    """The Deployment that an Argo Rollout takes its pod template from (`spec.workloadRef`)."""
    selector: Selector = Selector()
    generation: int = 1
    observed_generation: int = 1
    """Up to which generation its status speaks of its spec."""
    strategy: Strategy = Strategy.ROLLING_UPDATE
    partition: int = 0
    """A StatefulSet updates only pods with this ordinal or a higher one."""
    paused: bool = False
    progress_deadline_exceeded: bool = False
    replica_failure: bool = False
    """Its pods cannot even be created: quota, admission."""

    @property
    def key(self) -> WorkloadKey:
        """What tells it from the others in its namespace."""
        return (self.kind, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod, as one ApiKey sees it."""

    name: str
    uid: str
    created: datetime
    """Whole seconds, as the API server writes them: cut off, so the pod is up to a second younger than it says."""
    references: bool
    """It uses the credential Secret."""
    annotation: str | None = None
    """The value of this ApiKey's annotation: a key ID."""
    labels: tuple[tuple[str, str], ...] = ()
    finished: bool = False
    """Succeeded or Failed: nothing of it runs any more."""
    deleting: bool = False
    """On its way out; until it is gone it still answers with the key it has."""
    unschedulable: bool = False
    controller_kind: str | None = None
    """Of a group that is none of Kubernetes' or Argo's own: `CloneSet.apps.kruise.io`. None: a bare pod."""
    controller_name: str | None = None


@dataclass(frozen=True, slots=True)
class RolloutView:
    """One look at a namespace. `workloads` is None where only the pods were looked at."""

    workloads: tuple[Workload, ...] | None
    pods: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A workload that `spec.rollout.targets` names."""

    kind: str
    name: str

    @property
    def key(self) -> WorkloadKey:
        """The same as the workload's own."""
        return (self.kind, self.name)


class PendingReason(StrEnum):
    """Why old pods remain. Renaming one breaks users: it stands in `status.rollout.pending`."""

    PROGRESSING = "Progressing"
    """It is replacing its pods."""
    OLD_PODS_TERMINATING = "OldPodsTerminating"
    """Every old pod is shutting down; until it is gone it may still use the old key."""
    NOT_STARTED = "NotStarted"
    """Its pod template has not been annotated yet."""
    ON_DELETE = "OnDelete"
    """Its update strategy is OnDelete: delete its old pods."""
    PARTITION = "Partition"
    """All old pods are below the StatefulSet's partition: lower the partition, or delete them."""
    PAUSED = "Paused"
    """It is paused: resume it, or promote the Argo Rollout."""
    REPLICA_FAILURE = "ReplicaFailure"
    """New pods cannot be created: look at its ReplicaFailure condition (quota, admission)."""
    UNSCHEDULABLE = "Unschedulable"
    """No node takes its new pods."""
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    """Its new pods do not become ready: look at them, see `kubectl rollout status`."""
    TARGET_NOT_ALLOWED = "TargetNotAllowed"
    """It is a target without the annotation `keyturn.dev/rollout: allow`: add it, or restart the workload yourself."""
    TARGET_NOT_FOUND = "TargetNotFound"
    """No workload of this kind and name exists: correct `spec.rollout.targets`."""
    BARE_POD = "BarePod"
    """A pod without a controller: nobody would start it again, so delete and create it yourself."""
    JOB = "Job"
    """A Job cannot be restarted: it is waited for."""
    REPLICA_SET = "ReplicaSet"
    """A ReplicaSet without a Deployment does not replace pods: delete them, it starts new ones."""
    UNKNOWN_CONTROLLER = "UnknownController"
    """Something else runs the pods: restart it."""


@dataclass(frozen=True, slots=True, order=True)
class Pending:
    """Something that still runs pods from before the switch."""

    kind: str
    name: str
    reason: PendingReason

    def __str__(self) -> str:
        return f"{self.kind}/{self.name} ({self.reason})"
