"""A plane with Keyturn installed from deploy/, the operator as a process, and a real Argo CD that syncs from a real Git server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.gitops import Site
from gen.installed import EVERYWHERE, Installed
from gen.operator_process import OperatorProcess
from gen.team import Api
from testbed.argocd import ArgoCD
from testbed.plane import Plane

PATIENT = {"lease_duration": "60s", "request_timeout": "20s", "sweep_interval": "1h"}
"""Argo CD's work on a thousand keys keeps the API server busy for long: a lead lost by it ends the operator, and nobody starts it again."""


@pytest.fixture(scope="session")
def plane() -> Iterator[Plane]:
    with Plane.start() as plane:
        yield plane


@pytest.fixture(scope="session")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=Path(tmp_path_factory.mktemp("account")))


@pytest.fixture(scope="session")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator(PATIENT) as operator:
        yield operator.wait_ready(patience=120.0)  # a machine that also runs Argo CD may be slow


@pytest.fixture(scope="session")
def argo(plane: Plane, installed: Installed) -> ArgoCD:
    assert installed  # Argo CD asks once which resources there are; afterwards it would have to notice ours
    return ArgoCD.start(plane)


@pytest.fixture
def site(argo: ArgoCD, plane: Plane, installed: Installed, operator: OperatorProcess, namespace: str) -> Iterator[Site]:
    """A team's folder in Git, and its namespace."""
    api = Api(plane.login)
    yield Site(argo, installed.team(api, operator, namespace))
    api.close()
