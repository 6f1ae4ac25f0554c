"""How fast edits beside the key are undone in a credential Secret, and from when on it is said that somebody keeps making them. Pure.

Each look at a Secret that differs from its template would write, and another controller answers each write with the next edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.base.clock import MINUTE, SECOND

FIRST_PAUSE: Final = SECOND
LONGEST_PAUSE: Final = MINUTE
QUIET: Final = 5 * MINUTE
"""Well above the longest pause, so that a contest that goes on does not seem to end in between."""
CONTESTED_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class EditsUndone:
    """What was undone in one Secret lately."""

    count: int
    last_time: datetime

    @property
    def next_time(self) -> datetime:
        """From when on the next edit is undone."""
        return self.last_time + min(FIRST_PAUSE * (1 << min(self.count - 1, 16)), LONGEST_PAUSE)

    @property
    def over_time(self) -> datetime:
        """When it is forgotten, if nothing more happens."""
        return self.last_time + QUIET

    @property
    def is_contest(self) -> bool:
        """Once is a slip; this often is something that works against us."""
        return self.count >= CONTESTED_AFTER


def one_more(before: EditsUndone | None, *, now: datetime) -> EditsUndone:
    """Another edit is undone now."""
    lately = before is not None and now < before.over_time
    return EditsUndone(before.count + 1 if before is not None and lately else 1, now)
