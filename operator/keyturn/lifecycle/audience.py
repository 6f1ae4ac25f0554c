"""Whose an audience is: gateways ask for it alone, so one ApiProduct has it, and whoever names it later gives no keys for it. Pure.

Part of `consent.py`. The audience of an ApiProduct cannot be changed, so nobody comes before the one who was first. One that cannot be
read has its audience all the same: else a rule that came later would hand it to whoever named it next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.names import Key
from keyturn.lifecycle.plan import Waiting

_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AudienceClaim:
    """An ApiProduct names an audience."""

    product: Key
    audience: str
    created: datetime | None


def owner_among(claims: Iterable[AudienceClaim]) -> Key | None:
    """Of the products that name one audience, the one that has it: the oldest, of equally old ones the first by namespace and name."""
    first = min(claims, key=_age, default=None)
    return first.product if first is not None else None


def _age(claim: AudienceClaim) -> tuple[datetime, Key]:
    return claim.created or _LAST, claim.product


def taken_by(product: ApiProduct, owner: Key | None) -> Waiting | None:
    """Why a product gives no keys for its audience: another one has it. None: it has it itself."""
    if owner is None or owner == product.key:
        return None
    message = f"Audience {product.spec.audience} of ApiProduct {product.key} is that of ApiProduct {owner}, which is older"
    return Waiting(
        Reason.AUDIENCE_TAKEN, f"{message}: no keys are given for it here. Use that product, or create this one with another audience"
    )
