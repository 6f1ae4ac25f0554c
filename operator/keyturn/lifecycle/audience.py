"""Whose an audience is: gateways ask for it alone, so one ApiProduct has it, and whoever names it later gives no keys for it. Pure.

Part of `consent.py`. The audience of an ApiProduct cannot be changed, so nobody comes before the one who was first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.names import Key
from keyturn.lifecycle.plan import Waiting

_LAST: Final = datetime.max.replace(tzinfo=UTC)


def owner_among(products: Iterable[ApiProduct]) -> Key | None:
    """Of the products that name one audience, the one that has it: the oldest, of equally old ones the first by namespace and name."""
    first = min(products, key=_age, default=None)
    return first.key if first is not None else None


def _age(product: ApiProduct) -> tuple[datetime, str, str]:
    return product.metadata.creation_timestamp or _LAST, product.key.namespace, product.key.name


def taken_by(product: ApiProduct, owner: Key | None) -> Waiting | None:
    """Why a product gives no keys for its audience: another one has it. None: it has it itself."""
    if owner is None or owner == product.key:
        return None
    message = f"Audience {product.spec.audience} of ApiProduct {product.key} is that of ApiProduct {owner}, which is older"
    return Waiting(
        Reason.AUDIENCE_TAKEN, f"{message}: no keys are given for it here. Use that product, or create this one with another audience"
    )
