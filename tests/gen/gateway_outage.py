"""One outage of the verifier for all gateways at once: it hangs, goes on, dies and comes back. Tests look at what each gateway did."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from gen.gateway_examples import EXAMPLES
from gen.gateway_walk import PATIENCE, Surroundings
from gen.raw_request import bearer
from testbed.cluster import wait_until

HANGS_LONG: Final = frozenset({"traefik"})
"""Whose time-out nobody can set: 30 s are too long to wait in every run."""


@dataclass(slots=True)
class Outage:
    """What one gateway answered a good key."""

    hanging: int = 0
    """A status; 0: not asked, or no answer."""
    hanging_seconds: float = 0.0
    thawed: bool = False
    down: int = 0
    back: bool = False
    got_through: int = 0
    """Requests of all gateways that reached the API while nobody could be asked."""


def have_outage(walk: Surroundings) -> dict[str, Outage]:
    """Live through it; by gateway."""
    seen = {name: Outage() for name in EXAMPLES}
    for name in EXAMPLES:
        walk.gateway(name)
    through = _while_it_hangs(walk, seen)
    for name, outage in seen.items():
        outage.thawed = _opens(walk, name)
    through += _while_it_is_down(walk, seen)
    for name, outage in seen.items():
        outage.back, outage.got_through = _opens(walk, name), through
    return seen


def hang(walk: Surroundings, name: str) -> tuple[int, float]:
    """What a gateway answers while the verifier hangs, and after how many seconds."""
    start = time.monotonic()
    status = walk.status(name, "/orders/1", bearer(walk.good))
    return status, time.monotonic() - start


def _while_it_hangs(walk: Surroundings, seen: dict[str, Outage]) -> int:
    asked = [name for name in seen if name not in HANGS_LONG]
    before = walk.api.requests
    walk.verifier.freeze()
    try:
        with ThreadPoolExecutor(len(asked)) as threads:
            for name, (status, seconds) in zip(asked, threads.map(lambda name: hang(walk, name), asked), strict=True):
                seen[name].hanging, seen[name].hanging_seconds = status, seconds
    finally:
        walk.verifier.thaw()
    return walk.api.requests - before


def _while_it_is_down(walk: Surroundings, seen: dict[str, Outage]) -> int:
    before = walk.api.requests
    walk.verifier.kill()
    try:
        for name, outage in seen.items():
            outage.down = walk.status(name, "/orders/1", bearer(walk.good))
    finally:
        walk.verifier.restart()
        walk.verifier.wait_ready()
    return walk.api.requests - before


def _opens(walk: Surroundings, name: str) -> bool:
    wait_until(lambda: walk.lets_through(name, walk.good), patience=PATIENCE, what=f"{name} to let the good key through again")
    return True
