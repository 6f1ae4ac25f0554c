"""What we last saw of each object, fed by a watch (`watch.py`) and by the answers to our own writes, in any order.

Two facts make every order safe: an object's resourceVersion only grows (comparable as an integer, KEP-5504), and a watch delivers
changes in that order. So the newest version wins, and a version we do not hold that is no newer than what the watch has
passed already (`seen_through`) has been deleted since: a late answer cannot bring a deleted object back, and nothing is remembered of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from keyturn.base.names import Key

T = TypeVar("T")
OnReplaced = Callable[[Key, T, T | None], None]
"""Told of every value that another one took the place of; None: it is gone."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One object as of one resource version. Versions compare only within one uid's kind of resource."""

    value: T
    resource_version: int
    uid: str


class Cache(Generic[T]):
    """The newest known version of each object of one resource; cluster-scoped ones under `Key("", name)`.

    Not thread-safe: it belongs to one event loop.
    """

    def __init__(self, *, on_replaced: OnReplaced[T] | None = None) -> None:
        self._entries: dict[Key, Entry[T]] = {}
        self._on_replaced = on_replaced
        self.seen_through = 0
        """Every change up to this resource version is known here."""
        self.newest = 0
        """The resource version of the newest object that was put in."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry[T] | None:
        """The newest known version, or None."""
        return self._entries.get(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def keys(self) -> tuple[Key, ...]:
        """Every key held now."""
        return tuple(self._entries)

    def entries(self) -> Mapping[Key, Entry[T]]:
        """A copy to iterate over while the cache changes."""
        return dict(self._entries)

    def put(self, key: Key, value: T, resource_version: int, uid: str) -> bool:
        """Take a version that a watch delivered or that answered our own write; True if it was news."""
        held = self._entries.get(key)
        known = self.seen_through if held is None else held.resource_version
        if resource_version <= known:
            return False
        self._entries[key] = Entry(value, resource_version, uid)
        if held is not None:
            self._tell(key, held, self._entries[key])
        self.newest = max(self.newest, resource_version)
        return True

    def remove(self, key: Key, resource_version: int) -> bool:
        """Take a deletion (its resource version is the deletion's own, newer than the object's last); True if it was news."""
        held = self._entries.get(key)
        if held is None or held.resource_version > resource_version:
            return False
        del self._entries[key]
        self._tell(key, held, None)
        return True

    def advance(self, resource_version: int) -> None:
        """The watch has passed this version: everything up to it is known."""
        self.seen_through = max(self.seen_through, resource_version)

    def key_of(self, uid: str) -> Key | None:
        """Under which key an object is held; looks at every entry, so for rare questions only."""
        return next((key for key, entry in self._entries.items() if entry.uid == uid), None)

    def replace_all(self, listing: Iterable[tuple[Key, Entry[T]]], list_resource_version: int) -> set[Key]:
        """Take a whole list; answers the keys whose version differs now, those that vanished among them.

        Entries newer than the list stay: our own write was answered while the list was under way. A list older than what was seen
        means that the store itself went back (etcd restored from a backup): then the list is taken as it is.
        """
        went_back = list_resource_version < self.seen_through
        fresh = dict(listing)
        before = self._entries
        if not went_back:
            for key, held in before.items():
                listed = fresh.get(key)
                if held.resource_version > (list_resource_version if listed is None else listed.resource_version):
                    fresh[key] = held
        self._entries = fresh
        self.seen_through = list_resource_version
        self.newest = max((entry.resource_version for entry in fresh.values()), default=0)
        changed = {key for key in before.keys() | fresh.keys() if _version(before.get(key)) != _version(fresh.get(key))}
        for key in changed & before.keys():
            self._tell(key, before[key], fresh.get(key))
        return changed

    def _tell(self, key: Key, before: Entry[T], after: Entry[T] | None) -> None:
        if self._on_replaced is not None:
            self._on_replaced(key, before.value, after.value if after is not None else None)


class Caches(Generic[T]):
    """One resource in several namespaces, each with a watch and a cache of its own: a list of one says nothing about the others.

    With no namespaces there is one watch over all of them.
    """

    def __init__(self, namespaces: tuple[str, ...] = ()) -> None:
        self._parts: dict[str, Cache[T]] = {namespace: Cache() for namespace in namespaces or ("",)}

    def part(self, namespace: str) -> Cache[T]:
        """The cache that holds a namespace."""
        return self._parts.setdefault("" if "" in self._parts else namespace, Cache())

    def get(self, key: Key) -> Entry[T] | None:
        """As Cache.get."""
        return self.part(key.namespace).get(key)

    def put(self, key: Key, value: T, resource_version: int, uid: str) -> bool:
        """As Cache.put."""
        return self.part(key.namespace).put(key, value, resource_version, uid)

    def remove(self, key: Key, resource_version: int) -> bool:
        """As Cache.remove."""
        return self.part(key.namespace).remove(key, resource_version)


def _version(entry: Entry[T] | None) -> tuple[int, str] | None:
    return None if entry is None else (entry.resource_version, entry.uid)
