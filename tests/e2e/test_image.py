"""The image as real pods under Pod Security `restricted`, installed from deploy/ with one setting of our own."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from gen.installed import ACCOUNT, EVERYWHERE, RECORDS, SYSTEM
from gen.operator_process import unique_name
from testbed.cluster import Cluster, KubectlFailed, wait_until

pytestmark = pytest.mark.node

Json = dict[str, Any]
READ_ONLY: Final = """
import os, sys
for folder, folders, files in os.walk("/"):
    folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/sys", "/dev")]
    for path in (folder, *(os.path.join(folder, each) for each in files)):
        if os.access(path, os.W_OK):
            print(path)
"""
FACTS: Final = """
import json, os, ssl, tempfile, zoneinfo
mounts = [line.split() for line in open("/proc/mounts")]
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "root is read-only": [each[3].split(",")[0] for each in mounts if each[1] == "/"] == ["ro"],
    "authorities": len(ssl.create_default_context().get_ca_certs()) > 100,
    "zone": zoneinfo.ZoneInfo("Europe/Berlin").key,
}))
"""


class Pods:
    """The operator's pods on the node."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def listed(self) -> list[Json]:
        answer = self.cluster.kubectl("-n", SYSTEM, "get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "json")
        return [pod for pod in json.loads(answer)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def ready(self) -> list[str]:
        """Names of those that answer."""
        return sorted(
            pod["metadata"]["name"]
            for pod in self.listed()
            if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
        )

    def leader(self) -> str:
        """The pod that holds the Lease, or nothing."""
        lease = json.loads(self.cluster.kubectl("-n", SYSTEM, "get", "lease", ACCOUNT, "-o", "json"))
        holder = str(lease["spec"].get("holderIdentity") or "")
        return next((name for name in self.ready() if holder.startswith(name)), "")

    def execute(self, *command: str) -> str:
        return self.cluster.kubectl("-n", SYSTEM, "exec", self.ready()[0], "--", *command)

    def python(self, script: str) -> str:
        return self.execute("/usr/bin/python3.11", "-I", "-c", script)


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new key may be rotated at once."""
    folder = tmp_path_factory.mktemp("overlay").resolve()
    settings = {"name": "keyturn-settings", "namespace": SYSTEM, "behavior": "merge", "literals": ["KEYTURN_MINIMUM_ROTATION_SPACING=1s"]}
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    resources = [os.path.relpath(EVERYWHERE, folder)]
    (folder / "kustomization.yaml").write_text(json.dumps({**head, "resources": resources, "configMapGenerator": [settings]}))
    return folder


@pytest.fixture(scope="module")
def pods(node: Cluster, product_image: Path, overlay: Path) -> Iterator[Pods]:
    node.load_image(product_image)
    node.kubectl("apply", "--server-side", "-k", str(overlay))
    pods = Pods(node)
    wait_until(lambda: len(pods.ready()) == 2, patience=120, what="both replicas to be Ready", pause=0.5)
    yield pods
    node.kubectl("delete", "-k", str(overlay), "--ignore-not-found", "--timeout=120s")


@pytest.fixture
def key(pods: Pods) -> Iterator[Key]:
    namespace = unique_name("image")
    pods.cluster.create_namespace(namespace)
    manifest = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": "key", "namespace": namespace}, "spec": {}}
    pods.cluster.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    yield Key(pods.cluster, namespace)
    pods.cluster.delete_namespace(namespace)


class Key:
    """One ApiKey and what came of it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def wait_ready(self) -> None:
        self.cluster.kubectl("-n", self.namespace, "wait", "--for=condition=Ready", "apikey/key", "--timeout=90s")

    def token(self) -> bytes:
        secret = json.loads(self.cluster.kubectl("-n", self.namespace, "get", "secret", "key", "-o", "json"))
        return base64.b64decode(secret["data"]["api-key"])

    def versions(self) -> dict[int, str]:
        record = json.loads(self.cluster.kubectl("-n", RECORDS, "get", "secret", f"{self.namespace}.key", "-o", "json"))
        return {each["number"]: each["state"] for each in json.loads(base64.b64decode(record["data"]["record"]))["versions"]}


def test_both_replicas_run_the_image_as_its_own_user(pods: Pods) -> None:
    facts = json.loads(pods.python(FACTS))
    assert facts == {"ids": [65532, 65532, [65532]], "root is read-only": True, "authorities": True, "zone": "Europe/Berlin"}
    assert {container["restartCount"] for pod in pods.listed() for container in pod["status"]["containerStatuses"]} == {0}


def test_the_container_can_write_nowhere(pods: Pods) -> None:
    """Not even a mount that somebody added: the operator keeps nothing on disk."""
    places = pods.python(READ_ONLY).splitlines()
    assert [place for place in places if not place.startswith("/dev/")] == []


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/usr/bin/env", "/bin/busybox"])
def test_there_is_no_shell_to_break_into(pods: Pods, shell: str) -> None:
    with pytest.raises(KubectlFailed, match="no such file"):
        pods.execute(shell, "-c", "true")


def test_the_command_says_its_version(pods: Pods, product_image: Path) -> None:
    assert pods.execute("keyturn", "version").strip() == product_image.name.removesuffix(".oci.tar").replace("-", " ")


def test_a_key_is_issued_and_rotated(pods: Pods, key: Key) -> None:
    key.wait_ready()
    first = key.token()
    pods.cluster.kubectl("-n", key.namespace, "annotate", "apikey", "key", "keyturn.dev/rotate-requested-at=now")
    wait_until(lambda: key.token() != first, patience=60, what="the new key in the Secret", pause=0.5)
    wait_until(lambda: key.versions() == {1: "Retiring", 2: "Active"}, patience=30, what="the record to say so", pause=0.5)


def test_the_other_replica_takes_over_when_the_leaders_pod_is_killed(pods: Pods, request: pytest.FixtureRequest) -> None:
    wait_until(lambda: pods.leader() != "", patience=30, what="a leader", pause=0.5)
    killed = pods.leader()
    pods.cluster.kubectl("-n", SYSTEM, "delete", "pod", killed, "--grace-period=0", "--force")
    wait_until(lambda: pods.leader() not in {"", killed}, patience=60, what="another leader", pause=0.5)
    key: Key = request.getfixturevalue("key")
    key.wait_ready()
    wait_until(lambda: len(pods.ready()) == 2, patience=60, what="a second replica again", pause=0.5)
