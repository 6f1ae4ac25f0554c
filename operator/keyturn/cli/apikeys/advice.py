"""What an ApiKey waits for and what a person can do: `view, Secret, consumers -> sentences`. Pure; for `keyturn describe`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.api.workloads import PendingReason
from keyturn.cli.apikeys.apikey_view import ApiKeyView
from keyturn.cli.apikeys.description import ConsumerView, SecretView
from keyturn.cli.apikeys.hindrances import told_deferral, unpause_line

_STEPS: Final[dict[str, str]] = {
    PendingReason.ON_DELETE: "{what} replaces pods only when they are deleted: kubectl -n {ns} delete pod, one of its pods after the other",
    PendingReason.PARTITION: "{what} keeps its old pods by its partition: lower spec.updateStrategy.rollingUpdate.partition",
    PendingReason.PAUSED: "{what} is paused: kubectl -n {ns} rollout resume {kind}/{name}",
    PendingReason.REPLICA_FAILURE: "{what} cannot create pods (quota, admission): kubectl -n {ns} describe {kind} {name}",
    PendingReason.UNSCHEDULABLE: "No node takes the new pods of {what}: kubectl -n {ns} get pods",
    PendingReason.PROGRESS_DEADLINE_EXCEEDED: "The new pods of {what} do not become ready: kubectl -n {ns} rollout status {kind}/{name}",
    PendingReason.TARGET_NOT_ALLOWED: "{what} must agree to be restarted: kubectl -n {ns} annotate {kind} {name} keyturn.dev/rollout=allow",
    PendingReason.TARGET_NOT_FOUND: "{what} in spec.rollout.targets does not exist: create it or remove the target",
    PendingReason.BARE_POD: "{what} has no controller that would start it again: delete it and create it anew",
    PendingReason.REPLICA_SET: "{what} does not replace pods: delete them, it starts new ones",
    PendingReason.UNKNOWN_CONTROLLER: "Keyturn cannot restart {what}: restart it yourself",
}
"""By why a consumer still has old pods. The others go on by themselves."""


def things_waited_for(key: ApiKeyView, consumers: Sequence[ConsumerView] | None) -> tuple[str, ...]:
    """What comes by itself, each once."""
    return tuple(dict.fromkeys(_waits(key, consumers or ())))


def next_steps(key: ApiKeyView, secret: SecretView | None, consumers: Sequence[ConsumerView] | None) -> tuple[str, ...]:
    """What a person can do now, most urgent first; empty: nothing."""
    return tuple(dict.fromkeys((*_steps_for_key(key), *_steps_for_secret(key, secret), *_steps_for_consumers(key, consumers or ()))))


def _waits(key: ApiKeyView, consumers: Sequence[ConsumerView]) -> Iterator[str]:
    if not key.has_status:
        yield "The operator's first look at this ApiKey"
    elif key.observed_generation < key.generation:
        yield "The operator has not acted on the last change of the spec yet"
    for type_, bad in (
        (ConditionType.RECONCILING, "True"),
        (ConditionType.PREVIOUS_VERSION_ACTIVE, "True"),
        (ConditionType.ROLLOUT_COMPLETE, "False"),
    ):
        condition = key.condition(type_)
        if condition is not None and condition.status == bad:
            yield f"{condition.message} ({condition.reason})"
    deferral = told_deferral(key)
    if deferral and not any(deferral in each.message for each in key.conditions if each.type != ConditionType.READY):
        yield deferral
    approved = key.condition(ConditionType.APPROVED)
    if approved is not None and approved.reason == Reason.PENDING_WIDENING:
        yield f"{approved.message} ({approved.reason})"
    moving = [f"{each.kind}/{each.name}" for each in consumers if each.done is False and each.reason not in _STEPS]
    if moving:
        yield f"New pods of {', '.join(moving)}"


def _steps_for_key(key: ApiKeyView) -> Iterator[str]:
    if key.is_paused:
        yield f"Keyturn does nothing while it is paused; to go on: {unpause_line(key)}"
    stalled = key.holds(ConditionType.STALLED)
    if stalled is not None:
        yield f"{stalled.message} ({stalled.reason})"
    approved = key.condition(ConditionType.APPROVED)
    if approved is not None and approved.status == "False" and stalled is None:
        yield f"{approved.message} ({approved.reason})"
    if key.disabled:
        yield f"The key is refused everywhere; to accept it again: keyturn enable {key.name} -n {key.namespace}"
    if not key.has_status:
        yield "If it stays so, see that the operator runs: kubectl get pods -A -l app.kubernetes.io/name=keyturn"


def _steps_for_secret(key: ApiKeyView, secret: SecretView | None) -> Iterator[str]:
    if secret is None or not key.active_version:
        return
    if not secret.present:
        yield f"Secret {secret.name} is missing; Keyturn makes a new key by itself. Find out who deletes it"
    elif secret.key_id and secret.key_id != key.key_id:
        yield f"Secret {secret.name} holds key ID {secret.key_id} and not {key.key_id}; if that lasts, see the operator's log"


def _steps_for_consumers(key: ApiKeyView, consumers: Sequence[ConsumerView]) -> Iterator[str]:
    for each in consumers:
        step = _STEPS.get(each.reason) if each.done is False else None
        if step is not None:
            yield step.format(what=f"{each.kind}/{each.name}", kind=each.kind.lower(), name=each.name, ns=key.namespace)
    previous = key.condition(ConditionType.PREVIOUS_VERSION_ACTIVE)
    if previous is not None and previous.reason == Reason.OLD_KEY_IN_USE:
        yield "Somebody uses the old key: find who does not read the Secret, before its limit ends it"
    rollout = key.condition(ConditionType.ROLLOUT_COMPLETE)
    if rollout is not None and rollout.reason == Reason.ROLLOUT_STALLED:
        yield "The rollout is stalled: the old key stays valid until its limit, then whatever still uses it is refused"
