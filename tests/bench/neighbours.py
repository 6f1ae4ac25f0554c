"""The tenant whose rotations are timed, the one who makes noise, and the operators that take turns between them. For `bench_tenants.py`."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.accounting import cpu_seconds
from bench.bare_client import Access
from bench.noise import SPEC
from bench.scenery import prepare
from gen.installed import RBAC, log_in
from gen.operator_process import OperatorProcess
from gen.team import APIKEYS, Api
from testbed.cluster import Login, wait_until
from testbed.plane import Plane

Json = dict[str, Any]

QUIET, NOISY, UNSEEN, SYSTEM, RECORDS = "quiet", "noisy", "unseen", "bench-system", "bench-records"
USED: Final = "billing"
PATH: Final = f"{APIKEYS}/namespaces/{QUIET}/apikeys/{USED}"


@dataclass(frozen=True, slots=True)
class Volume:
    """How much noise."""

    keys: int
    in_flight: int
    pace: float


@dataclass(slots=True)
class Noise:
    """What one stretch of noise was: writes, and CPU seconds of operator and API server meanwhile."""

    done: int = 0
    refused: int = 0
    seconds: float = 0.0
    operator_cpu: float = 0.0
    api_cpu: float = 0.0


@dataclass(slots=True)
class Neighbours:
    """One operator works at a time."""

    plane: Plane
    quiet: Api
    noisy: Access
    operators: dict[str, OperatorProcess]
    at_work: str
    version: int = 1
    known: int = 1
    """ApiKeys that an operator must have heard of to have caught up."""

    @property
    def operator(self) -> OperatorProcess:
        return self.operators[self.at_work]

    def hand_over(self, name: str) -> None:
        """Another operator takes the work up."""
        if name != self.at_work:
            self.operator.stop()
            self.at_work = name
            self.operator.restart()
            self.operator.wait_ready(patience=60.0)
            wait_until(self.has_caught_up, patience=300.0, what="the other operator to catch up", pause=0.5)
        self.rest()

    def has_caught_up(self) -> bool:
        return self.operator.metric("keyturn_apikeys") >= self.known

    def rotate(self) -> float:
        """Ask for one, and wait for the new key; answers the seconds."""
        started = time.monotonic()
        self.quiet.merge(PATH, {"metadata": {"annotations": {"keyturn.dev/rotate-requested-at": str(started)}}})
        self.version += 1
        wait_until(lambda: self.active_version() == self.version, patience=300.0, what=f"version {self.version}", pause=0.01)
        took = time.monotonic() - started
        wait_until(self._is_alone, patience=300.0, what="the old version to end", pause=0.05)
        time.sleep(0.2)
        return took

    def active_version(self) -> int:
        return int(self.quiet.ask("GET", PATH).get("status", {}).get("activeVersion", 0))

    def _is_alone(self) -> bool:
        conditions = self.quiet.ask("GET", PATH)["status"]["conditions"]
        return ("PreviousVersionActive", "False") in {(each["type"], each["status"]) for each in conditions}

    def rest(self) -> None:
        """Until nothing is left to do."""
        wait_until(lambda: self.operator.metric("keyturn_queue_depth") == 0, patience=300.0, what="the noise to be worked off", pause=0.5)
        time.sleep(1.5)

    @contextmanager
    def noise(self, kind: str, volume: Volume, *, where: str = NOISY, most: int = 0, first: int = 0) -> Iterator[Noise]:
        """While this is open somebody disturbs; afterwards the answer says how much."""
        told, job = Noise(), {"kind": kind, "namespace": where, "most": most, "first": first}
        job |= {**asdict(volume), "access": asdict(self.noisy)}
        command = [sys.executable, str(Path(__file__).with_name("noise.py"))]
        before = self._cpus()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(job))
            process.stdin.close()
            process.stdin = None
            try:
                yield told
            finally:
                told.operator_cpu, told.api_cpu = (now - then for now, then in zip(self._cpus(), before, strict=True))
                if not most:
                    process.terminate()
                counted = json.loads(process.communicate()[0])
                told.done, told.refused, told.seconds = counted["done"], counted["refused"], counted["seconds"]

    def _cpus(self) -> tuple[float, float]:
        return cpu_seconds(self.operator.pid), cpu_seconds(self.plane.apiserver.pid)


@contextmanager
def neighbours(plane: Plane, folder: Path, settings: Mapping[str, str], *, checkouts: Mapping[str, Path | None]) -> Iterator[Neighbours]:
    """Both namespaces, with a user each, and operators by an account of its own: the API server's queues hold for all three.

    `checkouts`: by name, the folder whose operator it is; None: this one's. The last one is at work.
    """
    prepare(plane)
    quiet, noisy = _tenants(plane)
    kubeconfig = log_in(plane, folder, account="somebody", namespace=SYSTEM)
    with ExitStack() as stack:
        operators, name = dict[str, OperatorProcess](), ""
        for name, checkout in checkouts.items():
            for other in operators.values():
                other.stop()
            operators[name] = stack.enter_context(
                OperatorProcess.start(
                    plane,
                    settings=settings,
                    records_namespace=RECORDS,
                    namespace=SYSTEM,
                    kubeconfig=kubeconfig,
                    command=_command(checkout),
                )
            ).wait_ready()
        manifest = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": USED}, "spec": SPEC}
        quiet.ask("POST", f"{APIKEYS}/namespaces/{QUIET}/apikeys", manifest)
        both = Neighbours(plane, quiet, noisy, operators, at_work=name)
        wait_until(lambda: both.active_version() == 1, patience=30.0, what="the first key")
        yield both
    quiet.close()


def _tenants(plane: Plane) -> tuple[Api, Access]:
    api = Api(plane.login)
    for namespace in (QUIET, NOISY, UNSEEN, SYSTEM, RECORDS):
        plane.create_namespace(namespace)
    for namespace in (QUIET, NOISY, SYSTEM):
        api.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "somebody"}})
        binding = {
            "metadata": {"name": f"somebody-{namespace}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}],
        }
        api.ask("POST", f"{RBAC}/clusterrolebindings", binding)
    api.close()
    tokens = [plane.kubectl("-n", namespace, "create", "token", "somebody").strip() for namespace in (QUIET, NOISY)]
    quiet = Api(Login(plane.url, ssl.create_default_context(cafile=str(plane.ca)), tokens[0]))
    return quiet, Access(plane.url, str(plane.ca), token=tokens[1])


def _command(checkout: Path | None) -> tuple[str, ...]:
    if checkout is None:
        return ()
    start = f"import sys; sys.path.insert(0, {str(checkout / 'operator')!r}); from keyturn.cli.main import main; main()"
    return sys.executable, "-c", start, "operator"
