"""ApiKeyRevocations on a real API server: what is revoked is refused by a gateway's verifier, for good, and its consumer has a new key."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gen.operator_process import OperatorProcess, unique_name
from gen.team import APIKEYS, Api, StartTeam, Team, workload
from gen.verifier_process import VerifierProcess
from keyturn.base.clock import SECOND, utc_now
from keyturn.base.duration import parse_duration
from testbed.cluster import ApiFailed, Cluster, wait_until

Json = dict[str, Any]
RETAIN = {"deletionPolicy": "Retain"}
FREEZE = 1.5
"""Seconds for which a verifier stands still."""


class Security:
    """Who may pull the brake."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.created: list[str] = []

    def revokes(self, spec: Mapping[str, object]) -> str:
        """Create a revocation; answers its name."""
        name = unique_name("leak")
        body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "metadata": {"name": name}}
        self._api.ask("POST", f"{APIKEYS}/apikeyrevocations", {**body, "spec": {"reason": "Leaked", **spec}})
        self.created.append(name)
        return name

    def path(self, name: str) -> str:
        return f"{APIKEYS}/apikeyrevocations/{name}"

    def deletes(self, name: str) -> None:
        self._api.delete(self.path(name))

    def status(self, name: str) -> Json:
        return self._api.ask("GET", self.path(name)).get("status", {})

    def says(self, name: str) -> tuple[str, str]:
        found = [each for each in self.status(name).get("conditions", ()) if each["type"] == "Complete"]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def wait_says(self, name: str, status: str, reason: str) -> Json:
        """Wait for the condition Complete; answers the whole status."""
        wait_until(lambda: self.says(name) == (status, reason), patience=30, what=f"{name} to say {status} ({reason})")
        return self.status(name)


@pytest.fixture
def security(api: Api) -> Iterator[Security]:
    security = Security(api)
    yield security
    for name in security.created:
        security.deletes(name)


@pytest.fixture(scope="module")
def verifier(plane: Cluster, shared_operator: OperatorProcess) -> Iterator[VerifierProcess]:
    records, system = shared_operator.setting("records_namespace"), shared_operator.setting("namespace")
    with VerifierProcess.start(plane, records_namespace=records, namespace=system) as verifier:
        yield verifier.wait_ready()


def ref(team: Team, name: str = "billing") -> Json:
    return {"apiKeyRef": {"namespace": team.namespace, "name": name}}


def seconds(duration: str) -> float:
    return parse_duration(duration).total_seconds()


def status(verifier: VerifierProcess, token: str) -> int:
    return verifier.check(token).status


def test_a_leaked_key_is_refused_at_once_and_its_consumer_has_another(team: Team, security: Security, verifier: VerifierProcess) -> None:
    old = team.issue("billing", {"rotation": {"windows": [{"cron": "0 0 1 1 *", "windowDuration": "1h"}]}})
    assert status(verifier, old.token) == 200
    start = time.monotonic()
    name = security.revokes(ref(team))
    wait_until(lambda: status(verifier, old.token) == 401, patience=20, what="the leaked key to be refused")
    told = security.wait_says(name, "True", "Revoked")
    assert told["revokedVersions"] == 1
    assert 0 < seconds(told["latency"]) <= time.monotonic() - start, "to the millisecond, though a creationTimestamp has whole seconds"
    assert "unknownKeyIDs" not in told
    team.wait_ready("billing", version=2)
    assert status(verifier, team.secret("billing").token) == 200
    assert (status(verifier, old.token), team.states("billing")) == (401, {1: "Revoked", 2: "Active"})
    assert {each.key_id: each.reason for each in team.record("billing").dead} == {old.key_id: "Leaked"}
    team.wait_event("billing", "Warning/Revoked")


def test_a_verifier_that_does_not_answer_is_named_and_waited_for(team: Team, security: Security, verifier: VerifierProcess) -> None:
    """It may still accept the key: nobody must read that all is well before it has confirmed."""
    old = team.issue("billing")
    records, system = team.records_namespace, team.system_namespace
    long = {"lease_duration": "60s", "identity": unique_name("frozen")}
    with VerifierProcess.start(team.cluster, records_namespace=records, namespace=system, settings=long) as second:
        second.wait_ready()
        second.freeze()
        start = time.monotonic()
        name = security.revokes(ref(team))
        behind = security.wait_says(name, "False", "VerifiersBehind")
        frozen = time.monotonic()
        assert long["identity"] in behind["conditions"][0]["message"]
        assert (behind["revokedVersions"], "latency" in behind) == (1, False)
        assert status(verifier, old.token) == 401
        while time.monotonic() - frozen < FREEZE:
            assert security.says(name) == ("False", "VerifiersBehind")
        second.thaw()
        told = security.wait_says(name, "True", "Revoked")
        assert FREEZE <= seconds(told["latency"]) <= time.monotonic() - start
        assert status(second, old.token) == 401


def test_workloads_that_read_the_leaked_key_are_restarted(team: Team, security: Security) -> None:
    team.issue("billing")
    team.start(workload("Deployment", "web"))
    before = set(team.pods("web"))
    security.wait_says(security.revokes(ref(team)), "True", "Revoked")
    team.wait_ready("billing", version=2)
    team.wait_until(lambda: team.pods("web") and not before & set(team.pods("web")), about="billing", what="the old pods are gone")
    annotations = team.workload("Deployment", "web")["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"rollout.keyturn.dev/billing": team.secret("billing").key_id}
    team.wait_says("billing", "RolloutComplete", "True", "RolloutComplete")
    marks = team.marks("billing")
    team.annotate_apikey("billing", "team.example.com/note", "look again")
    assert team.marks("billing")[1:] == marks[1:]


def test_with_replace_the_new_key_comes_first(team: Team, security: Security, verifier: VerifierProcess) -> None:
    old = team.issue("billing", {"rollout": {"policy": "Disabled"}, "rotation": {"gracePeriod": "1h", "overlapLimit": "2h"}})
    name = security.revokes({**ref(team), "mode": "Replace", "replaceWithin": "12s"})
    team.wait_ready("billing", version=2)
    new = team.secret("billing")
    security.wait_says(name, "False", "Replacing")
    assert (status(verifier, old.token), status(verifier, new.token)) == (200, 200)
    security.wait_says(name, "True", "Revoked")
    assert (status(verifier, old.token), status(verifier, new.token)) == (401, 200)
    assert team.states("billing") == {1: "Revoked", 2: "Active"}


def test_a_status_that_is_deleted_while_nothing_happens_comes_back(team: Team, security: Security, api: Api) -> None:
    """Where nothing is new the keys are not counted again; that the status is gone is news."""
    team.issue("billing", {"rollout": {"policy": "Disabled"}, "rotation": {"gracePeriod": "1h", "overlapLimit": "2h"}})
    name = security.revokes({**ref(team), "mode": "Replace", "replaceWithin": "10m"})
    team.wait_ready("billing", version=2)
    security.wait_says(name, "False", "Replacing")
    quiet = time.monotonic()
    while time.monotonic() - quiet < FREEZE:
        assert security.says(name) == ("False", "Replacing")
    api.merge(f"{security.path(name)}/status", {"status": None})
    assert security.wait_says(name, "False", "Replacing")["remainingVersions"] == 1


def test_with_replace_an_older_key_that_is_still_promised_makes_room(team: Team, security: Security, verifier: VerifierProcess) -> None:
    """Whoever reads the Secret is let in at every moment, though a version was still Retiring when the newer one leaked."""
    team.issue("billing", {"rollout": {"policy": "Disabled"}, "rotation": {"gracePeriod": "1h", "overlapLimit": "2h"}})
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    leaked = team.secret("billing")
    name = security.revokes({"keyIDs": [leaked.key_id], "mode": "Replace", "replaceWithin": "20s"})
    seen = []

    def has_moved() -> bool:
        seen.append(status(verifier, team.secret("billing").token))
        return team.secret("billing").version == 3

    wait_until(has_moved, patience=30, what="the successor to be delivered")
    assert status(verifier, leaked.token) == 200
    security.wait_says(name, "True", "Revoked")
    assert {*seen, status(verifier, team.secret("billing").token)} == {200}
    assert team.states("billing") == {1: "Retired", 2: "Revoked", 3: "Active"}


def test_key_ids_of_several_apikeys_end_and_those_that_nobody_knows_are_listed(
    team: Team, security: Security, verifier: VerifierProcess
) -> None:
    leaked, kept = [team.issue(name) for name in ("first", "second")], team.issue("third")
    name = security.revokes({"keyIDs": [*(each.key_id for each in leaked), "nobodyknows1"]})
    told = security.wait_says(name, "True", "Revoked")
    assert (told["revokedVersions"], told["unknownKeyIDs"]) == (2, ["nobodyknows1"])
    assert [status(verifier, each.token) for each in (*leaked, kept)] == [401, 401, 200]
    assert security.wait_says(security.revokes({"keyIDs": ["nobodyknows2"]}), "True", "NothingToRevoke")["unknownKeyIDs"] == [
        "nobodyknows2"
    ]


def test_a_repeated_revocation_says_that_the_keys_were_dead_before(team: Team, security: Security, verifier: VerifierProcess) -> None:
    old = team.issue("billing")
    spec = {"keyIDs": [old.key_id]}
    security.wait_says(security.revokes(spec), "True", "Revoked")
    (dead,) = team.record("billing").dead
    wait_until(lambda: utc_now() - dead.end_time > SECOND, patience=5, what="a creationTimestamp to be another one")
    told = security.wait_says(security.revokes(spec), "True", "NothingToRevoke")
    assert (told["revokedVersions"], told["deadBeforeVersions"], status(verifier, old.token)) == (0, 1, 401)


def test_by_match_only_what_was_minted_before_ends(team: Team, security: Security, verifier: VerifierProcess) -> None:
    old = [team.issue(name) for name in ("first", "second")]
    early = security.revokes({"match": {"namespace": team.namespace, "mintedBefore": "2020-01-01T00:00:00Z"}})
    security.wait_says(early, "True", "NothingToRevoke")
    assert [status(verifier, each.token) for each in old] == [200, 200]
    name = security.revokes({"match": {"namespace": team.namespace}})
    assert security.wait_says(name, "True", "Revoked")["revokedVersions"] == 2
    for each in ("first", "second"):
        team.wait_ready(each, version=2)
    assert [status(verifier, each.token) for each in old] == [401, 401]
    assert [status(verifier, team.secret(each).token) for each in ("first", "second")] == [200, 200]


def test_neither_deleting_the_revocation_nor_applying_the_apikey_again_revives_a_key(
    team: Team, security: Security, verifier: VerifierProcess
) -> None:
    old = team.issue("billing")
    name = security.revokes(ref(team))
    security.wait_says(name, "True", "Revoked")
    team.wait_ready("billing", version=2)
    security.deletes(name)
    team.delete_apikey("billing")
    wait_until(lambda: team.accepted("billing") == set(), patience=20, what="the ApiKey to be gone")
    team.apply_apikey("billing")
    team.wait_ready("billing", version=3)
    assert (status(verifier, old.token), status(verifier, team.secret("billing").token)) == (401, 200)


def test_a_key_that_outlived_its_apikey_ends_too(team: Team, security: Security, verifier: VerifierProcess) -> None:
    old = team.issue("billing", RETAIN)
    team.delete_apikey("billing")
    wait_until(lambda: team.record("billing").retained, patience=20, what="the key to be retained")
    assert status(verifier, old.token) == 200
    security.wait_says(security.revokes({"keyIDs": [old.key_id]}), "True", "Revoked")
    assert (status(verifier, old.token), team.states("billing")) == (401, {1: "Revoked"})


def test_a_disabled_and_a_paused_key_are_revoked(team: Team, security: Security) -> None:
    team.issue("disabled", {})
    team.apply_apikey("disabled", {"disabled": True})
    team.wait_says("disabled", "Disabled", "True", "Disabled")
    team.issue("paused")
    team.annotate_apikey("paused", "keyturn.dev/paused", "true")
    team.wait_says("paused", "Paused", "True", "Paused")
    security.wait_says(security.revokes({"match": {"namespace": team.namespace}}), "True", "Revoked")
    assert team.states("paused") == {1: "Revoked"}
    assert team.states("disabled")[1] == "Revoked"


def test_the_end_is_told_though_something_urgent_is_written_over_it(team: Team, security: Security) -> None:
    """The key is disabled in the same moment: what that writes goes before the Event of the revocation."""
    team.issue("billing")
    team.operator.freeze()
    try:
        name = security.revokes(ref(team))
        team.apply_apikey("billing", {"disabled": True})
    finally:
        team.operator.thaw()
    security.wait_says(name, "True", "Revoked")
    team.wait_says("billing", "Disabled", "True", "Disabled")
    team.wait_event("billing", "Warning/Revoked")
    told = [line["change"] for line in team.operator.audit_lines() if (line["namespace"], line["name"]) == (team.namespace, "billing")]
    assert told.count("Revoked") == 1


def test_a_settled_world_is_not_written_and_a_deleted_status_comes_back(team: Team, security: Security, api: Api) -> None:
    team.issue("billing")
    name = security.revokes(ref(team))
    security.wait_says(name, "True", "Revoked")
    team.wait_ready("billing", version=2)
    marks, revocation = team.marks("billing"), api.ask("GET", security.path(name))["metadata"]["resourceVersion"]
    team.annotate_apikey("billing", "team.example.com/note", "look again")
    security.revokes({"keyIDs": ["nobodyknows3"]})
    wait_until(lambda: team.apikey("billing")["metadata"]["resourceVersion"] != marks[0], patience=5, what="the note to be there")
    assert api.ask("GET", security.path(name))["metadata"]["resourceVersion"] == revocation
    api.merge(f"{security.path(name)}/status", {"status": None})
    assert security.wait_says(name, "True", "Revoked")["revokedVersions"] == 1
    assert team.marks("billing")[1:] == marks[1:]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({}, "exactly one of keyIDs"),
        ({"match": {}}, "an empty match would mean every key"),
        ({"keyIDs": ["abcdef"], "replaceWithin": "1h"}, "replaceWithin belongs to mode Replace"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_can_be_changed(security: Security, api: Api, spec: Json, complaint: str) -> None:
    with pytest.raises(ApiFailed, match=complaint):
        security.revokes(spec)
    name = security.revokes({"keyIDs": ["nobodyknows4"]})
    with pytest.raises(ApiFailed, match="a revocation cannot be changed"):
        api.merge(security.path(name), {"spec": {"note": "another word"}})


def test_an_operator_that_dies_over_it_is_followed_by_one_that_ends_it(start_team: StartTeam) -> None:
    team = start_team({"watch_namespaces": ""})
    security = Security(team.api)
    for name in ("first", "second", "third"):
        team.issue(name)
    team.operator.kill()
    name = security.revokes({"match": {"namespace": team.namespace}})
    team.operator.restart()
    team.operator.wait_ready()
    team.wait_until(lambda: any(state == "Revoked" for state in team.states("first").values()), about="first", what="the first is dead")
    team.operator.kill()
    team.operator.restart()
    team.operator.wait_ready()
    security.wait_says(name, "True", "Revoked")
    for each in ("first", "second", "third"):
        # What was minted by one that died is an orphan, so the successor may be a third version.
        team.wait_until(
            lambda each=each: team.secret(each).version > 1 and team.accepted(each) == {team.secret(each).key_id},
            about=each,
            what="the successor alone is accepted",
        )
        assert team.states(each)[1] == "Revoked"
