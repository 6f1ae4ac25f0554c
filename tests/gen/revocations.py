"""ApiKeyRevocations for tests: of the ApiKey that `gen.lifecycle` builds, created a second ago, unless said otherwise.

seen = observed(record(active(1)), ours(1), revocations=(hit(key_ids=["key1"]),))
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gen.lifecycle import KEY, NOW, SECOND
from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.keys.record import Record
from keyturn.lifecycle.revocation_hit import RevocationHit, hit_on

THIS: Mapping[str, object] = {"apiKeyRef": {"namespace": KEY.namespace, "name": KEY.name}}


def revocation(
    spec: Mapping[str, object] = THIS, *, created: datetime = NOW - SECOND, name: str = "leak", status: object = None
) -> ApiKeyRevocation:
    """One as the API server has it. `spec`: fields as on the wire; the reason is Leaked."""
    metadata = {"name": name, "uid": f"{name}-uid", "generation": 1, "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return ApiKeyRevocation.model_validate({"metadata": metadata, "spec": {"reason": "Leaked", **spec}, "status": status})


def hits(ledger: Record, *revocations: ApiKeyRevocation) -> tuple[RevocationHit, ...]:
    """What the operator finds of them for a record."""
    found = (hit_on(each, ledger) for each in revocations)
    return tuple(hit for hit in found if hit is not None)
