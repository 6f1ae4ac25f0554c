"""What backup tools leave: ApiKeys and Secrets without status, owners and managed fields, with new uids; the ledger restored, or not."""

from __future__ import annotations

from typing import Any

from gen.team import SecretView, Team

Json = dict[str, Any]
GRACE = {"rotation": {"gracePeriod": "5m"}}


def take_away_and_restore(team: Team, name: str, *, spec: Json, with_record: bool) -> SecretView:
    """As Velero and its like do it, while no operator runs: what comes back is what a person would have written, and the data."""
    secret = team.secret(name)
    record = team.raw_record(name)
    assert record is not None
    team.operator.kill()
    team.delete_apikey(name)
    team.api.delete(team.secret_path(name))
    team.api.delete(team.record_path(name))
    team.apply_apikey(name, spec)
    team.api.ask("POST", team.secret_path("").rstrip("/"), _bare(secret.raw))
    if with_record:
        team.api.ask("POST", team.record_path("").rpartition("/")[0], _bare(record.raw))
    team.operator.restart()
    return secret


def _bare(raw: Json) -> Json:
    metadata = {field: raw["metadata"][field] for field in ("name", "labels", "annotations") if field in raw["metadata"]}
    return {"apiVersion": "v1", "kind": "Secret", "type": raw["type"], "metadata": metadata, "data": raw["data"]}


def rotated(team: Team, spec: Json) -> SecretView:
    """A key in its second version, the first still accepted."""
    team.issue("billing", spec)
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    return team.secret("billing")


def test_an_apikey_with_another_uid_gets_a_key_of_its_own_above_all_numbers(own_team: Team) -> None:
    """It is another ApiKey, and nobody said that it may have the key of the one before."""
    team = own_team
    rotated(team, GRACE)
    old = take_away_and_restore(team, "billing", spec=GRACE, with_record=True)
    team.wait_ready("billing", version=3)
    assert team.accepted("billing") == {team.secret("billing").key_id}
    assert old.key_id not in team.accepted("billing")


def test_a_retained_key_is_taken_over_as_it_was(own_team: Team) -> None:
    team = own_team
    spec = {**GRACE, "deletionPolicy": "Retain"}
    rotated(team, spec)
    old = take_away_and_restore(team, "billing", spec=spec, with_record=True)
    team.wait_ready("billing", version=2)
    assert team.secret("billing").token == old.token
    assert old.key_id in team.accepted("billing")


def test_a_secret_that_came_back_alone_proves_nothing(own_team: Team) -> None:
    """It may be an old one: the key in it is accepted by nobody, and the next number is above its own."""
    team = own_team
    rotated(team, GRACE)
    old = take_away_and_restore(team, "billing", spec=GRACE, with_record=False)
    team.wait_ready("billing", version=3)
    assert team.accepted("billing") == {team.secret("billing").key_id}
    assert team.secret("billing").token != old.token


def test_all_records_may_be_deleted_while_the_operator_runs(own_team: Team) -> None:
    """They are written again as they were, tombstones and all: no key stops working, none lives again, and no number is reused."""
    team = own_team
    team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    secret = team.secret("billing")
    team.api.ask("DELETE", team.record_path("").rpartition("/")[0])
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert team.secret("billing").resource_version == secret.resource_version
    assert team.accepted("billing") == {secret.key_id}
