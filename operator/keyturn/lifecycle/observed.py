"""Everything one decision may look at, frozen, with the one `now`.

`controller/apikey/observe.py` fills it; `decide.py` and `conclude.py` read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.clock import SECOND
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.keys.record import Record, SecretFingerprint
from keyturn.lifecycle.consent import ProductSeen
from keyturn.lifecycle.contest import EditsUndone
from keyturn.lifecycle.old_key_use import NOBODY_REPORTS, KeyUse
from keyturn.lifecycle.plan import Waiting
from keyturn.lifecycle.revocation_hit import NewestRevocations, RevocationHit
from keyturn.lifecycle.rollout_memory import RolloutFacts

REFUSAL_RECHECK: Final = 30 * SECOND
"""A refusal lasts until a person acts, and thousands of keys may meet the same one."""


@dataclass(frozen=True, slots=True)
class NoRecord:
    """There is no record of that name."""


@dataclass(frozen=True, slots=True)
class GoodRecord:
    """A record whose signature, name and installation are ours."""

    record: Record


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record nobody may believe. `replaceable`: it may be overwritten; otherwise a person must look first."""

    reason: str
    message: str
    replaceable: bool


RecordSeen = NoRecord | GoodRecord | BadRecord


@dataclass(frozen=True, slots=True)
class RecordMark:
    """Which state of the record's Secret was seen, believed or not: the next write goes over exactly that one (R4)."""

    uid: str
    resource_version: int


@dataclass(frozen=True, slots=True)
class NoSecret:
    """There is no credential Secret, as far as the watch tells."""


@dataclass(frozen=True, slots=True)
class ForeignSecret:
    """A Secret of that name that is not ours: nothing is ever written to it."""

    why: str
    works: bool = False
    """It holds the right token all the same: ours once, and made immutable since."""


@dataclass(frozen=True, slots=True)
class OurSecret:
    """The credential Secret. `intact`: the token in it is the one that its key ID and version name, by adoption tag."""

    fingerprint: SecretFingerprint
    key_id: str
    intact: bool
    token_digest: str | None = None
    """Of the token it holds, where that was read."""

    @property
    def version(self) -> int:
        """The version it says it holds."""
        return self.fingerprint.version


@dataclass(frozen=True, slots=True)
class UnreadableSecret:
    """The API server forbids to look, so nobody knows what stands there: neither that the key is in place nor that it is lost."""

    why: Waiting


SecretSeen = NoSecret | ForeignSecret | OurSecret | UnreadableSecret


@dataclass(frozen=True, slots=True)
class LiveVerifier:
    """What a verifier whose Lease runs says it has in force."""

    name: str
    applied: int
    """Every change of the records up to this resource version, but for those it refuses."""
    refused: frozenset[str] = frozenset()
    """Names of records that it was offered and does not have in force as offered."""

    def has_applied(self, record_name: str, resource_version: int) -> bool:
        """Whether that state of the record, or a later one, is in force there."""
        return self.applied >= resource_version and record_name not in self.refused


@dataclass(frozen=True, slots=True)
class Attestation:
    """What somebody knows of the record beside the cluster: every number up to `highest` is dead but for the versions in `live`."""

    serial: int
    highest: int
    live: frozenset[str]
    """Key IDs."""
    record: Record | None = None
    """All of it, where there is a signature of ours; None: it is only said, which ends keys and brings back none."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The other ApiKey whose key a listed one is, or was."""

    key: Key
    has_ended: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """One ApiKey and all that belongs to it, as one reconcile sees it."""

    now: datetime
    key: Key
    apikey: ApiKey | None
    """None: it is gone, or going."""
    record: RecordSeen
    secret: SecretSeen
    settings: Settings
    installation: str
    record_mark: RecordMark | None = None
    """None: there was no record."""
    verifiers: tuple[LiveVerifier, ...] = ()
    """Those that must know a version before it is delivered; none: a delay stands in for them."""
    held: frozenset[tuple[int, str]] = frozenset()
    """(version, key ID) of the staged versions whose plaintext this process holds."""
    attestations: tuple[Attestation, ...] = ()
    """Where somebody knows the record better than the cluster does."""
    product: ProductSeen | None = None
    """Of the ApiProduct that the spec refers to; None: there is no productRef, or nothing was read yet."""
    elsewhere: Mapping[str, Holder] = field(default_factory=dict)
    """Digests of the spec whose key belongs to another ApiKey, dead or alive."""
    revocations: tuple[RevocationHit, ...] = ()
    """Those that concern the record, carried out already or not."""
    newest_revocations: NewestRevocations | None = None
    """Of all that were ever seen here."""
    use: KeyUse = NOBODY_REPORTS
    """What verifiers report."""
    rollout: RolloutFacts | None = None
    rollout_unseen: Waiting | None = None
    """Why pods or workloads could not be read though they should have been."""
    pacer_time: datetime | None = None
    """When the pacer lets the next scheduled rotation of this namespace start; None: at once."""
    conflicts: int = 0
    """How many ApiKeys of the namespace wait for somebody else's Secret to go."""
    edits_undone: EditsUndone | None = None
    """Edits beside the key that this process undid lately."""
    announced_serial: int = 0
    """The record's serial up to which this process has written audit lines and Events."""
    clock_is_off: bool = False
    """Our clock and the API server's differ too much for any step that depends on the time."""
    spec_problem: str | None = None
    """The spec could not be read: why, and what to write."""
