"""Leases of verifiers: each replica says in its own which changes of the records it has in force, for the operator to read.

docs/reference/verifier-leases.md describes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keyturn.api.use_report import REPORTED_TIME_ANNOTATION
from keyturn.base import names
from keyturn.base.clock import parse_time
from keyturn.base.names import Key
from keyturn.cluster.raw import mapping_of, text_of, texts_of

VERIFIER_SELECTOR: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}={names.VERIFIER}"
USUAL_DURATION: Final = timedelta(seconds=15)
LONGEST_DURATION: Final = timedelta(minutes=5)
"""A replica that died holds rotations up for no longer, whatever its Lease says."""


@dataclass(frozen=True, slots=True)
class VerifierLease:
    """One replica's Lease. What cannot be read in it counts as the least: nothing applied."""

    identity: str
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
        identity=text_of(spec, "holderIdentity") or name,
        renewal=text_of(spec, "renewTime"),
        duration=_duration(spec.get("leaseDurationSeconds")),
        applied=_resource_version(notes.get(names.APPLIED_ANNOTATION, "")),
        refused=frozenset(notes.get(names.REFUSED_ANNOTATION, "").split()),
        use_reported_time=_instant(notes.get(REPORTED_TIME_ANNOTATION, "")),
    )
    return Key(text_of(metadata, "namespace"), name), lease


def _duration(seconds: object) -> timedelta:
    if not isinstance(seconds, int) or seconds <= 0:
        return USUAL_DURATION
    return min(timedelta(seconds=min(seconds, 2**20)), LONGEST_DURATION)


def _instant(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        return None


def _resource_version(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0  # noqa: PLR2004  as long as 64 bits are
