"""The chart's verifiers as real pods on a real node: a client asks their Service while keys rotate and pods go."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from gen.chart import CURRENT, Json, Release, remove_crds
from gen.installed import RECORDS, SYSTEM, VERIFIER
from testbed.cluster import Cluster, wait_until
from testbed.node import NodePlane

pytestmark = [pytest.mark.node, pytest.mark.slow]

TEAM = "team-v"
VALUES: Json = {
    "image": {"tag": CURRENT},
    "settings": {"minimumRotationSpacing": "1s", "minimumGracePeriod": "1s", "settle": "1s", "quietPeriod": "2s"},
    "networkPolicy": {"enabled": True},
}
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Site:
    """One key, and the verifiers' Service as a gateway reaches it."""

    cluster: Cluster
    port: int

    def token(self) -> str:
        secret = json.loads(self.cluster.login.ask("GET", f"/api/v1/namespaces/{TEAM}/secrets/billing"))
        return base64.b64decode(secret["data"]["api-key"]).decode()

    def states(self) -> dict[int, str]:
        """Of the versions, as the status tells them."""
        path = f"/apis/keyturn.dev/v1alpha1/namespaces/{TEAM}/apikeys/billing"
        apikey = json.loads(self.cluster.login.ask("GET", path))
        return {each["number"]: each["state"] for each in apikey["status"]["versions"]}

    def ask(self, token: str) -> int:
        """The status; 0: no answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10.0)
        try:
            connection.request("GET", "/verify", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    def wait_status(self, token: str, status: int) -> None:
        wait_until(lambda: self.ask(token) == status, patience=PATIENCE, what=f"status {status}", pause=0.2)

    def verifiers(self) -> list[Json]:
        """Those that are to stay."""
        listed = self.cluster.kubectl("-n", SYSTEM, "get", "pods", "-l", "app.kubernetes.io/component=verifier", "-o", "json")
        return [pod for pod in json.loads(listed)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def wait_two_ready(self) -> list[str]:
        def ready() -> list[str]:
            return [
                pod["metadata"]["name"]
                for pod in self.verifiers()
                if any((each["type"], each["status"]) == ("Ready", "True") for each in pod["status"].get("conditions", ()))
            ]

        wait_until(lambda: len(ready()) == 2, patience=PATIENCE, what="two verifiers to be ready", pause=0.5)
        return ready()

    @contextmanager
    def traffic(self, token: Callable[[], str]) -> Iterator[list[int]]:
        """Meanwhile a client asks, each time over a connection of its own, with the key as it stands; what it was answered."""
        stop, answers = threading.Event(), list[int]()

        def ask() -> None:
            while not stop.wait(0.1):
                answers.append(self.ask(token()))

        thread = threading.Thread(target=ask, name="client", daemon=True)
        thread.start()
        try:
            yield answers
        finally:
            stop.set()
            thread.join(PATIENCE)


@pytest.fixture(scope="module")
def site(node: NodePlane, product_image: Path) -> Iterator[Site]:
    """Installed by helm, with a first key."""
    release = Release(node)
    node.load_image(product_image)
    node.create_namespace(TEAM)
    release.install(VALUES)
    key = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ApiKey",
        "metadata": {"name": "billing", "namespace": TEAM},
        "spec": {"rotation": {"policy": "Manual", "gracePeriod": "2s", "overlapLimit": "10m"}},
    }
    node.kubectl("apply", "-f", "-", input=json.dumps(key))
    node.kubectl("-n", TEAM, "wait", "--for=condition=Ready", "apikeys.keyturn.dev/billing", "--timeout=120s")
    address = node.kubectl("-n", SYSTEM, "get", "service", VERIFIER, "-o", "jsonpath={.spec.clusterIP}")
    yield Site(node, node.forward(address, 8080))
    release.run("uninstall", "--wait")
    node.kubectl("delete", "namespace", TEAM, SYSTEM, RECORDS, "--timeout=120s")
    remove_crds(node)


def test_the_pods_run_as_their_own_user_and_can_write_only_their_snapshot(site: Site) -> None:
    site.wait_two_ready()
    for pod in site.verifiers():
        assert pod["spec"]["serviceAccountName"] == VERIFIER
        assert {each["restartCount"] for each in pod["status"]["containerStatuses"]} == {0}
    script = "import os; print(os.getuid(), sorted(d for d in ('/', '/etc', '/tmp', '/var/lib/keyturn') if os.access(d, os.W_OK)))"
    told = site.cluster.kubectl("-n", SYSTEM, "exec", f"deployment/{VERIFIER}", "--", "/usr/bin/python3.11", "-I", "-c", script)
    assert told.strip() == "65532 ['/var/lib/keyturn']"


def test_a_key_is_accepted_and_garbage_is_not(site: Site) -> None:
    site.wait_status(site.token(), 200)
    assert site.ask("kt_" + "x" * 61) == 401


def test_a_rotation_costs_no_request_and_ends_the_old_key(site: Site) -> None:
    old = site.token()
    site.wait_status(old, 200)
    with site.traffic(site.token) as answers:
        site.cluster.kubectl("-n", TEAM, "annotate", "apikeys.keyturn.dev", "billing", "keyturn.dev/rotate-requested-at=once")
        wait_until(lambda: site.token() != old, patience=PATIENCE, what="a new key in the Secret", pause=0.5)
        wait_until(lambda: site.states()[1] == "Retired", patience=PATIENCE, what="the old version to end", pause=0.5)
    site.wait_status(old, 401)
    assert answers
    assert set(answers) == {200}


def test_a_verifier_that_is_told_to_go_costs_no_request(site: Site) -> None:
    """As in a drain or an upgrade: it goes on answering until everybody knows."""
    gone, _ = site.wait_two_ready()
    token = site.token()
    with site.traffic(lambda: token) as answers:
        site.cluster.kubectl("-n", SYSTEM, "delete", "pod", gone, "--timeout=60s")
        assert gone not in site.wait_two_ready()
    assert answers
    assert set(answers) == {200}


def test_another_verifier_answers_when_one_is_killed(site: Site) -> None:
    gone, _ = site.wait_two_ready()
    token = site.token()
    site.cluster.kubectl("-n", SYSTEM, "delete", "pod", gone, "--grace-period=0", "--force")
    assert gone not in site.wait_two_ready()
    assert {site.ask(token) for _ in range(20)} == {200}
