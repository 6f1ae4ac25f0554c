"""How often a key may be used. Pure: `now` is passed in. Before it: `guard.py`, once a key was accepted. After it: `answers.py`.

A bucket is one number, the instant at which it will be full again (the "generic cell rate algorithm"), so nothing has to be refilled,
and a full bucket needs no number at all. Buckets belong to one process: of two replicas, each lets through what the limit says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple, NoReturn, Protocol

_FEWEST_BEFORE_SWEEP: Final = 1024
_SECOND: Final = 1_000_000_000
"""In nanoseconds, as whole numbers: who waits exactly as told must pass, so nothing may be lost in adding up."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests a second, and so many at once after a while without any. Raises ValueError for numbers that are no limit."""

    rate: float
    burst: int
    name: str = "plan"
    """What clients call it: ASCII letters."""
    spacing: int = field(init=False, repr=False, compare=False)
    """Nanoseconds for one request, rounded up: never more than the rate."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0 and self.burst >= 1):
            raise ValueError("a limit is a rate above 0 and a burst of at least 1")
        object.__setattr__(self, "spacing", math.ceil(_SECOND / self.rate))

    @property
    def window(self) -> int:
        """Seconds in which an empty bucket fills, rounded up."""
        return -(-self.burst * self.spacing // _SECOND)


class Quota(NamedTuple):
    """How a key stands with its limit after this request."""

    limit: Limit
    may_pass: bool
    remaining: int
    """Requests that would pass at this moment."""
    wait: int
    """Seconds until there is one more, rounded up: where none remains, the client's Retry-After."""

    def __bool__(self) -> NoReturn:
        raise TypeError("look at may_pass; a quota is there also where it is used up")


class Limiter(Protocol):
    """What counts requests.

    One that is shared by all replicas asks somebody else, so it would have to be awaited: with `async def spend`, the same arguments
    and answer, a `judge` that awaits it, a time-out, and a word on what holds while nobody answers (the local buckets).
    """

    def spend(self, who: str, limit: Limit | None, *, now: float) -> Quota | None:
        """Count one request of an ApiKey, all of its versions together; None: nothing limits it."""
        ...


class LocalLimiter:
    """Buckets in this process, for any number of threads. A request that is refused spends nothing."""

    def __init__(self, *, default: Limit | None = None) -> None:
        self._default = default
        """For who has no limit of its own."""
        self._full_at: dict[str, int] = {}
        self._sweep_above = _FEWEST_BEFORE_SWEEP
        self._lock = Lock()

    def __len__(self) -> int:
        """How many buckets are held."""
        return len(self._full_at)

    def spend(self, who: str, limit: Limit | None, *, now: float) -> Quota | None:
        """Count one request."""
        limit = limit or self._default
        if limit is None:
            return None
        with self._lock:
            return self._spend(who, limit, now)

    def _spend(self, who: str, limit: Limit, now: float) -> Quota:
        instant = int(now * _SECOND)
        latest = instant + limit.spacing * limit.burst
        # Emptier than empty: the clock was set back, or the limit was lowered.
        full_at = min(max(self._full_at.get(who, instant), instant), latest)
        may_pass = full_at + limit.spacing <= latest
        if may_pass:
            full_at += limit.spacing
        self._full_at[who] = full_at
        if len(self._full_at) > self._sweep_above:
            self._forget_full(instant)
        remaining, saved = divmod(latest - full_at, limit.spacing)
        return Quota(limit, may_pass, remaining, -((saved - limit.spacing) // _SECOND))

    def _forget_full(self, instant: int) -> None:
        """Seldom enough to cost nothing: the next time is when as many again have come."""
        self._full_at = {who: full_at for who, full_at in self._full_at.items() if full_at > instant}
        self._sweep_above = max(_FEWEST_BEFORE_SWEEP, 2 * len(self._full_at))
