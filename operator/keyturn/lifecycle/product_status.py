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


def product_status(product: ApiProduct, standings: Iterable[KeyStanding], *, now: datetime) -> ApiProductStatus:
    """The whole status as it should read now. A product that can be read at all is ready: the API server checks the rest."""
    counted = Counter(standings)
    before = product.status.conditions if product.status is not None else ()
    was = next((condition for condition in before if condition.type == ConditionType.READY), None)
    since = was.last_transition_time if was is not None and was.status == ConditionStatus.TRUE else now.replace(microsecond=0)
    generation = product.metadata.generation
    ready = Condition(
        type=ConditionType.READY,
        status=ConditionStatus.TRUE,
        reason=Reason.ACCEPTS_KEYS,
        message="ApiKeys that the product admits may refer to it",
        observed_generation=generation,
        last_transition_time=since,
    )
    keys = KeyCounts(ready=counted[KeyStanding.READY], pending=counted[KeyStanding.PENDING], disabled=counted[KeyStanding.DISABLED])
    return ApiProductStatus(observed_generation=generation, keys=keys, conditions=(ready,))
