"""`make bench-tenants`: how much later one tenant's rotation is done while another one makes noise.

Beside no noise, and beside the very same noise in a namespace that the operator does not watch: there it costs the API server and the
machine, and Keyturn nothing. All three take turns in one run. Prints a table (or JSON), and exits 1 if a median is more than twice that of
the noise out of sight. docs/performance.md has what was measured.
"""

from __future__ import annotations

import argparse
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.accounting import memory_kib
from bench.bare_client import Access
from bench.noise import KINDS, SPEC
from bench.report import Report, Row
from bench.scenery import prepare
from gen.installed import RBAC, log_in
from gen.operator_process import OperatorProcess
from gen.team import APIKEYS, Api
from testbed.cache import say
from testbed.cluster import Login, wait_until
from testbed.plane import Plane, bare

Json = dict[str, Any]

SETTINGS: Final = {
    "propagation_delay": "100ms",
    "minimum_rotation_spacing": "100ms",
    "lease_duration": "15s",
    "log_level": "info",
    "watch_namespaces": "quiet,noisy",
}
FLOOR: Final = 2.0
QUIET, NOISY, UNSEEN, SYSTEM, RECORDS = "quiet", "noisy", "unseen", "bench-system", "bench-records"
USED: Final = "billing"


@dataclass(frozen=True, slots=True)
class Options:
    """How large."""

    keys: int
    samples: int
    rounds: int
    in_flight: int
    pace: float
    settings: dict[str, str]
    json: bool


@dataclass(slots=True)
class Neighbours:
    """The tenant whose rotations are timed, and the one who makes noise."""

    quiet: Api
    noisy: Access
    operator: OperatorProcess
    version: int = 1

    def rotate(self) -> float:
        """Ask for one, and wait for the new key; answers the seconds."""
        path = f"{APIKEYS}/namespaces/{QUIET}/apikeys/{USED}"
        started = time.monotonic()
        self.quiet.merge(path, {"metadata": {"annotations": {"keyturn.dev/rotate-requested-at": str(started)}}})
        self.version += 1
        wait_until(lambda: self._active(path) == self.version, patience=300.0, what=f"version {self.version}", pause=0.01)
        took = time.monotonic() - started
        wait_until(lambda: self._is_alone(path), patience=300.0, what="the old version to end", pause=0.05)
        time.sleep(0.2)
        return took

    def _active(self, path: str) -> int:
        return int(self.quiet.ask("GET", path).get("status", {}).get("activeVersion", 0))

    def _is_alone(self, path: str) -> bool:
        conditions = self.quiet.ask("GET", path)["status"]["conditions"]
        return ("PreviousVersionActive", "False") in {(each["type"], each["status"]) for each in conditions}

    def has_all(self, keys: int) -> bool:
        """Whether the operator has heard of so many ApiKeys."""
        return self.operator.metric("keyturn_apikeys") >= keys

    def rest(self) -> None:
        """Until nothing is left to do."""
        wait_until(lambda: self.operator.metric("keyturn_queue_depth") == 0, patience=300.0, what="the noise to be worked off", pause=0.5)
        time.sleep(1.5)

    @contextmanager
    def noise(self, kind: str, options: Options, *, where: str = NOISY, most: int = 0, first: int = 0) -> Iterator[Json]:
        """While this is open somebody disturbs; afterwards the answer says how much."""
        told = dict[str, Any]()
        job = {"kind": kind, "namespace": where, "most": most, "first": first}
        job |= {"keys": options.keys, "in_flight": options.in_flight, "pace": options.pace}
        command = [sys.executable, str(Path(__file__).with_name("noise.py"))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps({**job, "access": asdict(self.noisy)}))
            process.stdin.close()
            process.stdin = None
            try:
                yield told
            finally:
                if not most:
                    process.terminate()
                told |= json.loads(process.communicate()[0])


@contextmanager
def neighbours(plane: Plane, folder: Path, settings: Json) -> Iterator[Neighbours]:
    """Both namespaces, with a user each, and an operator by an account of its own: the API server's queues hold for all three."""
    prepare(plane)
    api = Api(plane.login)
    for namespace in (QUIET, NOISY, UNSEEN, SYSTEM, RECORDS):
        plane.create_namespace(namespace)
    for namespace, role in ((QUIET, "cluster-admin"), (NOISY, "cluster-admin"), (SYSTEM, "cluster-admin")):
        api.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "somebody"}})
        binding = {
            "metadata": {"name": f"somebody-{namespace}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}],
        }
        api.ask("POST", f"{RBAC}/clusterrolebindings", binding)
    tokens = [plane.kubectl("-n", namespace, "create", "token", "somebody").strip() for namespace in (QUIET, NOISY)]
    quiet = Api(Login(plane.url, ssl.create_default_context(cafile=str(plane.ca)), tokens[0]))
    kubeconfig = log_in(plane, folder, account="somebody", namespace=SYSTEM)
    with OperatorProcess.start(plane, settings=settings, records_namespace=RECORDS, namespace=SYSTEM, kubeconfig=kubeconfig) as operator:
        operator.wait_ready()
        manifest = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": USED}, "spec": SPEC}
        quiet.ask("POST", f"{APIKEYS}/namespaces/{QUIET}/apikeys", manifest)
        both = Neighbours(quiet, Access(plane.url, str(plane.ca), token=tokens[1]), operator)
        wait_until(lambda: both._active(f"{APIKEYS}/namespaces/{QUIET}/apikeys/{USED}") == 1, patience=30.0, what="the first key")
        yield both
    quiet.close()
    api.close()


def main() -> int:
    options = parse(sys.argv[1:])
    settings = {**SETTINGS, **options.settings}
    report = Report(settings=settings)
    with Plane.start(bare()) as plane, TemporaryDirectory() as folder, neighbours(plane, Path(folder), settings) as both:
        measure(both, report, options)
    sys.stdout.write((report.as_json() if options.json else report.as_text()) + "\n")
    return 1 if report.missed else 0


def measure(both: Neighbours, report: Report, options: Options) -> None:
    """First the neighbour gets his ApiKeys, then each kind of noise, with quiet in between: what else the machine does meets all alike."""
    for _ in range(3):
        both.rotate()
    fill(both, options)
    first = options.keys
    for kind in KINDS:
        say(f"the neighbour's noise: {kind}")
        alone, unseen, beside, paces = list[float](), list[float](), list[float](), list[float]()
        for _ in range(options.rounds):
            alone += [both.rotate() for _ in range(options.samples)]
            for where, took in ((UNSEEN, unseen), (NOISY, beside)):
                with both.noise(kind, options, where=where, first=first if kind == "create" else 0) as told:
                    time.sleep(0.5)
                    took += [both.rotate() for _ in range(options.samples)]
                both.rest()
            paces.append(told["done"] / told["seconds"])
            first += 10_000  # names that are not taken
        quiet, same, noisy = (statistics.median(each) * 1000 for each in (alone, unseen, beside))
        how = f"alone {quiet:.0f} ms, beside it unseen {same:.0f} ms; {statistics.median(paces):.0f} writes a second"
        report.add(
            Row(f"noise: {kind}", noisy, "ms", how=f"{how}, longest {max(beside) * 1000:.0f} ms"),
            Row("  / the same noise unseen", noisy / same, "x", FLOOR),
            Row("  / alone", noisy / quiet, "x", FLOOR, gate=False),
        )
    report.add(Row("operator's memory at the end", memory_kib(both.operator.pid) / 1024, "MiB"))


def fill(both: Neighbours, options: Options) -> None:
    """The ApiKeys that the other kinds of noise are about."""
    say(f"{options.keys} ApiKeys for the neighbour")
    at_once = replace(options, in_flight=16, pace=1e9)
    for kind, where in (("create", UNSEEN), ("keep secret", UNSEEN), ("create", NOISY)):
        with both.noise(kind, at_once, where=where, most=options.keys) as told:
            say(f"  {kind}, {where}")
        assert told["refused"] == 0, told
    wait_until(lambda: both.has_all(options.keys), patience=300.0, what="the neighbour's ApiKeys", pause=0.5)
    both.rest()


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=2000, help="ApiKeys of the noisy tenant")
    parser.add_argument("--samples", type=int, default=4, help="rotations timed at a time, and as many alone")
    parser.add_argument("--rounds", type=int, default=3, help="how often quiet and noise take turns")
    parser.add_argument("--in-flight", type=int, default=4, help="writes of the noisy tenant at the same time")
    parser.add_argument("--pace", type=float, default=1e9, help="writes of the noisy tenant in a second, at most")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the operator")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="table for people, json for machines")
    given = parser.parse_args(arguments)
    settings = dict(each.split("=", 1) for each in given.set)
    return Options(given.keys, given.samples, given.rounds, given.in_flight, given.pace, settings, given.output == "json")


if __name__ == "__main__":
    sys.exit(main())
