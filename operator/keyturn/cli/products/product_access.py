"""What `keyturn whocan` tells: ApiProduct x ApiKeys that refer to it -> rows. Pure; `whocan_command.py` reads and prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.base.clock import format_time
from keyturn.base.names import Key
from keyturn.cli.apikeys.apikey_view import ApiKeyView
from keyturn.cli.apikeys.listing import approval_cell, ready_cell
from keyturn.cli.human_time import day_from
from keyturn.cli.products.apiproduct_view import ApiProductView, GrantView
from keyturn.cli.table import Cell, render_table

HEADINGS: Final = ("NAMESPACE", "NAME", "READY", "PLAN", "SCOPES", "APPROVAL", "LAST USED", "GRANT")
_NO_APIKEY: Final = "NoApiKey"


@dataclass(frozen=True, slots=True)
class Holder:
    """An ApiKey that refers to the product, a grant for one, or both."""

    key: Key
    apikey: ApiKeyView | None
    """None: there is none, or it may not be seen."""
    grant: GrantView | None


@dataclass(frozen=True, slots=True)
class ProductAccess:
    """The whole answer."""

    product: ApiProductView
    holders: tuple[Holder, ...]
    admitted: tuple[str, ...] | None
    """The namespaces that are admitted, by name; None: every one, or they may not be listed."""
    same_audience: tuple[Key, ...] | None
    """Other products that name the audience: keys of theirs pass at the same gateways. None: they may not be listed."""
    not_seen: tuple[str, ...]


def holders_of(product: ApiProductView, apikeys: Iterable[ApiKeyView]) -> tuple[Holder, ...]:
    """Who has or may have a key, by namespace and name."""
    referring = {Key(each.namespace, each.name): each for each in apikeys if each.full_product == str(product.key)}
    granted = {each.key: each for each in product.grants}
    return tuple(Holder(key, referring.get(key), granted.get(key)) for key in sorted({*referring, *granted}, key=str))


def render_holders(holders: Sequence[Holder], *, now: datetime, for_terminal: bool) -> str:
    """The table."""
    return render_table(HEADINGS, [_row(holder, now=now) for holder in holders], for_terminal=for_terminal)


def access_json(access: ProductAccess) -> dict[str, object]:
    """The fixed form of `keyturn whocan -o json`: every field is always there; what is not known is null."""
    product = access.product
    return {
        "apiVersion": "cli.keyturn.dev/v1",
        "kind": "ApiProductAccess",
        "namespace": product.namespace,
        "name": product.name,
        "audience": product.audience,
        "approval": product.approval,
        "admits": product.admitted,
        "admittedNamespaces": list(access.admitted) if access.admitted is not None else None,
        "sameAudience": [str(key) for key in access.same_audience] if access.same_audience is not None else None,
        "keys": [_holder_json(holder) for holder in access.holders],
        "notSeen": list(access.not_seen),
    }


def _row(holder: Holder, *, now: datetime) -> list[Cell]:
    view, grant = holder.apikey, holder.grant
    granted = Cell(
        "" if grant is None else grant.plan if grant.scopes is None else f"{grant.plan}: {','.join(grant.scopes) or 'no scopes'}"
    )
    where = [Cell(holder.key.namespace), Cell(holder.key.name)]
    if view is None:
        return [*where, Cell(""), Cell(""), Cell(""), Cell(_NO_APIKEY, color="yellow"), Cell(""), granted]
    used = view.last_used_time
    return [
        *where,
        ready_cell(view, with_reason=True),
        Cell(view.plan),
        Cell(",".join(view.scopes)),
        approval_cell(view),
        Cell(day_from(now, used), format_time(used)) if used else Cell(""),
        granted,
    ]


def _holder_json(holder: Holder) -> dict[str, object]:
    view, grant = holder.apikey, holder.grant
    ready, approved = (view.condition(kind) if view is not None else None for kind in ("Ready", "Approved"))
    return {
        "namespace": holder.key.namespace,
        "name": holder.key.name,
        "exists": view is not None,
        "ready": ready.status == "True" if ready is not None else None,
        "keyID": (view.key_id or None) if view is not None else None,
        "plan": (view.plan or None) if view is not None else None,
        "scopes": list(view.scopes) if view is not None else [],
        "askedPlan": (view.asked_plan or None) if view is not None else None,
        "askedScopes": list(view.asked_scopes) if view is not None and view.asked_scopes is not None else None,
        "approval": approved.reason if approved is not None else None,
        "approved": approved.status == "True" if approved is not None else None,
        "lastUsedTime": format_time(view.last_used_time) if view is not None and view.last_used_time else None,
        "grant": {"plan": grant.plan, "scopes": list(grant.scopes) if grant.scopes is not None else None} if grant is not None else None,
    }
