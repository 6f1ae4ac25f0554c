"""The rule that starts a rotation: a trigger, a request or the schedule, when window, spacing and pacer let it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import Delivery
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import MINUTE, format_time
from keyturn.base.version_state import Cause
from keyturn.lifecycle import imported, sealed
from keyturn.lifecycle.issuing import is_in_place
from keyturn.lifecycle.plan import Plan, Stage, Waiting
from keyturn.lifecycle.power import with_requests
from keyturn.lifecycle.rotation_timing import may_start_time, next_rotation_time
from keyturn.lifecycle.situation import Situation, rotate_annotation

ROTATION_IS_DUE: Final = "A rotation is due"
"""How the message of every rotation that waits begins; on Ready it stands behind what is in force, and keyturn looks for it there."""


def rotation_is_due(case: Situation) -> Plan | None:
    """Stage the next version, or say when that will be."""
    active = case.active
    if active is None or case.retiring or case.wanted_staged is not None or not is_in_place(case, active):
        return None
    if case.problem is not None:
        return Plan(stalled=case.problem)
    cause, due = rotation_wanted(case)
    if cause is None:
        return Plan(look_again_time=due)
    if case.seen.clock_is_off:  # the switch's time and the old key's end would come from a wrong clock
        message = f"{ROTATION_IS_DUE} ({cause}); it waits until this process's clock and the API server's agree"
        return Plan(look_again_time=case.now + MINUTE, deferred=Waiting(Reason.CLOCK_SKEWED, message))
    start = start_time(case, cause, due=due)
    if start > case.now:
        return Plan(look_again_time=start, deferred=_why_it_waits(case, cause, start=start))
    step = Stage(case.next_number, cause, with_requests(case.record, case.apikey), paced=cause is Cause.SCHEDULED)
    return Plan((step,))


def rotation_wanted(case: Situation) -> tuple[Cause | None, datetime | None]:
    """Why the key should rotate now, or None and when the schedule wants it next (None: never)."""
    spec, record, now = case.apikey.spec, case.record, case.now
    trigger = spec.rotation.trigger if spec.rotation else None
    if trigger is not None and trigger != record.trigger:
        return Cause.TRIGGER, now
    requested = rotate_annotation(case.apikey)
    if requested is not None and requested != record.rotate_requested_at:
        return Cause.REQUESTED, now
    due = next_due_time(case)
    if due is None or due > now or case.seen.clock_is_off:
        return None, due
    return Cause.SCHEDULED, due


def next_due_time(case: Situation) -> datetime | None:
    """When interval or schedule want the next rotation; None for policy Manual and where no key is active."""
    active = case.active
    if active is None or active.active_time is None:
        return None
    return next_rotation_time(case.timing, last_rotation_time=active.active_time, uid=case.apikey.metadata.uid)


def start_time(case: Situation, cause: Cause, *, due: datetime | None) -> datetime:
    """The earliest instant, now or later, at which the rotation may start.

    Two rotations of one key keep their spacing whatever the cause; windows and the pacer are for scheduled ones only.
    """
    active = case.active
    last = active.active_time if active is not None and active.active_time is not None else case.now
    spacing = case.seen.settings.minimum_rotation_spacing
    if cause is not Cause.SCHEDULED:
        return max(case.now, last + spacing)
    allowed = may_start_time(case.timing, due=due or case.now, now=case.now, last_rotation_time=last, spacing=spacing)
    return max(allowed, case.seen.pacer_time or allowed)


def deferral(case: Situation) -> Waiting | None:
    """A rotation is wanted while the last one is still under way: it waits, there are never three delivered keys."""
    if case.apikey.spec.delivery is Delivery.NONE:
        return imported.request_problem(case)
    if not case.retiring or case.active is None:
        return sealed.unreceived(case) if case.apikey.spec.delivery is Delivery.SEALED else None
    cause, _ = rotation_wanted(case)
    if cause is None:
        return None
    return Waiting(Reason.ROTATION_DEFERRED, f"{ROTATION_IS_DUE} ({cause}); it starts when version {case.retiring[-1].number} has retired")


def _why_it_waits(case: Situation, cause: Cause, *, start: datetime) -> Waiting:
    spacing = case.seen.settings.minimum_rotation_spacing
    active = case.active
    if active is not None and active.active_time is not None and start == active.active_time + spacing:
        message = f"{ROTATION_IS_DUE} ({cause}); the last one was too recent, it starts at {format_time(start)}"
        return Waiting(Reason.WAITING_FOR_SPACING, message)
    if cause is Cause.SCHEDULED and case.seen.pacer_time is not None and start == case.seen.pacer_time:
        return Waiting(Reason.WAITING_FOR_PACER, f"{ROTATION_IS_DUE} ({cause}); many are, and they start one after another")
    return Waiting(Reason.WAITING_FOR_WINDOW, f"{ROTATION_IS_DUE} ({cause}); the next window opens at {format_time(start)}")
