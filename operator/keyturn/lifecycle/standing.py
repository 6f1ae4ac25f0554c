"""What of one ApiKey is counted for people on call. Beside `conclude.py`; counted in `controller/census.py`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keyturn.api.v1alpha1.apikey import ApiKeyStatus
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.version_state import VersionState
from keyturn.lifecycle.decide import situation
from keyturn.lifecycle.observed import GoodRecord, Observed
from keyturn.lifecycle.plan import Plan
from keyturn.lifecycle.rotation import next_due_time
from keyturn.lifecycle.rotation_timing import may_start_time
from keyturn.lifecycle.situation import is_paused

UNTOLD = ("Unknown", "Unknown")


@dataclass(frozen=True, slots=True)
class Standing:
    """A status in the few words that are counted. Thousands of keys share a handful of these."""

    ready: tuple[str, str]
    """Status and reason of condition Ready."""
    stalled: str | None
    """Why a person must act; None: nobody must."""
    rollout_stalled: bool
    retiring: int
    """Replaced versions that are still accepted."""


def standing_of(status: ApiKeyStatus) -> Standing:
    """What a status comes to."""
    ready, stalled, rollout = (
        status.condition(kind) for kind in (ConditionType.READY, ConditionType.STALLED, ConditionType.ROLLOUT_COMPLETE)
    )
    return Standing(
        ready=(ready.status.value, ready.reason) if ready is not None else UNTOLD,
        stalled=stalled.reason if stalled is not None else None,
        rollout_stalled=rollout is not None and rollout.reason == Reason.ROLLOUT_STALLED,
        retiring=sum(version.state == VersionState.RETIRING for version in status.versions),
    )


def rotation_expected_time(seen: Observed, plan: Plan) -> datetime | None:
    """From when on the schedule's next rotation is late, whatever keeps it; None: none is planned, or a person stopped it.

    It stays where it is while time passes, so that the delay can be told. What was asked for is no delay: a window, the spacing of two
    rotations, the pacer. Only the pacer moves it, with the place in its line.
    """
    apikey = seen.apikey
    if apikey is None or is_paused(apikey) or not isinstance(seen.record, GoodRecord):
        return None
    case = situation(seen, apikey=apikey, record=seen.record.record)
    due = next_due_time(case)
    if due is None or case.problem is not None or case.active is None:
        return None
    last = case.active.active_time or due
    spacing = seen.settings.minimum_rotation_spacing
    expected = may_start_time(case.timing, due=due, now=due, last_rotation_time=last, spacing=spacing)
    waits_its_turn = plan.deferred is not None and plan.deferred.reason == Reason.WAITING_FOR_PACER
    return max(expected, seen.pacer_time) if waits_its_turn and seen.pacer_time is not None else expected
