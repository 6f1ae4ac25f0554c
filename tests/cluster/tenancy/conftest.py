"""A plane with everything that deploy/ brings: policies, roles, operator and verifier by their own accounts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.installed import EVERYWHERE, Installed, assert_nothing_was_refused
from gen.market import Market
from gen.operator_process import OperatorProcess
from gen.team import Api
from gen.verifier_process import VerifierProcess
from testbed.plane import Plane


@pytest.fixture(scope="session")
def plane() -> Iterator[Plane]:
    with Plane.start() as plane:
        yield plane


@pytest.fixture(scope="session")
def api(plane: Plane) -> Iterator[Api]:
    api = Api(plane.login)
    yield api
    api.close()


@pytest.fixture(scope="session")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("tenancy"))


@pytest.fixture(scope="session")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    often = {"access_lost_delay": "500ms", "secret_look_interval": "1s", "secret_look_rate": "100"}
    with installed.start_operator(often) as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)


@pytest.fixture(scope="session")
def verifier(installed: Installed, operator: OperatorProcess) -> Iterator[VerifierProcess]:
    assert operator.is_running
    with installed.start_verifier() as verifier:
        yield verifier.wait_ready()


@pytest.fixture
def market(installed: Installed, api: Api, operator: OperatorProcess, verifier: VerifierProcess) -> Iterator[Market]:
    with Market.open(installed, api, operator=operator, verifier=verifier) as market:
        yield market
