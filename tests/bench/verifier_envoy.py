"""What a request through a real Envoy costs with a check of its key: Envoy's process and the verifier's, beside an Envoy that asks nobody.

Envoy is configured as in deploy/gateways/envoy; without the check only the filter that asks is taken out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from bench import grpc_servers, http_servers
from bench.accounting import cpu_seconds
from bench.http_load import Load, ask
from bench.report import Report, Row
from bench.server_process import running
from gen.gateway_examples import EXAMPLES, write_example
from testbed.gateways import Gateway
from testbed.layout import free_ports

KEYS: Final = 10_000
PATH: Final = "/orders/1?page=2"
FLOORS: Final = {"envoy-http": 75.0, "envoy-grpc": 55.0}
LATE: Final = 0.01
"""Of all requests: as many may be refused because the verifier had no core for half a second, on a machine with other work."""
_MODULES: Final = {"envoy-http": (http_servers.__name__, http_servers.FRONT), "envoy-grpc": (grpc_servers.__name__, grpc_servers.FRONT)}

Costs = tuple[float, float]
"""CPU microseconds a request: Envoy's and the verifier's."""


def measure(report: Report, *, quick: bool) -> None:
    """All three in turn, several times over."""
    requests, rounds = (5_000, 1) if quick else (50_000, 3)
    alone: list[float] = []
    asking: dict[str, list[Costs]] = {name: [] for name in FLOORS}
    with running(http_servers.__name__, http_servers.NOTHING, 0) as (_, api):
        for _ in range(rounds):
            with _envoy("envoy-http", api=api, verifier=None) as envoy:
                alone.append(_cost([envoy.component.pid], envoy.port, requests)[0])
            for name, (module, kind) in _MODULES.items():
                with running(module, kind, KEYS) as (pid, port), _envoy(name, api=api, verifier=port) as envoy:
                    each = _cost([envoy.component.pid, pid], envoy.port, requests)
                    asking[name].append((each[0], each[1]))
    how = f"median of {rounds} rounds, {KEYS} keys in turn, 32 connections"
    report.add(Row("a request through Envoy without a check", median(alone), "us CPU", how="the same configuration and API"))
    for name, floor in FLOORS.items():
        whole, verifiers = median(map(sum, asking[name])), median(verifier for _, verifier in asking[name])
        way = "gRPC" if EXAMPLES[name].asks_over_grpc else "HTTP"
        report.add(
            Row(f"  with its check over {way}", whole, "us CPU", floor, gate=False, how=how),
            Row("    of it the verifier", verifiers, "us CPU"),
        )


@contextmanager
def _envoy(name: str, *, api: int, verifier: int | None) -> Iterator[Gateway]:
    """Envoy before the API; `verifier`: None: it asks nobody."""
    with TemporaryDirectory(prefix="keyturn-envoy-") as folder:
        (port,) = free_ports(1)
        file = write_example(name, Path(folder), port=port, api=api, verifier=verifier or api)
        if verifier is None:
            file.write_text(_without_check(file.read_text()))
        with Gateway.start("envoy", file, port=port) as envoy:
            yield envoy


def _without_check(text: str) -> str:
    configuration = yaml.safe_load(text)
    manager = configuration["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [each for each in manager["http_filters"] if "ext_authz" not in each["name"]]
    for route in _routes(manager):
        route.pop("typed_per_filter_config", None)
    return yaml.safe_dump(configuration)


def _routes(manager: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for host in manager["route_config"]["virtual_hosts"]:
        yield from host["routes"]


def _cost(pids: list[int], port: int, requests: int) -> list[float]:
    """CPU microseconds a request, of each process."""
    ask(Load(port, requests=requests // 10, keys=KEYS, path=PATH))
    before = [cpu_seconds(pid) for pid in pids]
    answers = ask(Load(port, requests=requests, keys=KEYS, path=PATH))
    if answers.others > requests * LATE:
        raise RuntimeError(f"too many requests did not pass: {answers.statuses}")
    return [(cpu_seconds(pid) - earlier) / requests * 1e6 for pid, earlier in zip(pids, before, strict=True)]
