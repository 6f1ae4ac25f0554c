"""The testbed keeps its promises: side by side, nothing left behind, pods become Ready, accidents can be staged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.cluster import Cluster, KubectlFailed, wait_until
from testbed.plane import Plane, bare
from testbed.processes import members

TESTS = Path(__file__).parents[1]


def test_pods_of_a_deployment_become_ready(plane: Cluster, namespace: str) -> None:
    plane.kubectl("-n", namespace, "create", "deployment", "web", "--image=web:1", "--replicas=3")
    plane.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    assert plane.kubectl("-n", namespace, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}") == "3"


def test_server_says_the_version_it_was_built_from(plane: Cluster) -> None:
    versions = json.loads(plane.kubectl("version", "-o", "json"))
    assert versions["serverVersion"]["gitVersion"].startswith("v1.")
    assert versions["clientVersion"]["gitVersion"].startswith("v1.")


def test_a_complaint_of_kubectl_is_the_error(plane: Cluster, namespace: str) -> None:
    with pytest.raises(KubectlFailed, match="not found"):
        plane.kubectl("-n", namespace, "get", "configmap", "nobody-made-me")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane of this module's own, to which accidents may happen."""
    with Plane.start(bare(audit=True), folder=tmp_path_factory.mktemp("plane")) as plane:
        yield plane


def test_two_planes_run_side_by_side_and_do_not_see_each_other(small: Plane) -> None:
    small.create_namespace("only-in-one")
    with Plane.start(bare()) as other:
        assert small.url != other.url
        assert "only-in-one" not in other.kubectl("get", "namespaces", "-o", "name")
        assert not other.audit_log.exists()


def test_audit_log_names_who_did_what(small: Plane) -> None:
    small.create_namespace("watched")
    lines = [json.loads(line) for line in small.audit_log.read_text().splitlines()]
    assert ("admin", "create", "watched") in {
        (line["user"]["username"], line["verb"], line["objectRef"].get("name")) for line in lines if "objectRef" in line
    }


def test_nothing_is_left_after_the_owner_was_killed() -> None:
    """A test run that was killed by the machine's memory limit left its API servers running for days."""
    program = """
import time
from testbed.plane import Plane
plane = Plane.start()
plane.etcd.freeze()
print(plane._group.identity, plane.folder, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)}
    ) as owner:
        assert owner.stdout
        group, folder = owner.stdout.readline().split()
        assert len(members(int(group))) == 6  # etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok and the watchdog
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not members(int(group)), patience=10.0, what="all processes to be gone")
    wait_until(lambda: not Path(folder).exists(), patience=10.0, what="its folder to be gone")


def test_api_server_comes_back_at_the_same_address_with_the_same_data(small: Plane) -> None:
    small.create_namespace("kept")
    before = (small.url, small.apiserver.pid)
    small.apiserver.kill()
    assert not small.is_ready()
    small.restart("kube-apiserver")
    assert small.url == before[0]
    assert small.apiserver.pid != before[1]
    assert small.answers("/api/v1/namespaces/kept")


def test_frozen_api_server_answers_nobody_until_it_is_thawed(small: Plane) -> None:
    small.apiserver.freeze()
    assert not small.is_ready()
    small.apiserver.thaw()
    small.wait_until_ready()


def test_restoring_a_snapshot_undoes_what_came_after(small: Plane, tmp_path: Path) -> None:
    small.create_namespace("before")
    small.snapshot(tmp_path / "snapshot")
    small.create_namespace("after")
    small.restore(tmp_path / "snapshot")
    assert small.answers("/api/v1/namespaces/before")
    assert not small.answers("/api/v1/namespaces/after")


def test_a_machine_that_cannot_run_a_real_node_is_told_why() -> None:
    program = "import os; from testbed.node import what_is_missing; os.geteuid() or os.seteuid(65534); print(what_is_missing())"
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("A real node needs root, and this is user ")
    assert "make kind-test" in done.stdout


def test_a_kept_plane_outlives_its_command_and_ends_on_demand(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    name = f"test-{os.getpid()}"

    def testbed(*arguments: str) -> str:
        command = [sys.executable, "-m", "testbed", "--name", name, *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    kubeconfig = Path(testbed("up", "--keep", "--nodes=1").removeprefix("export KUBECONFIG=").strip())
    try:
        note = json.loads((kubeconfig.parent / "group.json").read_text())
        assert len(members(note)) == 5
    finally:
        testbed("down")
    assert not members(note)
    assert not kubeconfig.parent.exists()
