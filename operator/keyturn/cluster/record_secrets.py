"""Verifier records as Secrets: stored bytes and signature, in a namespace of their own, name `<namespace>.<name>`.

What is in the bytes is none of this module's business: `keys/record_signing.py` reads and signs them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keyturn.base import names
from keyturn.base.names import Key
from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.cache import Entry
from keyturn.cluster.chunks import list_in_chunks
from keyturn.cluster.client import METADATA_LIST, METADATA_ONLY, Client
from keyturn.cluster.raw import mapping_of, objects_of, resource_version_of, text_of, uid_of
from keyturn.cluster.resource_path import path_part

PAGE: Final = 500
RECORD_SELECTOR: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.NAMESPACE_LABEL}"


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it stands in its Secret, not yet believed."""

    data: bytes
    signature: bytes


def decode_stored_record(raw: Mapping[str, object]) -> tuple[Key, StoredRecord] | None:
    """Read a Secret of the records namespace; None if its name is not the one of a record."""
    metadata = raw.get("metadata")
    data = raw.get("data") or {}
    if not isinstance(metadata, Mapping) or not isinstance(data, Mapping):
        return None
    record_name = text_of(metadata, "name")
    if "." not in record_name:
        return None
    return Key.of_record(record_name), StoredRecord(_bytes_of(data, "record"), _bytes_of(data, "signature"))


async def newest_record_version(client: Client, *, namespace: str) -> int:
    """The resource version of the newest record there is at this moment; 0: there is none. Reads no record, only who they are."""
    newest, query = 0, {"labelSelector": RECORD_SELECTOR, "limit": str(PAGE)}
    while True:
        answer = await client.get(f"/api/v1/namespaces/{namespace}/secrets", query=query, accept=METADATA_LIST)
        newest = max(newest, max((resource_version_of(item) for item in objects_of(answer, "items")), default=0))
        token = text_of(mapping_of(answer, "metadata"), "continue")
        if not token:
            return newest
        query["continue"] = token


async def list_records(client: Client, *, namespace: str) -> list[tuple[Key, Entry[StoredRecord]]]:
    """Every record there is, not yet believed. Raises as `Client.get`."""
    found = []
    for item in await list_in_chunks(client, f"/api/v1/namespaces/{namespace}/secrets", query={"labelSelector": RECORD_SELECTOR}):
        decoded = decode_stored_record(item)
        if decoded is not None:
            found.append((decoded[0], _written(decoded[1], item)))
    return found


def _bytes_of(data: Mapping[str, object], name: str) -> bytes:
    try:
        return base64.b64decode(text_of(data, name), validate=True)
    except binascii.Error:
        return b""


class RecordsNamespaceGone(Forbidden):
    """The namespace of all records is missing, or on its way out: looking at one ApiKey again does not help."""


class RecordSecrets:
    """Writes records. Every write is conditional on the resourceVersion the writer saw (R4)."""

    def __init__(self, client: Client, *, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self._namespace = namespace

    async def create(self, key: Key, stored: StoredRecord) -> Entry[StoredRecord]:
        """Write the first record of that name. Raises AlreadyExists, RecordsNamespaceGone."""
        labels = self._labels(key)
        metadata = {"name": key.record_name, "namespace": self._namespace, "labels": labels}
        body = {"apiVersion": "v1", "kind": "Secret", "type": names.RECORD_TYPE, "metadata": metadata, "data": _data(stored)}
        try:
            return _written(stored, await self._client.post(self._path, body, accept=METADATA_ONLY))
        except NotFound as missing:  # of a POST: the namespace
            raise RecordsNamespaceGone(f"{missing}: namespace {self._namespace} is missing") from missing
        except Forbidden as refused:
            if not refused.namespace_terminating:
                raise
            raise RecordsNamespaceGone(f"{refused}: namespace {self._namespace} is being deleted") from refused

    async def replace(self, key: Key, stored: StoredRecord, *, uid: str, resource_version: int) -> Entry[StoredRecord]:
        """Write the next record over the one that was seen. Raises Conflict if that is not the newest."""
        metadata = {"uid": uid, "resourceVersion": str(resource_version), "labels": self._labels(key)}
        answer = await self._client.patch_merge(
            f"{self._path}/{path_part(key.record_name)}", {"metadata": metadata, "data": _data(stored)}, accept=METADATA_ONLY
        )
        return _written(stored, answer)

    async def read(self, key: Key) -> Entry[StoredRecord]:
        """Read the newest record from the API server itself. Raises NotFound."""
        raw = await self._client.get(f"{self._path}/{path_part(key.record_name)}")
        decoded = decode_stored_record(raw)
        stored = decoded[1] if decoded is not None else StoredRecord(b"", b"")
        return _written(stored, raw)

    def _labels(self, key: Key) -> dict[str, str]:
        return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.APIKEY_LABEL: key.name, names.NAMESPACE_LABEL: key.namespace}


def _data(stored: StoredRecord) -> dict[str, str]:
    return {"record": base64.b64encode(stored.data).decode(), "signature": base64.b64encode(stored.signature).decode()}


def _written(stored: StoredRecord, raw: Mapping[str, object]) -> Entry[StoredRecord]:
    return Entry(stored, resource_version_of(raw), uid_of(raw))
