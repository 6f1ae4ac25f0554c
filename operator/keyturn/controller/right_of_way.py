"""Who lets whom pass among namespaces that are worked on at once: the busy one those that seldom want anything. For `workqueue.py`.

Turns say who starts. What has started shares one event loop and one API server: beside four keys of a namespace that never rests, each
request of a neighbour's one key takes as long as five. So between two steps a key waits while one of a much quieter namespace is on its
way, and never longer than `PATIENCE` times its own last step: the busy namespace goes on at a quarter of its speed at the least, and one
that is alone loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

HALF_LIFE: Final = 5.0
"""Seconds after which a step counts half."""
QUIETER: Final = 4.0
"""How many times fewer steps a namespace must have taken lately to be let pass: two that are both busy do not wait for each other."""
PATIENCE: Final = 3.0
SHORTEST: Final = 0.02
"""Seconds: what a key waits for at the longest that has taken no step yet."""
SPARE: Final = 64
"""Namespaces that may be remembered though they have long been quiet."""


def longest_wait(last_step: float) -> float:
    """Seconds that a key waits before its next step, after one that took so long."""
    return max(SHORTEST, PATIENCE * last_step)


class RightOfWay:
    """Pure bookkeeping, times in seconds of any clock that only goes forward. Not thread-safe."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[float, float]] = {}
        """By namespace: how many, the older ones counting less, as of a time."""
        self._busy = 0

    def __len__(self) -> int:
        return len(self._steps)

    def note_step(self, namespace: str, now: float) -> None:
        """One of its keys takes a step."""
        self._steps[namespace] = self.steps_lately(namespace, now) + 1.0, now
        if len(self._steps) > 2 * self._busy + SPARE:
            self._steps = {each: steps for each, steps in self._steps.items() if self.steps_lately(each, now) > 1 / QUIETER}
            self._busy = len(self._steps)

    def steps_lately(self, namespace: str, now: float) -> float:
        """How many steps its keys took, the older ones counting less."""
        count, then = self._steps.get(namespace, (0.0, now))
        return float(count * 0.5 ** ((now - then) / HALF_LIFE))

    def lets_pass(self, namespace: str, others: Iterable[str], now: float) -> bool:
        """Whether it waits while keys of these namespaces are worked on."""
        enough = self.steps_lately(namespace, now) / QUIETER
        return any(self.steps_lately(other, now) < enough for other in others if other != namespace)
