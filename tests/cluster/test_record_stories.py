"""The verifier record and the status under accidents: what is lost comes back, what is forged is not believed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import pytest

from gen.team import Json, Team
from keyturn.keys.record_signing import sign_record
from keyturn.keys.root_secret import RootSecret, SigningRing

LONG = {"rotation": {"gracePeriod": "60s"}}


def pause(team: Team, name: str = "billing") -> None:
    team.annotate_apikey(name, "keyturn.dev/paused", "true")
    time.sleep(0.3)  # until the operator has seen it; a write of its own before that would only make the test fail


def go_on(team: Team, name: str = "billing") -> None:
    team.annotate_apikey(name, "keyturn.dev/paused", None)


def delete_status(team: Team, name: str = "billing") -> None:
    team.api.merge(f"{team.apikey_path(name)}/status", {"status": None})


def without_times(status: Json) -> Json:
    conditions = [{key: value for key, value in each.items() if key != "lastTransitionTime"} for each in status["conditions"]]
    return {**status, "conditions": conditions}


def change_record(team: Team, change: Callable[[Json], object], *, signed: bool) -> bytes:
    """Rewrite the stored record; `signed`: with the installation's own key, which only a thief of the root secret could do."""
    stored = team.raw_record("billing")
    assert stored is not None
    record = json.loads(stored.data["record"])
    change(record)
    data = json.dumps(record).encode()
    patch = {"record": base64.b64encode(data).decode()}
    if signed:
        root = team.api.ask("GET", f"/api/v1/namespaces/{team.system_namespace}/secrets/keyturn-root")
        ring = SigningRing.of(RootSecret(base64.b64decode(root["data"]["root"])))
        patch["signature"] = base64.b64encode(sign_record(data, ring=ring).encode()).decode()
    team.api.merge(team.record_path("billing"), {"data": patch})
    return data


def test_a_deleted_status_comes_back_the_same_and_nothing_else_is_written(team: Team) -> None:
    team.issue("billing", LONG)
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.wait_says("billing", "RolloutComplete", "True", "NoWorkloads")
    before, marks = team.status("billing"), team.marks("billing")[1:]
    told = team.event_reasons("billing")
    delete_status(team)
    team.wait_until(lambda: team.status("billing").get("conditions"), about="billing", what="there is a status")
    time.sleep(0.3)
    assert without_times(team.status("billing")) == without_times(before)
    assert team.marks("billing")[1:] == marks
    assert team.event_reasons("billing") == told


def test_a_deleted_record_is_restored_without_a_rotation(team: Team) -> None:
    before = team.issue("billing")
    serial = team.record("billing").serial
    team.api.delete(team.record_path("billing"))
    team.wait_until(lambda: team.find_record("billing"), about="billing", what="the record is back")
    team.wait_event("billing", "Warning/RecordRestored")
    team.wait_ready("billing")
    assert team.secret("billing").resource_version == before.resource_version
    assert team.accepted("billing") == {before.key_id}
    assert team.record("billing").serial > serial


def test_without_record_and_status_a_record_is_written_again_by_the_operator_that_saw_it(team: Team) -> None:
    before = team.issue("billing", LONG)
    pause(team)
    delete_status(team)
    team.api.delete(team.record_path("billing"))
    team.wait_event("billing", "Warning/RecordRestored")
    go_on(team)
    team.wait_ready("billing")
    assert team.secret("billing").resource_version == before.resource_version


def test_without_record_and_status_a_key_is_minted_above_every_number_known(own_team: Team) -> None:
    """By an operator that has seen neither."""
    team = own_team
    team.issue("billing", LONG)
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    old = team.secret("billing")
    team.operator.kill()
    delete_status(team)
    team.api.delete(team.record_path("billing"))
    team.operator.restart()
    team.wait_ready("billing", version=3)
    assert team.accepted("billing") == {team.secret("billing").key_id}
    assert old.key_id not in team.accepted("billing")


def test_a_forged_record_is_not_believed_but_replaced(team: Team) -> None:
    team.issue("billing")

    def add_a_key(record: Json) -> None:
        digest = "$sha256$" + "A" * 43
        mine = {
            "number": 9,
            "keyID": "AAAAAAAAAAAA",
            "digest": digest,
            "state": "Active",
            "stagedTime": "2026-01-01T00:00:00Z",
            "cause": "Issued",
        }
        record["versions"].append(mine)

    forged = change_record(team, add_a_key, signed=False)
    team.wait_until(lambda: team.find_record("billing"), about="billing", what="the record is genuine again")
    stored = team.raw_record("billing")
    assert stored is not None
    assert stored.data["record"].encode() != forged
    team.wait_until(lambda: team.secret("billing").key_id in team.accepted("billing"), about="billing", what="the key works")
    assert "AAAAAAAAAAAA" not in team.accepted("billing")


def test_an_older_record_put_back_revives_no_dead_key(team: Team) -> None:
    first = team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    stored = team.raw_record("billing")
    assert stored is not None
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    second = team.secret("billing")
    team.api.merge(team.record_path("billing"), {"data": stored.raw["data"]})
    team.wait_event("billing", "Warning/RestoreDetected")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert team.accepted("billing") == {second.key_id}
    assert first.key_id not in team.accepted("billing")
    assert team.secret("billing").resource_version == second.resource_version, "the newest record was put back: nothing rotates"


def test_ready_tells_a_key_apart_until_all_that_a_restore_brought_is_over(own_team: Team) -> None:
    """Record and Secret go back together. Whoever asks an hour later must find those keys, and no others."""
    team = own_team
    team.issue("orders")
    team.issue("billing", {"rotation": {"gracePeriod": "3s"}})
    record, secret = team.raw_record("billing"), team.secret("billing")
    assert record is not None
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    team.operator.freeze()
    team.api.merge(team.record_path("billing"), {"data": record.raw["data"]})
    old = {"data": secret.raw["data"], "metadata": {"annotations": secret.annotations}}
    team.api.merge(team.secret_path("billing"), old)
    team.operator.thaw()
    told = team.wait_says("billing", "Ready", "True", "RestoreDetected")
    assert told["message"].startswith("Version 3 is in force. At ")
    assert team.says("orders", "Ready") == ("True", "Issued")
    team.api.merge(f"{team.apikey_path('billing')}/status", {"status": None})
    team.wait_says("billing", "Ready", "True", "RestoreDetected")
    team.wait_states("billing", {1: "Retired", 2: "Retired", 3: "Active"})
    team.wait_says("billing", "Ready", "True", "Issued")
    assert team.audit("billing")[-1] == "Settled"


def test_an_older_record_put_back_unseen_revives_no_dead_key(own_team: Team) -> None:
    """Nobody remembers the newer record: the Secret is ahead of what the old one knows."""
    team = own_team
    first = team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    stored = team.raw_record("billing")
    assert stored is not None
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    team.operator.kill()
    team.api.merge(team.record_path("billing"), {"data": stored.raw["data"]})
    team.operator.restart()
    team.wait_until(
        lambda: team.record("billing").highest >= 2 and team.secret("billing").key_id in team.accepted("billing"),
        about="billing", what="the key in the Secret works again",
    )  # fmt: skip
    assert first.key_id not in team.accepted("billing")
    assert team.states("billing")[1] == "Revoked"


def test_a_record_of_a_newer_format_is_left_alone(team: Team) -> None:
    before = team.issue("billing")
    written = change_record(team, lambda record: record.update(format=2, news="something"), signed=True)
    told = team.wait_says("billing", "Stalled", "True", "RecordTooNew")
    assert "Upgrade this operator" in told["message"]
    team.request_rotation("billing")
    time.sleep(0.3)
    stored = team.raw_record("billing")
    assert stored is not None
    assert stored.data["record"].encode() == written
    assert team.secret("billing").resource_version == before.resource_version


def test_a_record_of_another_installation_is_left_alone(team: Team) -> None:
    before = team.issue("billing")
    stored = team.raw_record("billing")
    assert stored is not None
    signature = stored.data["signature"].split(":")
    signature[1] = "0123456789abcdef"
    team.api.merge(team.record_path("billing"), {"data": {"signature": base64.b64encode(":".join(signature).encode()).decode()}})
    told = team.wait_says("billing", "Stalled", "True", "UnknownSigner")
    assert "Restore that root secret" in told["message"]
    assert team.secret("billing").resource_version == before.resource_version


def test_without_its_root_secret_the_operator_refuses_to_start_while_records_exist(own_team: Team) -> None:
    team = own_team
    team.issue("billing")
    team.operator.stop()
    team.api.delete(f"/api/v1/namespaces/{team.system_namespace}/secrets/keyturn-root")
    team.operator.restart()
    assert team.operator.wait_exit() == 4
    refusal = team.operator.log_lines()[-1]
    assert (refusal["message"], refusal["reason"]) == ("Cannot start", "RootSecretMissing")
    assert "Restore it from your backup" in refusal["problem"]
    assert team.api.get(f"/api/v1/namespaces/{team.system_namespace}/secrets/keyturn-root") is None


def test_a_restart_goes_on_where_it_stopped(own_team: Team) -> None:
    team = own_team
    for name in ("billing", "mail"):
        team.issue(name)
    marks = {name: team.marks(name) for name in ("billing", "mail")}
    assert team.operator.stop() == 0
    team.operator.restart()
    team.operator.wait_ready()
    time.sleep(0.5)
    assert {name: team.marks(name) for name in marks} == marks


@pytest.mark.parametrize("gone", ["billing", "mail"])
def test_an_apikeys_record_does_not_serve_another(team: Team, gone: str) -> None:
    for name in ("billing", "mail"):
        team.issue(name)
    other = "mail" if gone == "billing" else "billing"
    stored = team.raw_record(other)
    assert stored is not None
    key_ids = {name: team.secret(name).key_id for name in ("billing", "mail")}
    team.api.merge(team.record_path(gone), {"data": stored.raw["data"]})
    team.wait_until(lambda: team.secret(gone).key_id in team.accepted(gone), about=gone, what="its own key works again")
    assert key_ids[other] not in team.accepted(gone)
    assert team.accepted(other) == {key_ids[other]}
