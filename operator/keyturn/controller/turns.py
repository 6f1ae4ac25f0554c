"""Whose turn it is among the keys that are ready: what is urgent first, then namespaces one after another. Part of `workqueue.py`.

A namespace has no more than its share of the workers, or one with thousands of keys would fill every connection: a neighbour's one key
would find a worker at once, and then be one of sixty in each of its requests. What is urgent waits for no share, and takes none.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection

from keyturn.base.names import Key


class Turns:
    """Who adds, takes and ends keys sees to it that none is added while it runs, and takes one only when one may start."""

    def __init__(self, *, share: int) -> None:
        self._share = share
        self._urgent, self._free, self._held_back = _FairOrder(), _FairOrder(), _FairOrder()
        """Not urgent: of namespaces that may start one more, and of those that have their share."""
        self._running: Counter[str] = Counter()
        self._running_urgently: set[Key] = set()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._free) + len(self._held_back)

    def add(self, key: Key) -> bool:
        """Put a key at the end of its namespace's line, if it does not wait already; True: one more key may start than before."""
        if key in self._urgent:
            return False
        room = self._room(key.namespace)
        line = self._free if room else self._held_back
        return line.add(key) and line.length_of(key.namespace) <= room

    def add_urgent(self, key: Key) -> bool:
        """Put a key before all that are not urgent; True: one more key may start than before."""
        if not self._urgent.add(key):
            return False
        room = self._room(key.namespace)
        line = self._free if room else self._held_back
        could_start = line.length_of(key.namespace) <= room
        return not (line.remove(key) and could_start)

    def take(self) -> Key:
        """The key whose turn it is. It runs from now on."""
        if self._urgent:
            key = self._urgent.take()
            self._running_urgently.add(key)
            return key
        key = self._free.take()
        self._running[key.namespace] += 1
        if not self._room(key.namespace):
            self._free.move(key.namespace, to=self._held_back)
        return key

    def end(self, key: Key) -> bool:
        """It runs no more; True: another one of its namespace may start, which could not before."""
        if key in self._running_urgently:
            self._running_urgently.discard(key)
            return False
        self._running[key.namespace] -= 1
        if not self._running[key.namespace]:
            del self._running[key.namespace]
        self._held_back.move(key.namespace, to=self._free)
        return self._free.length_of(key.namespace) >= self._room(key.namespace)

    @property
    def running(self) -> Collection[str]:
        """Namespaces of which a key runs that is not urgent."""
        return self._running.keys()

    def is_urgent(self, key: Key) -> bool:
        """Whether it runs before all that is not urgent."""
        return key in self._running_urgently

    def _room(self, namespace: str) -> int:
        return self._share - self._running[namespace]


class _FairOrder:
    """Keys that are ready: in order of arrival within a namespace, namespaces in turn, so that a large one cannot starve the others."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OrderedDict[Key, None]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: Key) -> bool:
        return key in self._lines.get(key.namespace, ())

    def length_of(self, namespace: str) -> int:
        """How many of its keys wait."""
        return len(self._lines.get(namespace, ()))

    def add(self, key: Key) -> bool:
        """Put a key at the end of its namespace's line; False if it stands there already."""
        line = self._lines.setdefault(key.namespace, OrderedDict())
        if key in line:
            return False
        line[key] = None
        self._length += 1
        return True

    def remove(self, key: Key) -> bool:
        """Take a key out of its line; False if it stands in none."""
        if key not in self:
            return False
        self._leave(key)
        return True

    def take(self) -> Key:
        """The first key of the namespace whose turn it is."""
        namespace, line = next(iter(self._lines.items()))
        key = next(iter(line))
        self._leave(key)
        if line:
            self._lines.move_to_end(namespace)
        return key

    def move(self, namespace: str, *, to: _FairOrder) -> None:
        """Its whole line stands elsewhere from now on."""
        line = self._lines.pop(namespace, None)
        if line is not None:
            to._lines[namespace] = line
            self._length -= len(line)
            to._length += len(line)

    def _leave(self, key: Key) -> None:
        line = self._lines[key.namespace]
        del line[key]
        self._length -= 1
        if not line:
            del self._lines[key.namespace]
