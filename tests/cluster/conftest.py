"""Fixtures of the user stories: the operator as a process, and a team's namespace that it serves."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from gen.operator_process import OperatorProcess, unique_name
from gen.product_owner import Owner
from gen.team import Api, StartTeam, Team
from keyturn.api.crd_generation import KINDS
from testbed.cluster import ApiFailed, Cluster, wait_until
from testbed.plane import Plane, bare

PATIENT = {"lease_duration": "15s"}
"""On a machine with more to do than it has cores, two seconds are soon over, and a lost lead forgets what was staged."""
CRDS = Path(__file__).parents[2] / "crds"


def install_crds(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    wait_until(lambda: _serves_all(cluster), patience=20.0, what="the CRDs to be served")


def _serves_all(cluster: Cluster) -> bool:
    """Shortly after its CRD was accepted a resource is not found, then too many requests: its storage is being set up."""
    try:
        return all(cluster.answers(f"/apis/keyturn.dev/v1alpha1/{kind.plural}") for kind in KINDS)
    except ApiFailed as failure:
        if failure.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        return False


@pytest.fixture(scope="session")
def shared_operator(plane: Cluster) -> Iterator[OperatorProcess]:
    """One operator for all namespaces of the shared plane."""
    install_crds(plane)
    if isinstance(plane, Plane):
        plane.restart("kube-controller-manager")  # its garbage collector would notice the new resource only after half a minute
    records = unique_name("records")
    with OperatorProcess.start(plane, records_namespace=records, settings=PATIENT, name="shared") as operator:
        yield operator.wait_ready()


@pytest.fixture(scope="session")
def api(plane: Cluster) -> Iterator[Api]:
    api = Api(plane.login)
    yield api
    api.close()


@pytest.fixture
def team(plane: Cluster, api: Api, shared_operator: OperatorProcess, namespace: str) -> Team:
    """A namespace of this test's own on the shared plane."""
    return team_of(plane, api, shared_operator, namespace)


@pytest.fixture
def owner(plane: Cluster, api: Api, namespace: str) -> Iterator[Owner]:
    own = f"{namespace}-owner"
    plane.create_namespace(own)
    owner = Owner(api, own)
    yield owner
    owner.withdraws()  # the next test's owner names the same audience
    plane.delete_namespace(own)


@pytest.fixture(scope="module")
def module_team(plane: Cluster, api: Api, shared_operator: OperatorProcess) -> Iterator[Team]:
    """A namespace for stories that are set up together, because they take long, and looked at one by one."""
    name = unique_name("t")
    plane.create_namespace(name)
    yield team_of(plane, api, shared_operator, name)
    plane.delete_namespace(name)


@pytest.fixture(scope="session")
def quiet_plane() -> Iterator[Plane]:
    """An API server with nothing else on it: for accidents, and where every request counts."""
    with Plane.start(bare()) as plane:
        install_crds(plane)
        yield plane


@pytest.fixture(scope="module")
def start_module_team(quiet_plane: Plane) -> Iterator[StartTeam]:
    """Start an operator for one namespace and all tests of a file."""
    with ExitStack() as ends:
        yield partial(_start_team, quiet_plane, ends)


@pytest.fixture
def start_team(quiet_plane: Plane) -> Iterator[StartTeam]:
    """Start an operator of this test's own, for one namespace: it may be killed, and its world may be broken."""
    with ExitStack() as ends:
        yield partial(_start_team, quiet_plane, ends)


@pytest.fixture
def own_team(start_team: StartTeam) -> Team:
    """A namespace with an operator of its own, on the quiet plane."""
    return start_team()


@pytest.fixture
def ctrl_c() -> Iterator[int]:
    """The signal, which reaches what the test starts: in the background a shell has it ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.SIGINT
    signal.signal(signal.SIGINT, before)


def _start_team(plane: Plane, ends: ExitStack, settings: Mapping[str, str] | None = None) -> Team:
    namespace, records = unique_name("t"), unique_name("records")
    plane.create_namespace(namespace)
    wanted = {**PATIENT, "watch_namespaces": namespace, **(settings or {})}
    operator = ends.enter_context(OperatorProcess.start(plane, settings=wanted, records_namespace=records))
    api = Api(plane.login)
    ends.callback(api.close)
    return team_of(plane, api, operator.wait_ready(), namespace)


def team_of(cluster: Cluster, api: Api, operator: OperatorProcess, namespace: str) -> Team:
    records, system = operator.setting("records_namespace"), operator.setting("namespace")
    return Team(cluster, api, namespace, operator, records_namespace=records, system_namespace=system)
