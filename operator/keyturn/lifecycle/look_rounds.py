"""Which credential Secret to look at next, where none is watched: each once in an interval, never more than so many a second.

Times are seconds of any clock that only goes forward. Whoever has waited longest is next, so nobody starves: with n Secrets each is
looked at again within the interval or n / rate seconds, whichever is longer.
"""

from __future__ import annotations

import heapq
from typing import Final

from keyturn.base.names import Key

SPARE: Final = 64
"""Entries of the heap that may be out of date before it is made anew."""


class LookRounds:
    """Pure bookkeeping: no clock, no I/O. Not thread-safe."""

    def __init__(self, *, rate: float, interval: float) -> None:
        self._pause = 1 / rate
        self._interval = interval
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        """Also entries that are no longer so: `_due` knows."""
        self._free_at = float("-inf")

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, where: Key) -> bool:
        return where in self._due

    def note_look(self, where: Key, now: float) -> None:
        """It was seen, or written, just now."""
        self._expect(where, now + self._interval)

    def look_soon(self, where: Key, now: float) -> None:
        """Nobody has looked at it yet: in its turn, and before those that were seen."""
        if where not in self._due:
            self._expect(where, now)

    def forget(self, where: Key) -> None:
        """It is of no interest any more."""
        self._due.pop(where, None)

    def take(self, now: float) -> Key | None:
        """Whose turn it is; None: nobody's. Counts as looked at."""
        if now < self._free_at:
            return None
        head = self._head()
        if head is None or head[0] > now:
            return None
        where = head[1]
        self._free_at = now + self._pause
        self.note_look(where, now)
        return where

    def wait(self, now: float) -> float:
        """Seconds until it may be somebody's turn, as things are; infinite: there is nobody."""
        head = self._head()
        return float("inf") if head is None else max(0.0, head[0] - now, self._free_at - now)

    def _expect(self, where: Key, due: float) -> None:
        self._due[where] = due
        heapq.heappush(self._heap, (due, where))
        if len(self._heap) > 2 * len(self._due) + SPARE:
            self._heap = [(due, where) for where, due in self._due.items()]
            heapq.heapify(self._heap)

    def _head(self) -> tuple[float, Key] | None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None
