"""The old key ends when nobody uses it: the operator and a real verifier, which clients ask with both keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from gen.team import StartTeam, Team
from gen.verifier_lease import LeaseByHand
from gen.verifier_process import VerifierProcess
from keyturn.base.clock import HOUR, utc_now
from testbed.cluster import Cluster, wait_until

SHORT_REPORTS = {"use_report_pause": "100ms", "use_day_pause": "1s"}
FAR = 2**60
"""A resource version that no record reaches."""
SPEC: dict[str, Any] = {
    "rotation": {"policy": "Manual", "gracePeriod": "1s", "overlapLimit": "2m", "quietPeriod": "3s"},
    "rollout": {"policy": "Disabled"},
}


@pytest.fixture(scope="module")
def watched(start_module_team: StartTeam) -> Team:
    """A team whose operator is its own."""
    return start_module_team()


@pytest.fixture(scope="module")
def verifier(quiet_plane: Cluster, watched: Team) -> Iterator[VerifierProcess]:
    records, system = watched.operator.setting("records_namespace"), watched.operator.setting("namespace")
    with VerifierProcess.start(quiet_plane, records_namespace=records, namespace=system, settings=SHORT_REPORTS) as verifier:
        yield verifier.wait_ready()


def rotate(team: Team, name: str) -> str:
    """Issue a key and rotate it; answers the old token, which is accepted beside the new one."""
    old = team.issue(name, SPEC).token
    team.request_rotation(name)
    team.wait_until(lambda: team.secret(name).version == 2 or None, about=name, what="to switch")
    return old


def use_for(verifier: VerifierProcess, token: str, *, seconds: float) -> None:
    """Ask with a key five times a second; it must be accepted all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert verifier.check(token).status == 200
        time.sleep(0.2)


def wait_ended(team: Team, name: str, *, patience: float = 30) -> None:
    team.wait_until(lambda: len(team.record(name).versions) == 1 or None, about=name, what="the old version to end", patience=patience)


def test_an_old_key_is_kept_for_as_long_as_somebody_uses_it(watched: Team, verifier: VerifierProcess) -> None:
    old = rotate(watched, "used")
    use_for(verifier, old, seconds=8)
    previous = watched.condition("used", "PreviousVersionActive")
    assert (previous["status"], previous["reason"]) == ("True", "OldKeyInUse")
    assert "Version 1 was still used at" in previous["message"]
    fell_silent = utc_now()
    wait_ended(watched, "used")
    (grave,) = watched.record("used").dead
    assert grave.reason == "Superseded"
    assert (grave.end_time - fell_silent).total_seconds() >= 2.5
    wait_until(lambda: verifier.check(old).status == 401, patience=20, what="the old key to be refused")


@pytest.fixture(scope="module")
def told(start_module_team: StartTeam) -> Team:
    """A team whose verifiers are what the tests write by hand."""
    return start_module_team()


def old_key_id(team: Team, name: str) -> str:
    """Public ID of the version on its way out."""
    return next(entry.key_id for entry in team.record(name).versions if entry.not_after is not None)


def wait_reason(team: Team, name: str, reason: str) -> str:
    """Wait until the old key is kept for that reason; answers what is said of it."""
    return team.wait_until(
        lambda: previous["message"] if (previous := team.condition(name, "PreviousVersionActive")).get("reason") == reason else None,
        about=name,
        what=f"PreviousVersionActive says {reason}",
    )


def test_a_verifier_that_says_nothing_keeps_the_old_key_until_it_speaks(told: Team) -> None:
    lease = LeaseByHand(told, "shy")
    lease.renew(applied=FAR)
    rotate(told, "silence")
    assert "Verifier shy has not reported" in wait_reason(told, "silence", "UseUnknown")
    lease.renew(applied=FAR, use_reported=utc_now() + HOUR)  # it speaks, and does not name the version
    time.sleep(2.5)
    assert len(told.record("silence").versions) == 2
    lease.report_use(old_key_id(told, "silence"), None)
    wait_ended(told, "silence")
    lease.delete()


def test_a_verifier_that_died_may_have_seen_the_old_key_until_its_lease_ended(told: Team) -> None:
    lease = LeaseByHand(told, "dead", seconds=4)
    lease.renew(applied=FAR)
    rotate(told, "unknown")
    lease.report_use(old_key_id(told, "unknown"), None)
    began = utc_now()
    lease.renew(applied=FAR, use_reported=began)
    said = wait_reason(told, "unknown", "UseUnknown")
    assert "dead" in said
    wait_ended(told, "unknown")
    (grave,) = told.record("unknown").dead
    assert grave.reason == "Superseded"
    assert (grave.end_time - began).total_seconds() >= 4 + 3 - 0.1, "the length of the Lease, and that of the quiet period"
    lease.delete()


def test_the_last_word_of_a_verifier_that_left_stands_until_not_after(told: Team) -> None:
    spec = {**SPEC, "rotation": {**SPEC["rotation"], "overlapLimit": "8s", "quietPeriod": "1h"}}
    told.issue("left", spec)
    told.request_rotation("left")
    told.wait_until(lambda: told.secret("left").version == 2 or None, about="left", what="to switch")
    LeaseByHand(told, "gone").report_use(old_key_id(told, "left"), utc_now())
    assert "(verifier gone)" in wait_reason(told, "left", "OldKeyInUse")
    wait_ended(told, "left")
    assert [grave.reason for grave in told.record("left").dead] == ["OverlapLimit"]


def test_the_day_of_the_last_use_appears_in_the_status(watched: Team, verifier: VerifierProcess) -> None:
    token = watched.issue("seen").token
    assert "lastUsedTime" not in watched.apikey("seen")["status"]
    assert verifier.check(token).status == 200
    today = utc_now().strftime("%Y-%m-%dT00:00:00Z")
    used = watched.wait_until(lambda: watched.apikey("seen")["status"].get("lastUsedTime"), about="seen", what="its day of use")
    assert used == today
