"""The verifier beside the operator, on a real API server: what the operator writes, a gateway is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.operator_process import OperatorProcess
from gen.team import Team
from gen.verifier_process import VerifierProcess
from testbed.cluster import Cluster, wait_until


@pytest.fixture(scope="module")
def verifier(plane: Cluster, shared_operator: OperatorProcess) -> Iterator[VerifierProcess]:
    records, system = shared_operator.setting("records_namespace"), shared_operator.setting("namespace")
    with VerifierProcess.start(plane, records_namespace=records, namespace=system) as verifier:
        yield verifier.wait_ready()


def test_a_key_is_accepted_as_its_own_from_the_moment_its_secret_exists(team: Team, verifier: VerifierProcess) -> None:
    secret = team.issue("billing")
    answered = verifier.check(secret.token)
    assert (answered.status, answered.body) == (200, b"")
    assert answered.headers["x-keyturn-apikey"] == f"{team.namespace}/billing"
    assert answered.headers["x-keyturn-key-id"] == secret.key_id
    assert answered.headers["cache-control"] == "no-store"


def test_a_disabled_key_is_refused_and_an_enabled_one_accepted(team: Team, verifier: VerifierProcess) -> None:
    token = team.issue("billing").token
    team.apply_apikey("billing", {"disabled": True})
    wait_until(lambda: verifier.check(token).status == 401, patience=20, what="the disabled key to be refused")
    assert b"disabled" in verifier.check(token).body
    team.apply_apikey("billing", {"disabled": False})
    wait_until(lambda: verifier.check(token).status == 200, patience=20, what="the key to be accepted again")


def test_a_deleted_key_is_refused_as_if_it_had_never_been(team: Team, verifier: VerifierProcess) -> None:
    token = team.issue("billing", {"deletionPolicy": "Revoke"}).token
    team.delete_apikey("billing")
    wait_until(lambda: verifier.check(token).status == 401, patience=20, what="the deleted key to be refused")
    assert verifier.check(token) == verifier.check("kt_" + "x" * 61)


def test_both_keys_of_an_overlap_are_accepted_and_the_old_one_no_longer_when_it_ends(team: Team, verifier: VerifierProcess) -> None:
    old = team.issue("billing", {"rotation": {"policy": "Manual", "gracePeriod": "2s", "overlapLimit": "1m", "quietPeriod": "0s"}}).token
    team.request_rotation("billing")
    team.wait_until(lambda: team.secret("billing").version == 2 or None, about="billing", what="to switch")
    new = team.secret("billing").token
    assert (verifier.check(old).status, verifier.check(new).status) == (200, 200)
    wait_until(lambda: verifier.check(old).status == 401, patience=20, what="the old key to end")
    assert verifier.check(new).status == 200


def test_a_record_that_somebody_deletes_stays_in_force_and_is_told(team: Team, verifier: VerifierProcess) -> None:
    """The operator writes it again within moments: the metric may never be seen at 1, the log keeps the line."""
    token, name = team.issue("billing").token, f"{team.namespace}.billing"
    team.api.delete(team.record_path("billing"))

    def is_told() -> bool:
        assert verifier.check(token).status == 200
        lines = verifier.log_lines()
        return any(line["message"].startswith("A record vanished") and line.get("record") == name for line in lines)

    wait_until(is_told, patience=20, what="the loss to be told")
    wait_until(lambda: verifier.metric("keyturn_verifier_records_vanished") == 0.0, patience=20, what="the operator's new record")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/verify?audience=orders.example.com", 401),
        ("/verify?scope=read", 403),
        ("/verify?scope=read%20write", 403),
        ("/verify?scopes=read", 400),
        ("/check/-/invoices?scope=read", 200),
        ("/check/orders.example.com/-/invoices", 401),
        ("/check/default/read/-/invoices", 403),
        ("/check/nothing", 400),
        ("/", 400),
    ],
)
def test_the_route_says_what_is_asked_for(team: Team, verifier: VerifierProcess, path: str, status: int) -> None:
    token = team.issue("billing").token
    assert verifier.check(token, path=path).status == status


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"listen_address": "192.0.2.1:80"}, "Cannot assign requested address"),
        ({"grpc_address": "192.0.2.1:80"}, "192.0.2.1"),
        ({"tls_certificate": "/nowhere/tls.crt"}, "--tls-certificate and --tls-key belong together"),
        ({"tls_certificate": "/nowhere/tls.crt", "tls_key": "/nowhere/tls.key"}, "/nowhere/tls.crt"),
        ({"issuers": "/nowhere/issuers.yaml"}, "/nowhere/issuers.yaml"),
    ],
)
def test_what_it_cannot_start_with_is_one_sentence_and_no_traceback(plane: Cluster, settings: dict[str, str], problem: str) -> None:
    with VerifierProcess.start(plane, records_namespace="default", settings=settings) as verifier:
        assert verifier.wait_exit() == 1
        (said,) = [line for line in verifier.log_lines() if line["message"] == "Cannot go on"]
        assert (said["level"], problem in said["problem"]) == ("error", True)
        # A connection that closes in this very moment may be told of by the server of the probes, which is not ours.
        assert not [line for line in verifier.log_lines() if line["logger"].startswith("keyturn") and "Traceback" in str(line)]
        assert b"\nTraceback" not in b"\n" + verifier.output()


def test_a_verifier_starts_from_its_snapshot_while_the_api_server_is_away(
    plane: Cluster, team: Team, shared_operator: OperatorProcess, tmp_path: Path
) -> None:
    token = team.issue("billing").token
    keys = tmp_path / "keys.json"
    keys.write_text(team.verification_keys().to_data()["keys.json"])
    records, system = shared_operator.setting("records_namespace"), shared_operator.setting("namespace")
    way = tmp_path / "kubeconfig"
    way.write_text(plane.kubeconfig.read_text())
    files = {"snapshot": str(tmp_path / "snapshot"), "verification_keys_file": str(keys)}
    with VerifierProcess.start(plane, records_namespace=records, namespace=system, kubeconfig=way, settings=files) as verifier:
        verifier.wait_ready().kill()
        way.write_text(way.read_text().replace(plane.url, "https://127.0.0.1:1"))
        verifier.restart()
        verifier.wait_ready()
        assert verifier.check(token).status == 200
        assert verifier.check("kt_" + "x" * 61).status == 503
        assert "Started from the snapshot" in verifier.messages()
