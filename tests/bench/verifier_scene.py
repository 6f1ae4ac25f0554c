"""A verifier's world for benchmarks: a real API server with records by the thousand, and the real process that reads them.

The records are put straight into etcd, which takes seconds: who reads them from the API server sees no difference.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gen import many_keys, verifying
from gen.signed_keys import record_secret
from gen.verifier_process import VerifierProcess
from keyturn.keys.verification_keys import CONFIG_MAP_NAME
from testbed.plane import Plane, bare

NAMESPACE: Final = "keyturn-system"
RECORDS: Final = "keyturn-verifiers"
NOBODYS: Final = "nobody-reads"
"""A namespace of records that no verifier watches."""
SETTINGS: Final = {"log_level": "info", "lease_duration": "15s", "request_timeout": "30s"}


@dataclass(frozen=True, slots=True)
class Scene:
    """Made by `scene`."""

    plane: Plane
    records: int

    def write(self, number: int, *, namespace: str = RECORDS, **fields: object) -> float:
        """Write the next record of a key and answer when the API server said that it had."""
        secret = record_secret(many_keys.record(number, **fields))
        path = f"/api/v1/namespaces/{namespace}/secrets/{_name(secret)}"
        self.plane.login.ask("PUT", path, body=secret)
        return time.monotonic()

    @contextmanager
    def verifier(self, **settings: str) -> Iterator[VerifierProcess]:
        """One that has read every record."""
        with VerifierProcess.start(self.plane, records_namespace=RECORDS, namespace=NAMESPACE, settings={**SETTINGS, **settings}) as one:
            yield one.wait_ready(patience=300.0)


@contextmanager
def scene(records: int, *, nobodys: int = 0) -> Iterator[Scene]:
    """A plane with so many records, and so many that nobody reads."""
    with Plane.start(bare()) as plane:
        for namespace in (NAMESPACE, RECORDS, NOBODYS):
            plane.create_namespace(namespace)
        body = {"metadata": {"name": CONFIG_MAP_NAME}, "data": verifying.RING.verification_keys.to_data()}
        plane.login.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", body=body)
        plane.store_all(_stored(number, RECORDS) for number in range(records))
        plane.store_all(_stored(number, NOBODYS) for number in range(nobodys))
        yield Scene(plane, records)


def port_of(verifier: VerifierProcess) -> int:
    """Where it answers over HTTP."""
    return int(str(verifier.address).rpartition(":")[2])


def _stored(number: int, namespace: str) -> tuple[str, object]:
    secret = record_secret(many_keys.record(number))
    metadata = secret["metadata"]
    assert isinstance(metadata, dict)
    identity = {"namespace": namespace, "uid": str(UUID(int=number)), "creationTimestamp": "2026-11-24T12:00:00Z"}
    stored = {**secret, "kind": "Secret", "apiVersion": "v1", "metadata": {**metadata, **identity}}
    return f"/registry/secrets/{namespace}/{_name(secret)}", stored


def _name(secret: dict[str, object]) -> str:
    metadata = secret["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])
