"""Watches records and credential Secrets of one namespace, state by state, and holds the laws against each of them.

One watch over all Secrets delivers every write in the order the store took them: no state between two writes is missed.

    with LawWatch(plane, namespace=namespace, records_namespace=records) as laws: ...
    laws.check()
"""

from __future__ import annotations

import base64
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from keyturn.base.names import Key
from keyturn.keys.digest import digest_token
from keyturn.keys.record import Record
from keyturn.keys.record_signing import Genuine, verify_record
from keyturn.keys.verification_keys import VerificationKeys
from testbed.cluster import ApiFailed, Cluster

PATH = "/api/v1/secrets"
SELECTOR = quote("app.kubernetes.io/managed-by=keyturn")


@dataclass(slots=True)
class Life:
    """What was seen of one ApiKey's record and Secret."""

    record: Record | None = None
    token: str | None = None
    """In the credential Secret now."""
    secret_version: int = 0
    records: list[Record] = field(default_factory=list)
    """Every state of the record, in order."""
    delivered: set[str] = field(default_factory=set)
    """Digests of every token that was ever in the Secret."""
    numbers: dict[int, str] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    not_after: dict[str, datetime] = field(default_factory=dict)


class LawWatch:
    """Runs in a thread from `with` to its end. `complaints` are broken laws; `tokens` is every token that was ever in a Secret."""

    def __init__(self, plane: Cluster, *, namespace: str, records_namespace: str, operator_namespace: str | None = None) -> None:
        self._plane = plane
        self._namespace, self._records_namespace = namespace, records_namespace
        self._operator_namespace = operator_namespace or f"{records_namespace}-system"
        self._keys: VerificationKeys | None = None
        self._version = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="law-watch", daemon=True)
        self._connection: HTTPSConnection | None = None
        self.lives: dict[str, Life] = {}
        self.complaints: list[str] = []
        self.tokens: set[str] = set()
        self.outage_is_meant = False
        """Keys end by intent: that a Secret's key is not accepted is no complaint then."""

    def __enter__(self) -> Self:
        self._list()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(2)
        self._thread.join(10)

    def check(self) -> None:
        """Fail with every law that was broken so far."""
        assert not self.complaints, "\n".join(self.complaints)

    def life(self, name: str) -> Life:
        """What was seen of an ApiKey."""
        return self.lives.setdefault(name, Life())

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow()
            except (OSError, HTTPException, ValueError, AttributeError, ApiFailed):  # the API server is away, or this is the end
                self._ended.wait(0.1)

    def _list(self) -> None:
        listed = json.loads(self._plane.login.ask("GET", f"{PATH}?labelSelector={SELECTOR}"))
        for item in listed["items"]:
            self._take("ADDED", item)
        self._version = listed["metadata"]["resourceVersion"]

    def _follow(self) -> None:
        login = self._plane.login
        parts = urlsplit(login.url)
        self._connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=400, context=login.tls)
        query = f"{PATH}?watch=1&labelSelector={SELECTOR}&allowWatchBookmarks=true&resourceVersion={self._version}"
        headers = {"Authorization": f"Bearer {login.token}"} if login.token else {}
        try:
            self._connection.request("GET", query, headers=headers)
            answer = self._connection.getresponse()
            if answer.status != HTTPStatus.OK:
                raise ApiFailed(answer.status, "watch")
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":  # a restarted API server knows no history: some states are missed then
                    self._list()
                    return
                self._version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take(event["type"], event["object"])
        finally:
            self._connection.close()

    def _take(self, what: str, secret: dict[str, Any]) -> None:
        metadata = secret["metadata"]
        labels = metadata.get("labels", {})
        name, gone = labels.get("keyturn.dev/apikey", ""), what == "DELETED"
        if metadata["namespace"] == self._records_namespace and labels.get("keyturn.dev/namespace") == self._namespace:
            self._take_record(name, None if gone else secret["data"])
        elif metadata["namespace"] == self._namespace and secret["type"] == "keyturn.dev/api-key":
            self._take_secret(self.life(name), name, None if gone else secret)

    def _take_record(self, name: str, data: dict[str, str] | None) -> None:
        life = self.life(name)
        if data is None:
            life.record = None
            return
        verdict = verify_record(
            base64.b64decode(data["record"]),
            signature=base64.b64decode(data["signature"]),
            keys=self._verification_keys(),
            expected=Key(self._namespace, name),
            installation=None,
        )
        if not isinstance(verdict, Genuine):
            self.complaints.append(f"{name}: the record cannot be believed: {verdict}")
            return
        before, record = life.record, verdict.record
        if before is not None and before == record:
            return
        life.record = record
        life.records.append(record)
        self._check_record(life, name, before)
        self._check_both(life, name)

    def _check_record(self, life: Life, name: str, before: Record | None) -> None:
        record = life.record
        assert record is not None
        if before is not None and record.serial <= before.serial:
            self.complaints.append(f"{name}: the serial went from {before.serial} to {record.serial}")
        if before is not None and record.highest < before.highest:
            self.complaints.append(f"{name}: the highest number went from {before.highest} to {record.highest}")
        live, buried = {entry.key_id for entry in record.versions}, {entry.key_id for entry in record.dead}
        gone = {entry.key_id for entry in before.versions} - live if before is not None else set()
        for risen in life.dead & live:
            self.complaints.append(f"{name}: {risen} was dead and is accepted again")
        for lost in gone - buried:
            self.complaints.append(f"{name}: {lost} vanished from the record without a tombstone")
        life.dead |= gone | buried
        self._check_versions(life, name, record)

    def _check_versions(self, life: Life, name: str, record: Record) -> None:
        for entry in (*record.versions, *record.dead):
            known = life.numbers.setdefault(entry.number, entry.key_id)
            if known != entry.key_id:
                self.complaints.append(f"{name}: number {entry.number} was {known} and is now {entry.key_id}")
        for entry in record.versions:
            limit = life.not_after.get(entry.key_id)
            if limit is not None and (entry.not_after is None or entry.not_after > limit):
                self.complaints.append(f"{name}: notAfter of {entry.key_id} grew from {limit} to {entry.not_after}")
            if entry.not_after is not None:
                life.not_after[entry.key_id] = entry.not_after

    def _take_secret(self, life: Life, name: str, secret: dict[str, Any] | None) -> None:
        if secret is None:
            life.token = None
            return
        data = {field: base64.b64decode(value).decode() for field, value in secret.get("data", {}).items()}
        annotations = secret["metadata"].get("annotations", {})
        life.token = data.get("api-key")
        version = int(annotations.get("keyturn.dev/version", "0"))
        if version < life.secret_version:
            self.complaints.append(f"{name}: R1: the Secret went from version {life.secret_version} back to {version}")
        life.secret_version = version
        if life.token is not None:
            self.tokens |= {token for field, token in data.items() if field in {"api-key", "previous-api-key"}}
            life.delivered.add(digest_token(life.token))
        self._check_both(life, name)

    def _check_both(self, life: Life, name: str) -> None:
        if life.record is None:
            return
        now = datetime.now(UTC)
        accepted = {entry.digest for entry in life.record.versions if entry.not_after is None or entry.not_after > now}
        if len(accepted & life.delivered) > 2:
            self.complaints.append(f"{name}: R5: {len(accepted & life.delivered)} delivered versions are accepted")
        if life.token is not None and digest_token(life.token) not in accepted and not self.outage_is_meant:
            states = [(entry.number, str(entry.state)) for entry in life.record.versions]
            self.complaints.append(f"{name}: the Secret holds version {life.secret_version}, the record accepts {states}")

    def _verification_keys(self) -> VerificationKeys:
        if self._keys is None:
            path = f"/api/v1/namespaces/{self._operator_namespace}/configmaps/keyturn-verification-keys"
            self._keys = VerificationKeys.from_data(json.loads(self._plane.login.ask("GET", path))["data"])
        return self._keys
