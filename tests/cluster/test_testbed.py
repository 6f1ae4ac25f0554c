"""The testbed keeps its promises: side by side, nothing left behind, pods become Ready, accidents can be staged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
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


def test_two_planes_run_side_by_side_and_do_not_see_each_other() -> None:
    with Plane.start(bare()) as one, Plane.start(bare()) as other:
        one.create_namespace("only-in-one")
        assert one.url != other.url
        assert "only-in-one" not in other.kubectl("get", "namespaces", "-o", "name")


def test_audit_log_names_who_did_what(tmp_path: Path) -> None:
    with Plane.start(bare(audit=True), folder=tmp_path) as plane:
        plane.create_namespace("watched")
        lines = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
    assert ("admin", "create", "watched") in {
        (line["user"]["username"], line["verb"], line["objectRef"].get("name")) for line in lines if "objectRef" in line
    }


def test_without_audit_there_is_no_log(tmp_path: Path) -> None:
    with Plane.start(bare(), folder=tmp_path) as plane:
        assert not plane.audit_log.exists()


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


def test_api_server_comes_back_at_the_same_address_with_the_same_data() -> None:
    with Plane.start(bare()) as plane:
        plane.create_namespace("kept")
        before = (plane.url, plane.apiserver.pid)
        plane.apiserver.kill()
        assert not plane.is_ready()
        plane.restart("kube-apiserver")
        assert plane.url == before[0]
        assert plane.apiserver.pid != before[1]
        assert plane.answers("/api/v1/namespaces/kept")


def test_frozen_api_server_answers_nobody_until_it_is_thawed() -> None:
    with Plane.start(bare()) as plane:
        plane.apiserver.freeze()
        assert not plane.is_ready()
        plane.apiserver.thaw()
        plane.wait_until_ready()


def test_restoring_a_snapshot_undoes_what_came_after(tmp_path: Path) -> None:
    with Plane.start(bare()) as plane:
        plane.create_namespace("before")
        plane.snapshot(tmp_path / "snapshot")
        plane.create_namespace("after")
        plane.restore(tmp_path / "snapshot")
        assert plane.answers("/api/v1/namespaces/before")
        assert not plane.answers("/api/v1/namespaces/after")


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
