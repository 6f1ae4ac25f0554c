"""What one of Envoy's questions costs the verifier over gRPC, beside grpcio in the same run: CPU time of the server process alone.

PYTHONPATH=tests python tests/bench/verifier_grpc.py [--quick]
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

if __package__ is None or not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.accounting import cpu_seconds
from bench.grpc_servers import FRONT, KINDS
from bench.report import Report, Row

TESTS: Final = Path(__file__).parents[1]
IN_FLIGHT: Final = 32
KEYS: Final = 10_000
ROUNDS: Final = 3
FLOOR: Final = 25.0


@contextmanager
def running(kind: str, keys: int, *, module: str = "bench.grpc_servers") -> Iterator[tuple[int, int]]:
    """A server: its process and its port."""
    process = subprocess.Popen([sys.executable, "-m", module, kind, str(keys)], cwd=TESTS, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.stdout.close()
    finally:
        process.kill()
        process.wait()


def ask(port: int, requests: int, *, keys: int) -> None:
    """So many questions, about so many keys in turn; all of them have to be let through."""
    words = [sys.executable, "-m", "bench.grpc_load", *map(str, (port, requests, IN_FLIGHT, keys))]
    subprocess.run(words, cwd=TESTS, check=True)


def cost(pid: int, port: int, requests: int, *, keys: int) -> float:
    """CPU microseconds a request."""
    before = cpu_seconds(pid)
    ask(port, requests, keys=keys)
    return (cpu_seconds(pid) - before) / requests * 1e6


def measure(report: Report, *, requests: int, keys: int) -> None:
    """Every server in turn, several times over; the median of each."""
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for kind in KINDS * ROUNDS:
        with running(kind, keys) as (pid, port):
            ask(port, requests // 20 + 1, keys=keys)
            costs[kind].append(cost(pid, port, requests if kind == FRONT else requests // 5, keys=keys))
    for kind, found in costs.items():
        floor = FLOOR if kind == FRONT else None
        how = f"median of {', '.join(f'{each:.1f}' for each in found)}; {keys} keys in turn, {IN_FLIGHT} in flight"
        report.add(Row(f"gRPC check, {kind}", median(found), "us CPU", floor, gate=False, how=how))


def main(arguments: Sequence[str] = ()) -> Report:
    """Measure and print; for `make bench-verifier`."""
    report = Report()
    requests = 5_000 if "--quick" in arguments else 100_000
    measure(report, requests=requests, keys=KEYS)
    print(report.as_text())
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
