"""How many scheduled rotations may start at a time: token buckets, one for all namespaces together and one for each.

After days of standstill thousands of keys are due at once; this spreads them. The controller keeps one RotationPacer in memory:
while observing it asks for the key's `turn`, before the step that stages it takes. A restart forgets it, which costs one burst.

A bucket is one instant, the one at which it will be full again (the "generic cell rate algorithm"): nothing has to be refilled and
nothing is rounded but the time one token takes, which is rounded up. So at most rate * t + burst tokens are given out in any time t.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keyturn.base.clock import MINUTE
from keyturn.base.errors import RetryLater
from keyturn.base.names import Key
from keyturn.base.settings import Settings

CLOCK_STEP: Final = MINUTE
"""A bucket that is emptier than empty by more than this was filled before the clock was set back: it counts as empty now."""
PATIENCE: Final = 10 * MINUTE
"""A key that has not come back so long after its turn does not wait any more: it was deleted, paused or changed."""
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second, and how many may be saved up."""

    per_second: float
    burst: int

    @property
    def token_time(self) -> timedelta:
        """How long one token takes to come, rounded up."""
        return timedelta(microseconds=-int(-_MICROSECONDS // self.per_second))


@dataclass(frozen=True, slots=True)
class Bucket:
    """Full from that instant on; every token taken moves it further off."""

    full_time: datetime

    def as_seen(self, *, rate: Rate, now: datetime) -> Bucket:
        """The same, but where the clock was set back: then empty."""
        latest = now + rate.burst * rate.token_time
        return Bucket(latest) if self.full_time > latest + CLOCK_STEP else self


def earliest(bucket: Bucket, *, rate: Rate, now: datetime) -> datetime:
    """The first instant, now or later, at which the bucket has a token."""
    return max(now, bucket.as_seen(rate=rate, now=now).full_time - (rate.burst - 1) * rate.token_time)


def take(bucket: Bucket, *, rate: Rate, now: datetime) -> Bucket:
    """The bucket without one token; raise RetryLater, which says for how long, when it has none."""
    start = earliest(bucket, rate=rate, now=now)
    if start > now:
        raise RetryLater("Too many rotations start at the same time", after_seconds=(start - now).total_seconds())
    return Bucket(max(bucket.as_seen(rate=rate, now=now).full_time, now) + rate.token_time)


class RotationPacer:
    """The buckets of all namespaces, and who waits for them; it has no clock of its own.

    Holds only buckets that are not full and keys that asked lately, so its size is bounded by the work under way.
    """

    def __init__(self, *, overall: Rate, per_namespace: Rate) -> None:
        self._overall_rate = overall
        self._namespace_rate = per_namespace
        self._overall: Bucket | None = None
        self._namespaces: dict[str, Bucket] = {}
        self._waiting: dict[str, dict[str, datetime]] = {}
        """By namespace and name: until when a key counts as waiting."""

    @classmethod
    def of(cls, settings: Settings) -> RotationPacer:
        """The pacer that the settings ask for."""
        return cls(
            overall=Rate(settings.rotation_rate, settings.rotation_burst),
            per_namespace=Rate(settings.namespace_rotation_rate, settings.namespace_rotation_burst),
        )

    @property
    def size(self) -> int:
        """How many buckets and waiting keys are held."""
        return len(self._namespaces) + sum(map(len, self._waiting.values()))

    def earliest(self, namespace: str, *, now: datetime) -> datetime:
        """The first instant, now or later, at which a rotation there may start if no other one comes first. Changes nothing."""
        overall = earliest(self._overall or Bucket(now), rate=self._overall_rate, now=now)
        return max(overall, earliest(self._bucket(namespace, now=now), rate=self._namespace_rate, now=now))

    def turn(self, key: Key, *, now: datetime) -> datetime:
        """When this key should ask again: now if it may start, else a place of its own in the time that its namespace's keys will take.

        If all of them came back for the next token, they would look at the cluster thousands of times for one rotation. Namespaces share
        the tokens: one key does not wait for the thousands of another namespace.
        """
        start = self.earliest(key.namespace, now=now)
        if start <= now:
            return now
        neighbours = self._waiting.setdefault(key.namespace, {})
        neighbours.setdefault(key.name, start)
        spread = len(neighbours) * max(len(self._waiting) * self._overall_rate.token_time, self._namespace_rate.token_time)
        turn = start + spread * fraction(key)
        neighbours[key.name] = turn + PATIENCE
        return turn

    def take(self, key: Key, *, now: datetime) -> None:
        """Count this key's rotation, which starts now; raise RetryLater, and count nothing, when it may not."""
        overall = take(self._overall or Bucket(now), rate=self._overall_rate, now=now)
        self._namespaces[key.namespace] = take(self._bucket(key.namespace, now=now), rate=self._namespace_rate, now=now)
        self._overall = overall
        self._waiting.get(key.namespace, {}).pop(key.name, None)
        self._forget(now=now)

    def _bucket(self, namespace: str, *, now: datetime) -> Bucket:
        return self._namespaces.get(namespace) or Bucket(now)

    def _forget(self, *, now: datetime) -> None:
        """Drop full buckets and keys that gave up."""
        seen = {name: bucket.as_seen(rate=self._namespace_rate, now=now) for name, bucket in self._namespaces.items()}
        self._namespaces = {name: bucket for name, bucket in seen.items() if bucket.full_time > now}
        waiting = {ns: {name: until for name, until in keys.items() if until > now} for ns, keys in self._waiting.items()}
        self._waiting = {ns: keys for ns, keys in waiting.items() if keys}


def fraction(key: Key) -> float:
    """In [0, 1), the same for the same key at every call."""
    return int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:6]) / 2**48
