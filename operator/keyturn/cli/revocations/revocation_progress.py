"""How far a revocation is, for a person who waits: a bar that moves on a terminal, now and then a line in a pipe."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyturn.lifecycle.revocation_status import is_complete

if TYPE_CHECKING:
    from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
    from keyturn.cli.console import Console

WIDTH: Final = 30
LINE_EVERY: Final = 2.0
"""Seconds between two lines that differ by nothing but their numbers."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What its status says."""

    dead: int = 0
    living: int = 0
    is_complete: bool = False
    sentence: str = "waits for the operator"
    phase: str = ""
    """The reason of its condition."""


def progress_of(revocation: ApiKeyRevocation | None) -> Progress:
    """As of one look; None: nobody could look yet."""
    status = revocation.status if revocation is not None else None
    if revocation is None or status is None:
        return Progress()
    condition = next((each for each in status.conditions if each.type == "Complete"), None)
    said = condition.message if condition is not None else "waits for the operator"
    done = is_complete(revocation)
    took = f", {status.latency} after its creation" if done and status.latency else ""
    phase = condition.reason if condition is not None else ""
    return Progress(status.revoked_versions or 0, status.remaining_versions or 0, done, f"{said}{took}", phase)


def bar(progress: Progress) -> str:
    """Two thirds of ten are dead: [####################..........] 7 of 10 dead."""
    total = progress.dead + progress.living
    filled = WIDTH * progress.dead // total if total else 0
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {counts(progress)}"


def counts(progress: Progress) -> str:
    """So many of so many."""
    return f"{progress.dead} of {progress.dead + progress.living} dead"


def fitted(text: str, columns: int) -> str:
    """As much as stands in one line: what wraps is not written over by the next, and every look leaves a line behind."""
    return text if len(text) < columns else f"{text[: columns - 2]}…"


class Teller:
    """Writes to standard error: whoever reads standard output wants the result alone."""

    def __init__(self, console: Console, name: str) -> None:
        self._console, self._name = console, name
        self._moves = console.err.isatty()
        self._told, self._told_phase, self._told_time = "", "", float("-inf")

    def tell(self, progress: Progress) -> None:
        """How far it is now."""
        several = progress.dead + progress.living > 1
        if self._moves and several:
            self._over(fitted(f"{bar(progress)}  {progress.sentence}", self._console.err_columns))
            return
        text = f"{counts(progress)}: {progress.sentence}" if several else progress.sentence
        is_due = progress.phase != self._told_phase or time.monotonic() - self._told_time >= LINE_EVERY
        if text != self._told and is_due:
            self._told, self._told_phase, self._told_time = text, progress.phase, time.monotonic()
            self.say(text)

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.say(f"apikeyrevocation/{self._name}: {text}")

    def end(self, progress: Progress) -> None:
        """Leave the bar as it is at last."""
        if self._moves and progress.dead + progress.living > 1:
            self._over(f"{bar(progress)}\n")

    def _over(self, text: str) -> None:
        self._console.err.write(f"\r\x1b[K{text}")
        self._console.err.flush()
