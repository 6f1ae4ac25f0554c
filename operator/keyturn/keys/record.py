"""The verifier record: the signed ledger of one ApiKey's versions, and everything a verifier needs to decide.

`lifecycle/decide.py` computes the next record, `keys/record_signing.py` turns it into signed bytes,
`cluster/` stores those as a Secret. Fields are only ever appended; `FORMAT` rises when an old reader must not guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.base.version_state import Cause, VersionState

FORMAT: Final = 1
DEAD_LIMIT: Final = 50


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A live version: Staged, Active or Retiring."""

    number: int
    key_id: str
    digest: str
    state: VersionState
    staged_time: datetime
    cause: Cause
    active_time: datetime | None = None
    not_after: datetime | None = None
    imported: bool = False
    """Made elsewhere, in whatever form: verifiers find it by its digest, and only a key of our own form by its key ID too."""
    minted_after: datetime | None = None
    """When the newest ApiKeyRevocation was created that its minter knew of: no earlier one means this version. None: long ago."""
    minted_knowing: tuple[str, ...] = ()
    """Of those that were created in that very second, the uids its minter knew: they do not mean it either."""


@dataclass(frozen=True, slots=True)
class DeadEntry:
    """A tombstone. `state` is Retired or Revoked; `reason` is a word for people and audits."""

    number: int
    key_id: str
    end_time: datetime
    state: VersionState
    reason: str
    cause: Cause
    digest: str = ""
    """Of an imported one: it can be listed again, and must not come back under another key ID."""


@dataclass(frozen=True, slots=True)
class SecretFingerprint:
    """The credential Secret as it was last written: while uid and resourceVersion still match, nobody has touched it."""

    uid: str
    resource_version: str
    version: int
    digest: str
    template_digest: str
    """Of the inputs it was rendered from, token aside: `secretTemplate`, ownership."""
    previous_version: int | None = None
    """Whose plaintext stands in `previous-api-key`, if any."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often the key may be used, as approved. Both from 1 on."""

    requests_per_second: int
    burst: int
    """Requests at once after a while without any."""


@dataclass(frozen=True, slots=True)
class PeriodQuota:
    """How much the key may be used in a period, as approved. Verifiers carry it; nobody counts it yet."""

    requests: int
    """From 1 on."""
    period: str
    """Hour, Day or Month, in UTC; a later one may have others."""


@dataclass(frozen=True, slots=True)
class Record:
    """The whole ledger of one ApiKey. Its Secret's bytes are the canonical JSON of this, signed."""

    installation: str
    namespace: str
    name: str
    uid: str
    serial: int
    """max(old + 1, unix milliseconds): a re-created record is never older than what verifiers hold."""
    change: str
    """What the last write did, for Events and the audit log: one of `lifecycle.plan.Change`."""
    highest: int
    """Highest version number ever given out; kept for good."""
    versions: tuple[VersionEntry, ...] = ()
    dead_through: int = 0
    """Every version up to this number is dead, also those no longer listed in `dead`."""
    dead: tuple[DeadEntry, ...] = ()
    """The last DEAD_LIMIT tombstones, oldest first."""
    audience: str = DEFAULT_AUDIENCE
    product: str | None = None
    plan: str | None = None
    scopes: tuple[str, ...] = ()
    allowed_cidrs: tuple[str, ...] = ()
    max_staleness_seconds: int | None = None
    expiration_time: datetime | None = None
    disabled: bool = False
    retained: bool = False
    retain_on_delete: bool = False
    """deletionPolicy was Retain: known here because the ApiKey is gone when it matters."""
    trigger: str | None = None
    """Last handled `rotation.trigger`."""
    rotate_requested_at: str | None = None
    """Last handled annotation `keyturn.dev/rotate-requested-at`."""
    min_version: int | None = None
    """Last handled `spec.minVersion`."""
    secret: SecretFingerprint | None = None
    ended_time: datetime | None = None
    """When the ApiKey was seen to be gone and everything was revoked."""
    limits: Limits | None = None
    """None: the verifiers' default."""
    access_lost_time: datetime | None = None
    """Since when the product does not let the key have anything; None: it does, or there is no product."""
    revoked_before: datetime | None = None
    """Everything minted before then that was to be revoked, is."""
    revoked_through: int = 0
    """The highest number when that was so: a later version is a successor, whatever its minter's clock said."""
    quota: PeriodQuota | None = None
    """None: as much as it likes."""
    ended_digests: tuple[str, ...] = ()
    """Of keys that were made elsewhere and have no tombstone any more. Kept for good: whoever made such a key can list it again."""
    restored_time: datetime | None = None
    """When an older record was found in its place, and not all that follows from it is over yet; None: nothing of the kind."""

    def version(self, number: int) -> VersionEntry | None:
        """The live version of that number."""
        return next((entry for entry in self.versions if entry.number == number), None)

    def in_state(self, state: VersionState) -> tuple[VersionEntry, ...]:
        """The live versions in one state, lowest number first."""
        found = [entry for entry in self.versions if entry.state is state]
        if len(found) > 1:
            found.sort(key=lambda entry: entry.number)
        return tuple(found)

    @property
    def active(self) -> VersionEntry | None:
        """The version the credential Secret should hold; the highest where a damaged record has several."""
        found: VersionEntry | None = None
        for entry in self.versions:
            if entry.state is VersionState.ACTIVE and (found is None or entry.number > found.number):
                found = entry
        return found

    def with_serial(self, *, now_ms: int) -> Record:
        """The same record with the serial its next write must carry."""
        return replace(self, serial=max(self.serial + 1, now_ms))
