"""What a pod really reads: Secrets as environment and as files, on a node that runs containers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, cast

import pytest

from gen.operator_process import OperatorProcess, unique_name
from testbed.cluster import Cluster, wait_until

pytestmark = pytest.mark.node

CRDS = Path(__file__).parents[2] / "crds"
_READ_BOTH = "echo env=$API_KEY file=$(cat /keys/api-key); trap exit TERM; sleep 3600 & wait"


@pytest.fixture
def pods_namespace(node: Cluster, request: pytest.FixtureRequest) -> str:
    name = f"e2e-{abs(hash(request.node.name)) % 10**8}"
    node.create_namespace(name)
    return name


def consumer(*, image: str, secret: str, replicas: int = 1) -> str:
    """A Deployment whose pods read `api-key` of a Secret both ways and say what they read."""
    container = {
        "name": "app",
        "image": image,
        "command": ["sh", "-c", _READ_BOTH],
        "env": [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": secret, "key": "api-key"}}}],
        "volumeMounts": [{"name": "keys", "mountPath": "/keys", "readOnly": True}],
    }
    pod = {"containers": [container], "volumes": [{"name": "keys", "secret": {"secretName": secret}}]}
    template = {"metadata": {"labels": {"app": "consumer"}}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "consumer"}}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "consumer"}, "spec": spec})


def write_secret(node: Cluster, namespace: str, *, value: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key"},
        "data": {"api-key": base64.b64encode(value.encode()).decode()},
    }
    node.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(secret))


def pods_of(node: Cluster, namespace: str, *also: str) -> list[str]:
    listed = json.loads(node.kubectl("-n", namespace, "get", "pods", "-l", "app=consumer", "-o", "json", *also))
    pods = cast("list[dict[str, Any]]", listed["items"])
    return sorted(str(pod["metadata"]["name"]) for pod in pods)


def test_a_pod_reads_its_secret_as_environment_and_as_file(node: Cluster, pods_namespace: str) -> None:
    write_secret(node, pods_namespace, value="first")
    node.kubectl("-n", pods_namespace, "apply", "-f", "-", input=consumer(image=node.busybox, secret="key"))
    node.kubectl("-n", pods_namespace, "rollout", "status", "deployment/consumer", "--timeout=120s")
    wait_until(
        lambda: "env=first file=first" in node.kubectl("-n", pods_namespace, "logs", "deployment/consumer"), patience=10, what="the log"
    )
    assert node.kubectl("-n", pods_namespace, "exec", "deployment/consumer", "--", "cat", "/keys/api-key") == "first"


def test_new_pods_read_the_new_secret_once_the_template_is_annotated(node: Cluster, pods_namespace: str) -> None:
    """The file of a running pod follows its Secret sooner or later, its environment never: only a rollout is sure."""
    write_secret(node, pods_namespace, value="first")
    node.kubectl("-n", pods_namespace, "apply", "-f", "-", input=consumer(image=node.busybox, secret="key", replicas=2))
    node.kubectl("-n", pods_namespace, "rollout", "status", "deployment/consumer", "--timeout=120s")
    old = pods_of(node, pods_namespace)
    write_secret(node, pods_namespace, value="second")
    assert node.kubectl("-n", pods_namespace, "exec", old[0], "--", "sh", "-c", "echo $API_KEY").strip() == "first"
    annotation = {"spec": {"template": {"metadata": {"annotations": {"rollout.keyturn.dev/key": "id-of-the-second"}}}}}
    node.kubectl("-n", pods_namespace, "patch", "deployment", "consumer", "-p", json.dumps(annotation))
    node.kubectl("-n", pods_namespace, "rollout", "status", "deployment/consumer", "--timeout=120s")
    wait_until(lambda: not set(old) & set(pods_of(node, pods_namespace)), patience=60, what="the old pods to be gone")
    for pod in pods_of(node, pods_namespace):
        assert node.kubectl("-n", pods_namespace, "exec", pod, "--", "sh", "-c", "echo $API_KEY").strip() == "second"
        assert node.kubectl("-n", pods_namespace, "exec", pod, "--", "cat", "/keys/api-key") == "second"


def accepted_versions(node: Cluster, records: str, namespace: str) -> dict[int, str]:
    """Number to state, of the live versions in the record."""
    stored = json.loads(node.kubectl("-n", records, "get", "secret", f"{namespace}.key", "-o", "json"))
    ledger = json.loads(base64.b64decode(stored["data"]["record"]))
    return {entry["number"]: entry["state"] for entry in ledger["versions"]}


def token_of(node: Cluster, namespace: str) -> str:
    stored = json.loads(node.kubectl("-n", namespace, "get", "secret", "key", "-o", "json"))
    return base64.b64decode(stored["data"]["api-key"]).decode()


def test_a_rotation_reaches_what_running_pods_read(node: Cluster, pods_namespace: str) -> None:
    """The whole of it on a real node: issue, read, rotate, roll out, read the new one, retire the old one last."""
    for file in sorted(CRDS.glob("*.yaml")):
        node.kubectl("apply", "--server-side", "-f", str(file))
    records = unique_name("records")
    apikey = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": "key", "namespace": pods_namespace}}
    apikey["spec"] = {"rotation": {"gracePeriod": "1s", "overlapLimit": "10m"}}
    with OperatorProcess.start(node, settings={"settle": "1s", "lease_duration": "15s"}, records_namespace=records) as operator:
        operator.wait_ready()
        node.kubectl("apply", "-f", "-", input=json.dumps(apikey))
        node.kubectl("-n", pods_namespace, "apply", "-f", "-", input=consumer(image=node.busybox, secret="key"))
        node.kubectl("-n", pods_namespace, "rollout", "status", "deployment/consumer", "--timeout=120s")
        first = token_of(node, pods_namespace)
        (old,) = pods_of(node, pods_namespace)
        wait_until(lambda: f"env={first} file={first}" in node.kubectl("-n", pods_namespace, "logs", old), patience=30, what="the log")

        node.kubectl("-n", pods_namespace, "annotate", "apikey", "key", "keyturn.dev/rotate-requested-at=now")
        wait_until(lambda: token_of(node, pods_namespace) != first, patience=60, what="the switch")
        second = token_of(node, pods_namespace)
        assert accepted_versions(node, records, pods_namespace) == {1: "Retiring", 2: "Active"}
        wait_until(lambda: accepted_versions(node, records, pods_namespace) == {2: "Active"}, patience=120, what="the retirement")
        (new,) = pods_of(node, pods_namespace, "--field-selector=status.phase=Running")  # one that ended may be listed for a moment more
        assert new != old, "the old key is refused only when the pod that had it is gone"
        assert f"env={second} file={second}" in node.kubectl("-n", pods_namespace, "logs", new)
