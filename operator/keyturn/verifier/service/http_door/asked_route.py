"""What a gateway's route asks for, read from the address at which it asks. Pure. Before `http_front.py` asks the guard.

`/verify?audience=A&scope=S&scope=T` is for gateways that ask a fixed address. `/check/A/S/T/-/…` is for those that append the client's own
path (Envoy): what stands before the first `/-/` is the gateway's, the rest and the query are the client's, and say nothing here.

What is empty is a mistake, not a default: a variable that a template left out must not open a route.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, unquote

from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.verifier.check import Asked

VERIFY: Final = b"/verify"
CHECK: Final = b"/check/"
_END_OF_ROUTE: Final = b"/-/"
_START: Final = len(CHECK) - 1
_LONGEST: Final = 2048
"""Bytes of a route; one that is longer is no one's."""
_MOST_PARAMETERS: Final = 64


class NotARoute(ValueError):
    """The address says nothing that could be checked. The message is for whoever configures the gateway."""


def asked_at(path: bytes, query: bytes) -> Asked:
    """What is asked for at this raw path and query. Raises NotARoute."""
    if path == VERIFY:
        return _of_query(query)
    if path.startswith(CHECK):
        end = path.find(_END_OF_ROUTE, _START, _START + _LONGEST)
        if end >= 0:
            return _of_route(path[_START:end])
    raise NotARoute("Ask at /verify?audience=…&scope=… or below /check/<audience>/<scope>/-")


@lru_cache(maxsize=1024)
def _of_query(query: bytes) -> Asked:
    if len(query) > _LONGEST:
        raise NotARoute(f"The query is longer than {_LONGEST} bytes")
    audiences: list[str] = []
    scopes: list[str] = []
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
    return _asked(audiences[0] if audiences else DEFAULT_AUDIENCE, tuple(scopes))


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode(), keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        raise NotARoute("The query is not made of name=value pairs") from None


@lru_cache(maxsize=1024)
def _of_route(route: bytes) -> Asked:
    """`route`: empty, or segments that each begin with a slash."""
    try:
        _, *segments = (unquote(segment, errors="strict") for segment in route.decode().split("/"))
    except ValueError:
        raise NotARoute("The route is not UTF-8") from None
    return _asked(segments[0], tuple(segments[1:])) if segments else _asked(DEFAULT_AUDIENCE, ())


def _asked(audience: str, scopes: tuple[str, ...]) -> Asked:
    if not audience:
        raise NotARoute("The audience is empty: leave it out for the default one")
    try:
        return Asked(audience, scopes)
    except ValueError as mistake:
        raise NotARoute(str(mistake)) from None
