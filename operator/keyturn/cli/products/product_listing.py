"""ApiProducts as rows of a table. Pure; `products_command.py` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from keyturn.base.clock import format_time
from keyturn.cli.human_time import human_length
from keyturn.cli.products.apiproduct_view import ApiProductView
from keyturn.cli.table import Cell, render_table

HEADINGS: Final = ("NAME", "AUDIENCE", "PLANS", "APPROVAL", "ADMITS", "KEYS", "PENDING", "DISABLED", "AGE")
WIDE_HEADINGS: Final = ("SCOPES", "GRANTS", "CONTACT", "MESSAGE")
_PENDING: Final = "yellow"


def render_products(views: Sequence[ApiProductView], *, now: datetime, wide: bool, everywhere: bool, for_terminal: bool) -> str:
    """The table of `keyturn products`. KEYS counts the ApiKeys that are ready, as with kubectl, whose READY is the product's."""
    headings = (*(("NAMESPACE",) if everywhere else ()), *HEADINGS, *(WIDE_HEADINGS if wide else ()))
    rows = [
        [
            *([Cell(view.namespace)] if everywhere else []),
            *_cells(view, now=now),
            *(_wide_cells(view) if wide else []),
        ]
        for view in views
    ]
    return render_table(headings, rows, for_terminal=for_terminal)


def shared_audiences(views: Sequence[ApiProductView]) -> list[str]:
    """A sentence for each audience that several namespaces name: gateways ask for the audience alone, so one of them has it."""
    found = []
    for audience in dict.fromkeys(view.audience for view in views):
        claiming = [view.key for view in views if view.audience == audience]
        if len({key.namespace for key in claiming}) > 1:
            names = " and ".join(map(str, claiming))
            found.append(f"audience {audience} is named by {names}: the oldest has it, the others give no keys")
    return found


def _cells(view: ApiProductView, *, now: datetime) -> list[Cell]:
    counts = dict(view.keys)
    pending = counts.get("pending", 0)
    return [
        Cell(view.name),
        Cell(view.audience),
        Cell(",".join(view.plans)),
        Cell(view.approval),
        Cell(view.admitted),
        _count(view, "ready"),
        Cell(_count(view, "pending").text, color=_PENDING if pending else None),
        _count(view, "disabled"),
        Cell(human_length(now - view.created), format_time(view.created)) if view.created else Cell(""),
    ]


def _count(view: ApiProductView, word: str) -> Cell:
    """Empty before anybody counted: nothing is not none."""
    return Cell(str(dict(view.keys).get(word, 0)) if view.keys else "")


def _wide_cells(view: ApiProductView) -> list[Cell]:
    return [Cell(",".join(view.scopes)), Cell(str(len(view.grants))), Cell(view.contact), Cell(view.message)]
