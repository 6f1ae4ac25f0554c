"""An API server that refuses, stays silent, breaks off, or is away: nothing is lost, and it comes to rest."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.api_call import Call, Delay, Drop, Fault, Hang, Refuse, no_fault
from gen.scene import SPEC, Scene
from gen.team import workload
from testbed.plane import Plane

FAULTS: tuple[Fault, ...] = (
    Refuse(409),
    Refuse(410),
    Refuse(429, retry_after=1),
    Refuse(500),
    Refuse(503),
    Drop(after=False),
    Drop(after=True),
    Hang(after=False),
    Hang(after=True),
)
KINDS = {
    "POST records Staged",
    "POST credentials",
    "PATCH records Activated",
    "POST events Issued",
    "PATCH apikeys/status",
    "PATCH records Staged",
    "PATCH credentials",
    "POST events Rotated",
    "GET pods",
    "PATCH deployments",
    "PATCH records Retired",
    "POST events Retired",
}
SHORT = {"request_timeout": "700ms", "lease_duration": "3s"}


FEW_FAULTS = (Refuse(409), Refuse(500), Drop(after=True), Hang(after=True))


class Troublemaker:
    """Answers each kind of call with every fault in turn, and with the truth from then on."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        self.met: dict[str, int] = defaultdict(int)

    def __call__(self, call: Call) -> Fault | None:
        if call.kind not in KINDS or self.met[call.kind] == len(self.faults):
            return None
        self.met[call.kind] += 1
        return self.faults[self.met[call.kind] - 1]


def test_every_kind_of_call_survives_trouble(rough_plane: Plane, tmp_path: Path) -> None:
    _meet(rough_plane, tmp_path, FEW_FAULTS)


@pytest.mark.slow
def test_every_kind_of_call_survives_every_kind_of_trouble(rough_plane: Plane, tmp_path: Path) -> None:
    """Twelve kinds of calls, nine faults each, and the pauses after them."""
    _meet(rough_plane, tmp_path, FAULTS)


def _meet(plane: Plane, folder: Path, faults: tuple[Fault, ...]) -> None:
    """As many keys as faults, so that the first calls of each kind meet all of them at the same time."""
    with Scene.open(plane, folder=folder, settings=SHORT) as scene:
        scene.team.operator.wait_ready()
        names, trouble = [f"billing-{number}" for number in range(len(faults))], Troublemaker(faults)
        scene.doors["a"].rule = trouble
        for name in names:
            scene.team.create(workload("Deployment", f"web-{name}", secret=name))
            scene.team.apply_apikey(name, SPEC)
        scene.rest(*names, version=1, patience=60.0)
        scene.rotate(*names, patience=90.0)
        scene.check(*names)
        assert scene.team.operator.is_running
        assert trouble.met == dict.fromkeys(KINDS, len(faults))


@pytest.mark.slow
def test_an_operator_starts_in_the_middle_of_trouble(rough_plane: Plane, tmp_path: Path) -> None:
    """Every kind of call of setting up fails once in one of four ways: forty pauses."""
    with Scene.open(rough_plane, folder=tmp_path, settings=SHORT) as scene:
        failed: set[str] = set()

        def rule(call: Call) -> Fault | None:
            if call.kind in failed:
                return None
            failed.add(call.kind)
            return (Refuse(500), Drop(after=True), Refuse(429, retry_after=1), Drop(after=False))[len(failed) % 4]

        scene.doors["a"].rule = rule
        scene.team.apply_apikey("billing", SPEC)
        scene.rest("billing", version=1, patience=60.0)
        scene.check("billing")
        assert {"POST root", "PATCH configmaps", "POST leases", "GET records", "WATCH apikeys", "WATCH records"} <= failed


def test_half_open_watches_and_cut_ones_cost_no_key(scene: Scene) -> None:
    """Nothing arrives any more and no connection says so: what the operator writes itself it knows all the same."""
    scene.team.apply_apikey("billing", SPEC)
    scene.rest("billing", version=1)
    door = scene.doors["a"]
    door.watches_flow = False
    scene.team.request_rotation("billing", "while watches hang")
    time.sleep(1.0)
    assert scene.team.secret("billing").version == 1
    door.watches_flow = True
    door.cut_watches()
    scene.rest("billing", version=2)
    for turn in range(3):
        door.cut_watches()
        scene.rotate("billing")
        assert scene.team.secret("billing").version >= 3 + turn  # more, if an answer was lost on the way: an orphan uses up a number
    scene.check("billing")


def test_an_api_server_that_is_gone_for_seconds_costs_no_key(rough_plane: Plane, tmp_path: Path) -> None:
    with Scene.open(rough_plane, folder=tmp_path) as scene:
        _away(scene, seconds=2.0)


@pytest.fixture
def own_plane(rough_plane: Plane, tmp_path: Path) -> Iterator[Plane]:
    """A plane that may be gone for long, and whose past may change."""
    crds = rough_plane.kubectl("get", "crd", "apikeys.keyturn.dev", "-o", "json")
    manifest = json.loads(crds)
    manifest["metadata"] = {"name": manifest["metadata"]["name"]}
    del manifest["status"]
    with Plane.start(folder=tmp_path / "plane") as plane:
        plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(manifest))
        plane.kubectl("wait", "--for=condition=Established", "crd/apikeys.keyturn.dev", "--timeout=20s")
        yield plane


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_api_server_that_is_gone_for_minutes_costs_no_key(own_plane: Plane, tmp_path: Path) -> None:
    """Two minutes: longer than every back-off and every lease."""
    with Scene.open(own_plane, folder=tmp_path) as scene:
        _away(scene, seconds=120.0)


def _away(scene: Scene, *, seconds: float) -> None:
    """The API server dies in the middle of a rotation, and comes back."""
    plane, team = scene.plane, scene.team
    assert isinstance(plane, Plane)
    team.apply_apikey("billing", SPEC)
    team.apply_apikey("orders", SPEC)
    scene.rest("billing", "orders", version=1)
    team.request_rotation("billing", "just before")
    plane.apiserver.kill()
    time.sleep(seconds)
    assert team.operator.is_running
    plane.restart("kube-apiserver")
    team.request_rotation("orders", "just after")
    scene.rest("billing", "orders", version=2, patience=60.0)
    scene.check("billing", "orders")


def test_an_event_that_could_not_be_posted_is_posted_after_the_crash(scene: Scene) -> None:
    """The API server refuses Events for longer than leases last, then the operator dies: a later one still tells."""
    door, team = scene.doors["a"], scene.team
    door.rule = lambda call: Refuse(500) if call.resource == "events" else None
    team.apply_apikey("billing", SPEC)
    scene.keep_going(lambda: scene.laws.life("billing").token is not None, what="the key is delivered")
    time.sleep(3.0)
    team.operator.kill()
    door.rule = no_fault
    scene.rest("billing", version=1)
    scene.check("billing")


def test_an_operator_that_reads_for_longer_than_a_lead_lasts_leads_all_the_same(rough_plane: Plane, tmp_path: Path) -> None:
    """As with many thousand records, or on a slow machine: first renewed when all was read, the lead was lost, again and again."""
    with Scene.open(rough_plane, folder=tmp_path, settings={"lease_duration": "9s", "request_timeout": "20s"}) as scene:
        operator, door = scene.team.operator, scene.doors["a"]
        operator.wait_ready().stop()
        door.rule = lambda call: Delay(8.0) if call.kind == "GET records" else None
        operator.restart()
        scene.team.apply_apikey("billing", SPEC)
        scene.team.wait_ready("billing", patience=60.0)
