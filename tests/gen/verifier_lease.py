"""A verifier's Lease written by hand: exactly what a test says was applied, renewed exactly when it says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gen.team import Json, Team
from keyturn.base.clock import format_time

API = "coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class LeaseByHand:
    """`verifier-<identity>` in a team's records namespace."""

    team: Team
    identity: str
    seconds: int = 60
    """How long it runs."""

    @property
    def _path(self) -> str:
        return f"/apis/{API}/namespaces/{self.team.records_namespace}/leases/verifier-{self.identity}"

    def renew(self, *, applied: str | int, refused: str = "", use_reported: datetime | None = None, at: datetime | None = None) -> None:
        """Write it, with the time of now or `at`; `use_reported`: up to when every use is told."""
        labels = {"app.kubernetes.io/managed-by": "keyturn", "app.kubernetes.io/component": "verifier"}
        notes = {"keyturn.dev/applied-resource-version": str(applied), "keyturn.dev/refused-records": refused}
        if use_reported is not None:
            notes["keyturn.dev/use-reported-time"] = format_time(use_reported)
        spec = {"holderIdentity": self.identity, "leaseDurationSeconds": self.seconds, "renewTime": _micro_time(at or datetime.now(UTC))}
        metadata = {"name": f"verifier-{self.identity}", "labels": labels, "annotations": notes}
        body: Json = {"apiVersion": API, "kind": "Lease", "metadata": metadata, "spec": spec}
        self.team.api.apply(self._path, body)

    def report_use(self, key_id: str, last_use: datetime | None) -> None:
        """Name a version as one on its way out, with its last use."""
        labels = {"app.kubernetes.io/managed-by": "keyturn", "app.kubernetes.io/component": "verifier-use"}
        metadata = {
            "name": f"verifier-use-{self.identity}-retiring-0",
            "labels": labels,
            "annotations": {"keyturn.dev/verifier": self.identity},
        }
        line = f"{key_id} {format_time(last_use) if last_use is not None else '-'}\n"
        body: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"format": "1", "retiring": line}}
        self.team.api.apply(f"/api/v1/namespaces/{self.team.records_namespace}/configmaps/{metadata['name']}", body)

    def delete(self) -> None:
        """As a replica does that stops in good order."""
        self.team.api.delete(self._path)


def _micro_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
