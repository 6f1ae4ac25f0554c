"""The chart with the real image, as real pods on a real node: from helm install to a key, upgrade, rollback, uninstall."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from gen.chart import CURRENT, Json, Release, older_chart, remove_crds
from gen.installed import RECORDS, SYSTEM
from testbed.cluster import Cluster

pytestmark = [pytest.mark.node, pytest.mark.slow]

TEAM = "team-a"
VALUES: Json = {"image": {"tag": CURRENT}}
LONGEST = 60.0
"""From helm install to a Ready key, on a machine with other work. docs/performance.md says what a free one takes."""


def apply_key(cluster: Cluster, name: str) -> None:
    key = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name, "namespace": TEAM}, "spec": {}}
    cluster.kubectl("apply", "-f", "-", input=json.dumps(key))
    cluster.kubectl("-n", TEAM, "wait", "--for=condition=Ready", f"apikeys.keyturn.dev/{name}", "--timeout=90s")


def token(cluster: Cluster, name: str) -> bytes:
    secret = json.loads(cluster.kubectl("-n", TEAM, "get", "secret", name, "-o", "json"))
    return base64.b64decode(secret["data"]["api-key"])


def test_real_pods_serve_keys_from_install_to_uninstall(node: Cluster, product_image: Path, tmp_path: Path) -> None:
    """Slow: real pods come and go four times."""
    release = Release(node)
    node.load_image(product_image)
    node.create_namespace(TEAM)
    start = time.monotonic()
    release.install(VALUES, chart=older_chart(tmp_path))
    apply_key(node, "billing")
    seconds = time.monotonic() - start
    print(f"\nfrom helm install to a Ready key: {seconds:.1f} s")
    assert seconds < LONGEST
    key = token(node, "billing")
    release.upgrade({**VALUES, "settings": {"rotationInterval": "720h"}})
    apply_key(node, "after-upgrade")
    release.run("rollback", "--wait")
    apply_key(node, "after-rollback")
    release.run("uninstall", "--wait")
    assert node.kubectl("-n", SYSTEM, "get", "deployments", "-o", "name") == ""
    assert token(node, "billing") == key, "nothing on the way rotated it, and it stays"
    assert f"{TEAM}.billing" in node.kubectl("-n", RECORDS, "get", "secrets", "-o", "name")
    node.kubectl("delete", "namespace", TEAM, SYSTEM, RECORDS, "--timeout=90s")
    remove_crds(node)
