"""A verifier that hangs, dies and comes back: gateways close in time, and open again by themselves."""

from __future__ import annotations

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_outage import HANGS_LONG, Outage, hang
from gen.gateway_walk import Surroundings

TIME_OUT = 0.5
"""What the examples say. Traefik cannot be told."""
FROM_HERE = 5.0
"""Added for a machine that has other things to do."""
TRAEFIKS = 30.0


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - HANGS_LONG))
def test_a_hanging_verifier_is_given_up_in_time_and_nothing_passes(name: str, outages: dict[str, Outage]) -> None:
    outage = outages[name]
    assert outage.hanging in {500, 502, 503, 504}
    assert TIME_OUT * 0.8 <= outage.hanging_seconds <= TIME_OUT + FROM_HERE
    assert outage.got_through == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_passes_while_the_verifier_is_down(name: str, outages: dict[str, Outage]) -> None:
    assert outages[name].down in {500, 502, 503}
    assert outages[name].got_through == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_gateway_opens_again_by_itself(name: str, outages: dict[str, Outage]) -> None:
    assert (outages[name].thawed, outages[name].back) == (True, True)


@pytest.mark.slow
def test_traefik_gives_a_hanging_verifier_up_after_its_30_seconds(walk: Surroundings) -> None:
    """Slow, as Traefik is: no setting shortens it."""
    walk.gateway("traefik")
    walk.verifier.freeze()
    try:
        with walk.nothing_reaches_the_api("traefik"):
            status, seconds = hang(walk, "traefik")
    finally:
        walk.verifier.thaw()
    assert status == 500
    assert TRAEFIKS - 1 <= seconds <= TRAEFIKS + FROM_HERE
