"""An end by intent waits for nothing that it does not need."""

from __future__ import annotations

import time

from gen.api_call import Refuse
from gen.fault_proxy import no_fault
from gen.scene import SPEC, Scene


def test_a_key_is_disabled_at_once_while_nobody_can_look_at_pods(scene: Scene) -> None:
    """In an overlap every reconcile began with a look at the pods, and failed with it."""
    team, door = scene.team, scene.doors["a"]
    team.apply_apikey("billing", SPEC)
    scene.rest("billing", version=1)
    door.rule = lambda call: Refuse(500) if call.resource == "pods" else None
    team.request_rotation("billing", "1")
    scene.keep_going(lambda: team.states("billing") == {1: "Retiring", 2: "Active"}, what="the overlap began")
    time.sleep(2.0)
    team.apply_apikey("billing", {**SPEC, "disabled": True})
    scene.keep_going(lambda: team.record("billing").disabled, what="the key is refused", patience=3.0, about="billing")
    door.rule = no_fault
    team.apply_apikey("billing", SPEC)
    scene.keep_going(lambda: team.states("billing") == {1: "Retired", 2: "Active"}, what="the overlap ended")
    scene.check("billing")


def test_nothing_is_minted_for_an_apikey_whose_deletion_was_not_seen_yet(scene: Scene) -> None:
    """Its Secret goes with it, and on a busy machine that was seen first: a version for nobody was staged, and revoked at once."""
    team, door = scene.team, scene.doors["a"]
    team.apply_apikey("billing", SPEC)
    scene.rest("billing", version=1)
    door.rule = lambda call: Refuse(500) if call.method == "GET" and call.path.endswith("/apikeys") else None
    door.cut_watches()
    team.delete_apikey("billing")
    team.api.delete(team.secret_path("billing"))
    scene.keep_going(lambda: team.states("billing") == {1: "Revoked"}, what="the key is revoked", about="billing")
    door.rule = no_fault
    team.apply_apikey("billing", SPEC)
    scene.rest("billing", version=2)
