"""Whose request gets to the API, and what the others are told. Every refusal is the verifier's, through a real gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_walk import Surroundings
from gen.raw_request import ask, bearer
from gen.verifying import OTHER_TOKEN
from testbed.cluster import wait_until

pytestmark = pytest.mark.parametrize("name", EXAMPLES)

ELSEWHERE = "203.0.113.9"
FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Envoy-External-Address", "X-Client-IP", "True-Client-IP")


def test_a_good_key_gets_through_in_either_header_and_any_case(name: str, walk: Surroundings) -> None:
    for header in (bearer(walk.good), ("authorization", f"bearer {walk.good}"), ("X-API-Key", walk.good), ("x-aPI-kEY", walk.good)):
        assert walk.seen(name, "/orders/1?page=2", header).target == "/orders/1?page=2"


def test_a_body_reaches_the_api_whole(name: str, walk: Surroundings) -> None:
    answered = walk.send(name, "/orders", bearer(walk.good), body='{"cups": 3}')
    assert (answered.line, answered.body) == ("POST /orders HTTP/1.1", '{"cups": 3}')


def test_no_key_a_wrong_one_and_garbage_are_401(name: str, walk: Surroundings) -> None:
    wrong = walk.good[:-1] + ("A" if walk.good[-1] != "A" else "B")
    with walk.nothing_reaches_the_api(name):
        for headers in (
            (),
            (bearer(wrong),),
            (bearer(OTHER_TOKEN),),
            (bearer("garbage"),),
            (bearer("\x80\xff\"'{}"),),
            (("X-API-Key", "?"),),
        ):
            answered = walk.ask(name, "/orders/1", *headers)
            assert answered.status == 401, headers
            assert answered.headers["www-authenticate"].startswith('Bearer realm="keyturn"')


def test_a_scope_that_the_route_needs_and_the_key_lacks_is_403(name: str, walk: Surroundings) -> None:
    reader = walk.keys.issue(f"reader-{name}", scopes=("reports:read",))
    wait_until(lambda: walk.ask(name, "/reports/1", bearer(reader)).status == 200, patience=20, what="the key to be known")
    assert walk.ask(name, "/reports/1", bearer(walk.good)).status == 403
    assert walk.ask(name, "/reports", bearer(walk.good)).status == 403


def test_a_key_for_another_api_is_401_whatever_the_client_says(name: str, walk: Surroundings) -> None:
    token = walk.known(f"invoices-{name}", audience="invoices")
    targets = (
        "/orders/1", "/orders?audience=invoices&scope=", "/-/", "/check/invoices/-/x", "/x/-/check/invoices/-/",
        "/verify?audience=invoices",
        "/../check/invoices/-/x", "/%2e%2e/%2e%2e/check/invoices/-/x", "/..%2f..%2f..%2fcheck/invoices/-/x", "/orders#/-/",
    )  # fmt: skip
    for target in targets:
        assert walk.ask(name, target, bearer(token)).status in {400, 401, 404}, target


def test_a_key_is_refused_as_soon_as_it_is_disabled_and_accepted_again(name: str, walk: Surroundings) -> None:
    key = f"switched-{name}"
    token = walk.known(key)
    assert walk.lets_through(name, token)
    walk.keys.change(key, disabled=True)
    wait_until(lambda: walk.ask(name, "/orders/1", bearer(token)).status == 401, patience=20, what="the disabled key to be refused")
    walk.keys.change(key, disabled=False)
    wait_until(lambda: walk.lets_through(name, token), patience=20, what="the key to be accepted again")


def test_a_key_is_refused_as_soon_as_it_is_revoked(name: str, walk: Surroundings) -> None:
    key = f"revoked-{name}"
    token = walk.known(key)
    assert walk.lets_through(name, token)
    walk.keys.revoke(key)
    wait_until(lambda: walk.ask(name, "/orders/1", bearer(token)).status == 401, patience=20, what="the revoked key to be refused")


def test_an_expired_key_and_a_replaced_one_are_401(name: str, walk: Surroundings) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    for key, fields in (("expired", {"expiration_time": past}), ("replaced", {"not_after": past})):
        token = walk.known(f"{key}-{name}", **fields)
        assert walk.ask(name, "/orders/1", bearer(token)).status == 401


def test_a_key_bound_to_addresses_counts_the_connections_address_only(name: str, walk: Surroundings) -> None:
    """A client may write what it likes into X-Forwarded-For and its relatives."""
    bound = walk.known(f"bound-{name}", allowed_cidrs=(f"{ELSEWHERE}/32",))
    for header in FORGED:
        for value in (ELSEWHERE, f"{ELSEWHERE}, {ELSEWHERE}", f"for={ELSEWHERE}"):
            assert walk.ask(name, "/orders/1", bearer(bound), (header, value), (header, value)).status == 403, header


def test_a_key_bound_to_the_clients_address_gets_through_from_there(name: str, walk: Surroundings) -> None:
    anywhere = walk.known(f"anywhere-{name}", allowed_cidrs=("0.0.0.0/0",))
    assert walk.lets_through(name, anywhere)  # refused if no address arrived at all
    if EXAMPLES[name].tells_loopback_addresses:
        here = walk.known(f"here-{name}", allowed_cidrs=("127.0.0.7/32",))
        port = walk.gateway(name).port
        assert ask(port, "/orders/1", bearer(here), address="127.0.0.7").status == 200
        assert ask(port, "/orders/1", bearer(here), address="127.0.0.1").status == 403
