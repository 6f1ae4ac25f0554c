"""The real operator as a process of its own, with short times.

with OperatorProcess.start(plane, settings={"settle": "500ms"}, records_namespace="records") as operator:
    operator.wait_ready()
    operator.metrics()["keyturn_leader"], operator.audit_lines(), operator.log_lines()
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from gen.keyturn_process import PATIENCE, KeyturnProcess, json_lines
from testbed.cluster import Cluster

SHORT_TIMES: Final[Mapping[str, str]] = {
    "propagation_delay": "100ms",
    "settle": "200ms",
    "minimum_interval": "1s",
    "minimum_grace_period": "200ms",
    "minimum_rotation_spacing": "100ms",
    "quiet_period": "500ms",
    "orphan_wait": "1s",
    "secret_look_rate": "50",
    "secret_look_interval": "500ms",
    "fence_check_interval": "500ms",
    "lease_duration": "2s",
    "sweep_interval": "1s",
    "request_timeout": "5s",
    "rotation_rate": "1000",
    "rotation_burst": "1000",
    "namespace_rotation_rate": "1000",
    "namespace_rotation_burst": "1000",
    "log_format": "json",
    "log_level": "debug",
}
"""Settings by their field's name in base/settings.py."""


class OperatorProcess(KeyturnProcess):
    """One `keyturn operator`. Made by `OperatorProcess.start`."""

    @classmethod
    def start(
        cls,
        plane: Cluster,
        *,
        settings: Mapping[str, str] | None = None,
        records_namespace: str,
        namespace: str | None = None,
        kubeconfig: Path | None = None,
        name: str = "operator",
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> Self:
        """Start one and do not wait for it. `settings`: by field, over SHORT_TIMES; `namespace`: its own, by default "<records>-system".

        It runs as an administrator, whom no policy keeps from any Secret: so it is told to watch them, and to miss no policy.
        `command`: what runs it in place of `keyturn operator`.
        """
        wanted = {
            **SHORT_TIMES,
            "secret_access": "watch",
            "admission_policies": "none",
            "records_namespace": records_namespace,
            "namespace": namespace or f"{records_namespace}-system",
        }
        wanted |= settings or {}
        return cls.launch(
            command or ["operator"],
            settings=wanted,
            kubeconfig=kubeconfig or plane.kubeconfig,
            name=name,
            environment=environment or {},
        )

    def wait_ready(self, *, patience: float = PATIENCE) -> Self:
        """Wait until /readyz says ok and it leads (a standby never does)."""
        return self.wait_until(lambda: self.ask("/readyz") == (200, "ok") and self.leads, patience=patience, what="to lead and be ready")

    @property
    def leads(self) -> bool:
        """Whether it is the leader and at work."""
        return self.metrics().get("keyturn_leader") == 1.0 and "Operator started" in self.messages()

    def audit_lines(self, namespace: str | None = None, name: str | None = None) -> list[dict[str, Any]]:
        """What it has written to the audit log so far, about all ApiKeys or about some."""
        lines = json_lines(self.stdout)
        about = {"namespace": namespace, "name": name}
        return [line for line in lines if all(value in (None, line.get(field)) for field, value in about.items())]


def unique_name(prefix: str) -> str:
    """A name nobody else on this cluster has, for namespaces."""
    return f"{prefix}-{secrets.token_hex(4)}"
