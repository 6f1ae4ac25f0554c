"""`make bench-operator`: requests, seconds and bytes for thousands of ApiKeys, beside a bare loop that makes the very same writes.

Prints a table (or JSON) on standard output with every number next to its floor, and exits 1 if a count or a ratio misses its own.
Absolute times depend on the machine and are only told. docs/performance.md has what was measured and where.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from operator import itemgetter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import guarded_runs, revocation_runs, runs, two_replicas
from bench.accounting import reads_in, writes_in
from bench.report import Report, Row
from bench.runs import Meter, Spent
from bench.scenery import SETTINGS, Place, Write, create_apikeys, names, operator_at, prepare
from testbed.cache import say
from testbed.plane import Plane, Shape, bare


@dataclass(frozen=True, slots=True)
class Options:
    """How large."""

    keys: int
    many: int
    settled: int
    pairs: int
    samples: int
    ends: int
    deployments: int
    many_guarded: int
    json: bool


class Bench:
    """One plane, its places, and what was learned before the first run."""

    def __init__(self, plane: Plane, report: Report) -> None:
        self.plane, self.report = plane, report
        self._numbers: Iterator[int] = count(1)
        learning, self.bare_place = self.place(), self.place()
        self.issue_writes, self.rotation_writes = runs.learn_writes(plane, learning, into=self.bare_place)
        self.idle = runs.idle(plane, self.place())

    def place(self) -> Place:
        return runs.make_place(self.plane, next(self._numbers))

    def writes_at(self, place: Place, writes: list[Write]) -> list[Write]:
        """The bare loop's writes, for another place."""
        moved = ((self.bare_place.namespace, place.namespace), (self.bare_place.records, place.records))
        return [{name: _moved(text, moved) for name, text in write.items()} for write in writes]


def _moved(text: str, moved: tuple[tuple[str, str], ...]) -> str:
    for old, new in moved:
        text = text.replace(old, new)
    return text


def main() -> int:
    options = parse(sys.argv[1:])
    report = Report(settings=dict(SETTINGS))
    with Plane.start(bare()) as plane:
        prepare(plane)
        bench = Bench(plane, report)
        measure_pairs(bench, options)
        measure_many(bench, options)
        measure_restart_and_single(bench, options)
        measure_revocation(bench, options)
        measure_guarded(bench, options)
    measure_two_replicas(report, options)
    measure_rollout(report, options)
    sys.stdout.write((report.as_json() if options.json else report.as_text()) + "\n")
    for row in report.missed:
        say(f"missed: {row.name}: {row.value:.3g} {row.unit}, floor {row.floor:g}")
    return 1 if report.missed else 0


def measure_pairs(bench: Bench, options: Options) -> None:
    """Bare loop and operator in turn, each on keys of its own."""
    keys, issued, rotated = options.keys, [], []
    issue_ratios, rotation_ratios, bare_seconds, bare_cpus = [], [], [], []
    for number in range(options.pairs):
        say(f"issuing and rotating {keys} keys, bare loop and operator in turn: {number + 1} of {options.pairs}")
        place = bench.place()
        bare_took, bare_cpu, uids = runs.bare_issue(bench.plane, place, bench.writes_at(place, bench.issue_writes), keys=keys)
        bare_rotation = runs.bare_rotation(bench.plane, place, bench.writes_at(place, bench.rotation_writes), uids)
        issue, rotation = _issue_and_rotate(bench, keys=keys)
        bare_seconds.append(bare_took)
        bare_cpus.append(bare_cpu)
        issued.append(issue)
        rotated.append(rotation)
        issue_ratios.append(issue.seconds / bare_took)
        rotation_ratios.append((rotation.seconds - 1.0) / bare_rotation)
        cpus = f"CPU {issue.operator_cpu:.2f} s, API server {issue.api_cpu:.2f} s"
        say(f"  issue: bare {bare_took:.2f} s, operator {issue.seconds:.2f} s, {cpus}")
    issue, rotation = issued[0], rotated[0]
    per_thousand = statistics.median(each.operator_cpu for each in issued) * 1000 / keys
    bench.report.add(
        Row(f"issue {keys} keys: time / bare loop's", statistics.median(issue_ratios), "x", 1.5, how=f"median of {options.pairs} pairs"),
        Row("  bare loop", statistics.median(bare_seconds), "s", how=f"64 in flight, its own CPU {statistics.median(bare_cpus):.2f} s"),
        Row("  operator", statistics.median(each.seconds for each in issued), "s", how="taking the lead -> last Ready"),
        Row("  writes a key", writes_in(issue.requests) / keys, "", 6),
        Row("  reads a key", reads_in(issue.requests) / keys, "", 0, how="API server's count, less an idle start's", exactly=True),
        Row("  operator CPU for 1,000 keys", per_thousand, "s", 2.5, gate=False, how="above an idle operator's start"),
        Row("  API server CPU for 1,000 keys", issue.api_cpu * 1000 / keys, "s"),
        Row("  operator peak memory", max(each.peak_memory for each in issued) / 1024, "MiB"),
        Row("  memory above idle a key, after issuing", statistics.median(each.memory for each in issued) / keys, "KiB", how="RSS"),
        Row("  tasks and timers above idle", issue.tasks + issue.timers, "", 0, how="asyncio, settled"),
        Row(f"rotate {keys} keys: time / bare loop's", statistics.median(rotation_ratios), "x", how="less the 1 s of grace; no Deployment"),
        Row("  writes a key", writes_in(rotation.requests) / keys, "", how="one of them is the request itself"),
        Row("  reads a key", reads_in(rotation.requests) / keys, ""),
        Row("  operator CPU for 1,000 keys", statistics.median(each.operator_cpu for each in rotated) * 1000 / keys, "s"),
    )
    bench.report.note_requests(f"issuing {keys}", issue.requests, keys=keys)
    bench.report.note_requests(f"rotating {keys} without workloads", rotation.requests, keys=keys)


def _issue_and_rotate(bench: Bench, *, keys: int) -> tuple[Spent, Spent]:
    place = bench.place()
    create_apikeys(bench.plane, place.namespace, names(keys))
    meter = Meter(bench.plane)
    with operator_at(bench.plane, place) as operator:
        issue = runs.issue(bench.plane, place, operator, meter, keys=keys).above(bench.idle)
        told_issue = runs.told(bench.plane, place, operator, reason="Issued", change="Activated")
        rotation = runs.rotate(bench.plane, place, operator, keys=keys)
        told_rotation = runs.told(bench.plane, place, operator, reason="Rotated", change="Activated")
        told_end = runs.told(bench.plane, place, operator, reason="Retired", change="Retired")
    if not any(row.name.startswith("Events") for row in bench.report.rows):
        events = told_issue.events + told_rotation.events + told_end.events
        lines = told_rotation.audit_lines + told_end.audit_lines
        bench.report.add(
            Row("Events: arrived", events, "", 3 * keys, exactly=True, how="Issued, Rotated, Retired: one each a key"),
            Row("audit lines: arrived", lines, "", 3 * keys, exactly=True, how="Activated twice, Retired once a key"),
        )
    return issue, rotation


def measure_many(bench: Bench, options: Options) -> None:
    """Whether a key costs more among many: ApiKeys created while the operator runs, in steps."""
    say(f"issuing {options.many} keys in steps of {options.keys}, created while the operator runs")
    steps = list(range(options.keys, options.many + 1, options.keys))
    with operator_at(bench.plane, bench.place()) as operator:
        operator.wait_ready()
        place = Place(operator.setting("watch_namespaces"), operator.setting("records_namespace"))
        runs.rest(2.0)
        before = runs.Meter(bench.plane, operator=operator).spent(operator, keys=0, seconds=0.0)
        grown = runs.grow(bench.plane, place, operator, steps=steps)
    first, last = grown[0], grown[-1]
    keys = sum(each.keys for each in grown)
    cpu = sum(each.operator_cpu for each in grown) / keys / (first.operator_cpu / first.keys)
    bench.report.add(
        Row(f"cost a key at {keys} / at {first.keys}: operator CPU", cpu, "x", 1.1, how="created while it runs"),
        Row(
            "  requests", sum(sum(each.requests.values()) for each in grown) / keys / (sum(first.requests.values()) / first.keys), "x", 1.1
        ),
        Row("  API server CPU", sum(each.api_cpu for each in grown) / keys / (first.api_cpu / first.keys), "x"),
        Row("  the last step's operator CPU / the first's", last.operator_cpu / first.operator_cpu, "x"),
        Row(
            "memory of each further key",
            (last.memory - first.memory) / (keys - first.keys),
            "KiB",
            6,
            how=f"RSS at {keys} less at {first.keys}",
        ),
        Row("  RSS above idle / keys", (last.memory - before.memory) / keys, "KiB", how="with 64 busy connections, about 200 KiB each"),
        Row("  peak", last.peak_memory / 1024, "MiB"),
    )


def measure_restart_and_single(bench: Bench, options: Options) -> None:
    """A settled world found again, and one key more on the idle plane."""
    say(f"restarting on {options.settled} settled keys")
    place, keys = bench.place(), options.settled
    create_apikeys(bench.plane, place.namespace, names(keys))
    meter = Meter(bench.plane)
    with operator_at(bench.plane, place) as operator:
        runs.issue(bench.plane, place, operator, meter, keys=keys)
        again = runs.restart(bench.plane, place, operator, keys=keys, nothing=bench.idle)
        bench.report.add(
            Row(f"restart with {keys} settled keys: writes", writes_in(again.spent.requests), "", 0),
            Row("  reads a key", reads_in(again.spent.requests) / keys, "", 0.01, how="pages of the lists at the start"),
            Row("  caught up / bare list and decode", again.catch_up_seconds / again.list_seconds, "x", 1.5),
            Row("  caught up / list, decode and believe", again.catch_up_seconds / again.believing_seconds, "x", how="models, signatures"),
            Row("  bare list and decode", again.list_seconds, "s", how="median of 5"),
            Row("  caught up", again.catch_up_seconds, "s", how="taking the lead -> last reconcile"),
            Row("  operator CPU", again.spent.operator_cpu, "s", how="above an idle operator's start"),
            Row("  memory above idle a key", again.spent.memory / keys, "KiB", how="RSS: what decoding the lists left"),
            Row("  tasks and timers above idle", again.spent.tasks + again.spent.timers, "", 0),
            Row("clean exit when idle", again.exit_seconds, "s", 1.0),
        )
        bench.report.note_requests(f"restart with {keys}", again.spent.requests, keys=1)
        say(f"{options.samples} keys one at a time")
        took = sorted(runs.single_keys(bench.plane, place, samples=options.samples))
    bench.report.add(
        Row(
            "one key, create -> Ready: p50",
            statistics.median(took) * 1000,
            "ms",
            30,
            gate=False,
            how=f"{len(took)} samples, no propagation delay",
        ),
        Row("  p95", took[int(len(took) * 0.95)] * 1000, "ms"),
    )


def measure_revocation(bench: Bench, options: Options) -> None:
    """Every key at once beside the bare loop's record writes, then one after another with three verifiers."""
    keys, plane = options.keys, bench.plane
    ends, ratios, bare, ended, replaced = revocation_runs.learn_end(plane, bench.place(), into=bench.bare_place), [], [], [], []
    for number in range(options.pairs):
        say(f"revoking {keys} keys at once, bare loop and operator in turn: {number + 1} of {options.pairs}")
        bare_place, place = bench.place(), bench.place()
        uids = runs.bare_issue(plane, bare_place, bench.writes_at(bare_place, bench.issue_writes), keys=keys)[2]
        bare.append(runs.bare_rotation(plane, bare_place, bench.writes_at(bare_place, ends), uids))
        create_apikeys(plane, place.namespace, names(keys))
        meter = Meter(plane)
        with operator_at(plane, place) as operator:
            runs.issue(plane, place, operator, meter, keys=keys)
            with revocation_runs.verifiers_at(plane, place, operator, count=1):
                end, replacement = revocation_runs.revoke_all(plane, place, operator, keys=keys)
        ended.append(end.seconds)
        replaced.append(replacement)
        ratios.append(end.seconds / bare[-1])
        say(f"  bare {bare[-1]:.2f} s, operator {end.seconds:.2f} s")
    how = f"median of {options.pairs} pairs; until every verifier is known to refuse every key"
    bench.report.add(
        Row(f"revoke {keys} keys at once: time / bare loop's record writes", statistics.median(ratios), "x", 1.5, how=how),
        Row("  bare loop", statistics.median(bare), "s", how="one write a key, 64 in flight"),
        Row("  operator", statistics.median(ended), "s", how="from the POST to Complete, one verifier"),
        Row("  until every key has its successor", statistics.median(each.seconds for each in replaced), "s"),
        Row("  operator CPU for 1,000 keys, successors included", replaced[0].operator_cpu * 1000 / keys, "s"),
    )
    bench.report.note_requests(f"revoking and replacing {keys}", replaced[0].requests, keys=keys)
    measure_single_ends(bench, options)


def measure_single_ends(bench: Bench, options: Options) -> None:
    """One leaked key after another among many."""
    say(f"revoking {options.ends} keys one at a time, with three verifiers")
    plane, place, by_command = bench.plane, bench.place(), dict[str, list[float]]()
    create_apikeys(plane, place.namespace, names(options.keys))
    meter = Meter(plane)
    with operator_at(plane, place) as operator:
        runs.issue(plane, place, operator, meter, keys=options.keys)
        with revocation_runs.verifiers_at(plane, place, operator, count=3):
            key_ids, ends = revocation_runs.key_ids(plane, place, 3 * options.ends), options.ends
            took = sorted(revocation_runs.single_ends(plane, key_ids[:ends]))
            for name, run, some in (
                ("its start included", revocation_runs.as_a_process, key_ids[ends : 2 * ends]),
                ("its start left out", revocation_runs.in_this_process, key_ids[2 * ends :]),
            ):
                say(f"revoking {ends} keys by keyturn revoke --wait, {name}")
                by_command[name] = sorted(revocation_runs.ended_by_command(plane, some, run=run))
    how = f"{len(took)} of {options.keys} keys, three verifier processes, from the POST to Complete"
    bench.report.add(
        Row("revoke one key, until every verifier refuses it: p99", took[int(len(took) * 0.99)], "s", 1.0, gate=False, how=how),
        Row("  p50", statistics.median(took), "s", how=f"worst: {took[-1]:.2f} s"),
    )
    for name, seconds in by_command.items():
        bench.report.add(
            Row(f"  by keyturn revoke --wait, {name}: p99", seconds[int(len(seconds) * 0.99)], "s", how="the whole command"),
            Row("    p50", statistics.median(seconds), "s", how=f"worst: {seconds[-1]:.2f} s"),
        )


def measure_guarded(bench: Bench, options: Options) -> None:
    """Without the right to read Secrets and with it, in turn; then what a settled world costs where nothing is watched."""
    keys, spent = options.keys, dict[str, list[tuple[Spent, Spent]]](watch=[], guarded=[])
    for number in range(options.pairs):
        say(f"issuing and rotating {keys} keys, watching and guarded in turn: {number + 1} of {options.pairs}")
        for access, done in spent.items():
            done.append(guarded_runs.issue_and_rotate(bench.plane, bench.place(), access=access, keys=keys))
    for index, what in enumerate(("issue", "rotate")):
        pairs = [(guarded[index], watching[index]) for watching, guarded in zip(spent["watch"], spent["guarded"], strict=True)]
        ratio = statistics.median(guarded.seconds / watching.seconds for guarded, watching in pairs)
        looks = statistics.median((writes_in(guarded.requests) - writes_in(watching.requests)) / keys for guarded, watching in pairs)
        bench.report.add(
            Row(f"{what} {keys} keys, guarded: time / watching Secrets", ratio, "x", 1.1, how=f"median of {options.pairs} pairs"),
            Row("  looks a key", looks, "", how="empty patches; the API server counts them as patches"),
        )
    say(f"a minute with {options.many_guarded} settled keys, guarded")
    rate = guarded_runs.requests_a_second(bench.plane, bench.place(), keys=options.many_guarded)
    how = f"{options.many_guarded} keys, counted by the operator over a minute: looks, Lease and all"
    bench.report.add(Row("settled, guarded: requests a second", rate, "", 5, how=how))


def measure_two_replicas(report: Report, options: Options) -> None:
    """What installing Keyturn as it is delivered costs an API server on which nothing happens."""
    keys = options.many_guarded
    asked = two_replicas.requests_a_second(keys=keys, seconds=two_replicas.MEASURED)
    how = f"{keys} keys, leader and standby as delivered, counted by the API server over {two_replicas.MEASURED:.0f} s, its own taken off"
    report.add(
        Row("settled, guarded, two replicas: requests a second", sum(asked.values()), "", 5, how=how),
        *(
            Row(f"  {verb} {what}", rate, "")
            for (verb, what), rate in sorted(asked.items(), key=itemgetter(1), reverse=True)
            if rate > 0.02
        ),
    )


def measure_rollout(report: Report, options: Options) -> None:
    """Rotations with workloads: needs controllers and nodes."""
    say(f"rotating {options.deployments} keys with a Deployment each, on a plane with controllers and nodes")
    keys = options.deployments
    with Plane.start(Shape(nodes=1, audit=True)) as plane:
        prepare(plane)
        requests = runs.rotation_requests(plane, runs.make_place(plane, 1), keys=keys)
    report.add(
        Row(
            "a whole rotation with one Deployment: writes",
            writes_in(requests) / keys,
            "",
            12,
            how=f"mean of {keys}, the API server's audit log",
        ),
        Row("  requests", sum(requests.values()) / keys, "", 20),
    )
    report.note_requests("rotating with one Deployment", requests, keys=keys)


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, help="ApiKeys of a run (1000)")
    parser.add_argument("--many", type=int, help="ApiKeys of the run that shows whether a key costs more among many (5000)")
    parser.add_argument("--settled", type=int, help="ApiKeys that a restarted operator finds (3000)")
    parser.add_argument("--pairs", type=int, help="how often bare loop and operator run in turn (3)")
    parser.add_argument("--guarded", type=int, help="settled ApiKeys of a guarded operator (10000)")
    parser.add_argument("--quick", action="store_true", help="a fifth of everything: for trying, not for numbers")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="table for people, json for machines")
    given = parser.parse_args(arguments)
    usual = (200, 600, 400, 1, 20, 20, 5, 2000) if given.quick else (1000, 5000, 3000, 3, 50, 100, 20, 10_000)
    asked = (given.keys, given.many, given.settled, given.pairs, None, None, None, given.guarded)
    return Options(*(own or default for own, default in zip(asked, usual, strict=True)), json=given.output == "json")


if __name__ == "__main__":
    sys.exit(main())
