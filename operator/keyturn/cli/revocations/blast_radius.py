"""Which living key versions a revocation would end, and who uses them: what `keyturn revoke --dry-run` shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.base.clock import format_time
from keyturn.base.version_state import VersionState
from keyturn.cli.apikeys.apikey_view import ApiKeyView, Raw, VersionView, decode_apikey
from keyturn.cli.table import Cell, render_table
from keyturn.cluster.api_errors import Forbidden
from keyturn.cluster.raw import mapping_of, text_of
from keyturn.cluster.workloads import list_workloads, serves_rollouts

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

HEADINGS: Final = ("NAMESPACE", "NAME", "VERSION", "KEY ID", "STATE", "PRODUCT", "LAST USED", "WORKLOADS")
LIVE: Final = frozenset({VersionState.STAGED, VersionState.ACTIVE, VersionState.RETIRING})
NOT_SEEN: Final = "?"


@dataclass(frozen=True, slots=True)
class Loss:
    """A key version that would end."""

    key: ApiKeyView
    version: VersionView
    product: str
    """namespace/name; empty: none."""
    workloads: str = ""
    """Those that use the Secret; `?`: they may not be read."""


def losses(revocation: ApiKeyRevocation, apikeys: Iterable[Raw], *, now: datetime) -> list[Loss]:
    """The living versions that a revocation created now would end, as far as statuses tell."""
    return [
        Loss(view, version, product)
        for raw in apikeys
        for view, product in [(decode_apikey(raw), _product_of(raw))]
        for version in view.versions
        if version.state in LIVE and _is_meant(revocation, view, version, product=product, now=now)
    ]


def not_found(revocation: ApiKeyRevocation, apikeys: Iterable[Raw]) -> list[str]:
    """What it names and no ApiKey is or tells of, in words: misspelt as a rule, else a key that outlived its ApiKey or ended long ago."""
    views = [decode_apikey(raw) for raw in apikeys]
    named = revocation.spec.api_key_ref
    if named is not None:
        is_there = any((view.namespace, view.name) == (named.namespace, named.name) for view in views)
        return [] if is_there else [f"There is no ApiKey {named.namespace}/{named.name}"]
    known = {version.key_id for view in views for version in view.versions}
    return [f"No ApiKey tells of key ID {key_id}" for key_id in revocation.spec.key_ids or () if key_id not in known]


def _product_of(raw: Raw) -> str:
    ref = mapping_of(mapping_of(raw, "spec"), "productRef")
    namespace = text_of(ref, "namespace") or text_of(mapping_of(raw, "metadata"), "namespace")
    return f"{namespace}/{text_of(ref, 'name')}" if ref else ""


def _is_meant(revocation: ApiKeyRevocation, view: ApiKeyView, version: VersionView, *, product: str, now: datetime) -> bool:
    spec = revocation.spec
    if spec.key_ids is not None:
        return version.key_id in spec.key_ids
    is_old_enough = version.staged_time is None or version.staged_time < revocation.minted_before(created=now)
    if spec.api_key_ref is not None:
        return is_old_enough and (spec.api_key_ref.namespace, spec.api_key_ref.name) == (view.namespace, view.name)
    match = spec.match
    if match is None or not is_old_enough or match.namespace not in (None, view.namespace):
        return False
    return match.product_ref is None or product == f"{match.product_ref.namespace}/{match.product_ref.name}"


async def with_workloads(client: Client, found: list[Loss]) -> list[Loss]:
    """The same, with who uses each Secret."""
    keys, has_rollouts = {(loss.key.namespace, loss.key.name): loss.key for loss in found}, await serves_rollouts(client)
    texts = await asyncio.gather(*(_workloads(client, key, has_rollouts=has_rollouts) for key in keys.values()))
    told: Mapping[tuple[str, str], str] = dict(zip(keys, texts, strict=True))
    return [replace(loss, workloads=told[loss.key.namespace, loss.key.name]) for loss in found]


async def _workloads(client: Client, key: ApiKeyView, *, has_rollouts: bool) -> str:
    return ", ".join(await workloads_of(client, key, has_rollouts=has_rollouts))


async def workloads_of(client: Client, key: ApiKeyView, *, has_rollouts: bool) -> list[str]:
    """Kind and name of the workloads that use an ApiKey's Secret; `?`: they may not be read."""
    secret, name = key.secret_name, key.name
    try:
        listed = await list_workloads(client, key.namespace, secret_name=secret, apikey_name=name, has_rollouts=has_rollouts)
    except Forbidden:
        return [NOT_SEEN]
    return [f"{each.kind.lower()}/{each.name}" for each in listed if each.references]


def losses_table(found: list[Loss], *, for_terminal: bool) -> str:
    """A row for each version."""
    return render_table(HEADINGS, [_row(loss) for loss in found], for_terminal=for_terminal)


def _row(loss: Loss) -> list[Cell]:
    key, version = loss.key, loss.version
    used = _day(key.last_used_time)
    texts = (key.namespace, key.name, str(version.number), version.key_id, version.state, loss.product, used, loss.workloads)
    return [Cell(text) for text in texts]


@dataclass(frozen=True, slots=True)
class Radius:
    """What one namespace would lose."""

    namespace: str
    apikeys: int
    versions: int
    last_used_time: datetime | None
    """Of any of its keys."""


def radius(found: Iterable[Loss]) -> list[Radius]:
    """What each namespace would lose, most first."""
    of_namespace: dict[str, list[Loss]] = {}
    for loss in found:
        of_namespace.setdefault(loss.key.namespace, []).append(loss)
    told = [
        Radius(
            namespace,
            len({loss.key.name for loss in lost}),
            len(lost),
            max((loss.key.last_used_time for loss in lost if loss.key.last_used_time is not None), default=None),
        )
        for namespace, lost in of_namespace.items()
    ]
    return sorted(told, key=lambda each: (-each.versions, each.namespace))


def radius_table(found: Iterable[Radius], *, for_terminal: bool) -> str:
    """A row for each namespace."""
    rows = [[Cell(each.namespace), Cell(str(each.apikeys)), Cell(str(each.versions)), Cell(_day(each.last_used_time))] for each in found]
    return render_table(("NAMESPACE", "APIKEYS", "VERSIONS", "LAST USED"), rows, for_terminal=for_terminal)


def radius_json(found: Iterable[Radius]) -> dict[str, object]:
    """The same, for a program."""
    namespaces = [
        {"namespace": each.namespace, "apiKeys": each.apikeys, "versions": each.versions, "lastUsed": _day(each.last_used_time) or None}
        for each in found
    ]
    return {"namespaces": namespaces}


def _day(instant: datetime | None) -> str:
    return format_time(instant)[:10] if instant is not None else ""
