"""The states of a key version. The table of allowed moves between them is in `lifecycle/versions.py`."""

from __future__ import annotations

from enum import StrEnum


class VersionState(StrEnum):
    """One generation of a credential is in exactly one of these."""

    STAGED = "Staged"
    """Minted and in the record, so verifiers accept it; not yet delivered to its consumer."""
    ACTIVE = "Active"
    """The one in the credential Secret."""
    RETIRING = "Retiring"
    """The one before, accepted until its consumers have moved on, at most until notAfter."""
    RETIRED = "Retired"
    """Ended in the ordinary way. Dead stays dead."""
    REVOKED = "Revoked"
    """Ended by intent. Dead stays dead."""

    @property
    def is_dead(self) -> bool:
        """Whether no verifier may ever accept it again."""
        return self in (VersionState.RETIRED, VersionState.REVOKED)


class Cause(StrEnum):
    """Why a version was minted."""

    ISSUED = "Issued"
    """The ApiKey had no key yet."""
    SCHEDULED = "Scheduled"
    """`rotation.interval` or `rotation.schedule` was due."""
    TRIGGER = "Trigger"
    """`rotation.trigger` changed."""
    REQUESTED = "Requested"
    """The annotation `keyturn.dev/rotate-requested-at` changed."""
    SECRET_LOST = "SecretLost"
    """The credential Secret had vanished."""
    SECRET_TAMPERED = "SecretTampered"
    """The credential Secret no longer held the key it should hold."""
    RECORD_LOST = "RecordLost"
    """The record had vanished or could not be trusted."""
    MIN_VERSION = "MinVersion"
    """`spec.minVersion` ended the version before."""
    REVOKED = "Revoked"
    """The version before was revoked."""
    REPLACED = "Replaced"
    """The version before is revoked, and lives on until its consumers have moved to this one."""
    IMPORTED = "Imported"
    """It was made elsewhere, and `spec.digests` names it."""
    OTHER = "Other"
    """A reason that only a newer operator knows."""
