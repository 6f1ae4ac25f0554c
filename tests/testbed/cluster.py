"""What every flavour of the testbed gives to tests: one Kubernetes, a kubeconfig for its administrator, kubectl, and plain HTTPS."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from urllib.parse import urlsplit

from testbed.binaries import program
from testbed.processes import Component


class KubectlFailed(Exception):
    """kubectl did not end with 0; the message is what it complained about."""


class ApiFailed(Exception):
    """The API server answered with an error; `status` is the HTTP status."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Login:
    """How the testbed itself speaks to the API server. Products under test use the kubeconfig."""

    url: str
    tls: ssl.SSLContext
    token: str | None = None

    def ask(self, method: str, path: str, *, body: object = None, content_type: str = "application/json", timeout: float = 10.0) -> str:
        """One request, one answer's text; raise ApiFailed, or OSError if nobody answers."""
        parts = urlsplit(self.url)
        connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=self.tls)
        try:
            headers = {"Content-Type": content_type, "Accept": "*/*", **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
            connection.request(method, parts.path.rstrip("/") + path, body=None if body is None else json.dumps(body), headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiFailed(answer.status, text)
        return text


class Cluster:
    """A running Kubernetes, whoever started it."""

    busybox = "docker.io/library/busybox:1.37"
    """An image with a shell that its nodes can run; with --testbed=kubeconfig they pull it."""

    def __init__(self, *, kubeconfig: Path, login: Login) -> None:
        self.kubeconfig = kubeconfig
        self.login = login

    @property
    def url(self) -> str:
        """Of the API server, as reached from this process."""
        return self.login.url

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - the word subprocess.run uses
        """Run kubectl as the cluster's administrator and give back what it printed; raise KubectlFailed with its complaint."""
        command = [str(program("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def metrics(self) -> str:
        """The API server's own metrics, Prometheus text."""
        return self.login.ask("GET", "/metrics")

    def is_ready(self) -> bool:
        """Whether the API server says so right now."""
        try:
            return self.login.ask("GET", "/readyz", timeout=2.0) == "ok"
        except (OSError, ApiFailed):
            return False

    def create_namespace(self, name: str) -> None:
        """Create a namespace and wait until pods can be created in it."""
        self.login.ask("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
        if self.makes_service_accounts:
            path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            wait_until(lambda: self.answers(path), patience=30.0, what=f"ServiceAccount {name}/default")

    def delete_namespace(self, name: str) -> None:
        """Ask for a namespace's end; it takes a moment and nobody waits."""
        self.login.ask("DELETE", f"/api/v1/namespaces/{name}")

    @property
    def makes_service_accounts(self) -> bool:
        """Whether a controller gives every namespace its default ServiceAccount."""
        return True

    def answers(self, path: str) -> bool:
        """Whether there is something at this path of the API."""
        try:
            self.login.ask("GET", path)
        except ApiFailed as failure:
            if failure.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS}:
                raise
            return False  # 429: "storage is (re)initializing", for a moment after a CRD was installed
        return True

    def stop(self) -> None:
        """End it, if it is ours to end."""


class OwnCluster(Cluster, ABC):
    """One that was started here: what works together with it can run beside it, and ends with it."""

    folder: Path
    """Its files; whoever runs beside it may keep a folder of its own in it."""

    @property
    @abstractmethod
    def ca(self) -> Path:
        """The certificate of its authority."""

    @abstractmethod
    def run_beside(self, name: str, command: Sequence[str | Path], *, environment: dict[str, str] | None = None) -> Component:
        """Start a program that ends with this cluster, for example what the product works together with."""


def wait_until(is_so: Callable[[], bool], *, patience: float, what: str, pause: float = 0.05) -> None:
    """Ask again and again until it is so; raise TimeoutError that says what was waited for."""
    end = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience:.0f} s for {what}")
        time.sleep(pause)


async def until(is_so: Callable[[], bool], *, patience: float) -> None:
    """The same without holding up the event loop, in which what is waited for may happen."""
    async with asyncio.timeout(patience):
        while not is_so():  # noqa: ASYNC110  what is waited for happens in the API server, or in the kernel
            await asyncio.sleep(0.02)


def read_kubeconfig(file: Path) -> Login:
    """The current context of a kubeconfig, as far as certificates and bearer tokens go (exec plugins do not)."""
    text = subprocess.run(
        [program("kubectl"), "config", "view", "--minify", "--flatten", "--output=json"],
        env={**os.environ, "KUBECONFIG": str(file)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    view = json.loads(text)
    cluster = cast("dict[str, Any]", view["clusters"][0]["cluster"])
    user = cast("dict[str, Any]", view["users"][0]["user"])
    authority = base64.b64decode(cluster.get("certificate-authority-data", "")).decode()
    tls = ssl.create_default_context(cadata=authority or None)
    if "client-certificate-data" in user:
        with TemporaryDirectory() as folder:
            pem = Path(folder) / "client.pem"
            pem.touch(mode=0o600)
            pem.write_bytes(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            tls.load_cert_chain(pem)
    return Login(cluster["server"], tls, user.get("token"))


def connect(kubeconfig: Path) -> Cluster:
    """A cluster that somebody else started and ends."""
    return Cluster(kubeconfig=kubeconfig, login=read_kubeconfig(kubeconfig))
