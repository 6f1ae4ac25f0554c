"""How many requests a key costs: the one file that counts calls. The numbers are promises: docs/performance.md."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gen.api_call import HOUSEKEEPING
from gen.scene import Scene
from gen.team import Json, StartTeam, Team, pod_spec, workload
from testbed.plane import Plane

WRITES = frozenset({"create", "patch", "update", "delete", "apply"})
NO_SWEEP = {"sweep_interval": "1h"}
KEYS = 10
Requests = Counter[tuple[str, str]]


@pytest.fixture(scope="module")
def counted(start_module_team: StartTeam) -> Team:
    return start_module_team(NO_SWEEP)


def requests(team: Team) -> Requests:
    """What the operator has asked for so far, by verb and resource; its Lease and its watches aside."""
    counts: Requests = Counter()
    for series, value in team.operator.metrics().items():
        if series.startswith("keyturn_api_requests_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
            if labels["resource"] != "leases" and labels["verb"] != "watch":
                counts[labels["verb"], labels["resource"]] += int(value)
    return counts


def writes(counts: Requests) -> int:
    return sum(count for (verb, _), count in counts.items() if verb in WRITES)


def reads(counts: Requests) -> Requests:
    return Counter({what: count for what, count in counts.items() if what[0] not in WRITES})


def writes_seen_by_the_server(team: Team) -> int:
    """Successful or not, by anybody, to the kinds of object that a key consists of."""
    counted = re.compile(
        r'apiserver_request_total\{.*resource="(?:apikeys|secrets|events)".*verb="(?:POST|PATCH|PUT|APPLY|DELETE)"\} (\S+)'
    )
    return sum(int(float(found[1])) for line in team.cluster.metrics().splitlines() if (found := counted.match(line)))


def quiet(team: Team, *, seconds: float = 0.5) -> Requests:
    """Wait until it has asked for nothing for a while; answers what it has asked for."""
    end, last, since = time.monotonic() + 20, requests(team), time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.1)
        now = requests(team)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > seconds:
            return last
    raise AssertionError(f"it does not come to rest: {last}")


def test_a_settled_world_costs_no_request(counted: Team) -> None:
    names = [f"settled-{number}" for number in range(KEYS)]
    for name in names:
        counted.apply_apikey(name)
    for name in names:
        counted.wait_ready(name)
    before = quiet(counted)
    seen, marks = writes_seen_by_the_server(counted), {name: counted.marks(name) for name in names}
    time.sleep(3)
    assert requests(counted) - before == Counter()
    assert writes_seen_by_the_server(counted) - seen == 0
    assert {name: counted.marks(name) for name in names} == marks


def test_an_issue_costs_at_most_six_writes_and_no_read(counted: Team) -> None:
    before = quiet(counted)
    names = [f"issued-{number}" for number in range(KEYS)]
    for name in names:
        counted.apply_apikey(name)
    for name in names:
        counted.wait_ready(name)
    spent = quiet(counted) - before
    assert writes(spent) <= 6 * KEYS, spent
    assert reads(spent) == Counter()


def test_a_rotation_with_one_deployment_costs_at_most_12_writes_and_20_requests(counted: Team) -> None:
    counted.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    run_deployment(counted)
    before = quiet(counted)
    counted.request_rotation("billing")
    counted.wait_until(lambda: is_annotated(counted), about="billing", what="the Deployment is annotated")
    replace_pod(counted)
    counted.wait_states("billing", {1: "Retired", 2: "Active"})
    spent = quiet(counted) - before
    assert writes(spent) <= 12, spent
    assert spent.total() <= 20, spent


def test_a_restart_with_settled_keys_writes_nothing_and_reads_no_key(counted: Team) -> None:
    names = [f"restarted-{number}" for number in range(KEYS)]
    for name in names:
        counted.apply_apikey(name)
    for name in names:
        counted.wait_ready(name)
    quiet(counted)
    counted.operator.stop()
    seen = writes_seen_by_the_server(counted)
    counted.operator.restart()
    counted.operator.wait_ready()
    spent = quiet(counted)
    assert writes_seen_by_the_server(counted) - seen == 0
    assert spent["get", "secrets"] == 1, spent  # its own root secret
    assert spent["get", "apikeys"] == 0, spent


def test_a_status_that_was_deleted_costs_one_write(counted: Team) -> None:
    counted.issue("mail")
    before = quiet(counted)
    counted.api.merge(f"{counted.apikey_path('mail')}/status", {"status": None})
    counted.wait_ready("mail")
    assert quiet(counted) - before == Counter({("patch", "apikeys/status"): 1})


@dataclass(frozen=True, slots=True)
class Guarded:
    """An operator without the right to read Secrets, and everything it asks for, counted where it comes out."""

    scene: Scene

    def spent(self, act: Callable[[], object]) -> Counter[str]:
        """The kinds of calls until all is quiet; Lease, watches and lists of the sweep aside."""
        calls = self.scene.doors["a"].calls
        before = len(calls)
        act()
        quiet(self.scene.team)
        return Counter(call.kind for call in calls[before:] if not call.is_watch and call.resource not in HOUSEKEEPING)


@pytest.fixture
def guarded(quiet_plane: Plane, tmp_path: Path) -> Iterator[Guarded]:
    settings = {**NO_SWEEP, "lease_duration": "15s", "fence_check_interval": "1h", "secret_look_interval": "1h", "secret_look_rate": "4"}
    with Scene.open(quiet_plane, folder=tmp_path, settings=settings, guarded=True) as scene:
        scene.team.operator.wait_ready()
        quiet(scene.team)
        yield Guarded(scene)


def test_guarded_an_issue_costs_no_look_a_rotation_one_and_a_restart_one_for_each_key(guarded: Guarded) -> None:
    team, names = guarded.scene.team, [f"billing-{number}" for number in range(KEYS)]

    def issue() -> None:
        for name in names:
            team.apply_apikey(name, {"rotation": {"gracePeriod": "60s"}})
        for name in names:
            team.wait_ready(name)

    def rotate() -> None:
        team.request_rotation(names[0])
        team.wait_ready(names[0], version=2)

    def restart() -> None:
        team.operator.stop()
        team.operator.restart()
        team.operator.wait_ready()

    issued = guarded.spent(issue)
    assert issued["LOOK credentials"] == 0, issued
    assert issued.total() <= 6 * KEYS, issued
    rotated = guarded.spent(rotate)
    assert rotated["LOOK credentials"] == 1, rotated  # somebody touched the ApiKey
    restarted = guarded.spent(restart)
    assert restarted["LOOK credentials"] == KEYS, restarted
    assert [kind for kind in restarted if kind.startswith(("POST credentials", "PATCH"))] == [], restarted


def test_guarded_the_root_secret_costs_a_read_and_what_a_watch_begins_with(guarded: Guarded) -> None:
    """And then nothing, for minutes."""
    calls = guarded.scene.doors["a"].calls
    begun = Counter(call.kind for call in calls if call.resource == "root" and not call.is_look)
    assert begun == {"GET root": 2, "POST root": 1, "WATCH root": 1}  # missing at first; listed by the watch
    time.sleep(3)
    assert Counter(call.kind for call in calls if call.resource == "root" and not call.is_look) == begun


def test_guarded_a_settled_world_costs_no_more_looks_than_the_rate_allows(quiet_plane: Plane, tmp_path: Path) -> None:
    settings = {**NO_SWEEP, "lease_duration": "15s", "secret_look_interval": "100ms", "secret_look_rate": "10"}
    settings["fence_check_interval"] = "1h"
    with Scene.open(quiet_plane, folder=tmp_path, settings=settings, guarded=True) as scene:
        scene.team.operator.wait_ready()
        for number in range(KEYS):
            scene.team.issue(f"settled-{number}")
        time.sleep(1)
        calls = scene.doors["a"].calls
        before, began = len(calls), time.monotonic()
        time.sleep(3)
        kinds = Counter(call.kind for call in calls[before:] if not call.is_watch and call.resource not in HOUSEKEEPING)
        assert set(kinds) == {"LOOK credentials"}
        assert 15 <= kinds.total() <= 10 * (time.monotonic() - began) + 1


# No controllers run on this plane: the test does what they would do, and nobody else asks for anything.


def run_deployment(team: Team) -> None:
    team.api.ask("POST", f"/api/v1/namespaces/{team.namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    team.create(workload("Deployment", "web"))
    team.create(pod_of_web("old", {}))


def pod_of_web(hash_: str, annotations: Json) -> Json:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"web-{hash_}", "uid": "11111111-0000-0000-0000-000000000000"}
    labels = {"app": "web", "pod-template-hash": hash_}
    metadata = {"name": f"web-{hash_}-x", "labels": labels, "annotations": annotations, "ownerReferences": [{**owner, "controller": True}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec("billing")}


def is_annotated(team: Team) -> bool:
    return bool(team.workload("Deployment", "web")["spec"]["template"]["metadata"].get("annotations"))


def replace_pod(team: Team) -> None:
    template = team.workload("Deployment", "web")["spec"]["template"]["metadata"]
    team.create(pod_of_web("new", template["annotations"]))
    team.api.delete(f"/api/v1/namespaces/{team.namespace}/pods/web-old-x?gracePeriodSeconds=0")
