"""Which ApiProducts name which audience, as their watch shows them. For `products.py`; whose it is decides `lifecycle/audience.py`."""

from __future__ import annotations

from keyturn.base.names import Key
from keyturn.lifecycle.audience import AudienceClaim, owner_among


class Audiences:
    """Belongs to one term."""

    def __init__(self) -> None:
        self._named: dict[str, dict[Key, AudienceClaim]] = {}
        self._audience_of: dict[Key, str] = {}

    def owner(self, audience: str) -> Key | None:
        """The product that has an audience."""
        return owner_among(self._named.get(audience, {}).values())

    def note(self, where: Key, claim: AudienceClaim | None) -> set[Key]:
        """What the product of that name claims now (None: nothing): answers those for which an audience changed hands."""
        before, after = self._audience_of.pop(where, None), claim.audience if claim is not None else None
        concerned = {audience for audience in (before, after) if audience is not None}
        owners = {audience: self.owner(audience) for audience in concerned}
        if before is not None:
            del self._named[before][where]
        if claim is not None:
            self._audience_of[where] = claim.audience
            self._named.setdefault(claim.audience, {})[where] = claim
        changed = [audience for audience in concerned if self.owner(audience) != owners[audience]]
        return {each for audience in changed for each in self._named.get(audience, {})}
