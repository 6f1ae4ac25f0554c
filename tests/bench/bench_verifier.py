"""`make bench-verifier`: what a check costs in every door, memory, revocation, start, and garbage without end.

    make bench-verifier                              everything
    make bench-verifier ARGS=--quick                 a tenth of it, for trying
    make bench-verifier ARGS="check http"            some parts
    make bench-verifier ARGS="-o json" > run.json    to keep; ARGS="--earlier run.json -o markdown" makes the page's table of it

Prints each number next to its floor and exits 1 if a count or a ratio misses its own. Absolute times depend on the machine and are
only told. docs/performance.md has what was measured and where.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import (
    verifier_check,
    verifier_envoy,
    verifier_garbage,
    verifier_grpc,
    verifier_http,
    verifier_memory,
    verifier_peers,
    verifier_revocation,
    verifier_start,
)
from bench.report import Report
from testbed.cache import say


class Part(Protocol):
    """Measures one thing."""

    def __call__(self, report: Report, *, quick: bool) -> None: ...


PARTS: Final[Mapping[str, Part]] = {
    "check": verifier_check.measure,
    "http": verifier_http.measure,
    "peers": verifier_peers.measure,
    "grpc": verifier_grpc.measure,
    "envoy": verifier_envoy.measure,
    "memory": verifier_memory.measure,
    "revocation": verifier_revocation.measure,
    "start": verifier_start.measure,
    "garbage": verifier_garbage.measure,
}


def main() -> int:
    options = parse(sys.argv[1:])
    report = Report.of_json(options.earlier.read_text()) if options.earlier else measured(options)
    written = {"table": report.as_text, "json": report.as_json, "markdown": report.as_markdown}[options.output]()
    sys.stdout.write(written + "\n")
    for row in report.missed:
        say(f"missed: {row.name}: {row.value:.3g} {row.unit}, floor {row.floor:g}")
    return 1 if report.missed else 0


def measured(options: argparse.Namespace) -> Report:
    report = Report(settings={"quick": str(options.quick).lower()})
    for name in options.parts or PARTS:
        say(f"measuring: {name}")
        before = len(report.rows)
        PARTS[name](report, quick=options.quick)
        for row in report.rows[before:]:
            say(f"  {row.name}: {row.value:.3g} {row.unit}")
    return report


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help=f"one of {', '.join(PARTS)}; none: all of them")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: for trying, not for numbers")
    parser.add_argument("-o", "--output", choices=("table", "json", "markdown"), default="table", help="markdown: for docs/performance.md")
    parser.add_argument("--earlier", type=Path, metavar="FILE", help="print this run, which was written with -o json, and measure nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
