"""A backup of the ledger as bytes: root secret, records, published keys, revocations. Only ever written encrypted (`age_envelope.py`).

One JSON object. What is in it is believed on account of the signatures, which the root secret in it verifies; fields are only appended.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.base.clock import format_time, parse_time
from keyturn.base.errors import KeyturnError
from keyturn.base.plaintext import SecretBytes

FORMAT: Final = 1


class BackupDamaged(KeyturnError):
    """The bytes are no backup, or one of a newer Keyturn."""


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """A verifier record as it stood in its Secret."""

    record_name: str
    data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Backup:
    """Everything that stands a ledger up again."""

    created: datetime
    root: Mapping[str, SecretBytes]
    """The entries of the root Secret, by name."""
    records: tuple[BackupRecord, ...]
    published: Mapping[str, str]
    """The entries of the ConfigMap with the public keys."""
    revocations: tuple[Mapping[str, object], ...]
    """ApiKeyRevocations, as they would be applied anew."""


def encode_backup(backup: Backup) -> bytes:
    """Write it, for encryption and for nothing else."""
    fields = {
        "keyturn-backup": FORMAT,
        "created": format_time(backup.created),
        "root": {name: _text(value.reveal()) for name, value in backup.root.items()},
        "records": [[each.record_name, _text(each.data), _text(each.signature)] for each in backup.records],
        "published": dict(backup.published),
        "revocations": list(backup.revocations),
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def decode_backup(opened: SecretBytes) -> Backup:
    """Read what `encode_backup` wrote; raise BackupDamaged, which repeats nothing of it."""
    try:
        fields = json.loads(opened.reveal())
        if fields["keyturn-backup"] != FORMAT:
            raise BackupDamaged(f"the backup has another format than {FORMAT}: it was made by a newer Keyturn")
        return Backup(
            created=parse_time(fields["created"]),
            root={str(name): SecretBytes("root secret", _bytes(value)) for name, value in fields["root"].items()},
            records=tuple(BackupRecord(str(name), _bytes(data), _bytes(signature)) for name, data, signature in fields["records"]),
            published={str(name): str(value) for name, value in fields["published"].items()},
            revocations=tuple(dict(each) for each in fields["revocations"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BackupDamaged("it holds no backup of Keyturn") from None


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
