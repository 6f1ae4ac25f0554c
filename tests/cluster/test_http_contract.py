"""The verifier's OpenAPI document against a real verifier: whatever is asked, it answers as the document says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gen.contract_run import GATEWAYS, PROBES, explore
from gen.http_contract import DOCUMENT, HttpContract
from gen.operator_process import OperatorProcess
from gen.team import Team
from gen.verifier_process import VerifierProcess
from testbed.cluster import Cluster, wait_until

CONTRACT = HttpContract.read()
UNKNOWN = "kt_" + "x" * 61


@pytest.fixture(scope="module")
def verifier(plane: Cluster, shared_operator: OperatorProcess) -> Iterator[VerifierProcess]:
    records, system = shared_operator.setting("records_namespace"), shared_operator.setting("namespace")
    limits = {"default_rate": "100000", "default_burst": "100000"}
    with VerifierProcess.start(plane, records_namespace=records, namespace=system, settings=limits) as verifier:
        yield verifier.wait_ready()


@pytest.fixture(scope="module")
def token(module_team: Team) -> str:
    return module_team.issue("billing").token


def address_of(verifier: VerifierProcess) -> str:
    assert verifier.address is not None
    return verifier.address


def test_with_a_good_key_it_answers_as_the_document_says(verifier: VerifierProcess, token: str, tmp_path: Path) -> None:
    run = explore(DOCUMENT, address_of(verifier), tmp_path, *GATEWAYS, token=token)
    run.assert_keeps(CONTRACT)
    seen = run.statuses
    assert all(seen[path, 200] for path in ("/verify", "/check/-/{path}", "/check/{audience}/-/{path}"))
    assert seen["/check/{audience}/{scope}/-/{path}", 403]
    assert seen["/verify", 400]
    assert all({"ratelimit", "ratelimit-policy"} <= each.headers.keys() for each in run.asked if each.status == 200)


def test_with_a_key_that_nobody_has_it_lets_nothing_through(verifier: VerifierProcess, tmp_path: Path) -> None:
    run = explore(DOCUMENT, address_of(verifier), tmp_path, *GATEWAYS, token=UNKNOWN)
    run.assert_keeps(CONTRACT)
    assert {status for _, status in run.statuses} == {400, 401}


def test_the_probes_answer_as_the_document_says(verifier: VerifierProcess, tmp_path: Path) -> None:
    assert verifier.probe_address is not None
    run = explore(DOCUMENT, verifier.probe_address, tmp_path, *PROBES)
    run.assert_keeps(CONTRACT)
    assert {path for path, status in run.statuses if status == 200} == {"/healthz", "/readyz", "/metrics"}


def test_a_verifier_that_is_not_ready_says_so_as_the_document_says(
    plane: Cluster, shared_operator: OperatorProcess, tmp_path: Path
) -> None:
    """It knows of no public keys: its operator's namespace is not there."""
    records = shared_operator.setting("records_namespace")
    with VerifierProcess.start(plane, records_namespace=records, namespace="nowhere") as verifier:
        wait_until(lambda: verifier.ask("/readyz")[0] == 503, patience=20, what="it to say that it is not ready")
        assert verifier.probe_address is not None
        run = explore(DOCUMENT, verifier.probe_address, tmp_path, *PROBES, "--exclude-checks", "not_a_server_error")
    run.assert_keeps(CONTRACT)
    assert run.statuses["/readyz", 503]


def without_400(document: dict[str, Any]) -> None:
    for path in CONTRACT.paths:
        document["paths"][path]["get"]["responses"].pop("400", None)


def with_a_header_that_never_comes(document: dict[str, Any]) -> None:
    document["components"]["responses"]["Accepted"]["headers"]["x-keyturn-owner"] = {"required": True, "schema": {"type": "string"}}


def with_a_parameter_that_is_none(document: dict[str, Any]) -> None:
    document["paths"]["/verify"]["get"]["parameters"].append({"name": "plan", "in": "query", "schema": {"type": "string"}})


@pytest.mark.parametrize(
    ("lie", "path", "finding"),
    [
        (without_400, "/verify", "Undocumented status code"),
        (with_a_header_that_never_comes, "/check/-/{path}", "Missing required response headers"),
        (with_a_parameter_that_is_none, "/verify", "Schema-valid request rejected"),
    ],
)
def test_a_document_that_lies_is_found_out(
    verifier: VerifierProcess, token: str, tmp_path: Path, lie: Callable[[dict[str, Any]], None], path: str, finding: str
) -> None:
    document = copy.deepcopy(CONTRACT.document)
    lie(document)
    lying = tmp_path / "lying.yaml"
    lying.write_text(yaml.safe_dump(document))
    only = ("--include-path", path, "--phases", "examples,coverage", "--exclude-checks", "unsupported_method")
    run = explore(lying, address_of(verifier), tmp_path, *only, token=token)
    assert not run.is_clean
    assert finding in run.told
