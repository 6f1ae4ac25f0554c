"""A verifier's Lease written by hand: exactly what a test says was applied, renewed exactly when it says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gen.team import Json, Team

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

    def renew(self, *, applied: str | int, refused: str = "") -> None:
        """Write it, with the time of now."""
        labels = {"app.kubernetes.io/managed-by": "keyturn", "app.kubernetes.io/component": "verifier"}
        notes = {"keyturn.dev/applied-resource-version": str(applied), "keyturn.dev/refused-records": refused}
        spec = {"holderIdentity": self.identity, "leaseDurationSeconds": self.seconds, "renewTime": _now()}
        metadata = {"name": f"verifier-{self.identity}", "labels": labels, "annotations": notes}
        body: Json = {"apiVersion": API, "kind": "Lease", "metadata": metadata, "spec": spec}
        self.team.api.apply(self._path, body)

    def delete(self) -> None:
        """As a replica does that stops in good order."""
        self.team.api.delete(self._path)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
