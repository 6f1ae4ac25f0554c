"""What became of a client's requests, and what the world was doing at the time: the judge of a journey."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

OK = 200
SHOWN = 40


class Outcome(NamedTuple):
    """One request, as the client saw it. A status of 0: no answer."""

    time: float
    status: int
    key_id: str
    milliseconds: float


@dataclass(slots=True)
class Diary:
    """What happened when: written by the story, read beside the failures."""

    entries: list[tuple[float, str]] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Now."""
        self.entries.append((time.time(), what))
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)

    def at(self, instant: float) -> str:
        """The last two things before an instant, with how long before."""
        before = [(when, what) for when, what in self.entries if when <= instant][-2:]
        return "; ".join(f"{what} {instant - when:.2f} s before" for when, what in reversed(before)) or "nothing yet"


def read_outcomes(file: Path) -> list[Outcome]:
    """The complete lines of a client's output."""
    whole, _, _ = file.read_text().rpartition("\n")
    return [
        Outcome(float(when), int(status), key_id, float(ms))
        for when, status, key_id, ms in (line.split(" ") for line in whole.splitlines())
    ]


def failures_of(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Every request that was not answered by the API."""
    return [outcome for outcome in outcomes if outcome.status != OK]


def speed_of(outcomes: Sequence[Outcome]) -> str:
    """How long requests took, in milliseconds, for people."""
    spent = sorted(outcome.milliseconds for outcome in outcomes)
    half, most = spent[len(spent) // 2], spent[len(spent) * 99 // 100]
    return f"half of them within {half:.0f} ms, 99 of 100 within {most:.0f}, all within {spent[-1]:.0f}"


def told(failures: Iterable[Outcome], diary: Diary) -> str:
    """Each failure with its time, its key and what the world was doing, for people."""
    listed = list(failures)
    kinds = Counter((failure.status, failure.key_id) for failure in listed)
    summary = [f"{count} times status {status}, key {key_id}" for (status, key_id), count in kinds.items()]
    return "\n".join([*summary, *(_told(failure, diary) for failure in listed[:SHOWN])])


def _told(failure: Outcome, diary: Diary) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(failure.time)) + f".{failure.time % 1 * 1000:03.0f}"
    return f"{clock} status {failure.status}, key {failure.key_id}, after {failure.milliseconds:.0f} ms: {diary.at(failure.time)}"
