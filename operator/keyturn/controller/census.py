"""How all ApiKeys stand, for the metrics: a note of each at the end of every look, about 80 bytes a key. Asked by a scrape.

Part of `Memory`, so it ends with the term: the next leader looks at every key at its start.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from keyturn.base.key_metrics import END_SHOWN_AFTER, END_SHOWN_BEFORE, LATE_AFTER, KeyNumbers
from keyturn.base.names import Key
from keyturn.lifecycle.standing import Standing


class Census:
    """Not thread-safe: it belongs to one event loop."""

    __slots__ = ("_counts", "_ends", "_expected", "_known", "_standings")

    def __init__(self) -> None:
        self._standings: dict[Key, Standing] = {}
        self._known: dict[Standing, Standing] = {}
        self._counts: Counter[Standing] = Counter()
        self._expected: dict[Key, float] = {}
        self._ends: dict[Key, float] = {}

    def note(self, key: Key, standing: Standing, *, rotation_expected: datetime | None, end: datetime | None) -> None:
        """How a key stands now; when its next rotation is expected, and when it ends by intent."""
        shared = self._known.setdefault(standing, standing)
        before = self._standings.get(key)
        if before is not shared:
            self._standings[key] = shared
            self._counts[shared] += 1
            self._leave(before)
        _keep(self._expected, key, rotation_expected)
        _keep(self._ends, key, end)

    def forget(self, key: Key) -> None:
        """There is no such ApiKey any more."""
        self._leave(self._standings.pop(key, None))
        self._expected.pop(key, None)
        self._ends.pop(key, None)

    def numbers(self, now: datetime) -> KeyNumbers:
        """The sums, and what the time has made of them since the last looks."""
        ready: Counter[tuple[str, str]] = Counter()
        stalled: Counter[str] = Counter()
        for standing, count in self._counts.items():
            ready[standing.ready] += count
            if standing.stalled is not None:
                stalled[standing.stalled] += count
        instant, limit = now.timestamp(), LATE_AFTER.total_seconds()
        late = [instant - expected for expected in self._expected.values() if expected < instant]
        first, last = (now - END_SHOWN_AFTER).timestamp(), (now + END_SHOWN_BEFORE).timestamp()
        return KeyNumbers(
            ready=ready,
            stalled=stalled,
            rollouts_stalled=sum(count for standing, count in self._counts.items() if standing.rollout_stalled),
            retiring=sum(standing.retiring * count for standing, count in self._counts.items()),
            overdue=sum(seconds > limit for seconds in late),
            overdue_seconds=max(late, default=0.0),
            ends={key: end for key, end in self._ends.items() if first <= end <= last},
        )

    def _leave(self, standing: Standing | None) -> None:
        if standing is None:
            return
        self._counts[standing] -= 1
        if not self._counts[standing]:
            del self._counts[standing]


def _keep(times: dict[Key, float], key: Key, instant: datetime | None) -> None:
    if instant is None:
        times.pop(key, None)
    else:
        times[key] = instant.timestamp()
