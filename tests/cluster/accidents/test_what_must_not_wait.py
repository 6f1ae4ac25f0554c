"""An end by intent waits for nothing that it does not need."""

from __future__ import annotations

import time

from gen.api_call import Call, Refuse
from gen.fault_proxy import no_fault
from gen.scene import SPEC, Scene
from gen.team import Api


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


def test_an_edit_that_the_watch_shows_only_after_our_own_status_write_is_acted_on(scene: Scene) -> None:
    """The answer to that write has the edit in it, so that the watch's event is older than what is known, and was passed over."""
    team, door = scene.team, scene.doors["a"]
    team.apply_apikey("billing", SPEC)
    scene.rest("billing", version=1)
    editor = Api(scene.plane.login)

    def edit(call: Call) -> None:
        if call.kind == "PATCH apikeys/status" and door.watches_flow:
            door.watches_flow = False
            editor.merge(team.apikey_path("billing"), {"spec": {"secretTemplate": {"labels": {"team": "shop"}}}})

    team.request_rotation("billing", "1")
    scene.keep_going(lambda: team.states("billing") == {1: "Retired", 2: "Active"}, what="the overlap ended", about="billing")
    scene.rest("billing", version=2)
    door.rule = edit
    team.apply_apikey("billing", {**SPEC, "disabled": True})
    scene.keep_going(lambda: not door.watches_flow, what="the status is written")
    door.rule = no_fault
    scene.keep_going(lambda: team.says("billing", "Disabled")[0] == "True", what="the status is there")
    door.watches_flow = True
    scene.keep_going(
        lambda: team.secret("billing").labels.get("team") == "shop", what="the edit is acted on", patience=15.0, about="billing"
    )
    editor.close()
