"""How all ApiKeys stand, for the metrics: a note of each at the end of every look. Asked by a scrape.

Part of `Memory`, so it ends with the term: the next leader looks at every key at its start. A key costs 50 to 80 bytes, one that is not as
usual 50 more.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime
from typing import Final, TypeVar

from keyturn.base.key_metrics import END_SHOWN_AFTER, END_SHOWN_BEFORE, LATE_AFTER, KeyNumbers
from keyturn.base.names import Key
from keyturn.lifecycle.standing import Standing

T = TypeVar("T")


USUAL: Final = Standing(ready=("True", "Issued"), stalled=None, rollout_stalled=False, retiring=0)
"""How nearly all keys stand: only the others are written down."""
NEVER: Final = math.inf


class Census:
    """Not thread-safe: it belongs to one event loop."""

    __slots__ = ("_counts", "_ends", "_expected", "_known", "_standings")

    def __init__(self) -> None:
        self._expected: dict[Key, float] = {}
        """Of every key: when its next rotation is expected."""
        self._standings: dict[Key, Standing] = {}
        self._known: dict[Standing, Standing] = {USUAL: USUAL}
        self._counts: Counter[Standing] = Counter()
        self._ends: dict[Key, float] = {}

    def note(self, key: Key, standing: Standing, *, rotation_expected: datetime | None, end: datetime | None) -> None:
        """How a key stands now; when its next rotation is expected, and when it ends by intent."""
        shared = self._known.setdefault(standing, standing)
        before = self._standing(key)
        if before is not shared:
            self._counts[shared] += 1
            self._leave(before)
        _keep(self._standings, key, shared if shared is not USUAL else None)
        self._expected[key] = rotation_expected.timestamp() if rotation_expected is not None else NEVER
        _keep(self._ends, key, end.timestamp() if end is not None else None)

    def forget(self, key: Key) -> None:
        """There is no such ApiKey any more."""
        self._leave(self._standing(key))
        self._standings.pop(key, None)
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

    def _standing(self, key: Key) -> Standing | None:
        return self._standings.get(key, USUAL) if key in self._expected else None

    def _leave(self, standing: Standing | None) -> None:
        if standing is None:
            return
        self._counts[standing] -= 1
        if not self._counts[standing]:
            del self._counts[standing]


def _keep(table: dict[Key, T], key: Key, value: T | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
