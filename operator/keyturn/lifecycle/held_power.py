"""What a key may do by its record, and what is left of that where its product gives it nothing any more. Pure. Part of `consent.py`.

What is left is the lesser of what the key had and what product and plan offer now: an owner who lowers a plan lowers it for all its keys,
also for those that he lets keep their power.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.apiproduct_spec import Plan, QuotaPeriod
from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.keys.record import Limits, PeriodQuota, Record

_HOURS: Final[dict[str, int]] = {QuotaPeriod.HOUR: 1, QuotaPeriod.DAY: 24, QuotaPeriod.MONTH: 31 * 24}


@dataclass(frozen=True, slots=True)
class Power:
    """What a key may do, as it stands in the record."""

    audience: str = DEFAULT_AUDIENCE
    product: str | None = None
    """namespace/name."""
    plan: str | None = None
    scopes: tuple[str, ...] = ()
    limits: Limits | None = None
    max_staleness_seconds: int | None = None
    quota: PeriodQuota | None = None


def has_key(record: Record | None) -> bool:
    """Whether there is a version, live or on its way: something to lose, and nothing to wait in a line for."""
    return record is not None and bool(record.versions)


def product_of_key(record: Record | None) -> str | None:
    """Whose key it is, as namespace/name; None: there is none, or of no product.

    The record of a key that a product only refuses names that product, too: such a key has no plan.
    """
    return record.product if record is not None and has_key(record) and record.plan is not None else None


def power_in(record: Record | None) -> Power:
    """What the key may do by its record; without one, what a key of no product may."""
    if record is None:
        return Power()
    return Power(record.audience, record.product, record.plan, record.scopes, record.limits, record.max_staleness_seconds, record.quota)


def what_is_left(held: Power, product: ApiProduct, *, scopes: Collection[str]) -> Power:
    """Of the power a key had. `scopes`: those that it may have at most. Where its plan is gone, each limit is the strictest of any plan."""
    plans = [plan for plan in product.spec.plans if plan.name == held.plan] or product.spec.plans
    return replace(
        held,
        scopes=tuple(scope for scope in held.scopes if scope in scopes),
        limits=reduce(_stricter_limits, map(limits_of, plans), held.limits),
        max_staleness_seconds=staleness_of(product),
        quota=reduce(_stricter_quota, map(quota_of, plans), held.quota),
    )


def limits_of(plan: Plan) -> Limits | None:
    """What a record says of the plan's limits; None: there are none."""
    limits = plan.limits
    if limits is None or limits.requests_per_second is None:
        return None
    return Limits(limits.requests_per_second, limits.burst or limits.requests_per_second)


def quota_of(plan: Plan) -> PeriodQuota | None:
    """What a record says of the plan's quota; None: there is none."""
    return PeriodQuota(plan.quota.requests, str(plan.quota.period)) if plan.quota is not None else None


def staleness_of(product: ApiProduct) -> int | None:
    """How old a verifier's view of the product's keys may be, in seconds; None: as verifiers have it."""
    wanted = product.spec.verification.max_staleness if product.spec.verification else None
    return int(wanted.total_seconds()) if wanted is not None else None


def _stricter_limits(one: Limits | None, other: Limits | None) -> Limits | None:
    if one is None or other is None:
        return one or other
    return Limits(min(one.requests_per_second, other.requests_per_second), min(one.burst, other.burst))


def _stricter_quota(one: PeriodQuota | None, other: PeriodQuota | None) -> PeriodQuota | None:
    """The one that allows less over time; a period that this release does not know counts as the longest."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda quota: quota.requests / _HOURS.get(quota.period, max(_HOURS.values())))
