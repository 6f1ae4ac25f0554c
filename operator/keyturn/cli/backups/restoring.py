"""Puts the ledger of a backup back: root Secret, public keys, records. Never over anything newer. For `recover_command.py`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyturn.base.errors import Conflict, KeyturnError, UserMustAct
from keyturn.base.names import Key
from keyturn.base.wording import counted
from keyturn.cli.backups.whose_backup import Standing, why_not_here
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of, worst
from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.raw import texts_of
from keyturn.cluster.record_secrets import RecordSecrets, StoredRecord, list_records
from keyturn.cluster.root_objects import published_keys_manifest, root_secret_manifest
from keyturn.keys.record_peek import installation_in, serial_in
from keyturn.keys.verification_keys import CONFIG_MAP_NAME

if TYPE_CHECKING:
    from keyturn.base.plaintext import SecretBytes
    from keyturn.cli.backups.backup_check import BackupContents
    from keyturn.cli.backups.ledger import Ledger
    from keyturn.cli.deps import Deps
    from keyturn.cluster.cache import Entry
    from keyturn.cluster.client import Client
    from keyturn.keys.backup import BackupRecord

_PROGRESS_EVERY: Final = 500
PAST_THE_POLICIES: Final = (
    "To go past the policies: --as $USER --as-group system:masters --as-group keyturn:break-glass, see docs/how-to/break-glass.md"
)


@dataclass(slots=True)
class Restoring:
    """One run."""

    client: Client
    deps: Deps
    ledger: Ledger
    dry_run: bool

    async def run(self, contents: BackupContents) -> ExitCode:
        """Put back what is missing or older. Raises UserMustAct where the cluster is of another installation: then nothing is written."""
        held = counted(len(contents.records), "record")
        self.deps.console.say(f"The backup was made at {contents.backup.created:%Y-%m-%d %H:%M:%SZ} and holds {held}")
        self.deps.console.say(f"It is of installation {contents.installation.id}")
        if contents.refused:
            self.deps.console.warn(f"Left out: {counted(len(contents.refused), 'record')} whose signature does not hold")
        try:
            there = await self._put_roots_back(contents)
        except Forbidden as refused:
            failure = failure_of(refused)
            self.deps.console.complain(f"{failure.sentence}. {PAST_THE_POLICIES}" if refused.denied_by else failure.sentence)
            return failure.code
        codes, put = [ExitCode.FINE], 0
        for number, (each, record) in enumerate(contents.records, start=1):
            entry = there.get(each.record_name)
            if entry is None or serial_in(entry.value.data) < record.serial:
                codes.append(await self._put_record_back(each, entry))
                put += codes[-1] is ExitCode.FINE
            if number % _PROGRESS_EVERY == 0:
                self.deps.console.say(f"Looked at {number} of {held}")
        would = " (dry run: nothing was changed)" if self.dry_run else ""
        self.deps.console.say(f"Missing or older: {counted(put, 'record')}; left alone: {len(contents.records) - put}{would}")
        return worst(codes)

    async def _put_roots_back(self, contents: BackupContents) -> dict[str, Entry[StoredRecord]]:
        """Root Secret and public keys, where they are missing. Answers the records that are there."""
        root, published = await self._data_of("secrets", self.ledger.root_secret), await self._data_of("configmaps", CONFIG_MAP_NAME)
        there = {key.record_name: entry for key, entry in await list_records(self.client, namespace=self.ledger.records_namespace)}
        named = (installation_in(entry.value.data) for entry in there.values())
        obstacle = why_not_here(contents.installation, Standing(root, published, frozenset(name for name in named if name)))
        if obstacle is not None:
            raise UserMustAct(obstacle, reason="UnknownSigner")
        if not root:
            await self._put_root_back(contents.backup.root)
        if not published:
            await self._publish(contents.backup.published)
        return there

    async def _data_of(self, kind: str, name: str) -> Mapping[str, str]:
        """Empty: there is no such object."""
        try:
            return texts_of(await self.client.get(f"/api/v1/namespaces/{self.ledger.namespace}/{kind}/{name}"), "data")
        except NotFound:
            return {}

    async def _put_root_back(self, root: Mapping[str, SecretBytes]) -> None:
        wanted = {name: base64.b64encode(value.reveal()).decode() for name, value in root.items()}
        await self._create(
            f"/api/v1/namespaces/{self.ledger.namespace}/secrets",
            root_secret_manifest(wanted, namespace=self.ledger.namespace, name=self.ledger.root_secret),
        )
        self._say_created(f"Put root Secret {self.ledger.namespace}/{self.ledger.root_secret} back")

    def _say_created(self, sentence: str) -> None:
        self.deps.console.say(sentence + (" (server dry run)" if self.dry_run else ""))

    async def _publish(self, published: Mapping[str, str]) -> None:
        body = published_keys_manifest(published, namespace=self.ledger.namespace)
        await self._create(f"/api/v1/namespaces/{self.ledger.namespace}/configmaps", body)
        self._say_created(f"Put ConfigMap {self.ledger.namespace}/{CONFIG_MAP_NAME} back")

    async def _put_record_back(self, each: BackupRecord, entry: Entry[StoredRecord] | None) -> ExitCode:
        if self.dry_run:
            return ExitCode.FINE
        secrets, key = RecordSecrets(self.client, namespace=self.ledger.records_namespace), Key.of_record(each.record_name)
        stored = StoredRecord(each.data, each.signature)
        try:
            if entry is None:
                await secrets.create(key, stored)
            else:
                await secrets.replace(key, stored, uid=entry.uid, resource_version=entry.resource_version)
        except Conflict:
            self.deps.console.warn(f"{each.record_name} was written at the same moment and left alone: run it again")
            return ExitCode.FAILED
        except KeyturnError as error:
            failure = failure_of(error)
            self.deps.console.complain(f"{each.record_name}: {failure.sentence}")
            return failure.code
        return ExitCode.FINE

    async def _create(self, path: str, manifest: Mapping[str, object]) -> None:
        await self.client.post(path, manifest, query={"dryRun": "All"} if self.dry_run else None)
