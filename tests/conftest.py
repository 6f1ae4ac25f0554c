"""Every test folder's fixtures: a real Kubernetes (`plane`, `namespace`), and no network for unit tests. See testbed/README.md."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.cluster import Cluster, connect
from testbed.plane import Plane

HERE = Path(__file__).parent
MARKED_FOLDERS = {"cluster": "cluster", "gateways": "cluster"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--testbed",
        choices=("kwok", "node", "kind", "kubeconfig"),
        default="kwok",
        help="the Kubernetes under test: kwok (a control plane, pods that run nothing; the default), node (one real node), kind, "
        "or kubeconfig (whatever $KUBECONFIG names)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder: what stands in tests/cluster needs an API server."""
    for item in items:
        if item.path.is_relative_to(HERE) and (mark := MARKED_FOLDERS.get(item.path.relative_to(HERE).parts[0])):
            item.add_marker(mark)


@pytest.fixture(scope="session")
def plane(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The one Kubernetes of this run, shared by all tests: stay inside your `namespace`."""
    cluster = _start(str(pytestconfig.getoption("--testbed")))
    yield cluster
    cluster.stop()


@pytest.fixture
def namespace(plane: Cluster) -> Iterator[str]:
    """A namespace of this test's own, in which pods can be created. Its end is asked for and not waited for."""
    name = f"t-{secrets.token_hex(4)}"
    plane.create_namespace(name)
    yield name
    plane.delete_namespace(name)


def _start(flavour: str) -> Cluster:
    match flavour:
        case "node":
            from testbed.node import NodePlane

            return NodePlane.start()
        case "kind":
            from testbed.kind import KindCluster

            return KindCluster.start()
        case "kubeconfig":
            file = os.environ.get("KUBECONFIG")
            if not file:
                raise pytest.UsageError("--testbed=kubeconfig takes the cluster that $KUBECONFIG names: set it to a file")
            return connect(Path(file))
        case _:
            return Plane.start()


class _Offline:
    """While a unit test runs, an attempt to leave the process fails, with a traceback that shows who tried."""

    def __init__(self) -> None:
        self.is_on = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.is_on and event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}:
            raise RuntimeError(
                f"a unit test may not use the network ({event} {arguments[-1]!r}): pass in what it needs, or move it to tests/cluster"
            )


_offline = _Offline()


@pytest.fixture(autouse=True)
def _unit_tests_stay_offline(request: pytest.FixtureRequest) -> Iterator[None]:
    _offline.is_on = request.path.is_relative_to(HERE / "unit")
    yield
    _offline.is_on = False
