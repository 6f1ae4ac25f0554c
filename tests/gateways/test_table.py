"""docs/reference/gateways.md says of each gateway what is seen here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_outage import HANGS_LONG, Outage
from gen.gateway_walk import Surroundings
from gen.raw_request import Answered, ask, bearer
from keyturn.keys.record import Limits

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "gateways.md"
TITLES: Final = {
    "envoy-http": "Envoy, HTTP",
    "envoy-grpc": "Envoy, gRPC",
    "nginx": "nginx",
    "traefik": "Traefik",
    "haproxy": "HAProxy",
    "caddy": "Caddy",
}
ELSEWHERE: Final = {"The verifier hangs": dict.fromkeys(HANGS_LONG, "500 after 30 s")}
"""What only a slow test sees (test_outage.py)."""


def told(answered: Answered) -> str:
    return str(answered.status)


def words(answered: Answered) -> str:
    return "yes" if answered.headers.get("content-type") == "application/problem+json" else "no"


def observed(walk: Surroundings, name: str, outage: Outage) -> dict[str, str]:
    port, good = walk.gateway(name).port, bearer(walk.good)
    hasty = bearer(walk.known(f"counted-{name}", limits=Limits(requests_per_second=1, burst=5)))
    often = [walk.ask(name, "/orders/1", hasty) for _ in range(8)]
    without_scope = walk.ask(name, "/reports/1", good)
    return {
        "No key, or none that is valid": told(walk.ask(name, "/orders/1")),
        "The key lacks the scope": told(without_scope),
        "The verifier is down": str(outage.down),
        "The verifier hangs": ELSEWHERE["The verifier hangs"].get(name) or f"{outage.hanging} within 0.5 s",
        "The key is used too often": told(often[-1]),
        "`RateLimit` also with the API's answers": "yes" if "ratelimit" in often[0].headers else "no",
        "Two `Authorization` headers": told(walk.ask(name, "/orders/1", good, good)),
        "A header of 200 KB": told(walk.ask(name, "/orders/1", bearer("x" * 200_000))),
        "`%2f` in the path": told(walk.ask(name, "/orders/..%2freports", good)),
        "`/orders/../reports`": told(walk.ask(name, "/orders/../reports", good)),
        "HTTP/1.0": told(ask(port, "/orders/1", good, version="HTTP/1.0")),
        "The client reads why (`application/problem+json`)": words(without_scope),
    }


def column(title: str) -> dict[str, str]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    head = next(row for row in rows if title in row)
    return {row[0]: row[head.index(title)] for row in rows if len(row) == len(head) and row != head and not row[0].startswith("-")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_says_what_each_gateway_answers(name: str, walk: Surroundings, outages: dict[str, Outage]) -> None:
    assert column(TITLES[name]) == observed(walk, name, outages[name])


def test_the_page_has_a_column_for_every_gateway() -> None:
    assert set(TITLES) >= set(EXAMPLES)
