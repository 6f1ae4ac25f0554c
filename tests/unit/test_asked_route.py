"""What a gateway's route asks for."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.verifier.check import Asked
from keyturn.verifier.service.http_door.asked_route import NotARoute, asked_at

AUDIENCES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
SCOPES = st.lists(st.text(st.sampled_from("abz09:.-_~!/#"), min_size=1, max_size=12), max_size=4)
CLIENT_PATHS = st.binary() | st.sampled_from([b"", b"a/-/", b"-/", b"/-/check/b/-/", b"../../check/b/-/", b"%2F-%2F"])


@pytest.mark.parametrize(
    ("path", "query", "asked"),
    [
        (b"/verify", b"", Asked()),
        (b"/verify", b"audience=orders", Asked("orders")),
        (b"/verify", b"scope=read", Asked(scopes=("read",))),
        (b"/verify", b"audience=orders&scope=read+write&scope=admin", Asked("orders", ("read", "write", "admin"))),
        (b"/verify", b"audience=https%3A%2F%2Forders.example.com%2F", Asked("https://orders.example.com/")),
        (b"/check/-/", b"", Asked()),
        (b"/check/-/invoices/7", b"audience=orders&scopes=x", Asked()),
        (b"/check/orders/-/", b"", Asked("orders")),
        (b"/check/orders/read/write/-/", b"", Asked("orders", ("read", "write"))),
        (b"/check/my-/-/", b"", Asked("my-")),
        (b"/check/a%2F-%2Fb/-/", b"", Asked("a/-/b")),
        (b"/check/-a/-b/-/", b"", Asked("-a", ("-b",))),
    ],
)
def test_a_route_asks_for_what_its_gateway_wrote(path: bytes, query: bytes, asked: Asked) -> None:
    assert asked_at(path, query) == asked


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (b"/", b""),
        (b"", b""),
        (b"/verify/", b""),
        (b"/Verify", b""),
        (b"/verify", b"audience"),
        (b"/verify", b"audience="),
        (b"/verify", b"scope="),
        (b"/verify", b"scope=read++write"),
        (b"/verify", b"audience=a&audience=a"),
        (b"/verify", b"Audience=a"),
        (b"/verify", b"scopes=read"),
        (b"/verify", b"audience=%ff"),
        (b"/verify", b"scope=%22"),
        (b"/verify", b"audience=" + b"a" * 2048),
        (b"/verify", b"&".join([b"scope=a"] * 65)),
        (b"/check", b""),
        (b"/check/", b""),
        (b"/check/-", b""),
        (b"/check/orders/-", b""),
        (b"/check/orders", b""),
        (b"/check//-/", b""),
        (b"/check//read/-/", b""),
        (b"/check/orders//-/", b""),
        (b"/check/orders/%20/-/", b""),
        (b"/check/%ff/-/", b""),
        (b"/check/\xff/-/", b""),
        (b"/check/" + b"a" * 2048 + b"/-/", b""),
    ],
)
def test_what_is_mistyped_or_left_empty_opens_no_route(path: bytes, query: bytes) -> None:
    with pytest.raises(NotARoute):
        asked_at(path, query)


@given(st.binary(), st.binary())
def test_no_bytes_are_more_than_no_route(path: bytes, query: bytes) -> None:
    for start in (b"", b"/verify", b"/check/"):
        with suppress(NotARoute):
            assert asked_at(start + path, query).audience


@given(AUDIENCES, SCOPES, CLIENT_PATHS, st.binary())
def test_a_clients_path_and_query_never_change_what_is_asked(audience: str, scopes: list[str], client: bytes, query: bytes) -> None:
    # A segment that is a dash alone has to be escaped by hand: quote leaves what is unreserved.
    segments = ["%2D" if segment == "-" else quote(segment, safe="") for segment in (audience, *scopes)]
    route = f"/check/{'/'.join(segments)}/-/"
    assert asked_at(route.encode() + client, query) == Asked(audience, tuple(scopes))


@given(AUDIENCES, SCOPES)
def test_a_query_reads_as_it_was_written(audience: str, scopes: list[str]) -> None:
    query = urlencode([("audience", audience), *(("scope", scope) for scope in scopes)])
    if len(query) <= 2048:
        assert asked_at(b"/verify", query.encode()) == Asked(audience, tuple(scopes))
