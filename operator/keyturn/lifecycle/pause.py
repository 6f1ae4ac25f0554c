"""What a paused ApiKey's status says: that it is paused, and else what it said before. Part of `conclude.py`. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey, ApiKeyStatus
from keyturn.api.v1alpha1.condition import Condition, ConditionStatus
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.names import PAUSED_ANNOTATION

_MESSAGE: Final = f"The annotation {PAUSED_ANNOTATION} stops all work on this ApiKey. Remove it to go on"


def status_while_paused(apikey: ApiKey, *, now: datetime) -> ApiKeyStatus:
    """Everything as it was left. Nothing is in progress, and what Ready last said stands: nobody looks whether it is still so."""
    before = apikey.status or ApiKeyStatus()
    paused = _condition(apikey, before, ConditionType.PAUSED, ConditionStatus.TRUE, now=now)
    ready = before.condition(ConditionType.READY) or _condition(apikey, before, ConditionType.READY, ConditionStatus.UNKNOWN, now=now)
    moved = {ConditionType.READY, ConditionType.RECONCILING, ConditionType.PAUSED}
    others = tuple(each for each in before.conditions if each.type not in moved)
    return before.model_copy(update={"conditions": (ready, paused, *others)})


def _condition(apikey: ApiKey, before: ApiKeyStatus, kind: ConditionType, status: ConditionStatus, *, now: datetime) -> Condition:
    known = before.condition(kind)
    return Condition(
        type=kind,
        status=status,
        reason=Reason.PAUSED,
        message=_MESSAGE,
        observed_generation=apikey.metadata.generation,
        last_transition_time=now.replace(microsecond=0) if known is None else known.last_transition_time,
    )
