"""kill -9 at any moment of issue and rotation: what was begun is ended, by the laws, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen.api_call import HOUSEKEEPING, Call, Fault, Interrupt, Rule, no_fault
from gen.operator_process import OperatorProcess
from gen.scene import SPEC, Scene
from gen.team import workload
from testbed.plane import Plane

WRITES_OF_A_LIFE = {
    "POST namespaces",
    "POST root",
    "PATCH configmaps",
    "POST records Staged",
    "POST credentials",
    "PATCH records Activated",
    "POST events Issued",
    "PATCH apikeys/status",
    "PATCH records Staged",
    "PATCH credentials",
    "POST events Rotated",
    "PATCH deployments",
    "PATCH records Retired",
    "POST events Retired",
}


@pytest.mark.parametrize("guarded", [False, True], ids=["watching", "guarded"])
def test_an_operator_killed_after_every_kind_of_write_ends_what_was_begun(rough_plane: Plane, tmp_path: Path, *, guarded: bool) -> None:
    """One life with fourteen deaths. A second replica stands by, so that nobody waits for a process to start."""
    with Scene.open(rough_plane, folder=tmp_path, guarded=guarded) as scene:
        killed: set[str] = set()

        def killing(operator: OperatorProcess) -> Rule:
            def kill(call: Call) -> Fault | None:
                if not call.is_write or call.kind in killed:
                    return None
                killed.add(call.kind)
                return Interrupt(operator.kill, after=True)

            return kill

        scene.doors["a"].rule = killing(scene.team.operator)
        scene.keep_going(lambda: "PATCH configmaps" in killed, what="it was killed three times while setting up")
        second = scene.add_operator("b")
        scene.doors["b"].rule = killing(second)
        scene.team.start(workload("Deployment", "web"), pods=0)
        scene.team.apply_apikey("billing", SPEC)
        scene.rest("billing", version=1)
        scene.rotate("billing")
        scene.check("billing")
        assert killed == WRITES_OF_A_LIFE


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("guarded", [False, True], ids=["watching", "guarded"])
@pytest.mark.parametrize("after", [True, False], ids=["answered by the API server", "not sent"])
def test_an_operator_killed_at_every_call_ends_what_was_begun(rough_plane: Plane, tmp_path: Path, *, after: bool, guarded: bool) -> None:
    """One life a call: about 30 of them, each with a restart, a rollout and a grace period."""
    seldom = {"secret_look_interval": "1h"}  # the looks at earlier keys are no calls of this life
    with Scene.open(rough_plane, folder=tmp_path, settings=seldom, guarded=guarded) as scene:
        for number in range(1, 100):
            name = f"billing-{number}"
            if not _live_with_one_death(scene, name, number, after=after):
                assert number > 20
                return
    raise AssertionError("a life takes 100 calls")


def _live_with_one_death(scene: Scene, name: str, number: int, *, after: bool) -> bool:
    """Issue and rotate a key, with a death at the life's call of that number; False if it took fewer calls."""
    team, count, deaths = scene.team, 0, 0

    def kill(call: Call) -> Fault | None:
        nonlocal count, deaths
        if call.resource in HOUSEKEEPING or call.is_watch:
            return None
        count += 1
        if count != number:
            return None
        deaths += 1
        print(f"{name}: killed at {call.kind}")
        return Interrupt(team.operator.kill, after=after)

    scene.keep_going(lambda: team.operator.leads, what="the operator leads")
    scene.doors["a"].rule = kill
    team.create(workload("Deployment", f"web-{number}", secret=name))
    team.apply_apikey(name, SPEC)
    scene.rest(name, version=1)
    scene.rotate(name)
    scene.doors["a"].rule = no_fault
    scene.check(name)
    team.api.delete(f"/apis/apps/v1/namespaces/{team.namespace}/deployments/web-{number}")
    return deaths == 1
