"""Of two verifiers one dies, hangs or is gone with its node, while requests are under way: Envoy asks the other one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gen.gateway_walk import Surroundings
from gen.raw_request import ask, bearer
from gen.verifier_process import VerifierProcess

AT_ONCE = 16
"""More than the three retries that Envoy allows itself at a time if nobody says otherwise."""


pytestmark = pytest.mark.parametrize("name", ["envoy-http", "envoy-grpc"])


def statuses_during(accident: Callable[[VerifierProcess], None], *, name: str, walk: Surroundings, folder: Path) -> Counter[int]:
    """What 600 requests get, while this happens to one of two verifiers."""
    with walk.before_two(name, folder) as (envoy, second), ThreadPoolExecutor(AT_ONCE) as threads:
        asked = [threads.submit(ask, envoy.port, "/orders/1", bearer(walk.good)) for _ in range(600)]
        asked[100].result()
        accident(second)
        assert not asked[-1].done()
        return Counter(each.result().status for each in asked)


def test_a_verifier_that_dies_costs_no_request(name: str, walk: Surroundings, tmp_path: Path) -> None:
    assert statuses_during(VerifierProcess.kill, name=name, walk=walk, folder=tmp_path) == {200: 600}


def test_a_verifier_that_hangs_costs_few_requests(name: str, walk: Surroundings, tmp_path: Path) -> None:
    """Without another try each second one. A few are lost on a busy machine, where the other verifier may need longer than a try has."""
    statuses = statuses_during(VerifierProcess.freeze, name=name, walk=walk, folder=tmp_path)
    assert set(statuses) <= {200, 503}
    assert statuses[503] <= 30


def test_a_verifier_that_is_gone_with_its_node_costs_no_request(name: str, walk: Surroundings, tmp_path: Path) -> None:
    """Of a try that ends while its connection is still being made Envoy does not remember whom it asked: the connection must fail first."""
    with walk.before_a_gone_one(name, tmp_path) as envoy:
        statuses = Counter(ask(envoy.port, "/orders/1", bearer(walk.good)).status for _ in range(40))
    assert statuses == {200: 40}
