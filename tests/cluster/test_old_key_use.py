"""The old key ends when nobody uses it: the operator and a real verifier, which clients ask with both keys."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gen.team import StartTeam, Team
from gen.verifier_process import VerifierProcess
from keyturn.base.clock import utc_now
from testbed.cluster import Cluster, wait_until

SHORT_REPORTS = {"use_report_pause": "100ms", "use_day_pause": "1s"}
SPEC = {"rotation": {"policy": "Manual", "gracePeriod": "1s", "overlapLimit": "2m", "quietPeriod": "3s"}, "rollout": {"policy": "Disabled"}}


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


def test_the_day_of_the_last_use_appears_in_the_status(watched: Team, verifier: VerifierProcess) -> None:
    token = watched.issue("seen").token
    assert "lastUsedTime" not in watched.apikey("seen")["status"]
    assert verifier.check(token).status == 200
    today = utc_now().strftime("%Y-%m-%dT00:00:00Z")
    used = watched.wait_until(lambda: watched.apikey("seen")["status"].get("lastUsedTime"), about="seen", what="its day of use")
    assert used == today
