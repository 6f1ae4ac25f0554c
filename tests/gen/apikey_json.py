"""ApiKeys as the API server stores them, for what reads its JSON. Defaults are a steady key; say only what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keyturn.base.clock import format_time

NOW: Final = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
Json = dict[str, Any]


def at(**offset: float) -> str:
    """The instant that lies so long after NOW, or before it."""
    return format_time(NOW + timedelta(**offset))


def condition(type_: str, status: str, reason: str, message: str = "") -> Json:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(hours=-3)}


def version(number: int, key_id: str, state: str, **fields: Any) -> Json:  # noqa: ANN401 - any field of a version
    return {"number": number, "keyID": key_id, "state": state, "stagedTime": at(hours=-3), "activeTime": at(hours=-3), **fields}


def steady(**changes: Any) -> Json:  # noqa: ANN401 - any field of a status
    """The status of a key in its second version, alone."""
    status: Json = {
        "observedGeneration": 1,
        "activeVersion": 2,
        "keyID": "Qm8sT2fLx0Za",
        "versions": [version(2, "Qm8sT2fLx0Za", "Active")],
        "nextRotationTime": at(days=12, minutes=1),
        "effective": {"rotationInterval": "720h", "gracePeriod": "24h", "overlapLimit": "168h"},
        "conditions": [condition("Ready", "True", "Issued", "Version 2 is in force")],
    }
    return status | changes


def overlapping(**changes: Any) -> Json:  # noqa: ANN401 - any field of a status
    """The status of a key whose first version is still accepted."""
    first = version(1, "a1B2c3D4e5F6", "Retiring", activeTime=at(days=-30), stagedTime=at(days=-30), notAfter=at(days=6))
    previous = condition("PreviousVersionActive", "True", "PreviousVersionRetiring", "Version 1 is still accepted")
    base = steady()
    rollout = {"keyID": base["keyID"], "startTime": at(hours=-3, seconds=15)}
    both = {"versions": [first, *base["versions"]], "conditions": [*base["conditions"], previous]}
    return base | both | {"rollout": rollout} | changes


def stalled(reason: str = "SecretConflict", message: str = "Secret billing is not Keyturn's. Remove it") -> Json:
    """The status of a key that never came to be."""
    return {
        "observedGeneration": 1,
        "conditions": [condition("Ready", "False", reason, message), condition("Stalled", "True", reason, message)],
    }


def apikey(name: str = "billing", *, spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:  # noqa: ANN401 - any of metadata
    """The whole object."""
    meta = {"name": name, "namespace": "team-a", "uid": f"uid-{name}", "generation": 1, "creationTimestamp": at(days=-3, hours=-4)}
    whole = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": meta | metadata, "spec": spec or {}}
    return whole | ({"status": status} if status is not None else {})
