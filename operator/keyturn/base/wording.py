"""Words that messages to people share."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """So many of a noun that forms its plural with an s: `1 verifier`, `0 verifiers`, `2 key versions`.

    Verbs do not follow: put the count where none agrees with it.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
