"""Workloads and pods for tests: what a namespace looks like some time after a switch from OLD_KEY to NEW_KEY.

view = view_of(deployment("web"), old_pod(of="Deployment/web"), new_pod(of="Deployment/web"))
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from keyturn.api.workloads import Pod, RolloutView, Selector, Workload
from keyturn.base.clock import HOUR, MINUTE

OLD_KEY = "oldoldoldold"
NEW_KEY = "newnewnewnew"
CUTOFF = datetime(2026, 11, 24, 6, 0, 15, tzinfo=UTC)
_HASH = "5d4f8c7b9"
_HASH_LABEL = {"Deployment": "pod-template-hash", "Rollout": "rollouts-pod-template-hash"}


def workload(kind: str = "Deployment", name: str = "web", **changes: Any) -> Workload:  # noqa: ANN401 - any field of Workload
    """One that uses the Secret and was not restarted yet."""
    usual = Workload(kind=kind, name=name, uid=f"uid-{kind}-{name}", references=True, selector=Selector((("app", name),)))
    return replace(usual, **changes)


def restarted(kind: str = "Deployment", name: str = "web", **changes: Any) -> Workload:  # noqa: ANN401 - any field of Workload
    """One whose pod template was annotated already."""
    return workload(kind, name, template_annotation=NEW_KEY, **changes)


def old_pod(name: str = "", *, of: str = "Deployment/web", **changes: Any) -> Pod:  # noqa: ANN401 - any field of Pod
    """A running pod that uses the Secret and started before the switch. `of`: its owner; empty for a bare pod."""
    kind, _, owner = of.partition("/")
    label = _HASH_LABEL.get(kind)
    pod = Pod(
        name=name or f"{owner or 'bare'}-0",
        uid=f"uid-{kind}-{owner}-{name}",
        created=CUTOFF - HOUR,
        references=True,
        labels=(("app", owner), *(((label, _HASH),) if label else ())),
        controller_kind="ReplicaSet" if label else kind or None,
        controller_name=f"{owner}-{_HASH}" if label else owner or None,
    )
    return replace(pod, **changes)


def new_pod(name: str = "", *, of: str = "Deployment/web", **changes: Any) -> Pod:  # noqa: ANN401 - any field of Pod
    """A running pod that was restarted for the new key."""
    return replace(old_pod(name, of=of, created=CUTOFF + MINUTE, annotation=NEW_KEY), **changes)


def view_of(*things: Workload | Pod) -> RolloutView:
    """A namespace with exactly these."""
    return RolloutView(
        tuple(each for each in things if isinstance(each, Workload)), tuple(each for each in things if isinstance(each, Pod))
    )
