"""`make bench-tenants`: how much later one tenant's rotation is done while another one makes noise.

Beside no noise, and beside the very same noise in a namespace that the operator does not watch: there it costs the API server and the
machine, and Keyturn nothing. All three take turns in one run, and with `--before` so does the operator of another checkout. Prints a table
(or JSON), and exits 1 if a median is more than twice that of the noise out of sight. docs/performance.md has what was measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.accounting import memory_kib
from bench.neighbours import NOISY, UNSEEN, Neighbours, Noise, Volume, neighbours
from bench.noise import KINDS
from bench.report import Report, Row
from testbed.cache import say
from testbed.cluster import wait_until
from testbed.plane import Plane, bare

SETTINGS: Final = {
    "propagation_delay": "100ms",
    "minimum_rotation_spacing": "100ms",
    "lease_duration": "15s",
    "log_level": "info",
    "watch_namespaces": "quiet,noisy",
}
FLOOR: Final = 2.0
NOW, BEFORE = "", "before: "
"""What stands before the rows of each operator."""


@dataclass(frozen=True, slots=True)
class Options:
    """How large, and which."""

    volume: Volume
    samples: int
    rounds: int
    kinds: Sequence[str]
    before: Path | None
    settings: dict[str, str]
    json: bool


@dataclass(slots=True)
class Timed:
    """Seconds that rotations took beside one kind of noise, and that noise."""

    alone: list[float] = field(default_factory=list)
    unseen: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    noises: list[Noise] = field(default_factory=list)


def main() -> int:
    options = parse(sys.argv[1:])
    settings = {**SETTINGS, **options.settings}
    report = Report(settings=settings)
    checkouts = {BEFORE: options.before, NOW: None} if options.before else {NOW: None}
    with (
        Plane.start(bare()) as plane,
        TemporaryDirectory() as folder,
        neighbours(plane, Path(folder), settings, checkouts=checkouts) as both,
    ):
        measure(both, report, options)
    sys.stdout.write((report.as_json() if options.json else report.as_text()) + "\n")
    return 1 if report.missed else 0


def measure(both: Neighbours, report: Report, options: Options) -> None:
    """First the neighbour gets his ApiKeys, then each kind of noise, with quiet in between: what else the machine does meets all alike."""
    for _ in range(3):
        both.rotate()
    fill(both, options.volume)
    first = options.volume.keys
    for kind in options.kinds:
        timed = {name: Timed() for name in both.operators}
        for number in range(options.rounds):
            for name, times in timed.items():
                say(f"the neighbour's noise: {kind}, {number + 1} of {options.rounds}{', before' if name == BEFORE else ''}")
                both.hand_over(name)
                take_turns(both, times, options, kind=kind, first=first)
                first += 10_000  # names that are not taken
        for name, times in timed.items():
            report.add(*rows(f"{name}noise: {kind}", times, gate=name == NOW))
    report.add(Row("operator's memory at the end", memory_kib(both.operator.pid) / 1024, "MiB"))


def take_turns(both: Neighbours, times: Timed, options: Options, *, kind: str, first: int) -> None:
    """Quiet, noise out of sight, noise in sight."""
    times.alone += [both.rotate() for _ in range(options.samples)]
    for where, took in ((UNSEEN, times.unseen), (NOISY, times.beside)):
        with both.noise(kind, options.volume, where=where, first=first if kind == "create" else 0) as told:
            time.sleep(0.5)
            took += [both.rotate() for _ in range(options.samples)]
        if told.refused > told.done:
            raise RuntimeError(f"{kind}: {told.refused} of {told.done + told.refused} were refused")
        both.rest()
    times.noises.append(told)


def rows(what: str, times: Timed, *, gate: bool) -> tuple[Row, ...]:
    """The medians beside each other."""
    quiet, same, noisy = (statistics.median(each) * 1000 for each in (times.alone, times.unseen, times.beside))
    writes = statistics.median(each.done / each.seconds for each in times.noises)
    operator = statistics.median(each.operator_cpu / each.seconds for each in times.noises)
    api = statistics.median(each.api_cpu / each.seconds for each in times.noises)
    how = f"alone {quiet:.0f} ms, beside it unseen {same:.0f} ms, longest {max(times.beside) * 1000:.0f} ms"
    cost = f"{writes:.0f} writes a second; {operator:.2f} s CPU a second the operator's, {api:.2f} s the API server's"
    return (
        Row(what, noisy, "ms", how=how),
        Row("  / the same noise unseen", noisy / same, "x", FLOOR, gate=gate, how=cost),
        Row("  / alone", noisy / quiet, "x", FLOOR, gate=False),
    )


def fill(both: Neighbours, volume: Volume) -> None:
    """The ApiKeys that the other kinds of noise are about."""
    say(f"{volume.keys} ApiKeys for the neighbour")
    at_once = replace(volume, in_flight=16, pace=1e9)
    for kind, where in (("create", UNSEEN), ("keep secret", UNSEEN), ("create", NOISY)):
        with both.noise(kind, at_once, where=where, most=volume.keys) as told:
            say(f"  {kind}, {where}")
        if told.refused:
            raise RuntimeError(f"{kind}: {told.refused} of {volume.keys} were refused")
    both.known = volume.keys
    wait_until(both.has_caught_up, patience=300.0, what="the neighbour's ApiKeys", pause=0.5)
    both.rest()


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=2000, help="ApiKeys of the noisy tenant")
    parser.add_argument("--samples", type=int, default=4, help="rotations timed at a time, and as many alone")
    parser.add_argument("--rounds", type=int, default=3, help="how often quiet and noise take turns")
    parser.add_argument("--in-flight", type=int, default=4, help="writes of the noisy tenant at the same time")
    parser.add_argument("--pace", type=float, default=1e9, help="writes of the noisy tenant in a second, at most")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what the noisy tenant does; all of it")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="let the operator of that checkout take turns with this one's")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the operator")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="table for people, json for machines")
    given = parser.parse_args(arguments)
    settings = dict(each.split("=", 1) for each in given.set)
    volume = Volume(given.keys, given.in_flight, given.pace)
    return Options(volume, given.samples, given.rounds, given.kinds, given.before, settings, given.output == "json")


if __name__ == "__main__":
    sys.exit(main())
