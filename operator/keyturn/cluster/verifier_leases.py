"""Leases of verifiers: each replica says in its own which changes of the records it has in force, for the operator to read.

docs/reference/verifier-leases.md describes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keyturn.api.use_report import REPORTED_TIME_ANNOTATION
from keyturn.base import names
from keyturn.base.clock import Clock, parse_time, utc_now
from keyturn.base.names import Key
from keyturn.cluster.api_errors import AlreadyExists, NotFound
from keyturn.cluster.client import Client
from keyturn.cluster.lease import micro_time
from keyturn.cluster.raw import mapping_of, resource_version_of, text_of, texts_of

VERIFIER_SELECTOR: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}={names.VERIFIER}"
NAME_PREFIX: Final = "verifier-"
USUAL_DURATION: Final = timedelta(seconds=15)
LONGEST_DURATION: Final = timedelta(minutes=5)
"""A replica that died holds rotations up for no longer, whatever its Lease says."""


@dataclass(frozen=True, slots=True)
class VerifierLease:
    """One replica's Lease. What cannot be read in it counts as the least: nothing applied."""

    identity: str
    """Which replica: the Lease's name without what all of them begin with."""
    holder: str
    """Which process of that identity."""
    renewal: str
    """The renewTime as it stands there: a text to see changes by, for its writer's clock is not ours."""
    duration: timedelta
    applied: int
    refused: frozenset[str]
    use_reported_time: datetime | None = None
    """Up to when it has told every use of versions on their way out, by its own clock."""

    @property
    def end_time(self) -> datetime | None:
        """When it ends unless it is renewed, by its writer's clock; None: the renewal cannot be read."""
        renewed = _instant(self.renewal)
        try:
            return renewed + self.duration if renewed is not None else None
        except OverflowError:
            return None


def leases_path(namespace: str) -> str:
    """The collection of a namespace's Leases."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def decode_verifier_lease(raw: Mapping[str, object]) -> tuple[Key, VerifierLease] | None:
    """Read a Lease; None for one that is no verifier's."""
    metadata, spec = mapping_of(raw, "metadata"), mapping_of(raw, "spec")
    if texts_of(metadata, "labels").get(names.COMPONENT_LABEL) != names.VERIFIER:
        return None
    notes = texts_of(metadata, "annotations")
    name = text_of(metadata, "name")
    lease = VerifierLease(
        identity=name.removeprefix(NAME_PREFIX),
        holder=text_of(spec, "holderIdentity"),
        renewal=text_of(spec, "renewTime"),
        duration=_duration(spec.get("leaseDurationSeconds")),
        applied=_resource_version(notes.get(names.APPLIED_ANNOTATION, "")),
        refused=frozenset(notes.get(names.REFUSED_ANNOTATION, "").split()),
        use_reported_time=_instant(notes.get(REPORTED_TIME_ANNOTATION, "")),
    )
    return Key(text_of(metadata, "namespace"), name), lease


class OwnLease:
    """The Lease of one replica, written by it alone. Every write is conditional on the one before, so that another writer is noticed."""

    def __init__(self, client: Client, *, namespace: str, identity: str, holder: str, duration: timedelta, clock: Clock = utc_now) -> None:
        self._client = client
        self._collection = leases_path(namespace)
        self._name = NAME_PREFIX + identity
        self._path = f"{self._collection}/{self._name}"
        self._clock = clock
        self.holder = holder
        self.duration = duration
        self.resource_version = 0
        """Of the state that the next write replaces; 0: there is none, or it was not looked at."""

    async def write(self, *, applied: int, refused: Iterable[str], notes: Mapping[str, str]) -> None:
        """Renew it; `notes`: further annotations. Raises Conflict: somebody else wrote.

        The first write takes over what a process of the same identity left.
        """
        told = {**notes, names.APPLIED_ANNOTATION: str(applied), names.REFUSED_ANNOTATION: " ".join(refused)}
        if not self.resource_version:
            try:
                self._took(await self._call("POST", self._collection, self._manifest(told)))
            except AlreadyExists:
                self.resource_version = resource_version_of(await self._call("GET", self._path))
            else:
                return
        self._took(await self._call("PUT", self._path, self._manifest(told)))

    async def look(self) -> tuple[VerifierLease | None, int]:
        """What stands there now, and its resource version. None: nothing of ours."""
        try:
            raw = await self._call("GET", self._path)
        except NotFound:
            return None, 0
        decoded = decode_verifier_lease(raw)
        return decoded[1] if decoded is not None else None, resource_version_of(raw)

    async def delete(self) -> None:
        """Nobody need wait for this replica any more."""
        with suppress(NotFound):
            await self._call("DELETE", self._path, None)

    def _took(self, answer: Mapping[str, object]) -> None:
        self.resource_version = resource_version_of(answer)

    async def _call(self, method: str, path: str, body: object | None = None) -> Mapping[str, object]:
        """Given up in time for another try before the Lease ends."""
        return await self._client.request(method, path, body=body, timeout=self.duration / 3)

    def _manifest(self, told: Mapping[str, str]) -> dict[str, object]:
        labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: names.VERIFIER}
        version = {"resourceVersion": str(self.resource_version)} if self.resource_version else {}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "labels": labels, "annotations": dict(told), **version},
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": max(1, math.ceil(self.duration.total_seconds())),
                "renewTime": micro_time(self._clock()),
            },
        }


def _duration(seconds: object) -> timedelta:
    if not isinstance(seconds, int) or seconds <= 0:
        return USUAL_DURATION
    return min(timedelta(seconds=min(seconds, 2**20)), LONGEST_DURATION)


def _instant(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def _resource_version(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0  # noqa: PLR2004  as long as 64 bits are
