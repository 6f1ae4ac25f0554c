"""What is in a backup, and whether all of it may be believed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from keyturn.base.clock import format_time
from keyturn.base.errors import UserMustAct
from keyturn.base.names import Key
from keyturn.controller.installation import PREVIOUS_ROOT_DATA_KEY, ROOT_DATA_KEY, Installation
from keyturn.keys.backup import Backup, BackupRecord
from keyturn.keys.record import Record
from keyturn.keys.record_signing import Genuine, verify_record
from keyturn.keys.root_secret import RootSecret


@dataclass(frozen=True, slots=True)
class BackupContents:
    """A backup, checked."""

    backup: Backup
    installation: Installation
    records: tuple[tuple[BackupRecord, Record], ...]
    """Those whose signature holds."""
    refused: tuple[str, ...]
    """Names of the others."""

    @property
    def newest_serial(self) -> int:
        """Of the record that was written last; 0: there is none."""
        return max((record.serial for _, record in self.records), default=0)


def check_backup(backup: Backup) -> BackupContents:
    """Verify every signature by the root secret that is in it. Raises UserMustAct where there is none."""
    installation = installation_of(backup)
    records: list[tuple[BackupRecord, Record]] = []
    refused: list[str] = []
    for each in backup.records:
        verdict = verify_record(
            each.data,
            signature=each.signature,
            keys=installation.verification_keys,
            expected=Key.of_record(each.record_name),
            installation=installation.id,
        )
        if isinstance(verdict, Genuine):
            records.append((each, verdict.record))
        else:
            refused.append(each.record_name)
    return BackupContents(backup, installation, tuple(records), tuple(refused))


def installation_of(backup: Backup) -> Installation:
    """Whose backup it is."""
    try:
        roots = [RootSecret.of(backup.root[name]) for name in (ROOT_DATA_KEY, PREVIOUS_ROOT_DATA_KEY) if name in backup.root]
        return Installation.of(*roots)
    except (ValueError, TypeError):
        raise UserMustAct("The backup holds no root secret", reason="RootSecretMissing") from None


def contents_json(contents: BackupContents) -> dict[str, object]:
    """For scripts, and in sentences for people."""
    live = sum(len(record.versions) for _, record in contents.records)
    newest = _time_of(contents.newest_serial) if contents.newest_serial else None
    return {
        "created": format_time(contents.backup.created),
        "installation": contents.installation.id,
        "signingKeys": [key.key_id for key in contents.installation.verification_keys.keys],
        "records": len(contents.records),
        "liveVersions": live,
        "newestSerial": contents.newest_serial,
        "newestRecordTime": format_time(newest) if newest is not None else None,
        "revocations": len(contents.backup.revocations),
        "recordsNotBelieved": list(contents.refused),
    }


def _time_of(serial: int) -> datetime | None:
    """When a record of that serial was written; None: at no time that there is. Whoever knows a public key can make a backup."""
    try:
        return datetime.fromtimestamp(serial / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
