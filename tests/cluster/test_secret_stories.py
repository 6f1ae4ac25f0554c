"""The credential Secret: what its template puts into it, and what happens when others touch it."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from gen.team import Json, Team, foreign_secret, workload
from testbed.cluster import ApiFailed

# ------------------------------------------------------------------------------------------------------------- secretTemplate


def test_the_template_puts_labels_annotations_and_data_into_the_secret(team: Team) -> None:
    text = "[api]\nkey=$(API_KEY)\nid=$(KEY_ID)\nversion=$(VERSION)\nbefore=$(PREVIOUS_API_KEY)\nelse=$(OTHER) $API_KEY\n"
    template = {"labels": {"team": "payments"}, "annotations": {"note": "on call: #pay"}, "data": {"config.ini": text}}
    secret = team.issue("billing", {"secretTemplate": template})
    assert secret.data["config.ini"] == (f"[api]\nkey={secret.token}\nid={secret.key_id}\nversion=1\nbefore=\nelse=$(OTHER) $API_KEY\n")
    assert secret.labels["team"] == "payments"
    assert secret.annotations["note"] == "on call: #pay"


def test_a_changed_template_is_rendered_anew_with_the_same_key_and_no_rollout(team: Team) -> None:
    before = team.issue("billing", {"secretTemplate": {"labels": {"a": "1", "b": "1"}, "data": {"x": "$(KEY_ID)", "y": "2"}}})
    team.start(workload("Deployment", "web"))
    generation = team.workload("Deployment", "web")["metadata"]["generation"]
    team.api.merge(team.secret_path("billing"), {"metadata": {"labels": {"foreign": "stays"}, "annotations": {"foreign": "stays"}}})
    team.apply_apikey("billing", {"secretTemplate": {"labels": {"b": "2"}, "data": {"x": "<$(KEY_ID)>"}}})
    team.wait_until(lambda: team.secret("billing").labels.get("b") == "2", about="billing", what="the Secret is rendered anew")
    after = team.secret("billing")
    assert after.data == {"api-key": before.token, "x": f"<{before.key_id}>"}
    assert "a" not in after.labels
    assert (after.labels["foreign"], after.annotations["foreign"]) == ("stays", "stays")
    team.wait_ready("billing")
    assert team.states("billing") == {1: "Active"}
    assert team.workload("Deployment", "web")["metadata"]["generation"] == generation


@pytest.mark.parametrize("controller", [True, False])
def test_owners_that_others_gave_the_secret_stay_beside_ours(team: Team, *, controller: bool) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    made = team.api.ask("POST", f"/api/v1/namespaces/{team.namespace}/configmaps", {"metadata": {"name": "theirs"}})
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": made["metadata"]["uid"], "controller": controller}
    (ours,) = team.secret("billing").raw["metadata"]["ownerReferences"]
    both = [{**ours, "controller": not controller}, theirs]
    team.api.merge(team.secret_path("billing"), {"metadata": {"ownerReferences": both}})
    team.apply_apikey("billing", {"rotation": {"gracePeriod": "1s"}, "secretTemplate": {"labels": {"a": "1"}}})
    team.wait_until(lambda: team.secret("billing").labels.get("a") == "1", about="billing", what="the Secret is rendered anew")
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    owners = {each["kind"]: each for each in team.secret("billing").raw["metadata"]["ownerReferences"]}
    assert owners == {"ConfigMap": theirs, "ApiKey": {**ours, "controller": not controller}}
    team.apply_apikey("billing", {"deletionPolicy": "Retain"})
    team.wait_until(
        lambda: team.secret("billing").raw["metadata"].get("ownerReferences") == [theirs], about="billing", what="only theirs is left"
    )


def test_a_removed_template_leaves_nothing_of_it(team: Team) -> None:
    before = team.issue("billing", {"secretTemplate": {"labels": {"a": "1"}, "annotations": {"b": "1"}, "data": {"x": "1"}}})
    team.apply_apikey("billing")
    team.wait_until(lambda: set(team.secret("billing").data) == {"api-key"}, about="billing", what="the template's data is gone")
    after = team.secret("billing")
    assert after.token == before.token
    assert ("a" in after.labels, "b" in after.annotations) == (False, False)


@pytest.mark.parametrize(
    ("part", "complaint"),
    [({"labels": {"keyturn.dev/apikey": "other"}}, "reserved"), ({"data": {"api-key": "mine"}}, "api-key")],
    ids=["labels", "data"],
)
def test_a_template_that_asks_for_reserved_names_is_refused_with_the_reason(team: Team, part: Json, complaint: str) -> None:
    with pytest.raises(ApiFailed, match=complaint):
        team.apply_apikey("billing", {"secretTemplate": part})


# -------------------------------------------------------------------------------------------------------------- SecretConflict


def test_a_foreign_secret_of_that_name_is_never_touched(team: Team) -> None:
    team.create(foreign_secret("billing"))
    before = team.secret("billing").raw
    team.apply_apikey("billing")
    told = team.wait_says("billing", "Stalled", "True", "SecretConflict")
    assert "Delete or rename it" in told["message"]
    assert team.says("billing", "Ready") == ("False", "SecretConflict")
    team.wait_event("billing", "Warning/SecretConflict")
    assert team.secret("billing").raw == before


def test_a_conflict_ends_when_the_foreign_secret_is_removed(team: Team) -> None:
    team.create(foreign_secret("billing"))
    team.apply_apikey("billing")
    team.wait_says("billing", "Stalled", "True", "SecretConflict")
    team.api.delete(team.secret_path("billing"))
    team.wait_until(lambda: team.says("billing", "Ready")[0] == "True", about="billing", what="the key is issued")
    assert team.condition("billing", "Stalled") == {}
    assert team.secret("billing").key_id in team.accepted("billing")


def test_a_secret_that_only_looks_like_ours_is_foreign(team: Team) -> None:
    labels = {"app.kubernetes.io/managed-by": "keyturn", "keyturn.dev/apikey": "billing"}
    annotations = {"keyturn.dev/key-id": "AAAAAAAAAAAA", "keyturn.dev/version": "1", "keyturn.dev/adoption-tag": "made-up"}
    fake = foreign_secret("billing", stringData={"api-key": "kt_" + "A" * 61}, type="keyturn.dev/api-key")
    fake["metadata"] |= {"labels": labels, "annotations": annotations}
    team.create(fake)
    before = team.secret("billing").raw
    team.apply_apikey("billing")
    team.wait_says("billing", "Stalled", "True", "SecretConflict")
    assert team.secret("billing").raw == before
    assert "AAAAAAAAAAAA" not in team.accepted("billing")


def test_an_immutable_secret_is_a_conflict_and_its_key_goes_on_working(team: Team) -> None:
    before = team.issue("billing")
    team.api.merge(team.secret_path("billing"), {"immutable": True})
    told = team.wait_says("billing", "Stalled", "True", "SecretConflict")
    assert "immutable" in told["message"]
    assert team.says("billing", "Ready")[0] == "True"
    assert team.accepted("billing") == {before.key_id}
    team.api.delete(team.secret_path("billing"))
    team.wait_ready("billing", version=2)


# ----------------------------------------------------------------------------------------------------------- lost and tampered


def test_a_deleted_secret_is_replaced_by_a_new_version(team: Team) -> None:
    old = team.issue("billing", {"rotation": {"gracePeriod": "60s"}})
    team.api.delete(team.secret_path("billing"))
    team.wait_ready("billing", version=2)
    assert team.secret("billing").token != old.token
    event = team.wait_event("billing", "Warning/Rotated")
    assert "[SecretLost]" in event["message"]
    assert "so version 2 is issued" in team.wait_event("billing", "Warning/SecretLost")["message"]


def test_a_tampered_key_is_replaced_by_a_new_version(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "60s"}})
    fake = base64.b64encode(b"kt_" + b"A" * 61).decode()
    team.api.merge(team.secret_path("billing"), {"data": {"api-key": fake}})
    team.wait_ready("billing", version=2)
    assert team.secret("billing").key_id in team.accepted("billing")
    event = team.wait_event("billing", "Warning/Rotated")
    assert "[SecretTampered]" in event["message"]


def test_a_repair_ends_the_retiring_version_first(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "60s"}})
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.api.delete(team.secret_path("billing"))
    team.wait_ready("billing", version=3)
    assert team.states("billing") == {1: "Retired", 2: "Retiring", 3: "Active"}
    team.wait_event("billing", "Warning/Retired")


@pytest.mark.parametrize(
    "edit",
    [{"data": {"extra": "eA=="}}, {"metadata": {"labels": {"team": "theirs"}}}, {"metadata": {"ownerReferences": None}}],
    ids=["data", "label", "owner"],
)
def test_an_edit_beside_the_key_is_undone_without_a_rotation(team: Team, edit: Json) -> None:
    before = team.issue("billing", {"secretTemplate": {"labels": {"team": "payments"}}})
    team.api.merge(team.secret_path("billing"), edit)
    team.wait_until(lambda: _shape(team) == _shape_of(before.raw), about="billing", what="the Secret is as it was")
    assert team.states("billing") == {1: "Active"}


def test_who_keeps_editing_the_secret_is_named_and_not_raced(team: Team) -> None:
    before = team.issue("billing")
    team.issue("witness")
    edits, end = 0, time.monotonic() + 20.0
    while team.says("billing", "Stalled") != ("True", "SecretContested") and time.monotonic() < end:
        if "extra" not in team.secret("billing").data:
            team.api.merge(team.secret_path("billing"), {"data": {"extra": "eA=="}})
            edits += 1
        time.sleep(0.02)
    assert 3 <= edits <= 4
    team.wait_event("billing", "Warning/SecretContested")
    assert team.says("billing", "Ready") == ("True", "Issued")
    assert (team.secret("billing").token, team.states("billing")) == (before.token, {1: "Active"})
    assert team.operator.metrics()["keyturn_secret_edits_undone_total"] >= 3


def _shape(team: Team) -> Any:  # noqa: ANN401 - compared whole
    return _shape_of(team.secret("billing").raw)


def _shape_of(raw: Json) -> Any:  # noqa: ANN401 - compared whole
    metadata = raw["metadata"]
    return raw["data"], metadata["labels"], metadata["annotations"], metadata.get("ownerReferences")


@pytest.mark.parametrize("label", ["app.kubernetes.io/managed-by", "keyturn.dev/apikey"])
def test_a_secret_that_lost_our_label_is_repaired(team: Team, label: str) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "60s"}})
    team.api.merge(team.secret_path("billing"), {"metadata": {"labels": {label: None}}})
    team.wait_until(lambda: label in team.secret("billing").labels, about="billing", what="the label is back")
    team.wait_until(
        lambda: team.says("billing", "Ready")[0] == "True" and team.secret("billing").key_id == team.status("billing")["keyID"],
        about="billing", what="the key is in force",
    )  # fmt: skip
    assert team.secret("billing").key_id in team.accepted("billing")


def test_a_secret_that_is_deleted_again_and_again_is_repaired_three_times_an_hour(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    for _ in range(20):
        team.wait_until(
            lambda: team.find_secret("billing") is not None or team.says("billing", "Stalled")[1] == "TooManyRepairs",
            about="billing", what="the Secret is back, or given up",
        )  # fmt: skip
        team.api.delete(team.secret_path("billing"))
    told = team.wait_says("billing", "Stalled", "True", "TooManyRepairs")
    assert "audit log of the API server" in told["message"]
    assert team.record("billing").highest == 4
    team.wait_event("billing", "Warning/TooManyRepairs")
    time.sleep(0.5)
    assert team.find_secret("billing") is None
    assert team.record("billing").highest == 4
