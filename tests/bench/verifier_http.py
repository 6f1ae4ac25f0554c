"""What one question of a gateway costs the verifier over HTTP, beside its own server without the question, and beside uvicorn."""

from __future__ import annotations

from statistics import median
from typing import Final

from bench.accounting import cpu_seconds
from bench.http_load import Load, ask
from bench.http_servers import FRONT, KINDS, NOTHING, UVICORN
from bench.report import Report, Row
from bench.server_process import running

KEYS: Final = 10_000
MODULE: Final = "bench.http_servers"


def measure(report: Report, *, quick: bool) -> None:
    """Every server in turn, several times over."""
    requests, rounds = (10_000, 3) if quick else (100_000, 5)
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            costs[kind].append(_cost(kind, requests))
    times = {kind: median(found) for kind, found in costs.items()}
    beside_nothing, beside_uvicorn = (_ratio(costs, FRONT, NOTHING), _ratio(costs, UVICORN, FRONT))
    report.add(
        Row("HTTP check / the same server's bare 204", beside_nothing, "x", 1.5, how=f"median of {rounds} rounds, 32 connections"),
        Row("  the server's bare 204", times[NOTHING], "us CPU"),
        Row("  one check", times[FRONT], "us CPU", 30, gate=False, how=f"{KEYS} keys in turn"),
        Row("  uvicorn around the same guard", times[UVICORN], "us CPU", how=f"raw ASGI, httptools, uvloop: {beside_uvicorn:.2f} x"),
    )


def _cost(kind: str, requests: int) -> float:
    """CPU microseconds a request, of the server's process."""
    with running(MODULE, kind, KEYS) as (pid, port):
        ask(Load(port, requests=requests // 20, keys=KEYS))
        before = cpu_seconds(pid)
        answers = ask(Load(port, requests=requests, keys=KEYS))
        if answers.others:
            raise RuntimeError(f"{kind} refused good keys: {answers.statuses}")
        return (cpu_seconds(pid) - before) / requests * 1e6


def _ratio(costs: dict[str, list[float]], kind: str, beside: str) -> float:
    return median(one / other for one, other in zip(costs[kind], costs[beside], strict=True))
