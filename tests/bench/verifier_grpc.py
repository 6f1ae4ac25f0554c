"""What one of Envoy's questions costs the verifier over gRPC, beside grpcio in the same run: CPU time of the server process alone."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import Final

from bench.accounting import cpu_seconds
from bench.grpc_servers import FRONT, KINDS
from bench.report import Report, Row
from bench.server_process import TESTS, running

MODULE: Final = "bench.grpc_servers"
IN_FLIGHT: Final = 32
KEYS: Final = 10_000
FLOOR: Final = 25.0


def ask(port: int, requests: int, *, keys: int) -> None:
    """So many questions, about so many keys in turn; all of them have to be let through."""
    words = [sys.executable, "-m", "bench.grpc_load", *map(str, (port, requests, IN_FLIGHT, keys))]
    subprocess.run(words, cwd=TESTS, check=True)


def cost(pid: int, port: int, requests: int, *, keys: int) -> float:
    """CPU microseconds a request."""
    before = cpu_seconds(pid)
    ask(port, requests, keys=keys)
    return (cpu_seconds(pid) - before) / requests * 1e6


def measure(report: Report, *, quick: bool) -> None:
    """Every server in turn, several times over; the median of each."""
    requests, rounds = (10_000, 1) if quick else (100_000, 3)
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for kind in KINDS * rounds:
        with running(MODULE, kind, KEYS) as (pid, port):
            ask(port, requests // 20, keys=KEYS)
            costs[kind].append(cost(pid, port, requests if kind == FRONT else requests // 5, keys=KEYS))
    for kind, found in costs.items():
        how = f"median of {', '.join(f'{each:.1f}' for each in found)}; {KEYS} keys in turn, {IN_FLIGHT} in flight"
        is_ours = kind == FRONT
        report.add(
            Row(f"{'' if is_ours else '  '}gRPC check, {kind}", median(found), "us CPU", FLOOR if is_ours else None, gate=False, how=how)
        )
