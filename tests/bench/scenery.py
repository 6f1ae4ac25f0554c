"""The cluster of a benchmark: namespaces, ApiKeys by the thousand, operators with the settings of the trade, the writes to be copied."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench import observed_operator
from bench.bare_client import MERGE_PATCH, Access, BareClient, for_each
from bench.bare_loop import NAME_MARK, OWNER_MARK, UID_MARK, VERSION_MARK
from gen.operator_process import OperatorProcess
from testbed.cluster import wait_until
from testbed.plane import Plane

HERE: Final = Path(__file__).parent
CRDS: Final = HERE.parents[1] / "crds"
SAMPLE: Final = "key-00000"
ROTATE_ANNOTATION: Final = "keyturn.dev/rotate-requested-at"
SETTINGS: Final[Mapping[str, str]] = {
    "propagation_delay": "0s",
    "settle": "200ms",
    "minimum_grace_period": "0s",
    "minimum_rotation_spacing": "0s",
    "lease_duration": "15s",
    "sweep_interval": "5m",
    "request_timeout": "10s",
    "log_level": "info",
}
"""What differs from production: no waiting for verifiers that are not there, and short pauses. Level info writes no line a key on issue."""
SPEC: Final = {"rotation": {"gracePeriod": "1s"}}

Write = dict[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """One run's namespaces: all are as long as each other, so that the bare loop's bodies are as long as the operator's."""

    namespace: str
    records: str

    @classmethod
    def number(cls, number: int) -> Place:
        return cls(f"bench-{number:03}", f"records-{number:03}")


def access_to(plane: Plane) -> Access:
    admin = plane._layout.admin
    return Access(plane.url, str(plane.ca), str(admin.certificate), str(admin.key))


def prepare(plane: Plane) -> None:
    """Install the CRDs."""
    plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    wait_until(lambda: plane.answers("/apis/keyturn.dev/v1alpha1/apikeys"), patience=20.0, what="the CRDs to be served")


def names(count: int) -> list[str]:
    return [f"key-{number:05}" for number in range(count)]


def create_apikeys(plane: Plane, namespace: str, wanted: Sequence[str], *, spec: object = SPEC) -> dict[str, str]:
    """Create ApiKeys, many at a time; answers the uid of each."""
    uids: dict[str, str] = {}

    async def create_all() -> None:
        async with BareClient(access_to(plane)) as client:

            async def create(name: str) -> None:
                manifest = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name}, "spec": spec}
                body = json.dumps(manifest).encode()
                answer = await client.send("POST", f"/apis/keyturn.dev/v1alpha1/namespaces/{namespace}/apikeys", body)
                uids[name] = json.loads(answer)["metadata"]["uid"]

            await for_each(wanted, create)

    asyncio.run(create_all())
    return uids


def request_rotation(plane: Plane, namespace: str, wanted: Sequence[str]) -> None:
    """Annotate every ApiKey, many at a time."""
    body = json.dumps({"metadata": {"annotations": {ROTATE_ANNOTATION: "now"}}}).encode()

    async def annotate_all() -> None:
        async with BareClient(access_to(plane)) as client:
            path = f"/apis/keyturn.dev/v1alpha1/namespaces/{namespace}/apikeys"
            await for_each(wanted, lambda name: client.send("PATCH", f"{path}/{name}", body, content_type=MERGE_PATCH))

    asyncio.run(annotate_all())


class BenchOperator(OperatorProcess):
    """An operator with the window of `observed_operator.py`."""

    @property
    def audit_file(self) -> Path:
        return Path(self.setting("audit_log"))

    def look(self, *, patience: float = 10.0) -> dict[str, float]:
        """Tasks, timers, runs, last_run_time: as of now."""
        window = Path(self._environment[observed_operator.WINDOW])
        window.unlink(missing_ok=True)
        self._running().send_signal(signal.SIGUSR1)
        wait_until(window.exists, patience=patience, what="the operator to look at itself", pause=0.005)
        return json.loads(window.read_text())

    def lead_time(self) -> float:
        """When it last took the lead, unix seconds: from then on it may work."""
        lines = [line["time"] for line in self.log_since_start() if line.get("message") == "Took the lead"]
        return datetime.fromisoformat(lines[-1]).timestamp()


@contextmanager
def operator_at(
    plane: Plane, place: Place, *, settings: Mapping[str, str] | None = None, kubeconfig: Path | None = None, **environment: str
) -> Iterator[BenchOperator]:
    """Start an operator for one namespace; it need not be up yet. `environment`: TAP, PROFILE of observed_operator.py."""
    folder = plane.folder
    wanted = {**SETTINGS, "watch_namespaces": place.namespace, "audit_log": str(folder / f"{place.namespace}.audit.jsonl")}
    window = {observed_operator.WINDOW: str(folder / f"{place.namespace}.window.json")}
    command = (sys.executable, str(HERE / "observed_operator.py"))
    with BenchOperator.start(
        plane,
        settings={**wanted, **(settings or {})},
        records_namespace=place.records,
        kubeconfig=kubeconfig,
        environment={**window, **environment},
        command=command,
        name="bench",
    ) as operator:
        yield operator


def run_bare_loop(
    plane: Plane, writes: Sequence[Write], uids: Mapping[str, str], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """Let the bare loop make these writes for every key, in a process of its own: `seconds` and `cpu`."""
    job = {"access": asdict(access_to(plane)), "writes": list(writes), "keys": list(uids.items()), "known": known}
    done = subprocess.run([sys.executable, str(HERE / "bare_loop.py")], input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the bare loop failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def read_tap(file: Path, *, since: int = 0) -> list[Write]:
    """The writes noted by an operator, from the `since`-th on, that are about the sample key."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [line for line in lines[since:] if SAMPLE in line["path"] or SAMPLE in line["payload"]]


def as_templates(taken: Sequence[Mapping[str, Any]], *, uid: str, at: Place, into: Place) -> list[Write]:
    """The operator's writes for the sample key as the bare loop's for any key, somewhere else."""
    return [_template(write, uid=uid, at=at, into=into) for write in taken]


def _template(write: Mapping[str, Any], *, uid: str, at: Place, into: Place) -> Write:
    query = "&".join(f"{name}={value}" for name, value in write["query"].items())
    path = f"{write['path']}?{query}" if query else write["path"]
    payload = write["payload"]
    if write["method"] == "PATCH" and "/secrets/" in path:
        payload = re.sub(
            r'"uid":"[^"]+","resourceVersion":"[^"]+"', f'"uid":"{UID_MARK}","resourceVersion":"{VERSION_MARK}"', payload, count=1
        )
    moved = {at.namespace: into.namespace, at.records: into.records, SAMPLE: NAME_MARK, uid: OWNER_MARK}
    for old, new in moved.items():
        path, payload = path.replace(old, new), payload.replace(old, new)
    return {"method": write["method"], "path": path, "payload": payload, "content_type": write["content_type"], "accept": write["accept"]}


def known_secrets(plane: Plane, place: Place, writes: Sequence[Write]) -> dict[str, dict[str, Any]]:
    """Uid and resourceVersion of every Secret the bare loop made, by the paths it will patch."""
    paths = {write["path"] for write in writes if write["method"] == "PATCH" and "/secrets/" in write["path"]}
    listed = {space: _uids_and_versions(plane, space) for space in (place.namespace, place.records)}
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        space, name = re.findall(r"/namespaces/([^/]+)/secrets/([^?]+)", path)[0]
        found[path] = {key.removeprefix(name.replace(NAME_MARK, "")): value for key, value in listed[space].items()}
    return found


def _uids_and_versions(plane: Plane, namespace: str) -> dict[str, tuple[str, str]]:
    items = json.loads(plane.login.ask("GET", f"/api/v1/namespaces/{namespace}/secrets", timeout=60.0))["items"]
    return {each["metadata"]["name"]: (each["metadata"]["uid"], each["metadata"]["resourceVersion"]) for each in items}


def rest(seconds: float = 1.0) -> None:
    """Let echoes come in, so that what follows is not measured with what went before."""
    time.sleep(seconds)
