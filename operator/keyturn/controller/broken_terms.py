"""Terms that a bug ended: what the probes say of them, and how long to wait before the next. `run.py` fills it in.

An operator whose terms end by a bug must not look like one that works: it rotates, issues and revokes nothing. Its keys are accepted
without it, and a restart cures no bug: so it is not ready, and not unhealthy either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0


class BrokenTerms:
    """Those in a row. `lives_after`: a term that is as old as this is not about to end by the same bug."""

    def __init__(self, *, lives_after: timedelta, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lives_after = lives_after.total_seconds()
        self._monotonic = monotonic
        self._count = 0
        self._why = ""
        self._lives_since: float | None = None

    def note_end(self, why: str) -> float:
        """A bug ended a term; answers how many seconds to wait before the next."""
        self.note_idle()
        self._count, self._why = self._count + 1, why
        return min(FIRST_PAUSE * float(1 << min(self._count - 1, 16)), LONGEST_PAUSE)

    def note_life(self) -> None:
        """A term has begun to work, here or in the replica that this one stands by for."""
        if self._lives_since is None:
            self._lives_since = self._monotonic()

    def note_idle(self) -> None:
        """It does no more."""
        if self._has_lived():
            self._count = 0
        self._lives_since = None

    def complaint(self) -> str | None:
        """What to say to whoever asks whether this replica works; None: nothing, also once a term lives again."""
        if not self._count or self._has_lived():
            return None
        times = "The last term" if self._count == 1 else f"The last {self._count} terms"
        return f"{times} ended by a bug: {self._why}. Its traceback is in the log; keys are neither issued, rotated nor revoked"

    def _has_lived(self) -> bool:
        return self._lives_since is not None and self._monotonic() - self._lives_since >= self._lives_after
