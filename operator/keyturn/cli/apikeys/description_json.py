"""A Description for scripts. Every field is always there; what is not known is null. Fields are only ever added. Pure."""

from __future__ import annotations

from datetime import datetime

from keyturn.base.clock import format_time
from keyturn.cli.apikeys.apikey_view import ApiKeyView, ApprovedView, ConditionView, VersionView
from keyturn.cli.apikeys.description import Description

Json = dict[str, object]


def description_json(description: Description) -> Json:
    """The fixed form of `keyturn describe -o json`."""
    key, secret = description.key, description.secret
    return {
        "apiVersion": "cli.keyturn.dev/v1",
        "kind": "ApiKeyDescription",
        "namespace": key.namespace,
        "name": key.name,
        "uid": key.uid,
        "creationTime": _time(key.created),
        **_asked(key),
        "activeVersion": key.active_version or None,
        "keyID": key.key_id or None,
        "nextRotationTime": _time(key.next_rotation_time),
        "lastRotationTime": _time(key.last_rotation_time),
        "lastUsedTime": _time(key.last_used_time),
        "delivery": key.delivery,
        "secret": {
            "name": key.secret_name or None,
            "present": None if secret is None else secret.present,
            "keyID": (secret.key_id or None) if secret else None,
        },
        "versions": [_version(each) for each in key.versions],
        "consumers": None
        if description.consumers is None
        else [
            {"kind": each.kind, "name": each.name, "pods": each.pods, "done": each.done, "reason": each.reason or None}
            for each in description.consumers
        ],
        "conditions": [_condition(each) for each in key.conditions],
        "waitsFor": list(description.waits_for),
        "nextSteps": list(description.next_steps),
        "events": None
        if description.events is None
        else [
            {"lastSeenTime": _time(each.last_seen), "type": each.type, "reason": each.reason, "message": each.message, "count": each.count}
            for each in description.events
        ],
        "notSeen": list(description.not_seen),
    }


def _asked(key: ApiKeyView) -> Json:
    return {
        "product": key.product or None,
        "productNamespace": key.product_namespace or None,
        "plan": key.plan or None,
        "scopes": list(key.scopes),
        "askedPlan": key.asked_plan or None,
        "askedScopes": list(key.asked_scopes) if key.asked_scopes is not None else None,
        "approved": _approved(key.approved),
        "rotation": dict(key.rotation),
        "effective": dict(key.effective),
        "limits": {"requestsPerSecond": key.limits[0], "burst": key.limits[1]} if key.limits else None,
        "expirationTime": _time(key.expiration_time),
        "disabled": key.disabled,
        "paused": key.is_paused,
    }


def _approved(approved: ApprovedView | None) -> Json | None:
    if approved is None:
        return None
    return {"plan": approved.plan, "scopes": list(approved.scopes), "by": approved.by, "time": _time(approved.time)}


def _version(each: VersionView) -> Json:
    return {
        "number": each.number,
        "keyID": each.key_id,
        "state": each.state,
        "stagedTime": _time(each.staged_time),
        "activeTime": _time(each.active_time),
        "notAfter": _time(each.not_after),
        "endTime": _time(each.end_time),
        "endReason": each.end_reason or None,
    }


def _condition(each: ConditionView) -> Json:
    return {
        "type": each.type,
        "status": each.status,
        "reason": each.reason,
        "message": each.message,
        "lastTransitionTime": _time(each.last_transition_time),
    }


def _time(instant: datetime | None) -> str | None:
    return format_time(instant) if instant is not None else None
