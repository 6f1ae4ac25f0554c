"""Which ApiProducts name which audience, as their watch shows them. For `products.py`; whose it is decides `lifecycle/audience.py`."""

from __future__ import annotations

from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.base.names import Key
from keyturn.lifecycle.audience import owner_among


class Audiences:
    """Belongs to one term."""

    def __init__(self) -> None:
        self._named: dict[str, dict[Key, ApiProduct]] = {}
        self._audience_of: dict[Key, str] = {}

    def owner(self, audience: str) -> Key | None:
        """The product that has an audience."""
        return owner_among(self._named.get(audience, {}).values())

    def note(self, where: Key, product: ApiProduct | None) -> set[Key]:
        """A product is there, another one of its name, or (None) gone: answers those for which an audience changed hands."""
        before, after = self._audience_of.pop(where, None), product.spec.audience if product is not None else None
        concerned = {audience for audience in (before, after) if audience is not None}
        owners = {audience: self.owner(audience) for audience in concerned}
        if before is not None:
            del self._named[before][where]
        if product is not None and after is not None:
            self._audience_of[where] = after
            self._named.setdefault(after, {})[where] = product
        changed = [audience for audience in concerned if self.owner(audience) != owners[audience]]
        return {each for audience in changed for each in self._named.get(audience, {})}
