"""What the API is told: who the key belongs to, by the verifier alone, and never the key."""

from __future__ import annotations

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_walk import Surroundings
from gen.raw_request import bearer
from keyturn.verifier.verdicts import IDENTITY_HEADERS

pytestmark = pytest.mark.parametrize("name", EXAMPLES)


def spellings(header: str) -> tuple[str, ...]:
    """As clients may write a header so that an API behind takes it for that one."""
    return header, header.upper(), header.title(), header.replace("-", "_"), header.replace("-", "_", 1), header.title().replace("-K", "_K")


def test_the_api_learns_who_it_is(name: str, walk: Surroundings) -> None:
    token = walk.known(f"gold-{name}", plan="gold", scopes=("orders:read", "orders:write"))
    seen = walk.seen(name, "/orders/1", bearer(token))
    assert {header: seen.values(header) for header in IDENTITY_HEADERS} == {
        "x-keyturn-key-id": [token[3:15]],
        "x-keyturn-apikey": [f"team-a/gold-{name}"],
        "x-keyturn-scopes": ["orders:read orders:write"],
        "x-keyturn-plan": ["gold"],
    }


def test_what_a_client_says_of_itself_does_not_get_through_in_any_spelling(name: str, walk: Surroundings) -> None:
    forged = tuple((spelling, "forged") for header in IDENTITY_HEADERS for spelling in spellings(header))
    seen = walk.seen(name, "/orders/1", bearer(walk.good), *forged)
    assert seen.values("x-keyturn-key-id") == [walk.good[3:15]]
    assert seen.values("x-keyturn-plan") in ([], [""])  # the key has none: some gateways leave an empty header out
    assert "forged" not in [value for _, value in seen.headers]


def test_a_client_cannot_have_the_identity_dropped_on_the_way(name: str, walk: Surroundings) -> None:
    """RFC 9110 section 7.6.1: what Connection names, a proxy takes out. Taken out too late, the API would see a request of nobody."""
    answered = walk.ask(name, "/orders/1", bearer(walk.good), ("Connection", "close, X-Keyturn-Key-Id, X-Keyturn-Scopes"))
    if answered.status == 200:
        assert walk.seen_in(answered).values("x-keyturn-key-id") == [walk.good[3:15]]
    else:
        assert answered.status in {400, 401}


def test_the_api_never_sees_the_key(name: str, walk: Surroundings) -> None:
    for header in (bearer(walk.good), ("X-API-Key", walk.good), ("X-Api-KEY", walk.good)):
        seen = walk.seen(name, "/orders/1", header)
        assert not {"authorization", "x-api-key"} & seen.names()
        assert walk.good not in str(seen)


@pytest.mark.parametrize("kind", ["two Authorization", "two X-API-Key", "one of each", "joined by a comma", "in two cases"])
def test_two_keys_in_one_request_are_refused_even_if_both_are_good(name: str, walk: Surroundings, kind: str) -> None:
    good = walk.good
    headers = {
        "two Authorization": (bearer(good), bearer(good)),
        "two X-API-Key": (("X-API-Key", good), ("X-API-Key", good)),
        "one of each": (bearer(good), ("X-API-Key", good)),
        "joined by a comma": (("Authorization", f"Bearer {good}, Bearer {good}"),),
        "in two cases": (("X-Api-Key", good), ("x-api-key", "junk")),
    }[kind]
    with walk.nothing_reaches_the_api(name):
        assert walk.ask(name, "/orders/1", *headers).status in {400, 401}
