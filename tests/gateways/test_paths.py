"""A request is checked for the route that the API behind will see: no spelling of a path gets to /reports with a key for orders alone."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_walk import Surroundings
from gen.raw_request import bearer

pytestmark = pytest.mark.parametrize("name", EXAMPLES)

TRICKS = (
    "/reports", "/reports/", "/reports/1", "/reports?x=1", "/reports/-/x", "//reports/1", "/./reports/1", "/o/../reports/1",
    "/o/%2e%2e/reports/1", "/o/.%2e/reports/1", "/o/%2E%2E/reports/1", "/%72eports/1", "/o//../reports/1", "/o/..//reports/1",
    "/o/..%2freports/1", "/o%2f..%2freports/1", "/reports%2f1", "/%2freports/1", "/%2e/reports/1", "/o/..%5creports/1", "/reports%5c1",
    "/o/..\\reports/1", "\\reports/1", "/reports%00", "/reports%00/1", "/o/%00/../reports/1", "/o/%252e%252e/reports/1", "/%2572eports/1",
    "http://api.example.com/reports/1", "http://api.example.com//reports/1", "http://other.example.com/o/../reports/1", "/o#/../reports/1",
    "/o?/../reports/1", "/o/..;/reports/1", "/o/%2e%2e;x/reports/1", "reports/1", "*", "/reports#", "/o/../../reports/1",
    "/o/x/../../reports",
)  # fmt: skip


def meanings(target: str) -> set[str]:
    """The paths an API may take a target for: slashes merged before or after dots are resolved, a backslash a slash, the end at a zero."""
    path = unquote(re.sub(r"^https?://[^/]*", "", target).partition("?")[0], errors="replace").replace("\\", "/").partition("\0")[0]
    merged = re.sub(r"/+", "/", f"/{path}")
    by_rfc = "/" + "/".join(_without_dots(path.removeprefix("/").split("/")))
    return {path, posixpath.normpath(merged), re.sub(r"/+", "/", by_rfc)}


def _without_dots(segments: list[str]) -> list[str]:
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return kept


def is_reports(target: str) -> bool:
    return any(re.match(r"/*reports(/|$)", meaning) for meaning in meanings(target))


@pytest.mark.parametrize("target", TRICKS)
def test_no_spelling_reaches_a_route_that_the_key_may_not_use(name: str, walk: Surroundings, target: str) -> None:
    answered = walk.ask(name, target, bearer(walk.good))
    if answered.status == 200:
        assert not is_reports(walk.seen_in(answered).target)
    else:
        assert answered.status in {400, 403, 404}


def test_a_key_for_reports_gets_there(name: str, walk: Surroundings) -> None:
    """The tricks above are refused for what they are, not because nothing of the kind gets through."""
    token = walk.known("both", scopes=("reports:read",))
    for target in ("/reports", "/reports/1", "/%72eports/1"):
        assert is_reports(walk.seen(name, target, bearer(token)).target)


def test_the_place_where_a_gateway_asks_is_closed_to_clients(name: str, walk: Surroundings) -> None:
    for target in ("/_keyturn/audience=default", "/_keyturn/x", "/verify?audience=default", "/check/default/-/"):
        assert walk.ask(name, target).status in {401, 404}, target
