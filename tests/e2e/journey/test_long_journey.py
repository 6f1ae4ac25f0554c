"""The long journey (`make journey`): twenty rotations in a row, in real pods, and with every accident again and again."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from typing import cast

import pytest

from gen.journey import Journey
from gen.journey_accidents import EVERY, the_api_server_is_away
from gen.journey_pods import travel_in_pods
from testbed.cluster import Cluster
from testbed.node import NodePlane
from testbed.plane import Plane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
CRDS = Path(__file__).parents[3] / "crds"
ROTATIONS = 20


@pytest.mark.node
def test_twenty_rotations_fail_no_request_of_real_pods(node: Cluster, tmp_path: Path) -> None:
    node.kubectl("apply", "--server-side", "-f", str(CRDS))
    with Journey.open(node, folder=tmp_path) as journey:
        with travel_in_pods(journey, cast("NodePlane", node)), journey.garbage():
            for _ in range(ROTATIONS):
                journey.rotate()
        journey.judge()


def test_twenty_rotations_with_an_accident_each_fail_no_request(journey_plane: Plane, tmp_path: Path) -> None:
    with Journey.open(journey_plane, folder=tmp_path) as journey:
        with journey.travel(), journey.garbage(rate=200.0):
            for accident in islice(cycle(EVERY), ROTATIONS):
                accident(journey)
            the_api_server_is_away(journey, seconds=60.0)
        journey.judge()
