"""Audit line and Event of a record's last write. Told again after a crash, under the same names: at least once, and once in effect."""

from __future__ import annotations

from datetime import datetime

from keyturn.base import metrics
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.api_errors import Forbidden, Invalid
from keyturn.cluster.events import Regarding, post_event
from keyturn.controller.audit import AuditLine, AuditVersion
from keyturn.controller.runtime import Runtime
from keyturn.keys.record import Record
from keyturn.lifecycle.announcement import ENDING_CHANGES, EventText, event_of, latest_dead, subject_of
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.plan import Change

AUDITED_DEAD = 5
"""Tombstones told again with each line."""

log = get_logger(__name__)


async def announce(rt: Runtime, seen: Observed, record: Record) -> None:
    """Write the audit line, post the Event, and remember that both are done.

    An Event that cannot be posted now is owed: what must end at once does not wait for it, and it comes with the next one.
    """
    owe(rt, seen, record)
    for uid, owed in rt.memory.owed_events.get(seen.key, ()):
        await post(rt, seen.key, uid, owed, now=seen.now)
        rt.memory.event_is_posted(seen.key, owed)
    rt.memory.told(seen.key, record.serial)


def owe(rt: Runtime, seen: Observed, record: Record) -> None:
    """Write the audit line, and keep the Event until something is announced: the record is about to say something else."""
    rt.audit.write(audit_line(record, now=seen.now))
    text = event_of(record)
    if text is not None and seen.apikey is not None:
        rt.memory.owe_event(seen.key, record.uid, text)
    _count_ends(record)
    if record.change == Change.RECOVERED:
        metrics.RECORDS_RECOVERED.inc()
    log.debug("Wrote record", namespace=record.namespace, name=record.name, change=record.change, serial=record.serial)


def _count_ends(record: Record) -> None:
    if record.change in ENDING_CHANGES:
        last = latest_dead(record)
        ended = [entry for entry in record.dead if last is not None and entry.end_time == last.end_time]
        for entry in ended:
            metrics.VERSIONS_DEAD.labels(reason=entry.reason).inc()


async def post(rt: Runtime, key: Key, uid: str, text: EventText, *, now: datetime) -> bool:
    """Post one Event about an ApiKey; False if its namespace is being deleted.

    Where Events are refused (by a role, a quota, a policy), the log has it, and the key goes on.
    """
    try:
        await post_event(
            rt.client,
            regarding=Regarding("keyturn.dev/v1alpha1", "ApiKey", key.namespace, key.name, uid),
            type=text.type,
            reason=text.reason,
            message=text.message,
            action=text.action,
            name_seed=text.seed,
            now=now,
        )
    except (Forbidden, Invalid) as refused:
        if isinstance(refused, Forbidden) and refused.namespace_terminating:
            return False
        metrics.EVENTS.labels(result="refused").inc()
        log.warning("Event was refused", namespace=key.namespace, name=key.name, reason=text.reason)
        return True
    metrics.EVENTS.labels(result="posted").inc()
    return True


def audit_line(record: Record, *, now: datetime) -> AuditLine:
    """What an auditor is told of a write. Everything in it is public."""
    live = [AuditVersion(e.number, e.key_id, e.state, e.cause, not_after=e.not_after) for e in record.versions]
    dead = [AuditVersion(e.number, e.key_id, e.state, e.cause, reason=e.reason) for e in record.dead]
    about = subject_of(record)
    return AuditLine(
        time=now,
        change=record.change,
        installation=record.installation,
        namespace=record.namespace,
        name=record.name,
        uid=record.uid,
        serial=record.serial,
        version=about[0] if about else None,
        key_id=about[1] if about else None,
        product=record.product,
        plan=record.plan,
        audience=record.audience,
        scopes=record.scopes,
        disabled=record.disabled,
        versions=(*live, *dead[-AUDITED_DEAD:]),
    )
