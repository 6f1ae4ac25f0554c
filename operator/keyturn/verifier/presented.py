"""Finds the key in a request's headers, or in its URL where that is switched on. Before it: a front. After it: `check.py`.

One request, one key: of two, a gateway might check the one and the API behind it take the other, so two are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from keyturn.base.verdict import Verdict
from keyturn.verifier.verdicts import Refusal, Refused

AUTHORIZATION: Final = b"authorization"
_BEARER: Final = re.compile(rb"bearer(?: +(.*))?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a key may stand."""

    bearer: bool = True
    """`Authorization: Bearer <key>` (RFC 6750 section 2.1). Other schemes there are none of our business."""
    headers: tuple[str, ...] = ("x-api-key",)
    """Headers that hold the key alone; lower or upper case is the same."""
    query: str | None = None
    """A parameter of the URL that holds the key alone; None: nobody looks there. URLs are written to logs, histories and Referer headers:
    for clients that can set no header, and for nobody else. A gateway's questions never carry a key there."""
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
    """Where it stood, in lower case: not to be passed on. Empty: in the URL."""

    def __repr__(self) -> str:
        return f"Presented(header={self.header!r})"


def find_token(headers: Iterable[tuple[bytes, bytes]], sources: Sources, *, query: bytes = b"") -> Presented | Refused:
    """Look through (name, value) pairs as they came, repeats among them, and the query as it stands in the URL. Never raises.

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
    if sources.query is not None and query:
        return _with_query(found, query, name=sources.query.encode())
    return Refused(Refusal.NO_KEY) if found is None else found


def without_keys(headers: Iterable[tuple[bytes, bytes]], *, sources: Sources, hidden: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers an API may see: not those that hold a key, nor those in `hidden` (lower case). `Authorization: Basic` stays.

    With underscores a hidden one is hidden as well: frameworks that turn headers into variables take the two for one.
    """
    looked_at = sources.names
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower.replace(b"_", b"-") not in hidden and (lower not in looked_at or _candidate(lower, value) is None):
            kept.append((name, value))
    return kept


def query_without_keys(query: bytes, *, sources: Sources) -> bytes:
    """The query an API may see: without the parameter that holds a key, where one may."""
    if sources.query is None:
        return query
    name = sources.query.encode()
    return b"&".join(part for part in query.split(b"&") if _parameter(part)[0] != name)


def _with_query(found: Presented | None, query: bytes, *, name: bytes) -> Presented | Refused:
    tokens = [value for parameter, value in map(_parameter, query.split(b"&")) if parameter == name]
    if len(tokens) + (found is not None) > 1:
        return Refused(Refusal.AMBIGUOUS)
    if tokens:
        return Presented(tokens[0].decode("latin-1"), "")
    return Refused(Refusal.NO_KEY) if found is None else found


def _parameter(part: bytes) -> tuple[bytes, bytes]:
    """Name and value, as the frameworks decode them: a plus is a space."""
    name, _, value = part.replace(b"+", b" ").partition(b"=")
    return unquote_to_bytes(name), unquote_to_bytes(value)


def _candidate(name: bytes, value: bytes) -> bytes | None:
    """What a header presents as a key; None: it is an Authorization of another scheme."""
    if name != AUTHORIZATION:
        return value
    match = _BEARER.fullmatch(value.strip(b" \t"))
    return None if match is None else match[1] or b""
