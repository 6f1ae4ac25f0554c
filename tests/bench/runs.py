"""The runs of the benchmark: each does one thing to one cluster and answers what it took. `bench_operator.py` puts them in order."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urlsplit

from bench.accounting import Requests, cpu_seconds, memory_kib, requests_so_far
from bench.observed_operator import TAP
from bench.ready_watch import ReadyWatch, is_ready, is_rotated
from bench.scenery import (
    SAMPLE,
    SPEC,
    BenchOperator,
    Place,
    Write,
    as_templates,
    create_apikeys,
    known_secrets,
    names,
    operator_at,
    read_tap,
    request_rotation,
    rest,
    run_bare_loop,
)
from gen.team import Api
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.names import Key
from keyturn.cluster.record_secrets import StoredRecord, decode_stored_record
from keyturn.keys.record_signing import Genuine, verify_record
from keyturn.keys.verification_keys import VerificationKeys
from testbed.plane import Plane

PATIENCE: Final = 300.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took, over all its keys; CPU in seconds, memory in KiB."""

    keys: int
    seconds: float
    operator_cpu: float
    api_cpu: float
    requests: Requests
    memory: int = 0
    peak_memory: int = 0
    tasks: int = 0
    timers: int = 0

    def above(self, idle: Spent) -> Spent:
        """The same without what an operator with nothing to do takes (starting up, its lists)."""
        return Spent(
            keys=self.keys,
            seconds=self.seconds,
            operator_cpu=self.operator_cpu - idle.operator_cpu,
            api_cpu=self.api_cpu - idle.api_cpu,
            requests=self.requests - idle.requests,
            memory=self.memory - idle.memory,
            peak_memory=self.peak_memory,
            tasks=self.tasks - idle.tasks,
            timers=self.timers - idle.timers,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """N happened, N arrived: Events in the cluster and lines in the audit log, each counted once."""

    events: int
    audit_lines: int


class Meter:
    """Reads all meters when made, and again for `spent`. `operator_cpu` counts from the operator's birth when `fresh`."""

    def __init__(self, plane: Plane, *, operator: BenchOperator | None = None) -> None:
        self._plane = plane
        self._api_cpu = cpu_seconds(plane.apiserver.pid)
        self._operator_cpu = cpu_seconds(operator.pid) if operator is not None else 0.0
        self._requests = requests_so_far(plane.metrics())

    def spent(self, operator: BenchOperator, *, keys: int, seconds: float, own_lists: int = 0) -> Spent:
        """What it took since. `own_lists`: how often the benchmark itself has listed the ApiKeys meanwhile."""
        view = operator.look()
        return Spent(
            keys=keys,
            seconds=seconds,
            operator_cpu=cpu_seconds(operator.pid) - self._operator_cpu,
            api_cpu=cpu_seconds(self._plane.apiserver.pid) - self._api_cpu,
            requests=requests_so_far(self._plane.metrics()) - self._requests - Counter({("LIST", "apikeys"): own_lists}),
            memory=memory_kib(operator.pid),
            peak_memory=memory_kib(operator.pid, peak=True),
            tasks=int(view["tasks"]),
            timers=int(view["timers"]),
        )


def make_place(plane: Plane, number: int) -> Place:
    place = Place.number(number)
    plane.create_namespace(place.namespace)
    return place


def learn_writes(plane: Plane, place: Place, *, into: Place) -> tuple[list[Write], list[Write]]:
    """Let the operator issue and rotate one key and note its writes: what it takes to issue, and what it takes to rotate."""
    tap = plane.folder / "writes.jsonl"
    (uid,) = create_apikeys(plane, place.namespace, [SAMPLE]).values()
    with operator_at(plane, place, **{TAP: str(tap)}) as operator:
        operator.wait_ready()
        rest()
        issue = read_tap(tap)
        seen = len(tap.read_text().splitlines())
        _rotate_and_wait(plane, place, 1)
        rest()
        rotation = read_tap(tap, since=seen)
    tap.unlink()
    return as_templates(issue, uid=uid, at=place, into=into), as_templates(rotation, uid=uid, at=place, into=into)


def idle(plane: Plane, place: Place) -> Spent:
    """An operator with nothing to do: what everything else is held against."""
    meter = Meter(plane)
    with operator_at(plane, place) as operator:
        operator.wait_ready()
        rest(3.0)
        return meter.spent(operator, keys=0, seconds=0.0)


def bare_issue(plane: Plane, place: Place, writes: Sequence[Write], *, keys: int) -> tuple[float, float, dict[str, str]]:
    """The bare loop's issue: wall seconds until the last key was Ready to a watcher's eyes, CPU seconds, uids."""
    plane.create_namespace(place.records)
    uids = create_apikeys(plane, place.namespace, names(keys))
    rest()
    with ReadyWatch(plane.login, place.namespace, is_done=is_ready) as watch:
        took = run_bare_loop(plane, writes, uids, {})
        watch.wait_for(keys, patience=30.0)
    return took["seconds"], took["cpu"], uids


def bare_rotation(plane: Plane, place: Place, writes: Sequence[Write], uids: dict[str, str]) -> float:
    """The bare loop's rotation of the keys it issued: wall seconds, without any waiting in between."""
    return run_bare_loop(plane, writes, uids, known_secrets(plane, place, writes))["seconds"]


def issue(plane: Plane, place: Place, operator: BenchOperator, meter: Meter, *, keys: int) -> Spent:
    """Wait until the operator, just started on `keys` ApiKeys that are there, has issued all; from taking the lead to the last end."""
    with ReadyWatch(plane.login, place.namespace, is_done=is_ready) as watch:
        try:
            watch.wait_for(keys, patience=PATIENCE)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; the end of the operator's log:\n{operator.tail()}") from None
        end = operator.look()["last_run_time"]
    rest(2.0)
    return meter.spent(operator, keys=keys, seconds=end - operator.lead_time(), own_lists=watch.lists)


def grow(plane: Plane, place: Place, operator: BenchOperator, *, steps: Sequence[int]) -> list[Spent]:
    """Create ApiKeys while the operator runs, up to each of `steps` in all; what each step took for its own keys."""
    grown: list[Spent] = []
    there = 0
    for upto in steps:
        meter = Meter(plane, operator=operator)
        with ReadyWatch(plane.login, place.namespace, is_done=is_ready) as watch:
            start = time.time()
            create_apikeys(plane, place.namespace, names(upto)[there:])
            end = watch.wait_for(upto, patience=PATIENCE)
        rest(2.0)
        grown.append(meter.spent(operator, keys=upto - there, seconds=end - start, own_lists=watch.lists))
        there = upto
    return grown


def rotate(plane: Plane, place: Place, operator: BenchOperator, *, keys: int) -> Spent:
    """Ask for a rotation of every key; from the first request to the last old key's end."""
    meter = Meter(plane, operator=operator)
    seconds, own_lists = _rotate_and_wait(plane, place, keys)
    rest(2.0)
    return meter.spent(operator, keys=keys, seconds=seconds, own_lists=own_lists)


def _rotate_and_wait(plane: Plane, place: Place, keys: int) -> tuple[float, int]:
    """Seconds, and how often the benchmark listed the ApiKeys meanwhile."""
    with ReadyWatch(plane.login, place.namespace, is_done=is_rotated) as watch:
        start = time.time()
        request_rotation(plane, place.namespace, names(keys))
        return watch.wait_for(keys, patience=PATIENCE) - start, watch.lists


def told(plane: Plane, place: Place, operator: BenchOperator, *, reason: str, change: str) -> Told:
    """How many Events and audit lines there are of one kind, each key counted once."""
    query = f"fieldSelector=reason%3D{reason}"
    events = json.loads(plane.login.ask("GET", f"/apis/events.k8s.io/v1/namespaces/{place.namespace}/events?{query}", timeout=60.0))[
        "items"
    ]
    lines = [json.loads(line) for line in operator.audit_file.read_text().splitlines()]
    return Told(
        events=len({event["regarding"]["name"] for event in events}),
        audit_lines=len({(line["name"], line["serial"]) for line in lines if line["change"] == change}),
    )


@dataclass(frozen=True, slots=True)
class Restarted:
    """An operator that found everything settled. Times in seconds, memory in KiB above an idle one."""

    keys: int
    exit_seconds: float
    catch_up_seconds: float
    list_seconds: float
    believing_seconds: float
    """The same list with what it takes to believe it."""
    spent: Spent


def restart(plane: Plane, place: Place, operator: BenchOperator, *, keys: int, nothing: Spent) -> Restarted:
    """Stop the idle operator and start it again; it has caught up when it has looked at every key and is at rest."""
    asked = time.monotonic()
    operator.stop()
    exit_seconds = time.monotonic() - asked
    list_seconds = statistics.median(bare_list(plane, place) for _ in range(5))
    system = operator.setting("namespace")
    believing_seconds = statistics.median(believing_list(plane, place, system_namespace=system) for _ in range(3))
    meter = Meter(plane)
    operator.restart()
    operator.wait_ready()
    view = operator.look()
    while view["runs"] < keys or time.time() - view["last_run_time"] < 1.0:
        rest(0.2)
        view = operator.look()
    spent = meter.spent(operator, keys=keys, seconds=view["last_run_time"] - operator.lead_time())
    return Restarted(keys, exit_seconds, spent.seconds, list_seconds, believing_seconds, spent.above(nothing))


def believing_list(plane: Plane, place: Place, *, system_namespace: str) -> float:
    """As `bare_list`, and make of it what may be worked with: models of the ApiKeys, records with their signatures checked."""
    published = json.loads(plane.login.ask("GET", f"/api/v1/namespaces/{system_namespace}/configmaps/keyturn-verification-keys"))
    keys = VerificationKeys.from_data(published["data"])
    start = time.monotonic()
    records, _, apikeys = (_read_pages(plane, path, accept) for path, accept in _collections(place).items())
    for item in apikeys:
        ApiKey.model_validate(item)
    for item in records:
        key, stored = decode_stored_record(item) or (Key("", ""), StoredRecord(b"", b""))
        if not isinstance(verify_record(stored.data, signature=stored.signature, keys=keys, expected=key, installation=None), Genuine):
            raise TypeError(f"the record of {key} is not genuine")
    return time.monotonic() - start


def bare_list(plane: Plane, place: Place) -> float:
    """Read and decode what an operator must know: records, Secrets' metadata, ApiKeys, each in pages of 500 over one connection."""
    start = time.monotonic()
    for path, accept in _collections(place).items():
        _read_pages(plane, path, accept)
    return time.monotonic() - start


def _collections(place: Place) -> dict[str, str]:
    """Paths, and in which form each is read."""
    return {
        f"/api/v1/namespaces/{place.records}/secrets": "application/json",
        f"/api/v1/namespaces/{place.namespace}/secrets": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        f"/apis/keyturn.dev/v1alpha1/namespaces/{place.namespace}/apikeys": "application/json",
    }


def _read_pages(plane: Plane, path: str, accept: str) -> list[dict[str, Any]]:
    parts = urlsplit(plane.url)
    connection = HTTPSConnection(parts.hostname or "", parts.port, context=plane.login.tls)
    items: list[dict[str, Any]] = []
    token = ""
    while True:
        connection.request("GET", f"{path}?limit=500&continue={quote(token)}", headers={"Accept": accept})
        page: dict[str, Any] = json.loads(connection.getresponse().read())
        items += page["items"]
        token = page["metadata"].get("continue", "")
        if not token:
            connection.close()
            return items


def single_keys(plane: Plane, place: Place, *, samples: int) -> list[float]:
    """Create ApiKeys one after another on an idle plane: seconds from before the POST until a watcher saw Ready, for each."""
    api, took = Api(plane.login), []
    with ReadyWatch(plane.login, place.namespace, is_done=is_ready) as watch:
        for number in range(samples):
            name = f"one-{number:05}"
            manifest = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name}, "spec": SPEC}
            start = time.time()
            api.ask("POST", f"/apis/keyturn.dev/v1alpha1/namespaces/{place.namespace}/apikeys", manifest)
            took.append(watch.wait_for_name(name) - start)
            rest(0.05)
    api.close()
    return took


def rotation_requests(plane: Plane, place: Place, *, keys: int) -> Requests:
    """The requests of one rotation of all keys, each with a Deployment that uses it; needs a plane with controllers and nodes.

    Counted in the API server's audit log, which knows who asked. Watches and the Lease are left out.
    """
    create_apikeys(plane, place.namespace, names(keys))
    with operator_at(plane, place) as operator:
        with ReadyWatch(plane.login, place.namespace, is_done=is_ready) as watch:
            watch.wait_for(keys, patience=60.0)
        plane.kubectl(
            "-n", place.namespace, "apply", "-f", "-", input="\n---\n".join(json.dumps(_deployment(name)) for name in names(keys))
        )
        plane.kubectl("-n", place.namespace, "rollout", "status", "deployment", "--timeout=60s")
        rest(2.0)
        start = plane.audit_log.stat().st_size
        _rotate_and_wait(plane, place, keys)
        rest(2.0)
        del operator
    with plane.audit_log.open("rb") as log:
        log.seek(start)
        lines = [json.loads(line) for line in log.read().splitlines()]
    return Counter(_verb_and_resource(line) for line in lines if _counts(line))


def _counts(line: dict[str, Any]) -> bool:
    ours = line.get("userAgent", "").lower().startswith(("keyturn", "kopf"))
    return ours and line["verb"] != "watch" and line.get("objectRef", {}).get("resource") != "leases"


def _verb_and_resource(line: dict[str, Any]) -> tuple[str, str]:
    about = line["objectRef"]
    verb = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}.get(line["verb"], line["verb"].upper())
    return verb, f"{about['resource']}/{about['subresource']}" if "subresource" in about else about["resource"]


def _deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    variable = {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": name, "key": "api-key"}}}
    pod = {"containers": [{"name": "main", "image": "example.com/app", "env": [variable]}], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
