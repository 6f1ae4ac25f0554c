"""Finds the key in a request's headers. Before it: a front. After it: `check.py`.

One request, one key: of two, a gateway might check the one and the API behind it take the other, so two are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from keyturn.base.verdict import Verdict
from keyturn.verifier.verdicts import Refusal, Refused

AUTHORIZATION: Final = b"authorization"
_BEARER: Final = re.compile(rb"bearer(?: +(.*))?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a key may stand. Never in a URL: those are written to logs, histories and Referer headers."""

    bearer: bool = True
    """`Authorization: Bearer <key>` (RFC 6750 section 2.1). Other schemes there are none of our business."""
    headers: tuple[str, ...] = ("x-api-key",)
    """Headers that hold the key alone; lower or upper case is the same."""
    names: frozenset[bytes] = field(init=False, repr=False, compare=False)
    """Every header that is looked at, in lower case: made once, since it is needed for every request."""

    def __post_init__(self) -> None:
        named = frozenset(name.lower().encode("latin-1") for name in self.headers)
        object.__setattr__(self, "names", named | {AUTHORIZATION} if self.bearer else named)


@dataclass(frozen=True, slots=True)
class Presented(Verdict):
    """The request carries exactly one key, or something in its place."""

    token: str
    header: str
    """Where it stood, in lower case: not to be passed on."""

    def __repr__(self) -> str:
        return f"Presented(header={self.header!r})"


def find_token(headers: Iterable[tuple[bytes, bytes]], sources: Sources) -> Presented | Refused:
    """Look through (name, value) pairs as they came, repeats among them. Never raises.

    A bearer that is no key of ours is presented all the same: whether it is a JWT, or nothing, others know.
    """
    looked_at = sources.names
    found: Presented | None = None
    for name, value in headers:
        lower = name.lower()
        token = _candidate(lower, value) if lower in looked_at else None
        if token is None:
            continue
        if found is not None:
            return Refused(Refusal.AMBIGUOUS)
        found = Presented(token.strip(b" \t").decode("latin-1"), lower.decode("latin-1"))
    return Refused(Refusal.NO_KEY) if found is None else found


def without_keys(headers: Iterable[tuple[bytes, bytes]], *, sources: Sources, hidden: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers an API may see: not those that hold a key, nor those in `hidden` (lower case). `Authorization: Basic` stays."""
    looked_at = sources.names
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower not in hidden and (lower not in looked_at or _candidate(lower, value) is None):
            kept.append((name, value))
    return kept


def _candidate(name: bytes, value: bytes) -> bytes | None:
    """What a header presents as a key; None: it is an Authorization of another scheme."""
    if name != AUTHORIZATION:
        return value
    match = _BEARER.fullmatch(value.strip(b" \t"))
    return None if match is None else match[1] or b""
