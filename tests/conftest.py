"""Every test folder's fixtures: a real Kubernetes (`plane`, `namespace`), and no network for unit tests. See testbed/README.md."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import pytest
from _pytest.capture import CaptureManager

from testbed import argocd_programs, debian, gateway_programs, images, kind, kind_engine
from testbed.binaries import kwok_stages, programs
from testbed.cluster import Cluster, connect
from testbed.gateway_crds import gateway_crds
from testbed.node import CannotRunNode, NodePlane, what_is_missing
from testbed.plane import Plane
from testbed.recipes import CHOICE, CONTROL_PLANE, NODE, RELEASES

HERE = Path(__file__).parent
MARKED_FOLDERS = dict.fromkeys(("argocd", "chart", "cluster", "gateways", "monitoring"), "cluster")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--testbed",
        choices=("kwok", "node", "kind", "kubeconfig"),
        default="kwok",
        help="the Kubernetes under test: kwok (a control plane, pods that run nothing; the default), node (one real node), kind, "
        "or kubeconfig (whatever $KUBECONFIG names)",
    )
    parser.addoption(
        "--kubernetes",
        choices=tuple(RELEASES),
        default="newest",
        help="which of the supported releases of Kubernetes the control plane is built from (with --testbed=kwok only)",
    )
    parser.addoption(
        "--upgrade-from",
        default="HEAD",
        metavar="COMMIT",
        help="whose operator and CRDs are the old ones in tests/cluster/deploy/test_old_operator.py (make test-upgrade FROM=...)",
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


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Kubernetes whose pods really run: `plane` where that is one, otherwise one real node started for it. Mark the test `node`."""
    if pytestconfig.getoption("--testbed") != "kwok":
        yield request.getfixturevalue("plane")
        return
    if what_is_missing():
        yield connect(Path("/nowhere"))  # no body gets to see it, see pytest_pyfunc_call
        return
    cluster = NodePlane.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def product_image() -> Path:
    """The archive of the image keyturn:<version> of this checkout, for `load_image`; what has not changed is not built again."""
    return images.product()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Where no real node can run, its tests are not skipped in silence: they prove that the message says why."""
    config = pyfuncitem.config
    if pyfuncitem.get_closest_marker("node") is None or config.getoption("--testbed") not in {"kwok", "node"}:
        return None
    missing = what_is_missing()
    if missing is None:
        return None
    with pytest.raises(CannotRunNode, match="A real node needs"):
        NodePlane.start()
    config.stash[_CANNOT].append(f"{pyfuncitem.nodeid}: {missing}")
    return True


_CANNOT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_CANNOT] = []
    release, flavour = config.getoption("--kubernetes"), config.getoption("--testbed")
    if release != "newest" and flavour != "kwok":
        raise pytest.UsageError(f"--kubernetes={release} goes with --testbed=kwok only: {flavour} brings a Kubernetes of its own")
    os.environ[CHOICE] = str(release)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[_CANNOT]:
        terminalreporter.section("proved only that this machine cannot run a real node")
        for line in config.stash[_CANNOT]:
            terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Nobody sees what several workers print, so what takes minutes is built before they start."""
    if getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput"):
        with _shown(session):
            programs(*CONTROL_PLANE)
            kwok_stages()


def _shown(session: pytest.Session) -> AbstractContextManager[None]:
    """What is printed inside gets to the terminal."""
    capture = cast("CaptureManager | None", session.config.pluginmanager.getplugin("capturemanager"))
    return capture.global_and_fixture_disabled() if capture else nullcontext()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Build what is missing before any test's time runs: the first build takes minutes."""
    folders = {item.path.relative_to(HERE).parts[0] for item in session.items if item.path.is_relative_to(HERE)}
    if session.config.option.collectonly or folders <= {"unit", "typing"}:
        return
    with _shown(session):
        programs(*CONTROL_PLANE, *(["helm"] if "chart" in folders else []))
        kwok_stages()
        if "argocd" in folders:
            programs("kstatus")
        if "argocd" in folders or any(item.get_closest_marker("argocd") for item in session.items):
            argocd_programs.prepare()
        if "gateways" in folders:
            gateway_programs.prepare()
            gateway_crds()
        elif "e2e" in folders:
            gateway_programs.gateway_program("envoy")
        if session.config.getoption("--testbed") == "kind":
            kind.prepare()
        elif any(item.get_closest_marker("node") for item in session.items) and what_is_missing() is None:
            _prepare_node(session.items)


def _prepare_node(items: list[pytest.Item]) -> None:
    programs(*NODE)
    images.prepare()
    if any("docker" in item.fixturenames for item in items if isinstance(item, pytest.Function)):
        kind_engine.prepare()
        debian.minimal_system()


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
            return NodePlane.start()
        case "kind":
            return kind.KindCluster.start()
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
