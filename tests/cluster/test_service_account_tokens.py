"""Tokens of a real OIDC issuer beside keys: the API server itself, whose tokens pods get by projection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.keyturn_process import KeyturnProcess
from gen.operator_process import OperatorProcess
from gen.team import Team
from gen.verifier_process import VerifierProcess
from testbed.cluster import Cluster, wait_until

AUDIENCE = "https://api.example.com"


@pytest.fixture(scope="module")
def account(plane: Cluster) -> Iterator[str]:
    """A namespace whose service account `default` calls the API."""
    plane.create_namespace("token-callers")
    yield "token-callers"
    plane.delete_namespace("token-callers")


@pytest.fixture(scope="module")
def verifier(
    plane: Cluster, shared_operator: OperatorProcess, account: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VerifierProcess]:
    folder = tmp_path_factory.mktemp("issuers")
    records, system = shared_operator.setting("records_namespace"), shared_operator.setting("namespace")
    settings = {"issuers": str(issuers_file(plane, account, folder)), "issuer_refresh_spacing": "100ms", "default_rate": "1000"}
    with VerifierProcess.start(plane, records_namespace=records, namespace=system, settings=settings) as verifier:
        verifier.wait_ready().wait_caught_up()
        wait_until(
            lambda: verifier.metric("keyturn_verifier_issuer_fetches_total", issuer="cluster", result="fetched") >= 1,
            patience=30,
            what="the keys to be fetched",
        )
        yield verifier


def issuers_file(plane: Cluster, account: str, folder: Path) -> Path:
    """What a platform engineer writes for the tokens of the cluster's own pods."""
    (folder / "ca.crt").write_text(plane.kubectl("get", "configmap", "kube-root-ca.crt", "-n", account, "-o", r"jsonpath={.data.ca\.crt}"))
    (folder / "token").write_text(token_for(plane, account, audience=""))
    issuer = json.loads(plane.login.ask("GET", "/.well-known/openid-configuration"))["issuer"]
    file = folder / "issuers.yaml"
    file.write_text(f"""\
issuers:
- name: cluster
  issuer: {issuer}
  audiences: [{AUDIENCE}]
  jwksURL: {plane.url}/openid/v1/jwks
  caFile: {folder}/ca.crt
  tokenFile: {folder}/token
  scopeClaim: sub
  scopes:
    system:serviceaccount:{account}:default: [invoices.read]
""")
    return file


def token_for(plane: Cluster, namespace: str, *, audience: str = AUDIENCE) -> str:
    """As the kubelet asks for one; without an audience it is for the API server."""
    spec = {"audiences": [audience] if audience else [], "expirationSeconds": 3600}
    wait_until(
        lambda: plane.answers(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"), patience=30, what="the service account to be made"
    )
    answer = plane.login.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", body={"spec": spec})
    return str(json.loads(answer)["status"]["token"])


def test_a_pods_own_token_is_accepted_as_its_service_account(plane: Cluster, verifier: VerifierProcess, account: str) -> None:
    answered = verifier.check(token_for(plane, account), path="/verify?scope=invoices.read")
    assert answered.status == 200
    assert answered.headers["x-keyturn-apikey"] == f"jwt:cluster/system:serviceaccount:{account}:default"
    assert answered.headers["x-keyturn-key-id"] == "jwt:cluster"
    assert answered.headers["x-keyturn-scopes"] == "invoices.read"


def test_keys_are_accepted_at_the_same_route(team: Team, verifier: VerifierProcess) -> None:
    assert verifier.check(team.issue("billing").token).headers["x-keyturn-apikey"] == f"{team.namespace}/billing"


def test_a_token_made_for_another_service_or_changed_gets_the_answer_of_an_unknown_key(
    plane: Cluster, verifier: VerifierProcess, account: str
) -> None:
    good = token_for(plane, account)
    head, claims, signature = good.split(".")
    unknown = verifier.check("kt_" + "x" * 61)
    for token in (
        token_for(plane, account, audience="https://other.example.com"),
        token_for(plane, account, audience=""),
        f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
        f"eyJhbGciOiJub25lIn0.{claims}.",
        f"{head}.{claims}.",
        good + "." + signature,
    ):
        assert verifier.check(token) == unknown


def test_a_token_without_the_scope_is_refused(plane: Cluster, verifier: VerifierProcess, account: str) -> None:
    assert verifier.check(token_for(plane, account), path="/verify?scope=admin").status == 403


def test_no_token_gets_into_the_log(plane: Cluster, verifier: VerifierProcess, account: str) -> None:
    token = token_for(plane, account)
    verifier.check(token)
    verifier.check(token[:-1])
    assert token.split(".")[2][:20].encode() not in verifier.output()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "issuers.yaml cannot be read: No such file"),
        ("issuers: [", "issuers.yaml is neither YAML nor JSON"),
        ("issuers:\n- name: corp\n", "issuers.0.audiences: Field required"),
    ],
)
def test_a_wrong_file_ends_the_start_and_says_where(
    plane: Cluster, shared_operator: OperatorProcess, tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "issuers.yaml"
    if text is not None:
        file.write_text(text)
    records = shared_operator.setting("records_namespace")
    with VerifierProcess.start(plane, records_namespace=records, settings={"issuers": str(file)}) as verifier:
        assert verifier.wait_exit(patience=60) == 1
        assert told in problem(verifier)


def problem(process: KeyturnProcess) -> str:
    return str(next(line["problem"] for line in process.log_lines() if line.get("message") == "Cannot go on"))
