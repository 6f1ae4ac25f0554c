"""One living ApiKey with a record we believe: what every rule of `decide.py` gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base import names
from keyturn.base.version_state import VersionState
from keyturn.keys.record import Record, VersionEntry
from keyturn.lifecycle.consent import Consent
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.plan import Plan, Waiting
from keyturn.lifecycle.restore import highest_annotated
from keyturn.lifecycle.rotation_timing import EffectiveRotation


@dataclass(frozen=True, slots=True)
class Situation:
    """What was seen, unpacked."""

    seen: Observed
    apikey: ApiKey
    record: Record
    timing: EffectiveRotation
    """In force; the defaults where the spec's own cannot be used."""
    problem: Waiting | None
    """Why nothing may be minted or rotated until a person acts."""
    consent: Consent
    """What the key's product lets it have."""

    @property
    def now(self) -> datetime:
        """The one now."""
        return self.seen.now

    @property
    def active(self) -> VersionEntry | None:
        """The version consumers should use."""
        return self.record.active

    @property
    def retiring(self) -> tuple[VersionEntry, ...]:
        """The versions on their way out: one at the most, unless the record was damaged."""
        return self.record.in_state(VersionState.RETIRING)

    @property
    def wanted_staged(self) -> VersionEntry | None:
        """The staged version a rotation under way is about.

        An orphan that was staged before the latest switch is not wanted any more: it stays, harmless, until the next switch (R3).
        Its notAfter says so, which `activate` gave it: two processes' clocks cannot be compared.
        """
        staged = self.record.in_state(VersionState.STAGED)
        return staged[-1] if staged and staged[-1].not_after is None else None

    @property
    def next_number(self) -> int:
        """The number of the next version to mint: never one given out before. The first one of a key may be raised by minVersion.

        The status and an annotation are asked too: they may know numbers that an old record, put back by somebody, does not.
        """
        told = [entry.number for entry in self.apikey.status.versions] if self.apikey.status is not None else []
        least = (self.apikey.spec.min_version or 1) if self.active is None else 1
        return max(self.record.highest + 1, max(told, default=0) + 1, highest_annotated(self.apikey) + 1, least)


Rule = Callable[[Situation], Plan | None]


def rotate_annotation(apikey: ApiKey) -> str | None:
    """The value of `keyturn.dev/rotate-requested-at`."""
    return (apikey.metadata.annotations or {}).get(names.ROTATE_ANNOTATION)


def is_paused(apikey: ApiKey) -> bool:
    """Whether reconciling was stopped by annotation (not to be confused with `disabled`)."""
    return (apikey.metadata.annotations or {}).get(names.PAUSED_ANNOTATION, "false").lower() == "true"
