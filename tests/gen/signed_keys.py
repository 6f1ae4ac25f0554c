"""Keys without an operator: signed records in a namespace of a real API server, where a real verifier reads them.

keys = SignedKeys(plane, records_namespace="records", namespace="system")      # publishes the public keys
token = keys.issue("billing", audience="orders", scopes=("orders:read",))
keys.change("billing", disabled=True)                                          # the next record of the same key
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from gen import verifying
from keyturn.base import names
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import DeadEntry, Record
from keyturn.keys.token_format import format_token
from keyturn.keys.verification_keys import CONFIG_MAP_NAME
from testbed.cluster import Cluster

TEAM: Final = "team-a"


class SignedKeys:
    """The keys of one team, as the operator would have recorded them."""

    def __init__(self, plane: Cluster, *, records_namespace: str, namespace: str) -> None:
        self._plane, self._path = plane, f"/api/v1/namespaces/{records_namespace}/secrets"
        self._said: dict[str, dict[str, object]] = {}
        body = {"metadata": {"name": CONFIG_MAP_NAME}, "data": verifying.RING.verification_keys.to_data()}
        plane.login.ask("POST", f"/api/v1/namespaces/{namespace}/configmaps", body=body)

    def issue(self, name: str, **fields: object) -> str:
        """Write the first record of a key and answer its token. `fields` are a Record's."""
        key_id = hashlib.sha256(name.encode()).hexdigest()[:12]
        token = format_token("kt", key_id=key_id, secret="s" * 43)
        self._said[name] = {"token": token, "serial": 1, "name": name, **fields}
        secret = self._secret(name)
        self._plane.login.ask("POST", self._path, body=secret)
        return token

    def change(self, name: str, **fields: object) -> None:
        """Write the key's next record: as before, but for `fields`."""
        said = self._said[name]
        self._said[name] = {**said, "serial": int(str(said["serial"])) + 1, **fields}
        secret = self._secret(name)
        self._plane.login.ask("PUT", f"{self._path}/{TEAM}.{name}", body=secret)

    def revoke(self, name: str) -> None:
        """Write that its one version was revoked."""
        number, key_id = 3, str(self._said[name]["token"])[3:15]
        dead = DeadEntry(number, key_id, verifying.NOW, VersionState.REVOKED, reason="Revoked", cause=Cause.MIN_VERSION)
        self.change(name, versions=(), dead=(dead,))

    def _secret(self, name: str) -> dict[str, object]:
        return record_secret(verifying.record(**self._said[name]))


def record_secret(record: Record) -> dict[str, object]:
    """The Secret that the operator would write."""
    offered = verifying.offered(record)
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.NAMESPACE_LABEL: record.namespace, names.APIKEY_LABEL: record.name}
    data = {"record": offered.data, "signature": offered.signature}
    return {
        "metadata": {"name": offered.record_name, "labels": labels},
        "type": names.RECORD_TYPE,
        "data": {field: base64.b64encode(value).decode() for field, value in data.items()},
    }
