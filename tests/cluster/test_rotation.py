"""Rotations: what starts them, what is accepted while they go on, what holds them back."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from gen.team import StartTeam, Team, accepted_key_ids
from keyturn.base.clock import SECOND, utc_now
from keyturn.base.version_state import Cause
from keyturn.cli.apikeys.apikey_view import decode_apikey
from keyturn.cli.apikeys.hindrances import told_deferral

QUICK = {"gracePeriod": "1s"}
KEEP_PREVIOUS = {"keepPrevious": True, "data": {"both": "$(API_KEY) $(PREVIOUS_API_KEY)"}}


@pytest.fixture(scope="module")
def slow(start_module_team: StartTeam) -> Team:
    """Served by an operator whose own times are long enough to look in between."""
    return start_module_team({"propagation_delay": "1s", "minimum_rotation_spacing": "4s"})


def cause_of(team: Team, name: str, number: int) -> str:
    record = team.record(name)
    return str(next(each.cause for each in (*record.versions, *record.dead) if each.number == number))


def test_the_annotation_rotates_once_per_value(team: Team) -> None:
    first = team.issue("billing", {"rotation": QUICK})
    team.request_rotation("billing", "monday")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert team.secret("billing").token != first.token
    assert cause_of(team, "billing", 2) == Cause.REQUESTED
    marks = team.marks("billing")
    team.request_rotation("billing", "monday")
    time.sleep(0.5)
    assert team.marks("billing")[1:] == marks[1:]
    team.request_rotation("billing", "tuesday")
    team.wait_ready("billing", version=3)


def test_a_changed_trigger_in_git_rotates(team: Team) -> None:
    team.issue("billing", {"rotation": {**QUICK, "trigger": "TICKET-1"}})
    assert team.states("billing") == {1: "Active"}
    team.apply_apikey("billing", {"rotation": {**QUICK, "trigger": "TICKET-2"}})
    team.wait_ready("billing", version=2)
    assert cause_of(team, "billing", 2) == Cause.TRIGGER
    assert team.status("billing")["observedTrigger"] == "TICKET-2"


def test_an_interval_rotates_by_itself_again_and_again(team: Team) -> None:
    team.apply_apikey("billing", {"rotation": {"interval": "3s", "gracePeriod": "1s", "overlapLimit": "2s"}})
    team.wait_ready("billing", version=3)
    assert cause_of(team, "billing", 3) == Cause.SCHEDULED


def test_a_schedule_rotates_at_its_time(team: Team) -> None:
    """`@every` is the shortest that CronJob's syntax knows below a minute."""
    team.apply_apikey("billing", {"rotation": {"schedule": "@every 3s", "gracePeriod": "1s", "overlapLimit": "2s"}})
    status = team.wait_ready("billing", version=2)
    assert cause_of(team, "billing", 2) == Cause.SCHEDULED
    assert status["effective"].get("rotationInterval") is None


def test_a_schedule_says_when_the_next_rotation_is(team: Team) -> None:
    team.issue("billing", {"rotation": {"schedule": "30 3 1 1 *", "timeZone": "Europe/Berlin"}})
    assert team.status("billing")["nextRotationTime"].endswith("-01-01T02:30:00Z")


def test_policy_manual_has_no_next_rotation_but_follows_a_request(team: Team) -> None:
    team.issue("billing", {"rotation": {**QUICK, "policy": "Manual"}})
    assert "nextRotationTime" not in team.status("billing")
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)


def test_both_keys_are_accepted_for_the_grace_period(team: Team) -> None:
    old = team.issue("billing", {"rotation": {"gracePeriod": "3s"}}).key_id
    team.request_rotation("billing")
    status = team.wait_ready("billing", version=2)
    record = team.record("billing")
    new = team.secret("billing").key_id
    assert record.active is not None
    switched = record.active.active_time
    assert switched is not None
    assert accepted_key_ids(record, now=utc_now()) == {old, new}
    assert status["versions"][1]["state"] == "Retiring"
    assert team.says("billing", "PreviousVersionActive")[0] == "True"
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    assert team.accepted("billing") == {new}
    assert team.record("billing").dead[0].end_time - switched >= 3 * SECOND
    assert team.record("billing").dead[0].reason == "Superseded"


def test_a_key_is_accepted_before_it_is_delivered(slow: Team) -> None:
    slow.apply_apikey("mail", {"rotation": QUICK})
    slow.wait_until(lambda: slow.find_record("mail"), about="mail", what="version 1 is staged")
    assert slow.find_secret("mail") is None
    assert slow.states("mail") == {1: "Staged"}
    assert len(slow.accepted("mail")) == 1
    told = slow.wait_says("mail", "Ready", "False", "PropagationPending")
    assert "waiting until every verifier can know it" in told["message"]
    assert slow.says("mail", "Reconciling")[0] == "True"
    slow.wait_ready("mail")
    assert slow.accepted("mail") == {slow.secret("mail").key_id}


def test_the_old_keys_end_stands_in_the_record_from_the_switch_on(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "60s", "overlapLimit": "3600s"}})
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    old, new = team.record("billing").versions
    assert new.active_time is not None
    assert old.not_after is not None
    assert abs(old.not_after - new.active_time - timedelta(hours=1)) < SECOND


def test_events_and_audit_lines_tell_of_the_whole_rotation(team: Team) -> None:
    old = team.issue("billing", {"rotation": QUICK}).key_id
    team.request_rotation("billing")
    team.wait_event("billing", "Normal/Retired")
    assert team.event_reasons("billing") == ["Normal/Issued", "Normal/Rotated", "Normal/Retired"]
    rotated, retired = (event["message"] for event in team.events("billing")[1:])
    assert f"Version 2 ({team.secret('billing').key_id}) is in the Secret [Requested]; version 1 ({old}) still works" in rotated
    assert retired == f"Version 1 ({old}) is no longer accepted [Superseded]"
    assert team.audit("billing") == ["Staged", "Activated", "Staged", "Activated", "Retired"]


def test_a_request_during_an_overlap_waits_for_its_end(team: Team) -> None:
    team.issue("billing", {"rotation": {"gracePeriod": "2s"}})
    team.request_rotation("billing", "one")
    team.wait_ready("billing", version=2)
    team.request_rotation("billing", "two")
    told = team.wait_says("billing", "PreviousVersionActive", "True", "RotationDeferred")
    assert "it starts when version 1 has retired" in told["message"]
    assert team.says("billing", "Ready")[0] == "True"
    team.wait_event("billing", "Normal/RotationDeferred")
    assert len(team.accepted("billing")) == 2
    team.wait_ready("billing", version=3)
    assert team.states("billing")[1] == "Retired"


def test_two_rotations_keep_their_distance_and_the_message_says_so(slow: Team) -> None:
    slow.issue("billing", {"rotation": QUICK})
    slow.request_rotation("billing")
    slow.wait_until(lambda: "too recent" in slow.condition("billing", "Ready")["message"], about="billing", what="the deferral is told")
    assert told_deferral(decode_apikey(slow.apikey("billing"))).startswith("A rotation is due (Requested); the last one was too recent")
    assert slow.states("billing") == {1: "Active"}
    slow.wait_ready("billing", version=2)
    first, second = (each.active_time or each.staged_time for each in slow.record("billing").versions[:2])
    assert second - first >= 3 * SECOND


def test_outside_its_window_a_due_rotation_waits_and_says_until_when(team: Team) -> None:
    month = utc_now().month % 12 + 1
    window = {"cron": f"0 3 15 {(month % 12) + 1} *", "windowDuration": "2h"}
    team.apply_apikey("billing", {"rotation": {"interval": "2s", "gracePeriod": "1s", "overlapLimit": "1s", "windows": [window]}})
    team.wait_ready("billing")
    told = team.wait_until(
        lambda: "next window opens at" in team.condition("billing", "Ready")["message"] and team.condition("billing", "Ready"),
        about="billing", what="the deferral is told",
    )  # fmt: skip
    assert told["status"] == "True"
    assert "T03:00:00Z" in told["message"]
    assert team.states("billing") == {1: "Active"}


def test_a_request_does_not_wait_for_a_window(team: Team) -> None:
    month = utc_now().month % 12 + 1
    window = {"cron": f"0 3 15 {(month % 12) + 1} *", "windowDuration": "2h"}
    team.issue("billing", {"rotation": {**QUICK, "windows": [window]}})
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)


def test_keep_previous_holds_both_keys_during_the_overlap(team: Team) -> None:
    old = team.issue("billing", {"rotation": {"gracePeriod": "60s"}, "secretTemplate": KEEP_PREVIOUS})
    assert old.data == {"api-key": old.token, "both": f"{old.token} "}
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    new = team.secret("billing")
    assert new.data == {"api-key": new.token, "previous-api-key": old.token, "both": f"{new.token} {old.token}"}


def test_keep_previous_holds_the_old_key_no_longer_than_it_is_accepted(team: Team) -> None:
    team.issue("billing", {"rotation": QUICK, "secretTemplate": KEEP_PREVIOUS})
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    team.wait_until(lambda: "previous-api-key" not in team.secret("billing").data, about="billing", what="the old key is out of the Secret")
    left = team.secret("billing")
    assert left.data == {"api-key": left.token, "both": f"{left.token} "}
