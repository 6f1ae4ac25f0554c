"""What the replicas of verifiers report, as it stands in the cluster: ConfigMaps in the records namespace, under their replica's name.

The texts in them are those of `api/use_report.py` (one replica's in several ConfigMaps) and of `api/newer_records.py` (in one). A report
is written whole, by its replica alone, so no write is conditional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.api import newer_records, use_report
from keyturn.api.newer_records import NewerRecord, read_newer_records
from keyturn.base import names
from keyturn.base.names import Key
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.raw import instant_of, mapping_of, objects_of, text_of, texts_of


def _selector(component: str) -> str:
    return f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}={component}"


USE_SELECTOR: Final = _selector(names.USE_REPORT)
NEWER_SELECTOR: Final = _selector(names.NEWER_RECORDS)


@dataclass(frozen=True, slots=True)
class UseReport:
    """One ConfigMap of one replica. `retiring` and `days` are texts, empty where it holds none."""

    replica: str
    retiring: str = ""
    days: str = ""
    made_time: datetime | None = None
    """When the ConfigMap was created, by the API server's clock."""


@dataclass(frozen=True, slots=True)
class NewerRecordsReport:
    """One replica's ConfigMap of records that it knows better than the cluster."""

    replica: str
    records: tuple[NewerRecord, ...] = ()
    made_time: datetime | None = None
    """When the ConfigMap was created, by the API server's clock."""


def decode_use_report(raw: Mapping[str, object]) -> tuple[Key, UseReport] | None:
    """Read a ConfigMap; None for one in a format that is not known here. Never raises."""
    read = _read(raw, {use_report.FORMAT_ENTRY: use_report.FORMAT})
    if read is None:
        return None
    data = read.data
    return read.where, UseReport(read.replica, data.get(use_report.RETIRING_ENTRY, ""), data.get(use_report.DAYS_ENTRY, ""), read.made_time)


def decode_newer_records(raw: Mapping[str, object]) -> tuple[Key, NewerRecordsReport] | None:
    """Read a ConfigMap; None for one in a format that is not known here. Never raises."""
    read = _read(raw, {newer_records.FORMAT_ENTRY: newer_records.FORMAT})
    if read is None:
        return None
    records = tuple(read_newer_records(read.data.get(newer_records.RECORDS_ENTRY, "")))
    return read.where, NewerRecordsReport(read.replica, records, read.made_time)


def reports_path(namespace: str) -> str:
    """The collection of either kind."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


class ReplicaReports:
    """Reads and writes one replica's own reports."""

    def __init__(self, client: Client, *, namespace: str, replica: str) -> None:
        self._client, self._path, self._replica = client, reports_path(namespace), replica

    async def of_use(self) -> list[UseReport]:
        """What stands under this replica's name, from its earlier lives."""
        answer = await self._client.get(self._path, query={"labelSelector": USE_SELECTOR})
        decoded = (decode_use_report(item) for item in objects_of(answer, "items"))
        return [each[1] for each in decoded if each is not None and each[1].replica == self._replica]

    async def write_use(self, shard: str, entry: str, text: str) -> None:
        """Write one shard whole, over whatever stands there; created if need be."""
        data = {use_report.FORMAT_ENTRY: use_report.FORMAT, entry: text}
        await self._write(f"verifier-use-{self._replica}-{shard}", data, component=names.USE_REPORT)

    async def write_newer_records(self, text: str) -> None:
        """Likewise of records that it knows better than the cluster."""
        data = {newer_records.FORMAT_ENTRY: newer_records.FORMAT, newer_records.RECORDS_ENTRY: text}
        await self._write(f"verifier-newer-{self._replica}", data, component=names.NEWER_RECORDS)

    async def _write(self, name: str, data: Mapping[str, str], *, component: str) -> None:
        metadata = {
            "name": name,
            "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: component},
            "annotations": {names.REPLICA_ANNOTATION: self._replica},
        }
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
        await self._client.apply(f"{self._path}/{name}", body, accept=METADATA_ONLY)


@dataclass(frozen=True, slots=True)
class _Read:
    """A report of either kind."""

    where: Key
    replica: str
    data: Mapping[str, str]
    made_time: datetime | None


def _read(raw: Mapping[str, object], written_as: Mapping[str, str]) -> _Read | None:
    metadata, data = mapping_of(raw, "metadata"), texts_of(raw, "data")
    replica = texts_of(metadata, "annotations").get(names.REPLICA_ANNOTATION, "")
    if not replica or not written_as.items() <= data.items():
        return None
    return _Read(Key("", text_of(metadata, "name")), replica, data, instant_of(metadata, "creationTimestamp"))
