"""Keys for people at a terminal: one operator that delivers when the verifier knows, and somebody who calls the program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.fault_proxy import Door, FaultProxy
from gen.person import Person
from gen.team import StartTeam, Team
from gen.team_verifier import team_verifier
from gen.verifier_process import VerifierProcess


@pytest.fixture(scope="module")
def team(start_module_team: StartTeam) -> Team:
    return start_module_team({"propagation_delay": "60s", "propagation_timeout": "5s", "sealed_wait": "60s"})


@pytest.fixture(scope="module")
def verifier(team: Team) -> Iterator[VerifierProcess]:
    with team_verifier(team) as verifier:
        yield verifier


@pytest.fixture
def person(team: Team) -> Person:
    return Person(team.cluster, team.namespace, team.cluster.kubeconfig)


@pytest.fixture
def quick_team(start_team: StartTeam) -> Team:
    """Delivers without a verifier."""
    return start_team({"propagation_delay": "100ms", "sealed_wait": "60s"})


@pytest.fixture
def door(quick_team: Team, tmp_path: Path) -> Iterator[Door]:
    """A way to the API server that may do harm."""
    where = {"records_namespace": quick_team.records_namespace, "namespace": quick_team.system_namespace}
    with FaultProxy(quick_team.cluster, folder=tmp_path, **where) as proxy:
        yield proxy.door("person")
