"""What `keyturn describe` knows of one ApiKey, put together from many objects. Pure; `describe_sources.py` reads the objects.

Before it: the sources. After it: `description_text.py` for people, `description_json.py` for scripts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keyturn.api.workloads import RolloutView, Target
from keyturn.base.version_state import VersionState
from keyturn.cli.apikeys.apikey_view import ApiKeyView
from keyturn.lifecycle.rollout import pending_workloads
from keyturn.lifecycle.rollout_owners import running_consumers


@dataclass(frozen=True, slots=True)
class SecretView:
    """The credential Secret's metadata. Its data is never asked for."""

    name: str
    present: bool
    type: str = ""
    key_id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class ConsumerView:
    """Something that uses the Secret. `done`: all its pods have the active version; None: nothing is rolled out now."""

    kind: str
    name: str
    pods: int
    done: bool | None
    reason: str = ""
    """Why it is not done: a word of PendingReason."""


@dataclass(frozen=True, slots=True)
class EventView:
    """A Kubernetes Event about the ApiKey."""

    last_seen: datetime | None
    type: str
    reason: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read. None: could not be, and `not_seen` says why."""

    key: ApiKeyView
    secret: SecretView | None
    consumers: RolloutView | None
    events: tuple[EventView, ...] | None
    not_seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """The whole answer."""

    key: ApiKeyView
    secret: SecretView | None
    consumers: tuple[ConsumerView, ...] | None
    events: tuple[EventView, ...] | None
    waits_for: tuple[str, ...]
    next_steps: tuple[str, ...]
    not_seen: tuple[str, ...]


def consumers_of(key: ApiKeyView, view: RolloutView) -> tuple[ConsumerView, ...]:
    """Who uses the Secret, workloads first and each once, with how far the rollout of the active version is with it."""
    targets = [Target(*target) for target in key.targets]
    running = running_consumers(view, targets=targets)
    named = {each.key for each in view.workloads or () if each.references} | {target.key for target in targets}
    waiting = _pending(key, view, targets)
    return tuple(
        ConsumerView(
            kind=owner[0],
            name=owner[1],
            pods=sum(1 for pod in running.get(owner, ()) if not pod.finished),
            done=None if waiting is None else owner not in waiting,
            reason=(waiting or {}).get(owner, ""),
        )
        for owner in sorted(named | set(running) | set(waiting or ()))
    )


def _pending(key: ApiKeyView, view: RolloutView, targets: list[Target]) -> dict[tuple[str, str], str] | None:
    """Who is not done, with the reason.

    None outside an overlap, when nobody has to move, and until the status says from when on a pod's start proves that it has the new key:
    how long the operator waits after a switch is a setting of its own.
    """
    active, retiring = key.in_state(VersionState.ACTIVE), key.in_state(VersionState.RETIRING)
    if not active or not retiring or key.rollout_start is None or key.rollout_key_id != active[-1].key_id:
        return None
    pending = pending_workloads(view, key_id=active[-1].key_id, cutoff=key.rollout_start, targets=targets)
    return {(each.kind, each.name): each.reason.value for each in pending}
