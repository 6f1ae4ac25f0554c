"""Keys by number, the same in every process: for benchmarks of what knows many."""

from __future__ import annotations

from typing import Final

from gen.verifying import guard, record
from keyturn.keys.token_format import format_token
from keyturn.verifier.guard import Guard

ASKED: Final = {"audience": "orders", "scopes": ("orders:read",)}


def token(number: int) -> str:
    """The key of this number."""
    return format_token("kt", key_id=f"{number:012d}", secret="s" * 43)


def guard_of(keys: int) -> Guard:
    """The door, to a verifier that knows so many."""
    return guard(*(record(token=token(number), name=f"key-{number}", **ASKED) for number in range(keys)))
