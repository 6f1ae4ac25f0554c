"""Keys by number, the same in every process: for benchmarks of what knows many."""

from __future__ import annotations

from typing import Final

from gen import verifying
from keyturn.base.clock import utc_now
from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.keys.record import Record
from keyturn.keys.token_format import format_token
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import LocalLimiter
from keyturn.verifier.service.metrics import Verdicts
from keyturn.verifier.usage import Usage

ASKED: Final = {"audience": DEFAULT_AUDIENCE, "scopes": ("orders:read",)}


def token(number: int) -> str:
    """The key of this number."""
    return format_token("kt", key_id=f"{number:012d}", secret="s" * 43)


def garbage(number: int) -> str:
    """As long as a key, never issued, and none like another."""
    return f"kt_{number:061d}"


def record(number: int, **fields: object) -> Record:
    """What the operator would have written about it."""
    return verifying.record(token=token(number), **{"name": f"key-{number}", **ASKED, **fields})


def guard_of(keys: int) -> Guard:
    """The door, as `keyturn verifier` makes it, to one that knows so many and is up to date for ever."""
    known = verifying.known(*map(record, range(keys)), heard=float("inf"))
    return Guard(known, clock=utc_now, on_verdict=Verdicts().count, on_use=Usage().note, limiter=LocalLimiter())
