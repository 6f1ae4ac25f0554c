"""Requests that are legal and rare, or plainly wrong: none of them gets past the check."""

from __future__ import annotations

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_walk import Surroundings
from gen.raw_request import ask, ask_in_turn, bearer

pytestmark = pytest.mark.parametrize("name", EXAMPLES)

WEBSOCKET = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


def test_a_header_of_200_kilobytes_is_refused_and_hurts_nobody(name: str, walk: Surroundings) -> None:
    with walk.nothing_reaches_the_api(name):
        for header in (bearer("x" * 200_000), ("X-API-Key", "x" * 200_000)):
            assert walk.ask(name, "/orders/1", header).status in {400, 401, 431, 500, 503}
    assert walk.lets_through(name, walk.good)


def test_control_characters_in_a_key_are_refused(name: str, walk: Surroundings) -> None:
    with walk.nothing_reaches_the_api(name):
        for value in ("\x01", "\x7f", "\x00", "\x0b" + walk.good):
            assert walk.status(name, "/orders/1", ("Authorization", f"Bearer {value}")) in {0, 400, 401, 503}


def test_http_1_0_is_checked_like_everything_else(name: str, walk: Surroundings) -> None:
    """Envoy does not speak it unless told to: 426."""
    port = walk.gateway(name).port
    assert ask(port, "/orders/1", version="HTTP/1.0").status in {401, 426}
    assert ask(port, "/orders/1", bearer(walk.good), version="HTTP/1.0").status in {200, 426}


def test_a_websocket_needs_a_key_too(name: str, walk: Surroundings) -> None:
    assert walk.ask(name, "/orders/live", *WEBSOCKET).status == 401
    assert walk.ask(name, "/orders/live", bearer(walk.good), *WEBSOCKET).status == 101


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "VERIFY"])
def test_no_method_goes_unchecked(name: str, walk: Surroundings, method: str) -> None:
    with walk.nothing_reaches_the_api(name):
        answered = ask(walk.gateway(name).port, "/orders/1", ("Content-Length", "0"), method=method)
        assert answered.status in {400, 401, 403, 404, 405, 501}


def test_each_request_of_a_connection_is_checked(name: str, walk: Surroundings) -> None:
    """What the first one proved says nothing about the next."""
    answers = ask_in_turn(walk.gateway(name).port, (bearer(walk.good),), (), (bearer(walk.good),), (bearer("junk"),))
    assert [answered.status for answered in answers] == [200, 401, 200, 401]
