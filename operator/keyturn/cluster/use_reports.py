"""Use reports as they stand in the cluster: ConfigMaps in the records namespace, one replica's in several shards.

The texts in them are `api/use_report.py`'s. A report is written whole, by its replica alone, so no write is conditional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.api.use_report import DAYS_ENTRY, FORMAT, FORMAT_ENTRY, RETIRING_ENTRY
from keyturn.base import names
from keyturn.base.names import Key
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.raw import instant_of, mapping_of, objects_of, text_of, texts_of

USE_SELECTOR: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}={names.USE_REPORT}"


@dataclass(frozen=True, slots=True)
class UseReport:
    """One ConfigMap of one replica. `retiring` and `days` are texts, empty where it holds none."""

    replica: str
    retiring: str = ""
    days: str = ""
    made_time: datetime | None = None
    """When the ConfigMap was created, by the API server's clock."""


def decode_use_report(raw: Mapping[str, object]) -> tuple[Key, UseReport] | None:
    """Read a ConfigMap; None for one in a format that is not known here. Never raises."""
    metadata, data = mapping_of(raw, "metadata"), texts_of(raw, "data")
    replica = texts_of(metadata, "annotations").get(names.REPLICA_ANNOTATION, "")
    if not replica or data.get(FORMAT_ENTRY) != FORMAT:
        return None
    made = instant_of(metadata, "creationTimestamp")
    return Key("", text_of(metadata, "name")), UseReport(replica, data.get(RETIRING_ENTRY, ""), data.get(DAYS_ENTRY, ""), made)


def use_reports_path(namespace: str) -> str:
    """The collection."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


class UseReports:
    """Reads and writes one replica's own reports."""

    def __init__(self, client: Client, *, namespace: str) -> None:
        self._client = client
        self._path = use_reports_path(namespace)

    async def of(self, replica: str) -> list[UseReport]:
        """What stands under a replica's name, from its earlier lives."""
        answer = await self._client.get(self._path, query={"labelSelector": USE_SELECTOR})
        decoded = (decode_use_report(item) for item in objects_of(answer, "items"))
        return [each[1] for each in decoded if each is not None and each[1].replica == replica]

    async def write(self, replica: str, shard: str, entry: str, text: str) -> None:
        """Write one shard whole, over whatever stands there; created if need be."""
        name = f"verifier-use-{replica}-{shard}"
        metadata = {
            "name": name,
            "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: names.USE_REPORT},
            "annotations": {names.REPLICA_ANNOTATION: replica},
        }
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {FORMAT_ENTRY: FORMAT, entry: text}}
        await self._client.apply(f"{self._path}/{name}", body, accept=METADATA_ONLY)
