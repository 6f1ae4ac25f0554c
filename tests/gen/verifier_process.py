"""The real verifier as a process of its own, on free ports.

with VerifierProcess.start(plane, records_namespace=operator.setting("records_namespace")) as verifier:
    verifier.wait_ready().check(token)
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_hex
from subprocess import TimeoutExpired
from typing import Final, Self

from gen.keyturn_process import PATIENCE, KeyturnProcess
from testbed.cluster import Cluster

DEFAULTS: Final[Mapping[str, str]] = {
    "listen_address": "127.0.0.1:0",
    "grpc_address": "127.0.0.1:0",
    "probe_address": "127.0.0.1:0",
    "request_timeout": "5s",
    "drain_delay": "0s",
    "lease_duration": "5s",
    "log_format": "json",
    "log_level": "debug",
}
"""Settings by their field's name in verifier/service/settings.py."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a gateway is told. Names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class VerifierProcess(KeyturnProcess):
    """One `keyturn verifier`. Made by `VerifierProcess.start`."""

    @classmethod
    def start(
        cls,
        plane: Cluster,
        *,
        records_namespace: str,
        namespace: str | None = None,
        settings: Mapping[str, str] | None = None,
        kubeconfig: Path | None = None,
        name: str = "verifier",
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Start one and do not wait for it. `settings`: by field; `namespace`: the operator's, by default "<records>-system"."""
        wanted = {**DEFAULTS, "records_namespace": records_namespace, "namespace": namespace or f"{records_namespace}-system"}
        return cls.launch(
            ["verifier"],
            settings={**wanted, "identity": f"{name}-{token_hex(3)}", **(settings or {})},
            kubeconfig=kubeconfig or plane.kubeconfig,
            name=name,
            environment=environment or {},
        )

    def close(self) -> None:
        """End it in good order where it can: one that dies is waited for until its Lease ends, by operators that go on."""
        if self.is_running:
            self.thaw()
            with suppress(TimeoutExpired):
                self.stop(patience=5.0)
        super().close()

    def wait_ready(self, *, patience: float = PATIENCE) -> Self:
        """Wait until it answers and has read every record."""
        return self.wait_until(
            lambda: self.address is not None and self.ask("/readyz") == (200, "ok"), patience=patience, what="to be ready"
        )

    def wait_caught_up(self, *, patience: float = PATIENCE) -> Self:
        """Wait until a key that is not known here does not exist: until then it is answered by 503, not by 401."""
        return self.wait_until(lambda: self.metric("keyturn_verifier_caught_up") == 1.0, patience=patience, what="to be caught up")

    @property
    def address(self) -> str | None:
        """Host and port where gateways ask over HTTP; None: not yet."""
        return self._told("Answering over HTTP")

    @property
    def grpc_address(self) -> str | None:
        """Host and port where Envoy asks over gRPC; None: not yet."""
        return self._told("Answering over gRPC")

    def _told(self, message: str) -> str | None:
        told = [line for line in self.log_since_start() if line.get("message") == message]
        return str(told[-1]["address"]) if told else None

    def check(self, token: str | None = None, *, path: str = "/verify", headers: Mapping[str, str] | None = None) -> Answered:
        """Ask as a gateway does; `token` as a bearer."""
        address = self.address
        if address is None:
            raise ConnectionError(f"{self.name} does not answer yet; the end of its log:\n{self.tail()}")
        connection = HTTPConnection(address, timeout=10.0)
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            connection.request("GET", path, headers={**bearer, **(headers or {})})
            answer = connection.getresponse()
            return Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()
