"""Events: sentences for people who run `kubectl describe`. One for each thing that happened, however often it is posted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final, NamedTuple

from keyturn.cluster.api_errors import AlreadyExists, NotFound
from keyturn.cluster.client import Client

REPORTER: Final = "keyturn.dev/operator"
MESSAGE_LIMIT: Final = 1024
_NAME_LIMIT: Final = 253
_SUFFIX_LENGTH: Final = 16


class Regarding(NamedTuple):
    """The object an Event is about. `namespace` is empty for cluster-scoped ones; their Events stand in `default`."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


def event_manifest(
    *,
    regarding: Regarding | tuple[str, str, str, str, str],
    type: str,  # noqa: A002  the field's name in the API: Normal or Warning
    reason: str,
    message: str,
    action: str,
    name_seed: str,
    now: datetime,
    instance: str = "operator",
) -> dict[str, object]:
    """An events.k8s.io/v1 Event. Its name comes from `name_seed`: the same seed is the same Event, so a repeat is harmless.

    `reason` and `action` are CamelCase words (at most 128); `message` is cut at 1024, the API's limit; `instance` names the process.
    """
    about = Regarding(*regarding)
    digest = hashlib.sha256(name_seed.encode()).hexdigest()[:_SUFFIX_LENGTH]
    name = f"{about.name[: _NAME_LIMIT - _SUFFIX_LENGTH - 1].rstrip('-.')}.{digest}"
    namespace = about.namespace or "default"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "regarding": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "name": about.name,
            "uid": about.uid,
            **({"namespace": about.namespace} if about.namespace else {}),
        },
        "type": type,
        "reason": reason,
        "note": message if len(message.encode()) <= MESSAGE_LIMIT else message.encode()[: MESSAGE_LIMIT - 3].decode(errors="ignore") + "…",
        "action": action,
        "reportingController": REPORTER,
        "reportingInstance": instance[:128],
    }


async def post_event(
    client: Client,
    *,
    regarding: Regarding | tuple[str, str, str, str, str],
    type: str,  # noqa: A002  the field's name in the API: Normal or Warning
    reason: str,
    message: str,
    action: str,
    name_seed: str,
    now: datetime,
) -> bool:
    """Create the Event; False if it was there already, or if its namespace is gone. Raises RetryLater (Forbidden, too) and Invalid."""
    manifest = event_manifest(regarding=regarding, type=type, reason=reason, message=message, action=action, name_seed=name_seed, now=now)
    try:
        await client.post(f"/apis/events.k8s.io/v1/namespaces/{Regarding(*regarding).namespace or 'default'}/events", manifest)
    except (AlreadyExists, NotFound):
        return False
    return True
