"""Reads from the cluster what goes into a backup. For `backup_command.py`."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING

from keyturn.base.errors import UserMustAct
from keyturn.base.plaintext import SecretBytes
from keyturn.cli.backups.revocation_folder import as_applied_anew
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.apikeyrevocations import COLLECTION_PATH
from keyturn.cluster.chunks import list_in_chunks
from keyturn.cluster.raw import texts_of
from keyturn.cluster.record_secrets import list_records
from keyturn.keys.backup import Backup, BackupRecord
from keyturn.keys.verification_keys import CONFIG_MAP_NAME

if TYPE_CHECKING:
    from keyturn.cli.backups.ledger import Ledger
    from keyturn.cluster.client import Client


async def read_backup(client: Client, ledger: Ledger, *, now: datetime) -> Backup:
    """The records first: none of them may be newer than what the revocations explain. Raises as `Client.get`, and UserMustAct."""
    records = await list_records(client, namespace=ledger.records_namespace)
    root = await _read_root(client, ledger)
    published = await client.get(f"/api/v1/namespaces/{ledger.namespace}/configmaps/{CONFIG_MAP_NAME}")
    revocations = await list_in_chunks(client, COLLECTION_PATH)
    return Backup(
        created=now,
        root=root,
        records=tuple(BackupRecord(key.record_name, entry.value.data, entry.value.signature) for key, entry in records),
        published=texts_of(published, "data"),
        revocations=tuple(as_applied_anew(each) for each in revocations),
    )


async def _read_root(client: Client, ledger: Ledger) -> dict[str, SecretBytes]:
    where = f"{ledger.namespace}/{ledger.root_secret}"
    try:
        raw = await client.get(f"/api/v1/namespaces/{ledger.namespace}/secrets/{ledger.root_secret}")
        return {name: SecretBytes("root secret", base64.b64decode(value, validate=True)) for name, value in texts_of(raw, "data").items()}
    except NotFound:
        raise UserMustAct(f"There is no root Secret {where}: nothing was backed up", reason="RootSecretMissing") from None
    except binascii.Error:
        raise UserMustAct(f"The root Secret {where} cannot be read: nothing was backed up", reason="RootSecretMissing") from None
