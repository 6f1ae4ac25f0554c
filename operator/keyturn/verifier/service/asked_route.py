"""What a gateway's route asks for, read from the address at which it asks. Pure. Before `http_front.py` asks the guard.

`/verify?audience=A&scope=S&scope=T` is for gateways that ask a fixed address. `/check/A/S/T/-/…` is for those that append the client's own
path (Envoy): what stands before `/-/` is the gateway's, the rest and the query are the client's, and say nothing here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, unquote

from keyturn.keys.record import DEFAULT_AUDIENCE
from keyturn.verifier.check import Asked

VERIFY: Final = b"/verify"
CHECK: Final = b"/check/"
_END_OF_ROUTE: Final = b"-/"
_LONGEST: Final = 2048
"""Bytes of a route; one that is longer is no one's."""


class NotARoute(ValueError):
    """The address says nothing that could be checked. The message is for whoever configures the gateway."""


def asked_at(path: bytes, query: bytes) -> Asked:
    """What is asked for at this raw path and query. Raises NotARoute."""
    if path == VERIFY:
        return _of_query(query)
    if path.startswith(CHECK):
        route, found, _ = path[len(CHECK) :].partition(_END_OF_ROUTE)
        if found and (not route or route.endswith(b"/")) and len(route) <= _LONGEST:
            return _of_segments(route)
    raise NotARoute("Ask at /verify?audience=…&scope=… or below /check/<audience>/<scope>/-")


@lru_cache(maxsize=1024)
def _of_query(query: bytes) -> Asked:
    if len(query) > _LONGEST:
        raise NotARoute(f"The query is longer than {_LONGEST} bytes")
    audiences, scopes = [], []
    for name, value in _pairs(query):
        match name:
            case "audience":
                audiences.append(value)
            case "scope":
                scopes += value.split(" ")
            case _:
                raise NotARoute(f"There is no parameter {name[:40]!r}: audience and scope are known")
    if len(audiences) > 1:
        raise NotARoute("More than one audience: a key is for one")
    return _asked(audiences[0] if audiences else "", tuple(scopes))


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode(), keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=64)
    except ValueError:
        raise NotARoute("The query is not made of name=value pairs") from None


@lru_cache(maxsize=1024)
def _of_segments(route: bytes) -> Asked:
    try:
        audience, *scopes = (unquote(segment, errors="strict") for segment in route.decode().rstrip("/").split("/"))
    except ValueError:
        raise NotARoute("The route is not UTF-8") from None
    return _asked(audience, tuple(scopes))


def _asked(audience: str, scopes: tuple[str, ...]) -> Asked:
    try:
        return Asked(audience or DEFAULT_AUDIENCE, scopes)
    except ValueError as mistake:
        raise NotARoute(str(mistake)) from None
