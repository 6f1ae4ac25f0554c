"""A Description for people: paragraphs and small tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import click

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.api.v1alpha1.conditions import ConditionType
from keyturn.base.clock import format_time
from keyturn.base.version_state import VersionState
from keyturn.base.wording import counted
from keyturn.cli.apikeys.apikey_view import ApiKeyView, ConditionView, VersionView
from keyturn.cli.apikeys.description import ConsumerView, Description, EventView, SecretView
from keyturn.cli.apikeys.listing import approval_cell, ready_cell
from keyturn.cli.human_time import day_from, due_from, human_length, seen_from
from keyturn.cli.table import Cell, printable, render_table

_STATE_COLORS: Final = {
    VersionState.ACTIVE: "green",
    VersionState.STAGED: "cyan",
    VersionState.RETIRING: "yellow",
    VersionState.REVOKED: "red",
}
_NO_SECRET: Final[dict[str, str]] = {
    Delivery.SEALED: "none: a person takes it, once",
    Delivery.NONE: "none: it was made elsewhere",
}
_EVENTS_SHOWN: Final = 10


def render_description(description: Description, *, now: datetime) -> str:
    """The whole text, without its last line end."""
    key = description.key
    parts = [
        _facts(_summary(description, now=now)),
        _section("Versions", _versions(key.versions, now=now) or "none yet"),
        _section("Used by", _consumers(description.consumers, rollout=key.rollout_summary)),
        _section("Conditions", _conditions(key.conditions, now=now) or "none yet"),
        _section("Waits for", _lines(description.waits_for) or "nothing"),
        _section("What to do", _lines(description.next_steps) or "nothing"),
        _section("Events", _events(description.events, now=now)),
        _section("Not seen", _lines(description.not_seen)) if description.not_seen else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _summary(description: Description, *, now: datetime) -> list[tuple[str, Cell]]:
    key = description.key
    return [
        ("Name", Cell(key.name)),
        ("Namespace", Cell(key.namespace)),
        ("Ready", _ready(key)),
        ("Key ID", Cell(f"{key.key_id} (version {key.active_version})" if key.key_id else "none yet")),
        ("Secret", _secret(key, description.secret)),
        *_power(key, now=now),
        ("Rotation", Cell(_rotation(key))),
        ("Next rotation", Cell(_next_rotation(key, now=now))),
        ("Expires", Cell(f"{due_from(now, key.expiration_time)} ({format_time(key.expiration_time)})" if key.expiration_time else "never")),
        ("Last used", Cell(day_from(now, key.last_used_time) if key.last_used_time else "not known")),
        ("Age", Cell(human_length(now - key.created) if key.created else "not known")),
    ]


def _power(key: ApiKeyView, *, now: datetime) -> list[tuple[str, Cell]]:
    if not key.product:
        return [("Product", Cell("none: the default audience, no scopes"))]
    said, approved = key.condition(ConditionType.APPROVED), key.approved
    since = f", since {_ago(approved.time, now=now)}" if approved is not None and approved.time else ""
    by = f" (by {approved.by}{since})" if approved is not None and approved.by else ""
    waits = key.asked_plan if key.asked_plan not in {"", key.plan} else ""
    beyond = [scope for scope in key.asked_scopes or () if scope not in key.scopes]
    return [
        ("Product", Cell(key.full_product)),
        ("Plan", Cell((key.plan or "none") + (f"; asks for {waits}" if waits else ""))),
        ("Scopes", Cell((", ".join(key.scopes) or "none") + (f"; asks also for {', '.join(beyond)}" if beyond else ""))),
        ("Limits", Cell(f"{counted(key.limits[0], 'request')} a second, {key.limits[1]} at once" if key.limits else "none")),
        ("Approval", Cell(f"{said.reason}: {said.message}{by}" if said else "not known yet", color=approval_cell(key).color)),
    ]


def _ready(key: ApiKeyView) -> Cell:
    cell = ready_cell(key, with_reason=True)
    condition = key.condition("Ready")
    return Cell(f"{cell.text}: {condition.message}", color=cell.color) if condition is not None else Cell("Unknown", color=cell.color)


def _secret(key: ApiKeyView, secret: SecretView | None) -> Cell:
    if not key.secret_name:
        return Cell(_NO_SECRET.get(key.delivery, "none"))
    if secret is None:
        return Cell(f"{key.secret_name} (not seen)")
    if not secret.present:
        return Cell(f"{secret.name} (missing)", color="red" if key.active_version else "yellow")
    if not secret.key_id:
        return Cell(f"{secret.name} (present, not one of Keyturn's)", color="red")
    same = secret.key_id == key.key_id
    return Cell(
        f"{secret.name} (present, version {secret.version}" + ("" if same else f", key ID {secret.key_id}") + ")",
        color=None if same else "yellow",
    )


def _rotation(key: ApiKeyView) -> str:
    asked, effective = dict(key.rotation), dict(key.effective)
    if key.delivery == Delivery.NONE:
        when = "by the list in spec.digests"
    elif asked.get("policy") == "Manual" or key.delivery == Delivery.SEALED:
        when = "only when asked"
    elif "schedule" in asked:
        when = f"at {asked['schedule']} ({asked.get('timeZone', 'UTC')})"
    else:
        when = f"every {effective.get('rotationInterval') or asked.get('interval') or 'default interval'}"
    limits = [
        ("grace", effective.get("gracePeriod") or asked.get("gracePeriod")),
        ("overlap limit", effective.get("overlapLimit") or asked.get("overlapLimit")),
    ]
    return ", ".join([when, *(f"{word} {length}" for word, length in limits if length)])


def _next_rotation(key: ApiKeyView, *, now: datetime) -> str:
    if key.is_paused:
        return "paused"
    return f"{due_from(now, key.next_rotation_time)} ({format_time(key.next_rotation_time)})" if key.next_rotation_time else "none planned"


def _versions(versions: Sequence[VersionView], *, now: datetime) -> str:
    rows = [
        [
            Cell(str(each.number)),
            Cell(each.state, color=_STATE_COLORS.get(VersionState(each.state)) if each.state in set(VersionState) else None),
            Cell(each.key_id),
            Cell(_ago(each.staged_time, now=now)),
            Cell(_ago(each.active_time, now=now)),
            Cell(_end(each, now=now)),
        ]
        for each in sorted(versions, key=lambda each: -each.number)
    ]
    return _table(("VERSION", "STATE", "KEY ID", "MADE", "ACTIVE SINCE", "ENDS"), rows)


def _end(version: VersionView, *, now: datetime) -> str:
    if version.end_time is not None:
        return f"{seen_from(now, version.end_time)}" + (f" ({version.end_reason})" if version.end_reason else "")
    return f"{due_from(now, version.not_after)} at the latest" if version.not_after else ""


def _consumers(consumers: Sequence[ConsumerView] | None, *, rollout: str) -> str:
    if consumers is None:
        return f"not seen; the operator says: {rollout}" if rollout else "not seen"
    rows = [[Cell(f"{each.kind}/{each.name}"), Cell(str(each.pods)), _rollout_cell(each)] for each in consumers]
    return _table(("WORKLOAD", "RUNNING PODS", "ROLLOUT"), rows) or "nothing in the namespace references the Secret"


def _rollout_cell(consumer: ConsumerView) -> Cell:
    if consumer.done is None:
        return Cell("")
    return Cell("done", color="green") if consumer.done else Cell(f"waiting ({consumer.reason})", color="yellow")


def _conditions(conditions: Iterable[ConditionView], *, now: datetime) -> str:
    rows = [
        [Cell(each.type), Cell(each.status), Cell(_ago(each.last_transition_time, now=now)), Cell(each.reason), Cell(each.message)]
        for each in conditions
    ]
    return _table(("TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"), rows)


def _events(events: Sequence[EventView] | None, *, now: datetime) -> str:
    if events is None:
        return "not seen"
    rows = [
        [
            Cell(_ago(each.last_seen, now=now) + (f" (x{each.count})" if each.count > 1 else "")),
            Cell(each.type, color="yellow" if each.type == "Warning" else None),
            Cell(each.reason),
            Cell(each.message),
        ]
        for each in events[-_EVENTS_SHOWN:]
    ]
    return _table(("LAST SEEN", "TYPE", "REASON", "MESSAGE"), rows) or "none"


def _ago(instant: datetime | None, *, now: datetime) -> str:
    return human_length(now - instant) if instant is not None else ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    return render_table(headings, rows, for_terminal=True) if rows else ""


def _facts(facts: Sequence[tuple[str, Cell]]) -> str:
    return "\n".join(_fact(name, cell) for name, cell in facts)


def _fact(name: str, cell: Cell) -> str:
    text = printable(cell.text)
    return f"{name + ':':<15}{click.style(text, fg=cell.color) if cell.color else text}"


def _section(title: str, body: str) -> str:
    return f"{title}:\n" + "\n".join(f"  {line}" for line in body.splitlines())


def _lines(sentences: Iterable[str]) -> str:
    return "\n".join(printable(sentence) for sentence in sentences)
