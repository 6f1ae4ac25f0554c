"""A key that is used too often: the client of every gateway learns how long to wait."""

from __future__ import annotations

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_walk import Surroundings
from gen.raw_request import ask, bearer
from keyturn.keys.record import Limits

pytestmark = pytest.mark.parametrize("name", EXAMPLES)


def test_a_key_that_is_used_too_often_is_429_and_says_when_to_come_back(name: str, walk: Surroundings) -> None:
    token = walk.known(f"hasty-{name}", limits=Limits(requests_per_second=1, burst=1))
    answers = [walk.ask(name, "/orders/1", bearer(token)) for _ in range(4)]
    assert {answered.status for answered in answers} <= {200, 429}
    refused = [answered for answered in answers if answered.status == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].headers["ratelimit-policy"] == '"plan";q=1;w=1'
    assert refused[0].headers["ratelimit"].startswith('"plan";r=0;t=')


def test_the_limit_is_a_keys_own(name: str, walk: Surroundings) -> None:
    hasty = walk.known(f"hastier-{name}", limits=Limits(requests_per_second=1, burst=1))
    for _ in range(3):
        walk.ask(name, "/orders/1", bearer(hasty))
    assert walk.lets_through(name, walk.good)
    assert ask(walk.gateway(name).port, "/orders/1", ("X-API-Key", walk.good)).status == 200
