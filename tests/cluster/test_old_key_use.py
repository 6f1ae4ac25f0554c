"""The old key ends when nobody uses it: the operator and a real verifier, which clients ask with both keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from gen.team import StartTeam, Team
from gen.verifier_lease import LeaseByHand
from gen.verifier_process import VerifierProcess
from keyturn.base.clock import DAY, HOUR, SECOND, format_time, utc_now
from testbed.cluster import Cluster, wait_until
from testbed.plane import Plane

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
    wait_switched(team, name)
    return old


def wait_switched(team: Team, name: str) -> None:
    """The Secret has the new version first; then the record says until when the old one is accepted."""
    team.wait_until(lambda: find_old_key_id(team, name), about=name, what="to switch")


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
    found = find_old_key_id(team, name)
    assert found is not None
    return found


def find_old_key_id(team: Team, name: str) -> str | None:
    return next((entry.key_id for entry in team.record(name).versions if entry.not_after is not None), None)


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
    wait_switched(told, "left")
    LeaseByHand(told, "gone").report_use(old_key_id(told, "left"), utc_now())
    assert "(verifier gone)" in wait_reason(told, "left", "OldKeyInUse")
    wait_ended(told, "left")
    assert [grave.reason for grave in told.record("left").dead] == ["OverlapLimit"]


def test_what_dead_verifiers_left_is_removed_when_it_matters_no_more(quiet_plane: Plane, told: Team) -> None:
    LeaseByHand(told, "long-dead", seconds=1).renew(applied=FAR, at=utc_now() - 2 * DAY)
    labels = {"app.kubernetes.io/managed-by": "keyturn", "app.kubernetes.io/component": "verifier-use"}
    reports = f"/api/v1/namespaces/{told.records_namespace}/configmaps"
    for name, age in (("old", 2 * DAY), ("young", HOUR)):
        metadata = {"name": f"verifier-use-{name}-retiring-0", "namespace": told.records_namespace, "uid": f"uid-of-{name}"}
        notes = {
            "annotations": {"keyturn.dev/verifier": name},
            "labels": labels,
            "creationTimestamp": format_time(utc_now() - age)[:19] + "Z",
        }
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, **notes}, "data": {"format": "1", "retiring": ""}}
        quiet_plane.store(f"/registry/configmaps/{told.records_namespace}/{metadata['name']}", manifest)
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{told.records_namespace}/leases"
    wait_until(lambda: told.api.get(f"{leases}/verifier-long-dead") is None, patience=30, what="the Lease to go")
    wait_until(lambda: told.api.get(f"{reports}/verifier-use-old-retiring-0") is None, patience=30, what="the old report to go")
    assert told.api.get(f"{reports}/verifier-use-young-retiring-0") is not None


def test_the_day_of_the_last_use_appears_in_the_status(watched: Team, verifier: VerifierProcess) -> None:
    token = watched.issue("seen").token
    assert "lastUsedTime" not in watched.apikey("seen")["status"]
    assert verifier.check(token).status == 200
    today = utc_now().strftime("%Y-%m-%dT00:00:00Z")
    used = watched.wait_until(lambda: watched.apikey("seen")["status"].get("lastUsedTime"), about="seen", what="its day of use")
    assert used == today


@pytest.mark.slow
def test_a_frozen_verifier_keeps_the_old_key_until_its_lease_ended_and_a_quiet_period_more(
    quiet_plane: Cluster, watched: Team, verifier: VerifierProcess
) -> None:
    """Slow, for its Lease has to end: 5 s, and then the quiet period."""
    records, system = watched.operator.setting("records_namespace"), watched.operator.setting("namespace")
    with VerifierProcess.start(quiet_plane, records_namespace=records, namespace=system, settings=SHORT_REPORTS, name="frozen") as frozen:
        frozen.wait_ready()
        wait_until(lambda: watched.operator.metric("keyturn_verifiers") >= 2, patience=20, what="the operator to wait for both")
        old = rotate(watched, "frozen")
        assert (verifier.check(old).status, frozen.check(old).status) == (200, 200)
        frozen.freeze()
        froze = utc_now()
        wait_ended(watched, "frozen")
        (grave,) = watched.record("frozen").dead
        assert grave.reason == "Superseded"
        assert (grave.end_time - froze).total_seconds() >= 5 - 5 / 3 + 3 - 0.5, "at least since the last renewal before it froze"
        frozen.thaw()
        wait_until(lambda: frozen.check(old).status == 401, patience=20, what="the one that thawed to hear of it")


@pytest.mark.slow
def test_what_was_reported_survives_operator_and_verifier(watched: Team, verifier: VerifierProcess) -> None:
    """Slow, for both are killed and come up again while a client goes on with the old key."""
    old = rotate(watched, "killed")
    with going_on(verifier, old):
        time.sleep(2)
        watched.operator.kill()
        time.sleep(4)  # longer than the quiet period
        watched.operator.restart()
        watched.operator.wait_ready()
        time.sleep(2)
        assert len(watched.record("killed").versions) == 2, "used while nobody watched, and told all the same"
    verifier.kill()
    killed = utc_now()
    verifier.restart()
    verifier.wait_ready()
    up = utc_now()
    wait_ended(watched, "killed")
    (grave,) = watched.record("killed").dead
    assert grave.reason == "Superseded"
    # Whether it was asked in its last second nobody can say, so its start counts as a use; if the Lease ended before, so does that.
    assert (grave.end_time - min(up, killed + 5 * SECOND)).total_seconds() >= 3 - 0.5


@contextmanager
def going_on(verifier: VerifierProcess, token: str) -> Iterator[None]:
    """A client that asks with a key five times a second, whatever happens around it."""
    stop = Event()

    def ask() -> None:
        while not stop.wait(0.2):
            verifier.check(token)

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask)
        try:
            yield
        finally:
            stop.set()
            asking.result()
