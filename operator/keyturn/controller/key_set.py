"""A set of keys that knows how many there are of each namespace: what one tenant does many times shall slow down nobody else."""

from __future__ import annotations

from collections.abc import Iterable

from keyturn.base.names import Key


class KeySet:
    """As a set; holds nothing for a namespace without keys."""

    __slots__ = ("_by_namespace",)

    def __init__(self) -> None:
        self._by_namespace: dict[str, set[Key]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._by_namespace.get(key.namespace, ())

    def add(self, key: Key) -> None:
        """Put one in."""
        self._by_namespace.setdefault(key.namespace, set()).add(key)

    def update(self, keys: Iterable[Key]) -> None:
        """Put some in."""
        for key in keys:
            self.add(key)

    def discard(self, key: Key) -> None:
        """Take one out, if it is there."""
        keys = self._by_namespace.get(key.namespace)
        if keys is None:
            return
        keys.discard(key)
        if not keys:
            del self._by_namespace[key.namespace]

    def count(self, namespace: str) -> int:
        """How many there are of it."""
        return len(self._by_namespace.get(namespace, ()))
