"""One real verifier and every gateway of deploy/gateways as people copy it, once a run, each started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.gateway_outage import Outage, have_outage
from gen.gateway_walk import Surroundings
from testbed.cluster import Cluster


@pytest.fixture(scope="session")
def walk(plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    plane.create_namespace("walk")
    surroundings = Surroundings(plane, records_namespace="walk", folder=tmp_path_factory.mktemp("gateways"))
    try:
        surroundings.verifier.wait_ready()
        yield surroundings
    finally:
        surroundings.stop()


@pytest.fixture(scope="session")
def outages(walk: Surroundings) -> dict[str, Outage]:
    """What each gateway did while the verifier hung and was down."""
    return have_outage(walk)
