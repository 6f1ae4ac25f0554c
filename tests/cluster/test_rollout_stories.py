"""Rollouts after a switch: who is restarted, when the old key may go, and what a stalled rollout does to it."""

from __future__ import annotations

import pytest

from gen.team import Json, Team, bare_pod, job, workload

ROTATION = {"gracePeriod": "1s"}
STALLING = {"rotation": {"gracePeriod": "1s", "overlapLimit": "3600s"}, "rollout": {"stallTimeout": "1s"}}
KINDS = ("Deployment", "StatefulSet", "DaemonSet")


def annotation(team: Team, kind: str, name: str, *, apikey: str = "billing") -> str | None:
    """What stands in the pod template for an ApiKey."""
    template = team.workload(kind, name)["spec"]["template"]["metadata"]
    return (template.get("annotations") or {}).get(f"rollout.keyturn.dev/{apikey}")


# --------------------------------------------------------------------------------------------------- every kind, set up together


@pytest.fixture(scope="module")
def rolled(module_team: Team) -> tuple[Team, dict[str, set[str]], str]:
    """A rotation with one workload of each kind and a stranger, gone through to its end; the pods' uids before it."""
    old = module_team.issue("billing", {"rotation": ROTATION}).key_id
    module_team.start(*(workload(kind, kind.lower()) for kind in KINDS), workload("Deployment", "stranger", secret=None))
    before = {name: uids(module_team, name) for name in (*map(str.lower, KINDS), "stranger")}
    module_team.request_rotation("billing")
    module_team.wait_states("billing", {1: "Retired", 2: "Active"})
    return module_team, before, old


def uids(team: Team, app: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in team.pods(app).values()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_is_annotated_with_the_key_id_and_nothing_else_changes(rolled: tuple[Team, dict[str, set[str]], str], kind: str) -> None:
    team, _, _ = rolled
    annotations = team.workload(kind, kind.lower())["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"rollout.keyturn.dev/billing": team.secret("billing").key_id}


@pytest.mark.parametrize("kind", KINDS)
def test_every_old_pod_is_gone_when_the_old_key_ends(rolled: tuple[Team, dict[str, set[str]], str], kind: str) -> None:
    team, before, _ = rolled
    now = uids(team, kind.lower())
    assert now
    assert now & before[kind.lower()] == set()


def test_who_does_not_use_the_secret_is_left_alone(rolled: tuple[Team, dict[str, set[str]], str]) -> None:
    team, before, _ = rolled
    assert uids(team, "stranger") == before["stranger"]
    assert annotation(team, "Deployment", "stranger") is None


def test_after_the_rollout_only_the_new_key_is_accepted(rolled: tuple[Team, dict[str, set[str]], str]) -> None:
    team, _, old = rolled
    assert team.accepted("billing") == {team.secret("billing").key_id}
    assert old not in team.accepted("billing")


# ------------------------------------------------------------------------------------------ every kind of stall, set up together


def held_back(kind: str, name: str, **spec: object) -> Json:
    return workload(kind, name, secret=name, **spec)


STALLS: dict[str, tuple[Json, str, str]] = {
    "paused": (held_back("Deployment", "paused"), "Deployment", "Paused"),
    "set-on-delete": (held_back("StatefulSet", "set-on-delete", updateStrategy={"type": "OnDelete"}), "StatefulSet", "OnDelete"),
    "daemon-on-delete": (held_back("DaemonSet", "daemon-on-delete", updateStrategy={"type": "OnDelete"}), "DaemonSet", "OnDelete"),
    "partition": (
        held_back("StatefulSet", "partition", replicas=2, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}),
        "StatefulSet",
        "Partition",
    ),
    "lonely": (bare_pod("lonely", secret="lonely"), "Pod", "BarePod"),
    "batch": (job("batch", secret="batch"), "Job", "Job"),
    "homeless": (held_back("Deployment", "homeless"), "Deployment", "Unschedulable"),
}


@pytest.fixture(scope="module")
def stalled(module_team: Team) -> Team:
    """Seven ApiKeys, each with one consumer that does not get to its new key, all rotated."""
    team = module_team
    for name in STALLS:
        team.apply_apikey(name, STALLING)
    for name in STALLS:
        team.wait_ready(name)
    team.start(*(manifest for name, (manifest, _, _) in STALLS.items() if name != "batch"))
    team.create(STALLS["batch"][0])
    team.wait_until(lambda: team.pods("batch"), about="batch", what="the Job has a pod")
    team.change_workload("Deployment", "paused", {"spec": {"paused": True}})
    team.change_workload("Deployment", "homeless", {"spec": {"template": {"spec": {"nodeSelector": {"no": "such-node"}}}, "paused": True}})
    for name in STALLS:
        team.request_rotation(name)
    team.wait_until(lambda: annotation(team, "Deployment", "homeless", apikey="homeless"), about="homeless", what="it is annotated")
    team.change_workload("Deployment", "homeless", {"spec": {"paused": False}})
    return team


@pytest.mark.parametrize("name", STALLS)
def test_a_stalled_rollout_keeps_the_old_key_and_says_what_holds_it_up(stalled: Team, name: str) -> None:
    _, kind, reason = STALLS[name]
    pending = f"{kind}/{name} ({reason})"
    told = stalled.wait_until(
        lambda: (c := stalled.condition(name, "RolloutComplete")).get("reason") == "RolloutStalled" and pending in c["message"] and c,
        about=name, what=f"the status names {pending}",
    )  # fmt: skip
    assert told["status"] == "False"
    assert "The old key is kept until" in told["message"]
    assert stalled.status(name)["rollout"]["pending"] == [{"kind": kind, "name": name, "reason": reason}]
    assert len(stalled.accepted(name)) == 2
    assert stalled.says(name, "Ready") == ("True", "Issued")
    assert stalled.condition(name, "Stalled") == {}


@pytest.mark.parametrize("name", STALLS)
def test_a_stalled_rollout_is_told_by_one_warning(stalled: Team, name: str) -> None:
    event = stalled.wait_event(name, "Warning/RolloutStalled")
    assert f"/{name}" in event["message"]
    assert stalled.event_reasons(name).count("Warning/RolloutStalled") == 1


# ----------------------------------------------------------------------------------------------------------------- one at a time


def test_the_overlap_limit_ends_the_old_key_whatever_the_rollout_does(team: Team) -> None:
    old = team.issue("billing", {"rotation": {"gracePeriod": "1s", "overlapLimit": "3s"}}).key_id
    team.start(bare_pod("lonely"))
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert team.record("billing").dead[0].reason == "OverlapLimit"
    event = team.wait_event("billing", "Warning/Retired")
    assert old in event["message"]


def test_when_the_last_old_pod_goes_the_old_key_goes(team: Team) -> None:
    team.issue("billing", STALLING)
    team.start(bare_pod("lonely"))
    team.request_rotation("billing")
    team.wait_says("billing", "RolloutComplete", "False", "RolloutStalled")
    assert team.states("billing")[1] == "Retiring"
    team.api.delete(f"/api/v1/namespaces/{team.namespace}/pods/lonely")
    team.wait_states("billing", {1: "Retired", 2: "Active"})


def test_a_resumed_deployment_finishes_its_rollout(team: Team) -> None:
    team.issue("billing", STALLING)
    team.start(workload("Deployment", "web"))
    team.change_workload("Deployment", "web", {"spec": {"paused": True}})
    team.request_rotation("billing")
    team.wait_says("billing", "RolloutComplete", "False", "RolloutStalled")
    team.change_workload("Deployment", "web", {"spec": {"paused": False}})
    team.wait_states("billing", {1: "Retired", 2: "Active"})


def test_a_deployment_without_replicas_holds_nothing_up(team: Team) -> None:
    team.issue("billing", {"rotation": ROTATION})
    team.create(workload("Deployment", "idle", replicas=0))
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert annotation(team, "Deployment", "idle") is None


def test_a_namespace_without_consumers_waits_for_grace_alone(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "2s"}})
    team.request_rotation("billing")
    team.wait_says("billing", "RolloutComplete", "True", "NoWorkloads")
    assert team.says("billing", "PreviousVersionActive")[0] == "True"
    team.wait_states("billing", {1: "Retired", 2: "Active"})


def test_a_target_is_rolled_where_it_agrees(team: Team) -> None:
    team.issue("billing", {"rotation": ROTATION, "rollout": {"targets": [{"kind": "Deployment", "name": "sidecar"}]}})
    manifest = workload("Deployment", "sidecar", secret=None)
    manifest["metadata"]["annotations"] = {"keyturn.dev/rollout": "allow"}
    team.start(manifest)
    before = uids(team, "sidecar")
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert annotation(team, "Deployment", "sidecar") == team.secret("billing").key_id
    assert uids(team, "sidecar") & before == set()


def test_a_target_that_does_not_agree_is_never_touched_and_named(team: Team) -> None:
    team.issue("billing", {**STALLING, "rollout": {"stallTimeout": "1s", "targets": [{"kind": "Deployment", "name": "sidecar"}]}})
    team.start(workload("Deployment", "sidecar", secret=None))
    before = team.workload("Deployment", "sidecar")["metadata"]["generation"]
    team.request_rotation("billing")
    told = team.wait_says("billing", "RolloutComplete", "False", "RolloutStalled")
    assert "Deployment/sidecar (TargetNotAllowed)" in told["message"]
    assert team.workload("Deployment", "sidecar")["metadata"]["generation"] == before
    assert len(team.accepted("billing")) == 2


def test_rollout_disabled_restarts_nothing_and_waits_for_grace_alone(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "2s"}, "rollout": {"policy": "Disabled"}})
    team.start(workload("Deployment", "web"))
    before = uids(team, "web")
    team.request_rotation("billing")
    team.wait_says("billing", "RolloutComplete", "True", "RolloutDisabled")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert uids(team, "web") == before
    assert annotation(team, "Deployment", "web") is None


def test_two_apikeys_on_one_deployment_keep_each_others_annotations(team: Team) -> None:
    for name in ("billing", "mail"):
        team.issue(name, {"rotation": ROTATION})
    web = workload("Deployment", "web")
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "mail"}}]
    team.start(web)
    for name in ("billing", "mail"):
        team.request_rotation(name)
    for name in ("billing", "mail"):
        team.wait_states(name, {1: "Retired", 2: "Active"})
    found = {name: annotation(team, "Deployment", "web", apikey=name) for name in ("billing", "mail")}
    assert found == {name: team.secret(name).key_id for name in ("billing", "mail")}


def test_a_deployment_that_mounts_the_secret_as_a_projected_volume_is_rolled(team: Team) -> None:
    team.issue("billing", {"rotation": ROTATION})
    web = workload("Deployment", "web", secret=None)
    web["spec"]["template"]["spec"]["volumes"] = [{"name": "key", "projected": {"sources": [{"secret": {"name": "billing"}}]}}]
    team.start(web)
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert annotation(team, "Deployment", "web") == team.secret("billing").key_id
