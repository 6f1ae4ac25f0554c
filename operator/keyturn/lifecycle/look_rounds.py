"""Which credential Secret to look at next, where none is watched: each once in an interval, never more than so many a second.

Times are seconds of any clock that only goes forward. Where more are due than the rate allows, namespaces take turns, and within one
whoever has waited longest is next: of n namespaces, one with k Secrets sees each of them again within the interval and k * n / rate
seconds, however many the others have.
"""

from __future__ import annotations

from collections import OrderedDict

from keyturn.base.due_times import DueTimes
from keyturn.base.names import Key


class LookRounds:
    """Pure bookkeeping: no clock, no I/O. Not thread-safe."""

    def __init__(self, *, rate: float, interval: float) -> None:
        self._pause = 1 / rate
        self._interval = interval
        self._secrets: dict[str, DueTimes[Key]] = {}
        """By namespace; none is empty."""
        self._resting = DueTimes[str]()
        """Namespaces, by when the first of their Secrets is due."""
        self._in_turn: OrderedDict[str, None] = OrderedDict()
        """Namespaces with something due, in order; what was due may have been seen meanwhile."""
        self._free_at = float("-inf")

    def __len__(self) -> int:
        return sum(len(secrets) for secrets in self._secrets.values())

    def __contains__(self, where: Key) -> bool:
        return where in self._secrets.get(where.namespace, ())

    def note_look(self, where: Key, now: float) -> None:
        """It was seen, or written, just now."""
        self._expect(where, now + self._interval)

    def look_soon(self, where: Key, now: float) -> None:
        """Nobody has looked at it yet: in its turn, and before those of its namespace that were seen."""
        if where not in self:
            self._expect(where, now)

    def forget(self, where: Key) -> None:
        """It is of no interest any more."""
        secrets = self._secrets.get(where.namespace)
        if secrets is None:
            return
        secrets.drop(where)
        if secrets:
            self._keep_place(where.namespace, secrets)
            return
        del self._secrets[where.namespace]
        self._in_turn.pop(where.namespace, None)
        self._resting.drop(where.namespace)

    def take(self, now: float) -> Key | None:
        """Whose turn it is; None: nobody's. Counts as looked at."""
        if now < self._free_at:
            return None
        namespace = self._next_namespace(now)
        if namespace is None:
            return None
        _, where = self._secrets[namespace].first()
        self._free_at = now + self._pause
        self._in_turn.move_to_end(namespace)
        self.note_look(where, now)
        return where

    def wait(self, now: float) -> float:
        """Seconds until it may be somebody's turn, as things are; infinite: there is nobody."""
        if self._next_namespace(now) is not None:
            return max(0.0, self._free_at - now)
        return max(self._resting.first()[0], self._free_at) - now if self._resting else float("inf")

    def _expect(self, where: Key, due: float) -> None:
        secrets = self._secrets.setdefault(where.namespace, DueTimes())
        secrets.put(where, due)
        self._keep_place(where.namespace, secrets)

    def _keep_place(self, namespace: str, secrets: DueTimes[Key]) -> None:
        if namespace not in self._in_turn:
            self._resting.put(namespace, secrets.first()[0])

    def _next_namespace(self, now: float) -> str | None:
        while self._resting and (head := self._resting.first())[0] <= now:
            self._resting.drop(head[1])
            self._in_turn[head[1]] = None
        while self._in_turn:
            namespace = next(iter(self._in_turn))
            due, _ = self._secrets[namespace].first()
            if due <= now:
                return namespace
            del self._in_turn[namespace]
            self._resting.put(namespace, due)
        return None
