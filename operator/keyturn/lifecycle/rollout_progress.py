"""How a rollout stands, for people; when to look at it again, and when it counts as stalled. Beside `rollout.py`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from keyturn.api.workloads import Pending

_SHORTEST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(seconds=30)
_SUMMARY_LIMIT: Final = 256
"""Of `status.rollout.summary`."""


def rollout_summary(pending: Sequence[Pending], *, total: int) -> str:
    """One line for status: "3 of 4 done; waiting for StatefulSet/db (OnDelete)". At most 256 characters."""
    if not total:
        return "No workload uses the Secret"
    start = f"{total - len(pending)} of {total} done"
    if not pending:
        return start
    return f"{start}; waiting for {_list_of(pending, space=_SUMMARY_LIMIT - len(start) - len('; waiting for '))}"


def next_look_time(*, now: datetime, started: datetime) -> datetime:
    """When to look again: after half the time it has taken so far, 1 s at least, 30 s at most."""
    return now + min(max((now - started) / 2, _SHORTEST_PAUSE), _LONGEST_PAUSE)


def is_stalled(*, started: datetime, now: datetime, stall_timeout: timedelta) -> bool:
    """Whether an unfinished rollout has taken so long that a person should look at it."""
    return now - started >= stall_timeout


def _list_of(pending: Sequence[Pending], *, space: int) -> str:
    """As many as fit, then how many more; a single name that is too long is cut."""
    for shown in range(len(pending), 0, -1):
        more = f" and {len(pending) - shown} more" if shown < len(pending) else ""
        text = ", ".join(map(str, pending[:shown])) + more
        if len(text) <= space:
            return text
    more = f" and {len(pending) - 1} more" if len(pending) > 1 else ""
    return str(pending[0])[: space - len(more) - 1] + "…" + more
