"""Reports of records that a verifier knows better than the cluster, as they stand there: one ConfigMap a replica, in the records namespace.

The texts in them are `api/newer_records.py`'s. A report is written whole, by its replica alone, so no write is conditional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.api.newer_records import FORMAT, FORMAT_ENTRY, RECORDS_ENTRY, NewerRecord, read_newer_records
from keyturn.base import names
from keyturn.base.names import Key
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.raw import instant_of, mapping_of, text_of, texts_of

NEWER_SELECTOR: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}={names.NEWER_RECORDS}"


@dataclass(frozen=True, slots=True)
class NewerRecordsReport:
    """One ConfigMap of one replica."""

    replica: str
    records: tuple[NewerRecord, ...] = ()
    made_time: datetime | None = None
    """When the ConfigMap was created, by the API server's clock."""


def decode_newer_records(raw: Mapping[str, object]) -> tuple[Key, NewerRecordsReport] | None:
    """Read a ConfigMap; None for one in a format that is not known here. Never raises."""
    metadata, data = mapping_of(raw, "metadata"), texts_of(raw, "data")
    replica = texts_of(metadata, "annotations").get(names.REPLICA_ANNOTATION, "")
    if not replica or data.get(FORMAT_ENTRY) != FORMAT:
        return None
    records = tuple(read_newer_records(data.get(RECORDS_ENTRY, "")))
    return Key("", text_of(metadata, "name")), NewerRecordsReport(replica, records, instant_of(metadata, "creationTimestamp"))


def newer_records_path(namespace: str) -> str:
    """The collection."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


async def write_newer_records_report(client: Client, *, namespace: str, replica: str, text: str) -> None:
    """Write one replica's report over whatever stands there; created if need be."""
    name = f"verifier-newer-{replica}"
    metadata = {
        "name": name,
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: names.NEWER_RECORDS},
        "annotations": {names.REPLICA_ANNOTATION: replica},
    }
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {FORMAT_ENTRY: FORMAT, RECORDS_ENTRY: text}}
    await client.apply(f"{newer_records_path(namespace)}/{name}", body, accept=METADATA_ONLY)
