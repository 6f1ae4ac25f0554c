"""How keys end: expiry, disabling, minVersion, deletion of the ApiKey and of its namespace."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gen.team import Team
from keyturn.base.clock import SECOND, format_time, utc_now

LONG = {"rotation": {"gracePeriod": "60s"}}


def in_seconds(count: float) -> str:
    return format_time((utc_now() + count * SECOND).replace(microsecond=0))


def is_owned(team: Team) -> bool:
    """Whether the garbage collector takes the Secret when its ApiKey goes."""
    return "ownerReferences" in team.secret("billing").raw["metadata"]


# ------------------------------------------------------------------------------------------------------------- expirationTime


def test_the_end_stands_in_the_record_from_the_start(team: Team) -> None:
    team.issue("billing", {"expirationTime": "2099-01-31T18:00:00Z"})
    assert team.record("billing").expiration_time is not None
    assert format_time(team.record("billing").expiration_time or utc_now()) == "2099-01-31T18:00:00Z"


def test_at_its_expiration_time_every_version_ends(team: Team) -> None:
    team.issue("billing")
    assert len(team.accepted("billing")) == 1
    team.apply_apikey("billing", {"expirationTime": in_seconds(1)})
    told = team.wait_says("billing", "Ready", "False", "Expired")
    assert "Set spec.expirationTime later" in told["message"]
    assert team.says("billing", "Stalled") == ("True", "Expired")
    assert team.states("billing") == {1: "Revoked"}
    assert team.accepted("billing") == set()
    assert team.event_reasons("billing") == ["Normal/Issued", "Normal/Expired", "Warning/Expired"]


def test_a_later_expiration_time_brings_a_new_version_and_not_the_old_one(team: Team) -> None:
    old = team.issue("billing")
    team.apply_apikey("billing", {"expirationTime": in_seconds(1)})
    team.wait_states("billing", {1: "Revoked"})
    team.apply_apikey("billing", {"expirationTime": "2099-01-31T18:00:00Z"})
    team.wait_ready("billing", version=2)
    assert team.secret("billing").token != old.token
    assert team.accepted("billing") == {team.secret("billing").key_id}
    assert team.condition("billing", "Stalled") == {}


def test_an_apikey_that_expired_before_it_was_made_gets_no_key(team: Team) -> None:
    team.apply_apikey("billing", {"expirationTime": "2020-01-01T00:00:00Z"})
    team.wait_says("billing", "Stalled", "True", "Expired")
    assert team.find_secret("billing") is None
    assert team.raw_record("billing") is None


# ------------------------------------------------------------------------------------------------------------ disabled, paused


def test_a_disabled_key_is_refused_and_enabled_again_the_same_key_works(team: Team) -> None:
    before = team.issue("billing")
    team.apply_apikey("billing", {"disabled": True})
    team.wait_says("billing", "Disabled", "True", "Disabled")
    assert team.accepted("billing") == set()
    assert team.says("billing", "Ready") == ("True", "Disabled")
    team.apply_apikey("billing")
    team.wait_says("billing", "Disabled", "False", "Enabled")
    assert team.accepted("billing") == {before.key_id}
    assert team.secret("billing").resource_version == before.resource_version


def test_a_paused_apikey_is_left_alone_until_it_goes_on(team: Team) -> None:
    team.issue("billing", LONG)
    team.annotate_apikey("billing", "keyturn.dev/paused", "true")
    team.wait_says("billing", "Paused", "True", "Paused")
    assert team.says("billing", "Ready") == ("True", "Issued")
    team.request_rotation("billing")
    before = team.marks("billing")
    team.issue("witness")
    assert team.states("billing") == {1: "Active"}
    assert team.marks("billing") == before, "a second look writes nothing"
    team.annotate_apikey("billing", "keyturn.dev/paused", None)
    team.wait_ready("billing", version=2)
    assert team.condition("billing", "Paused") == {}


# ----------------------------------------------------------------------------------------------------------------- minVersion


def test_min_version_ends_a_retiring_version_at_once(team: Team) -> None:
    team.issue("billing", LONG)
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    before = team.secret("billing")
    team.apply_apikey("billing", {**LONG, "minVersion": 2})
    team.wait_states("billing", {1: "Revoked", 2: "Active"})
    assert team.record("billing").dead[0].reason == "MinVersion"
    assert team.secret("billing").token == before.token
    team.wait_event("billing", "Warning/Revoked")


def test_min_version_replaces_the_active_version(team: Team) -> None:
    old = team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    team.apply_apikey("billing", {"rotation": {"gracePeriod": "1s"}, "minVersion": 2})
    team.wait_ready("billing", version=2)
    team.wait_until(lambda: old.key_id not in team.accepted("billing"), about="billing", what="the old key is refused")
    assert team.accepted("billing") == {team.secret("billing").key_id}


def test_a_key_ended_by_min_version_lives_no_longer_than_replace_within(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "60s", "overlapLimit": "100h"}})
    team.apply_apikey("billing", {"rotation": {"gracePeriod": "60s", "overlapLimit": "100h"}, "minVersion": 2})
    team.wait_ready("billing", version=2)
    old, new = team.record("billing").versions
    assert old.not_after is not None
    assert new.active_time is not None
    assert old.not_after - new.active_time <= timedelta(hours=1, seconds=1)


def test_a_min_version_too_high_revokes_nothing_and_says_what_to_write(team: Team) -> None:
    before = team.issue("billing")
    team.apply_apikey("billing", {"minVersion": 7})
    told = team.wait_says("billing", "Stalled", "True", "MinVersionTooHigh")
    assert "the highest that can be asked for now is 2" in told["message"]
    assert team.says("billing", "Ready") == ("True", "Issued")
    assert team.accepted("billing") == {before.key_id}
    team.wait_event("billing", "Warning/MinVersionTooHigh")


# ------------------------------------------------------------------------------------------------------------------- deletion


def test_a_deleted_apikey_revokes_every_version_and_its_secret_goes(team: Team) -> None:
    team.issue("billing", LONG)
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.delete_apikey("billing")
    team.wait_until(lambda: team.states("billing") == {1: "Revoked", 2: "Revoked"}, about="billing", what="all versions are revoked")
    team.wait_until(lambda: team.find_secret("billing") is None, about="billing", what="the garbage collector took the Secret")
    assert {each.reason for each in team.record("billing").dead} == {"ApiKeyDeleted"}
    assert team.audit("billing")[-1] == "Ended"


def test_a_recreated_apikey_goes_on_counting_and_revives_nothing(team: Team) -> None:
    old = team.issue("billing")
    team.delete_apikey("billing")
    team.wait_until(lambda: team.states("billing") == {1: "Revoked"}, about="billing", what="version 1 is revoked")
    team.wait_until(lambda: team.find_secret("billing") is None, about="billing", what="the garbage collector took the Secret")
    team.apply_apikey("billing")
    team.wait_ready("billing", version=2)
    assert team.states("billing") == {1: "Revoked", 2: "Active"}
    assert old.key_id not in team.accepted("billing")


def test_an_apikey_recreated_at_once_gets_a_new_key_too(team: Team) -> None:
    """The garbage collector may take the old Secret only after the new ApiKey is there."""
    old = team.issue("billing")
    team.delete_apikey("billing")
    team.apply_apikey("billing")
    team.wait_until(
        lambda: team.says("billing", "Ready")[0] == "True" and team.accepted("billing") == {team.secret("billing").key_id},
        about="billing", what="the key in the Secret is the one accepted",
    )  # fmt: skip
    assert team.secret("billing").token != old.token
    assert team.states("billing")[1] == "Revoked"


def test_a_retained_key_outlives_its_apikey(team: Team) -> None:
    before = team.issue("billing", {"deletionPolicy": "Retain"})
    assert "ownerReferences" not in before.raw["metadata"]
    team.delete_apikey("billing")
    team.wait_until(lambda: team.record("billing").retained, about="billing", what="the record is retained")
    assert team.accepted("billing") == {before.key_id}
    assert team.secret("billing").token == before.token


@pytest.mark.parametrize("policy", ["Retain", "Revoke"])
def test_a_recreated_apikey_takes_a_retained_key_over_without_a_rotation(team: Team, policy: str) -> None:
    before = team.issue("billing", {"deletionPolicy": "Retain"})
    team.delete_apikey("billing")
    team.wait_until(lambda: team.record("billing").retained, about="billing", what="the record is retained")
    team.apply_apikey("billing", {"deletionPolicy": policy})
    team.wait_ready("billing")
    team.wait_event("billing", "Normal/TakenOver")
    team.wait_until(lambda: is_owned(team) == (policy == "Revoke"), about="billing", what=f"the Secret's owner fits {policy}")
    assert team.secret("billing").token == before.token
    assert team.states("billing") == {1: "Active"}
    assert team.record("billing").uid == team.apikey("billing")["metadata"]["uid"]


def test_the_deletion_policy_may_change_and_the_secret_follows(team: Team) -> None:
    before = team.issue("billing", {"deletionPolicy": "Revoke"})
    team.apply_apikey("billing", {"deletionPolicy": "Retain"})
    team.wait_until(lambda: not is_owned(team), about="billing", what="the Secret has no owner any more")
    assert team.secret("billing").token == before.token
    team.apply_apikey("billing", {"deletionPolicy": "Revoke"})
    team.wait_until(lambda: is_owned(team), about="billing", what="the Secret has its owner")


def test_a_namespace_with_keys_can_be_deleted_and_its_keys_end(team: Team) -> None:
    """Its Secrets go before its ApiKeys do: nothing is minted for a namespace that is going."""
    for name in ("billing", "mail"):
        team.issue(name)
    team.cluster.delete_namespace(team.namespace)
    path = f"/api/v1/namespaces/{team.namespace}"
    team.wait_until(lambda: team.api.get(path) is None, about="", what="the namespace is gone", patience=40.0)
    for name in ("billing", "mail"):
        team.wait_until(lambda name=name: team.states(name) == {1: "Revoked"}, about=name, what="its version is revoked")
    team.cluster.create_namespace(team.namespace)  # the fixture's end deletes it again


def test_what_was_deleted_while_the_operator_was_down_is_revoked_when_it_is_back(own_team: Team) -> None:
    own_team.issue("billing")
    own_team.operator.stop()
    own_team.delete_apikey("billing")
    own_team.operator.restart()
    own_team.operator.wait_ready()
    own_team.wait_until(lambda: own_team.states("billing") == {1: "Revoked"}, about="billing", what="its version is revoked")
