"""Things by when they are due: one heap, about 120 bytes each, and no timer of their own. Pure bookkeeping: no clock. Not thread-safe.

A heap cannot be told that something in it is due at another time, or not at all: what is out of date stays in it, is passed over when
its time comes, and is swept out when it is the majority.
"""

from __future__ import annotations

import heapq
from typing import Final, Generic, TypeVar

from keyturn.base.names import Key

T = TypeVar("T", Key, str)

SPARE: Final = 64
"""Entries that may be out of date before the heap is made anew, beside as many as are not."""


class DueTimes(Generic[T]):
    """Times are numbers of any clock. Of two that are due at the same time the smaller one comes first."""

    def __init__(self) -> None:
        self._due: dict[T, float] = {}
        self._heap: list[tuple[float, T]] = []
        """Also what is no longer so: `_due` knows."""

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, what: T) -> bool:
        return what in self._due

    def put(self, what: T, due: float) -> None:
        """It is due then, and no more when it was before."""
        if self._due.get(what) == due:
            return
        self._due[what] = due
        if len(self._heap) > 2 * len(self._due) + SPARE:
            self._heap = [(when, which) for which, when in self._due.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (due, what))

    def put_sooner(self, what: T, due: float) -> bool:
        """It is due then, unless it was due before that; True: it is the first of all now."""
        if due >= self._due.get(what, float("inf")):
            return False
        self.put(what, due)
        return self.first()[0] == due

    def drop(self, what: T) -> None:
        """It is not due at any time."""
        self._due.pop(what, None)

    def first(self) -> tuple[float, T]:
        """What is due first, and when; there must be something."""
        while self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0]

    def take(self, now: float) -> T | None:
        """The next one whose time has come, taken out; None: there is none."""
        if not self._due or self.first()[0] > now:
            return None
        _, what = heapq.heappop(self._heap)
        del self._due[what]
        return what
