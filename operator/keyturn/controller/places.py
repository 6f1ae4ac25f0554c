"""Who has a key of a product, by product and namespace, and who waits for one. For `products.py`, where products count their keys.

First come, first served: whoever is let through has its place until its ApiKey is gone, so that no two looks at the same moment see the
same room. Retained keys keep theirs. Belongs to one term: `know` tells it of the keys that were there before.
"""

from __future__ import annotations

from keyturn.base.names import Key


class Places:
    """Keys are ApiKeys', products are named by Key as well."""

    def __init__(self) -> None:
        self._holders: dict[tuple[Key, str], set[Key]] = {}
        self._waiting: dict[tuple[Key, str], dict[Key, None]] = {}

    def know(self, product: Key, key: Key) -> None:
        """The ApiKey has a key of the product."""
        self._holders.setdefault((product, key.namespace), set()).add(key)
        self._stop_waiting(product, key)

    def ask(self, product: Key, key: Key, *, most: int) -> int:
        """How many others of its namespace have a place before it; fewer than `most`: now it has one, too."""
        holders = self._holders.get((product, key.namespace), set())
        before = len(holders) - (key in holders)
        if before < most:
            self.know(product, key)
        else:
            self._waiting.setdefault((product, key.namespace), {})[key] = None
        return before

    def leave(self, product: Key, key: Key) -> Key | None:
        """The ApiKey wants no place any more; who has waited longest may have it."""
        where = (product, key.namespace)
        self._stop_waiting(product, key)
        holders = self._holders.get(where, set())
        if key not in holders:
            return None
        holders.discard(key)
        if not holders:
            del self._holders[where]
        return next(iter(self._waiting.get(where, ())), None)

    def _stop_waiting(self, product: Key, key: Key) -> None:
        where = (product, key.namespace)
        waiting = self._waiting.get(where)
        if waiting is None:
            return
        waiting.pop(key, None)
        if not waiting:
            del self._waiting[where]
