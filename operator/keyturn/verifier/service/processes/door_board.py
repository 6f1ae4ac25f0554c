"""Who of several processes takes a connection that has come: the one that holds the fewest. Used by `shared_door.py`.

Connections of gateways last for hours, and over gRPC there are only a few, so chance would not do: left to themselves, whoever wakes up
first takes all of them, and by SO_REUSEPORT two connections meet in one process as often as not. So each process writes how many it holds
where the others can see it, and lets one that holds fewer go first. Numbers are all that is shared.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from enum import Enum
from typing import Final

AWAY: Final = 2**32 - 1
"""Stands for a process that takes nothing: it is not there yet, drains, or died."""
UNREADY: Final = 2**31
"""Added by one that is there and knows no keys yet: it takes what nobody else is there for, and answers 503."""


class Turn(Enum):
    """What to do about a connection that has come."""

    NOW = "take it"
    SOON = "let another one try first; if it is busy, take it"
    NOT = "leave it to those who are ready"


def turn(own: int, others: Iterable[int]) -> Turn:
    """By what each has written."""
    least = min(others, default=AWAY)
    if own >= UNREADY and least < UNREADY:
        return Turn.NOT
    return Turn.SOON if least < own else Turn.NOW


def holds_too_many(own: int, others: Iterable[int]) -> bool:
    """Whether it should let one go for another process to take: after a death all of its connections are with those that lived on."""
    return UNREADY > own > min(others, default=AWAY) + 1 + own // 4


class DoorBoard:
    """A number for each process at each door, in memory that all of them share."""

    def __init__(self, descriptor: int, *, doors: int, processes: int) -> None:
        self.descriptor = descriptor
        self._processes = processes
        self._numbers = memoryview(mmap.mmap(descriptor, doors * processes * 4)).cast("I")

    @classmethod
    def create(cls, *, doors: int, processes: int) -> DoorBoard:
        """A new one, where nobody is there yet."""
        descriptor = os.memfd_create("keyturn-doors")
        os.truncate(descriptor, doors * processes * 4)
        board = cls(descriptor, doors=doors, processes=processes)
        for process in range(processes):
            board.clear(process)
        return board

    def write(self, door: int, process: int, number: int) -> None:
        """What this process holds at this door."""
        self._numbers[door * self._processes + process] = number

    def others(self, door: int, process: int) -> list[int]:
        """What the others hold."""
        first = door * self._processes
        return [self._numbers[first + other] for other in range(self._processes) if other != process]

    def clear(self, process: int) -> None:
        """It is away, from every door."""
        for place in range(process, len(self._numbers), self._processes):
            self._numbers[place] = AWAY
