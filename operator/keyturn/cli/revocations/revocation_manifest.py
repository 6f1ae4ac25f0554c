"""ApiKeyRevocations from the options of `keyturn revoke`, checked by the same model that the operator reads them with. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from pydantic import ValidationError

from keyturn.api.rules import explain_invalid
from keyturn.api.v1alpha1.apikeyrevocation import REQUESTER_LENGTH, ApiKeyRevocation
from keyturn.cluster.raw import mapping_of

NAME_LENGTH: Final = 63
MARK_LENGTH: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which keys, as the person said it: names of a namespace, or key IDs, or all that fits the rest."""

    names: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()
    namespace: str = ""
    product: str = ""
    minted_before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Why and how."""

    reason: str
    mode: str = "Immediate"
    replace_within: str = ""
    note: str = ""


def revocation_manifests(target: Target, order: Order, *, now: datetime) -> list[dict[str, object]]:
    """The objects to POST: one for each name, otherwise one. Their names tell reason, target and time."""
    how = {
        "mode": order.mode,
        "replaceWithin": order.replace_within,
        "reason": order.reason,
        "note": order.note,
    }
    said = {field: value for field, value in how.items() if value}
    return [
        {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ApiKeyRevocation",
            "metadata": {"name": _name(order.reason, about, which, now)},
            "spec": {**which, **said},
        }
        for about, which in _parts(target)
    ]


def with_requester(manifest: Mapping[str, object], who: str) -> dict[str, object]:
    """The object to POST, with who asks for it; as it is where nobody knows, or the name is too long for it.

    What is printed for Git says nothing of it: who applies that is somebody else.
    """
    spec = mapping_of(manifest, "spec")
    return {**manifest, "spec": {**spec, "requestedBy": who}} if 0 < len(who) <= REQUESTER_LENGTH else dict(manifest)


def _parts(target: Target) -> Iterator[tuple[str, Mapping[str, object]]]:
    if target.names:
        for name in target.names:
            yield f"{target.namespace}-{name}", {"apiKeyRef": {"namespace": target.namespace, "name": name}}
        return
    if target.key_ids:
        yield "-".join(target.key_ids), {"keyIDs": list(target.key_ids)}
        return
    namespace, _, product = target.product.rpartition("/")
    match = {
        "productRef": {"namespace": namespace or target.namespace, "name": product} if product else None,
        "namespace": target.namespace,
        "mintedBefore": target.minted_before,
    }
    yield product or target.namespace or "keys", {"match": {field: value for field, value in match.items() if value}}


def _name(reason: str, about: str, which: Mapping[str, object], now: datetime) -> str:
    """Whatever of the target does not stand in it is in its hash: two that are meant at once are never of one name."""
    told, time = f"{reason}-{about}".lower(), f"{now:%Y%m%d-%H%M%S}"
    head, room = re.sub("[^a-z0-9]+", "-", told).strip("-"), NAME_LENGTH - len(time) - 1
    mark = "" if head == told and len(head) <= room else f"-{sha256(json.dumps(which, sort_keys=True).encode()).hexdigest()[:MARK_LENGTH]}"
    return f"{head[: room - len(mark)].strip('-')}{mark}-{time}"


def revocation_mistakes(manifest: Mapping[str, object]) -> list[str]:
    """What the API server would refuse, a line each; empty: nothing."""
    try:
        ApiKeyRevocation.model_validate(manifest)
    except ValidationError as invalid:
        return explain_invalid(invalid)
    return []
