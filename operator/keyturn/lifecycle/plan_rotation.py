"""The rotation that an ApiKey inherits from its plan. Pure. Before `rotation_timing.py`, which fills in the operator's settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from keyturn.api.v1alpha1.apikey import RotationSpec
from keyturn.api.v1alpha1.apiproduct_spec import Plan, PlanRotation


def inherited_rotation(asked: RotationSpec | None, plan: Plan | None) -> RotationSpec | None:
    """The ApiKey's rotation, with the plan's where it says nothing. What of the plan does not fit what is asked for is left out."""
    offered = plan.rotation if plan is not None else None
    if offered is None:
        return asked
    own = asked or RotationSpec()
    interval = own.interval if own.interval is not None or own.schedule is not None else offered.interval
    return own.model_copy(update={"interval": interval, **_inherited_overlap(own, offered, interval=interval)})


def _inherited_overlap(own: RotationSpec, offered: PlanRotation, *, interval: timedelta | None) -> Mapping[str, timedelta | None]:
    limit = own.overlap_limit if own.overlap_limit is not None else _below(offered.overlap_limit, interval)
    grace = own.grace_period
    if grace is None:
        grace = _below(offered.grace_period, interval)
        grace = None if grace is not None and limit is not None and grace > limit else grace
    elif own.overlap_limit is None and limit is not None and limit < grace:
        limit = None
    return {"overlap_limit": limit, "grace_period": grace}


def _below(length: timedelta | None, bound: timedelta | None) -> timedelta | None:
    return None if length is None or (bound is not None and length >= bound) else length
