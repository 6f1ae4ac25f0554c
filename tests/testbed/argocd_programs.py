"""How Argo CD is installed and started here: its own manifests for resources and settings, its programs from one binary."""

from __future__ import annotations

import base64
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from testbed.binaries import program, programs, search_path, source_folders
from testbed.cluster import OwnCluster, wait_until
from testbed.layout import free_ports

NAMESPACE: Final = "argocd"
MODULE: Final = "github.com/argoproj/argo-cd/v3"
DEPLOY: Final = Path(__file__).parents[2] / "deploy" / "argocd"
_CRDS: Final = "manifests/crds"
_CONFIG: Final = "manifests/base/config"


def prepare() -> None:
    """Build what is missing, which takes minutes the first time."""
    programs("argocd", "helm")
    source_folders("argocd", MODULE, _CRDS, _CONFIG)


def install(plane: OwnCluster) -> None:
    """As its administrator does it, from its own manifests and ours, but for what would run as pods."""
    sources = source_folders("argocd", MODULE, _CRDS, _CONFIG)
    plane.create_namespace(NAMESPACE)
    plane.kubectl("apply", "--server-side", "-k", str(sources / _CRDS))
    folder = (plane.folder / "argocd").resolve()
    folder.mkdir()
    kustomization = {
        "namespace": NAMESPACE,
        "resources": [os.path.relpath((sources / _CONFIG).resolve(), folder)],
        "components": [os.path.relpath(DEPLOY, folder)],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    plane.kubectl("apply", "--server-side", "-k", str(folder))
    wait_until(lambda: plane.answers("/apis/argoproj.io/v1alpha1/appprojects"), patience=20.0, what="Argo CD's resources to be served")
    plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects(plane)}))


def log_in(plane: OwnCluster) -> Path:
    """A kubeconfig whose namespace is Argo CD's: that is where it looks for its settings."""
    config = json.loads(plane.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = NAMESPACE
    file = plane.folder / "argocd" / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    return file


def _objects(plane: OwnCluster) -> list[object]:
    """A project that allows everything, the cluster (from outside it is not `kubernetes.default.svc`), and a key for sessions."""
    user = json.loads(plane.kubeconfig.read_text())["users"][0]["user"]
    tls = {"caData": _encoded(plane.ca.read_bytes()), "certData": user["client-certificate-data"], "keyData": user["client-key-data"]}
    cluster = {"name": "testbed", "server": plane.url, "config": json.dumps({"tlsClientConfig": tls})}
    anything = [{"group": "*", "kind": "*"}]
    project = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": anything,
        "namespaceResourceWhitelist": anything,
    }
    return [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": _metadata("default"), "spec": project},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {**_metadata("cluster-testbed"), "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
            "stringData": cluster,
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata("argocd-secret"), "stringData": {"server.secretkey": "only a test"}},
    ]


def _metadata(name: str) -> dict[str, object]:
    return {"name": name, "namespace": NAMESPACE}


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Programs:
    """The processes. `start` starts those without which nothing syncs; the API server follows when somebody asks it."""

    def __init__(self, plane: OwnCluster, *, redis: str, kubeconfig: Path) -> None:
        self._plane, self._redis, self._kubeconfig = plane, redis, kubeconfig
        self._repo, self._metrics, self._server = free_ports(3)
        self._has_server = False

    def start(self) -> None:
        (spare,) = free_ports(1)
        repo = ["--port", str(self._repo), "--metrics-port", str(spare), "--disable-tls", "--address", "127.0.0.1"]
        self._run("argocd-repo-server", *repo)
        # no comparison by the clock: what a test counts or waits for came from an event
        timing = ["--app-resync", "3600", "--app-resync-jitter", "0", "--self-heal-backoff-cooldown-seconds", "1"]
        self._run("argocd-application-controller", "--metrics-port", str(self._metrics), *self._common(), *timing)
        for port in (self._repo, self._metrics):
            _wait_listening(port)

    def controller_metrics(self) -> str:
        return _get(self._metrics, "/metrics")

    def server(self) -> str:
        """The address of the API server that people's browsers speak to; open to everybody, since it is on the loopback."""
        if not self._has_server:
            (spare,) = free_ports(1)
            where = ["--address", "127.0.0.1", "--port", str(self._server), "--metrics-port", str(spare)]
            self._run("argocd-server", *where, "--insecure", "--disable-auth", *self._common())
            self._has_server = True
            _wait_listening(self._server)
        return f"127.0.0.1:{self._server}"

    def _common(self) -> list[str]:
        return [
            "--kubeconfig",
            str(self._kubeconfig),
            "--namespace",
            NAMESPACE,
            "--repo-server",
            f"127.0.0.1:{self._repo}",
            "--repo-server-plaintext",
        ]

    def _run(self, name: str, *arguments: str) -> None:
        home = self._plane.folder / "argocd" / name
        for part in ("gnupg", "tls", "ssh", "tmp"):
            (home / part).mkdir(parents=True)
        environment = {
            **os.environ,
            "PATH": search_path(("kubectl", "helm")),
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "ARGOCD_BINARY_NAME": name,
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_GNUPGHOME": str(home / "gnupg"),
            "ARGOCD_TLS_DATA_PATH": str(home / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(home / "ssh"),
        }
        command = [program("argocd"), *arguments, "--redis", self._redis, "--loglevel", "warn"]
        self._plane.run_beside(name, command, environment=environment)


def _wait_listening(port: int) -> None:
    def listens() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
        return False

    wait_until(listens, patience=60.0, what=f"Argo CD to listen on port {port}")


def _get(port: int, path: str) -> str:
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=10.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
