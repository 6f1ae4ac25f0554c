"""ApiKeys as rows of a table. Pure; `get_command.py` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.clock import format_time
from keyturn.cli.apikeys.apikey_view import ApiKeyView
from keyturn.cli.human_time import day_from, due_from, human_length
from keyturn.cli.table import Cell, render_table

HEADINGS: Final = ("NAME", "READY", "PRODUCT", "VERSION", "KEY ID", "NEXT ROTATION", "AGE")
WIDE_HEADINGS: Final = ("SECRET", "PLAN", "SCOPES", "APPROVAL", "LAST USED", "REASON", "MESSAGE")
_ORDINARY: Final = {("True", Reason.ISSUED), ("True", Reason.IMPORTED)}


def render_list(views: Sequence[ApiKeyView], *, now: datetime, wide: bool, everywhere: bool, for_terminal: bool) -> str:
    """The table of `keyturn get`."""
    headings = (*(("NAMESPACE",) if everywhere else ()), *HEADINGS, *(WIDE_HEADINGS if wide else ()))
    rows = [_row(view, now=now, wide=wide, everywhere=everywhere) for view in views]
    return render_table(headings, rows, for_terminal=for_terminal)


def _row(view: ApiKeyView, *, now: datetime, wide: bool, everywhere: bool) -> list[Cell]:
    cells = [
        Cell(view.name),
        ready_cell(view, with_reason=not wide),
        Cell(view.product),
        Cell(str(view.active_version) if view.active_version else ""),
        Cell(view.key_id),
        next_rotation_cell(view, now=now),
        Cell(human_length(now - view.created), format_time(view.created)) if view.created else Cell(""),
    ]
    return [*([Cell(view.namespace)] if everywhere else []), *cells, *(_wide_cells(view, now=now) if wide else [])]


def _wide_cells(view: ApiKeyView, *, now: datetime) -> list[Cell]:
    ready, used = view.condition(ConditionType.READY), view.last_used_time
    return [
        Cell(view.secret_name),
        Cell(view.plan),
        Cell(",".join(view.scopes)),
        approval_cell(view),
        Cell(day_from(now, used), format_time(used)) if used else Cell(""),
        Cell(ready.reason if ready else ""),
        Cell(ready.message if ready else ""),
    ]


def approval_cell(view: ApiKeyView) -> Cell:
    """What the product's owner says: Granted, PendingApproval, AccessLost …; empty without a product."""
    said = view.condition(ConditionType.APPROVED) if view.product else None
    if said is None:
        return Cell("Unknown" if view.product else "", "Unknown" if view.product else "")
    return Cell(said.reason, color={"True": "green", "False": "red"}.get(said.status, "yellow") if not _waits(said.reason) else "yellow")


def _waits(reason: str) -> bool:
    return reason in {Reason.PENDING_APPROVAL, Reason.PENDING_WIDENING}


def ready_cell(view: ApiKeyView, *, with_reason: bool) -> Cell:
    """Ready, for people with the reason where it is not the usual one: True/Disabled, False/SecretConflict."""
    ready = view.condition(ConditionType.READY)
    if ready is None:
        return Cell("Unknown", "Unknown", "yellow")
    usual = (ready.status, ready.reason) in _ORDINARY
    text = ready.status if usual or not with_reason else f"{ready.status}/{ready.reason}"
    return Cell(text, ready.status, _color(view, is_ready=ready.status == "True", usual=usual))


def _color(view: ApiKeyView, *, is_ready: bool, usual: bool) -> str:
    if view.holds(ConditionType.STALLED):
        return "yellow" if is_ready else "red"
    return "green" if is_ready and usual else "yellow"


def next_rotation_cell(view: ApiKeyView, *, now: datetime) -> Cell:
    """When the next rotation comes; for people also why none is planned."""
    due = view.next_rotation_time
    if view.is_paused:
        return Cell("paused", format_time(due) if due else "", "yellow")
    if due is None:
        by_people = view.delivery != Delivery.SECRET or dict(view.rotation).get("policy") == "Manual"
        return Cell("manual" if by_people else "", "")
    return Cell(due_from(now, due), format_time(due), None if due > now else "yellow")
