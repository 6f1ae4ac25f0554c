"""Answers that must not be ignored: unions to `match` on, which refuse to be tested for truth.

A refusal is an object, and an object is true: `if check(token):` would let everyone in. So a verdict raises there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn


class Verdict:
    """Base of every verdict; `bool(verdict)` raises TypeError."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError(f"match on the kinds of verdict; do not test a {type(self).__name__} for truth")


@dataclass(frozen=True, slots=True)
class Match(Verdict):
    """The two values compared are the same."""


@dataclass(frozen=True, slots=True)
class Mismatch(Verdict):
    """The two values compared differ, or one of them could not be read."""


Comparison = Match | Mismatch
