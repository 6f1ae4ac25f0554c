"""The operator on a cluster that nobody has prepared, as `make run` starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gen.operator_process import OperatorProcess
from gen.team import Api, Team
from testbed.plane import Plane, bare

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture
def empty_plane() -> Iterator[Plane]:
    with Plane.start(bare()) as plane:
        yield plane


def test_without_a_fence_it_does_not_start_and_says_what_to_do(empty_plane: Plane) -> None:
    """`keyturn operator` with nothing said about it, by an administrator: no policy keeps that one from any Secret."""
    guarded = {"secret_access": "guarded"}
    with OperatorProcess.start(
        empty_plane, settings=guarded, records_namespace="keyturn-verifiers", namespace="keyturn-system"
    ) as operator:
        assert operator.wait_exit() == 4
        (said,) = [line["problem"] for line in operator.log_lines() if line["message"] == "Cannot start"]
    assert said.startswith("Secret keyturn-system/keyturn-canary is missing")
    assert "from deploy/ or the Helm chart" in said
    assert "--secret-access watch" in said


def test_it_does_not_start_as_whom_a_kubeconfig_acts_as(empty_plane: Plane, tmp_path: Path) -> None:
    """Its watches would have had other rights than its writes."""
    config = yaml.safe_load(empty_plane.kubeconfig.read_text())
    config["users"][0]["user"]["as"] = "nora"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    with OperatorProcess.start(
        empty_plane, records_namespace="keyturn-verifiers", namespace="keyturn-system", kubeconfig=tmp_path / "kubeconfig"
    ) as operator:
        assert operator.wait_exit() == 1
        (said,) = [line["problem"] for line in operator.log_lines() if line["message"] == "Cannot go on"]
    assert said.endswith("give it a user of its own")


def test_it_says_how_to_install_the_resource_and_starts_by_itself_then(empty_plane: Plane) -> None:
    with OperatorProcess.start(empty_plane, records_namespace="keyturn-verifiers", namespace="keyturn-system") as operator:
        operator.wait_until(lambda: "kubectl apply --server-side -f crds/" in operator.tail(), what="to say what is missing")
        assert operator.ask("/healthz") == (200, "ok")
        assert operator.ask("/readyz")[0] == 503
        empty_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
        operator.wait_ready()
        api = Api(empty_plane.login)
        empty_plane.create_namespace("shop")
        Team(empty_plane, api, "shop", operator, records_namespace="keyturn-verifiers", system_namespace="keyturn-system").issue("billing")
        api.close()
