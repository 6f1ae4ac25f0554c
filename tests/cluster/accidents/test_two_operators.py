"""Two operators that both believe they lead: slower, louder, and as safe as one."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from gen.api_call import Call, Fault, Hold, no_fault
from gen.scene import SPEC, Scene
from testbed.plane import Plane

LATE_KINDS = (
    "POST records Staged",
    "POST credentials",
    "PATCH records Activated",
    "PATCH records Staged",
    "PATCH credentials",
    "PATCH records Retired",
)


@pytest.mark.parametrize("guarded", [False, True], ids=["watching", "guarded"])
def test_two_leaders_at_once_keep_the_laws(rough_plane: Plane, tmp_path: Path, *, guarded: bool) -> None:
    """Each has a Lease of its own, given by the proxy: no election stands between them."""
    _two_leaders(rough_plane, tmp_path, keys=4, seconds=8.0, guarded=guarded)


@pytest.mark.slow
def test_two_leaders_for_a_minute_keep_the_laws(rough_plane: Plane, tmp_path: Path) -> None:
    """A minute of rotations, all of them wanted by both."""
    _two_leaders(rough_plane, tmp_path, keys=12, seconds=60.0, guarded=False)


def _two_leaders(plane: Plane, folder: Path, *, keys: int, seconds: float, guarded: bool) -> None:
    calm = {"lease_duration": "15s"}  # on a busy machine a shorter one is lost now and then, and only one is left
    with Scene.open(plane, folder=folder, own_lease=True, settings=calm, guarded=guarded) as scene:
        second = scene.add_operator("b", own_lease=True, settings=calm)
        scene.team.operator.wait_ready()
        second.wait_ready()
        names = [f"billing-{number}" for number in range(keys)]
        for name in names:
            scene.team.apply_apikey(name, SPEC)
        scene.rest(*names, version=1)
        end, turn = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            scene.rotate(*names)
            turn += 1
        scene.check(*names)
        assert turn > 1
        conflicts = [call for door in scene.doors.values() for call in door.calls if call.status == 409]
        assert conflicts, "they never got in each other's way: this test tests nothing"
        assert all(operator.leads for operator in scene.operators.values())


def test_a_frozen_leader_that_wakes_after_its_successor_went_on_does_no_harm(scene: Scene) -> None:
    """Frozen with a rotation begun and its plaintext in memory; woken when another has ended that rotation."""
    first, name = scene.team.operator, "billing"
    scene.team.apply_apikey(name, SPEC)
    scene.rest(name, version=1)
    second = scene.add_operator("b")
    staged = threading.Event()

    def freeze(call: Call) -> Fault | None:
        if call.kind != "PATCH credentials" or staged.is_set():
            return None
        staged.set()
        first.freeze()
        return Hold(release)

    release = threading.Event()
    scene.doors["a"].rule = freeze
    scene.rotate(name, patience=40.0)
    assert staged.is_set()
    at_rest = scene.team.marks(name)[1:]
    release.set()
    first.thaw()
    scene.keep_going(lambda: first.is_running and "Stands by again" in first.tail(count=400), what="the first one stands by")
    assert scene.team.marks(name)[1:] == at_rest
    scene.rotate(name)
    scene.check(name)
    # On a busy machine the lead may have gone back by now.
    scene.keep_going(lambda: first.leads != second.leads, what="one of them leads")
    scene.keep_going(
        lambda: [each.metric("keyturn_apikeys") for each in (first, second)] == [int(first.leads), int(second.leads)],
        what="only the one that leads tells of ApiKeys, and the loser no more of what it led",
    )


def test_a_write_that_arrives_after_its_sender_lost_the_lead_does_no_harm(scene: Scene) -> None:
    _late_write(scene, "PATCH credentials")


@pytest.mark.slow
@pytest.mark.parametrize("kind", LATE_KINDS)
def test_any_write_that_arrives_late_does_no_harm(scene: Scene, kind: str) -> None:
    """Each waits out a Lease and the patience with an orphan."""
    _late_write(scene, kind)


def _late_write(scene: Scene, kind: str) -> None:
    """Hold one write of the leader, and its Lease with it, until another operator has ended what was begun."""
    name, caught, release = "billing", threading.Event(), threading.Event()
    scene.add_operator("b")

    def hold(call: Call) -> Fault | None:
        if caught.is_set():
            return Hold(release) if call.resource == "leases" else None
        if call.kind != kind:
            return None
        caught.set()
        return Hold(release)

    scene.doors["a"].rule = hold
    scene.team.apply_apikey(name, SPEC)
    scene.rest(name, version=1, patience=40.0)
    scene.rotate(name, patience=40.0)
    assert caught.is_set()
    at_rest = scene.team.marks(name)[1:]
    release.set()
    time.sleep(0.5)
    assert scene.team.marks(name)[1:] == at_rest
    scene.doors["a"].rule = no_fault
    scene.check(name)
