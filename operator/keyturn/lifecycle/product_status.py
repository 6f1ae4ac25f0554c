"""What an ApiProduct's status says: `ApiProduct x how its keys stand -> status`. Pure. Before it: `controller/products.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from keyturn.api.v1alpha1.apikey import ApiKeyStatus
from keyturn.api.v1alpha1.apiproduct import ApiProduct, ApiProductStatus, KeyCounts
from keyturn.api.v1alpha1.condition import Condition, ConditionStatus
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.names import Key
from keyturn.lifecycle.audience import taken_by
from keyturn.lifecycle.plan import Waiting


class KeyStanding(StrEnum):
    """How an ApiKey counts for its product."""

    READY = "ready"
    """Its key is accepted."""
    PENDING = "pending"
    """It waits for the owner: for any key, or for what it asks for beyond its own."""
    DISABLED = "disabled"
    """Its key is refused, or there is none and waiting does not help."""


def standing_for_product(status: ApiKeyStatus) -> KeyStanding:
    """How an ApiKey with that status counts."""
    approved, ready, disabled = (status.condition(kind) for kind in (ConditionType.APPROVED, ConditionType.READY, ConditionType.DISABLED))
    if approved is not None and approved.reason in {Reason.PENDING_APPROVAL, Reason.PENDING_WIDENING}:
        return KeyStanding.PENDING
    refused = disabled is not None and disabled.status == ConditionStatus.TRUE
    works = ready is not None and ready.status == ConditionStatus.TRUE
    return KeyStanding.READY if works and not refused else KeyStanding.DISABLED


def product_status(product: ApiProduct, standings: Iterable[KeyStanding], *, owner: Key | None = None, now: datetime) -> ApiProductStatus:
    """The whole status as it should read now. One that can be read and has its audience is ready: the API server checks the rest."""
    counted = Counter(standings)
    taken = taken_by(product, owner)
    if taken is None:
        accepts = "ApiKeys that the product admits may refer to it"
        conditions = [_condition(product, ConditionType.READY, ConditionStatus.TRUE, Waiting(Reason.ACCEPTS_KEYS, accepts), now=now)]
    else:
        conditions = [
            _condition(product, ConditionType.READY, ConditionStatus.FALSE, taken, now=now),
            _condition(product, ConditionType.STALLED, ConditionStatus.TRUE, taken, now=now),
        ]
    keys = KeyCounts(ready=counted[KeyStanding.READY], pending=counted[KeyStanding.PENDING], disabled=counted[KeyStanding.DISABLED])
    return ApiProductStatus(observed_generation=product.metadata.generation, keys=keys, conditions=tuple(conditions))


def _condition(product: ApiProduct, kind: ConditionType, status: ConditionStatus, why: Waiting, *, now: datetime) -> Condition:
    before = product.status.conditions if product.status is not None else ()
    was = next((condition for condition in before if condition.type == kind), None)
    return Condition(
        type=kind,
        status=status,
        reason=why.reason,
        message=why.message,
        observed_generation=product.metadata.generation,
        last_transition_time=was.last_transition_time if was is not None and was.status == status else now.replace(microsecond=0),
    )
