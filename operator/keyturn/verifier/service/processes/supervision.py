"""When a process of the verifier that ended is started again, and what the readiness of all of them is. Pure; `supervisor.py` does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

STOPPED: Final = 0
FAILED: Final = 1
NOT_ALLOWED: Final = 4

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds."""
SETTLED: Final = 60.0
"""One that lived for so many seconds dies anew, not again."""
STUCK: Final = 60.0
"""One that has said nothing for so many seconds is ended: alone, its kubelet would do that."""


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a process, when it is over."""

    status: int
    """How it ended; negative: by that signal."""
    lived: float
    """Seconds."""
    is_first: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again."""

    pause: float
    """After so many seconds."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the others too: what ended it ends any of them."""

    status: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one process."""

    was_ready: bool = False
    """Once, in any of its lives."""
    complaint: str | None = "It has not said anything yet"
    """Why it is not ready now; None: it is."""


def after_end(life: Life, *, last_pause: float, is_anyone_known_good: bool) -> Restart | GiveUp:
    """What follows. `is_anyone_known_good`: some process was ready once, so it can be done, and those that live go on answering.

    Before that, an end is that of all, as it is of a verifier with one process: for its kubelet to see, and for people.
    """
    if life.status == NOT_ALLOWED and life.is_first:
        return GiveUp(NOT_ALLOWED)
    if not is_anyone_known_good and life.status != STOPPED:
        return GiveUp(life.status if life.status == NOT_ALLOWED else FAILED)
    return Restart(FIRST_PAUSE if life.lived >= SETTLED or not last_pause else min(last_pause * 2, LONGEST_PAUSE))


def is_stuck(*, silent: float) -> bool:
    """Whether it is of no more use."""
    return silent > STUCK


def complaint_of_all(standings: Sequence[Standing]) -> str | None:
    """Why requests should go to another replica; None: nothing.

    Each has to have been ready once. Later one is enough: those that are ready take the connections of those that are not.
    """
    for number, standing in enumerate(standings):
        if not standing.was_ready:
            return f"Process {number}: {standing.complaint}"
    if any(standing.complaint is None for standing in standings):
        return None
    return f"No process is ready. Process 0: {standings[0].complaint}"
