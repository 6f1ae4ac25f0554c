"""Records in a real cluster as an operator writes them, and as nobody should: for what a verifier makes of them. No operator runs.

ledger = Ledger.open(plane, api)
ledger.publish()                              # the public keys
ledger.write(ledger.record("billing"))        # signed, as the operator does it
ledger.put("billing", data=b"...", signature=b"...")
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from gen.operator_process import unique_name
from gen.team import Api, Json
from gen.verifying import RING, record
from keyturn.base import names
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_signing import sign_record
from keyturn.keys.root_secret import SigningRing
from keyturn.keys.token_format import KEY_ID_LENGTH, encode_base62, format_token
from keyturn.keys.verification_keys import CONFIG_MAP_NAME
from testbed.cluster import ApiFailed, Cluster

NAMESPACE = "shop"
"""Of the ApiKeys, which need not exist."""


def token_of(name: str, *, version: int = 1) -> str:
    """The key of an ApiKey's version: always the same, and another for another."""
    spun = int.from_bytes(sha256(f"{name} {version}".encode()).digest(), "big")
    return format_token("kt", key_id=encode_base62(spun % 62**KEY_ID_LENGTH, length=KEY_ID_LENGTH), secret="s" * 43)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Two namespaces of one installation."""

    cluster: Cluster
    api: Api
    records_namespace: str

    @classmethod
    def open(cls, cluster: Cluster, api: Api) -> Ledger:
        """Two new namespaces, empty."""
        ledger = cls(cluster, api, unique_name("records"))
        for namespace in (ledger.records_namespace, ledger.system_namespace):
            cluster.create_namespace(namespace)
        return ledger

    @property
    def system_namespace(self) -> str:
        """The operator's."""
        return f"{self.records_namespace}-system"

    @property
    def keys_path(self) -> str:
        """Of the ConfigMap with the public keys."""
        return f"/api/v1/namespaces/{self.system_namespace}/configmaps/{CONFIG_MAP_NAME}"

    def publish(self, data: Mapping[str, str] | None = None, *, ring: SigningRing = RING) -> None:
        """The public keys; `data`: something else in their place."""
        entries = ring.verification_keys.to_data() if data is None else dict(data)
        metadata = {"name": CONFIG_MAP_NAME, "namespace": self.system_namespace}
        self.api.apply(self.keys_path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": entries})

    @staticmethod
    def record(name: str, *, serial: int = 1, version: int = 1, **fields: object) -> Record:
        """One Active version, whose key is `token_of(name, version=…)`."""
        return record(token=token_of(name, version=version), number=version, namespace=NAMESPACE, name=name, serial=serial, **fields)

    def write(self, written: Record, *, ring: SigningRing = RING, at: str | None = None) -> Json:
        """As the operator does it; `at`: under another name than its own."""
        data = encode_record(written)
        return self.put(at or written.name, data=data, signature=sign_record(data, ring=ring).encode())

    def put(self, name: str, *, data: bytes | None, signature: bytes | None) -> Json:
        """Whatever bytes, over what stands there; None: no such entry."""
        entries = {"record": data, "signature": signature}
        encoded = {entry: base64.b64encode(value).decode() for entry, value in entries.items() if value is not None}
        return self.replace(name, {"data": encoded, "type": names.RECORD_TYPE, "metadata": {"labels": self._labels(name)}})

    def replace(self, name: str, secret: Json) -> Json:
        """A whole Secret in the place of a record."""
        metadata = {**secret.get("metadata", {}), "name": f"{NAMESPACE}.{name}"}
        body = {"apiVersion": "v1", "kind": "Secret", **secret, "metadata": metadata}
        try:
            return self.api.ask("PUT", self.path(name), body)
        except ApiFailed as failure:
            if failure.status != 404:
                raise
            return self.api.ask("POST", self.path(""), body)

    def path(self, name: str) -> str:
        """Of a record's Secret; empty: of all of them."""
        folder = f"/api/v1/namespaces/{self.records_namespace}/secrets"
        return f"{folder}/{NAMESPACE}.{name}" if name else folder

    @staticmethod
    def _labels(name: str) -> dict[str, str]:
        return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.APIKEY_LABEL: name, names.NAMESPACE_LABEL: NAMESPACE}
