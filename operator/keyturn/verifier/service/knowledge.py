"""Keeps the store up to date: public keys first, then the records, each by a watch of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from keyturn.base.clock import utc_now
from keyturn.base.log_output import get_logger
from keyturn.cluster.client import Client
from keyturn.cluster.record_secrets import RECORD_SELECTOR
from keyturn.cluster.watch import Collection, Reflector
from keyturn.keys.verification_keys import CONFIG_MAP_NAME, VerificationKeys
from keyturn.verifier.service import metrics
from keyturn.verifier.service.app_folder import AppFolder
from keyturn.verifier.service.feed import KeysFeed, RecordFeed
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.service.snapshot_writer import SnapshotWriter
from keyturn.verifier.service.start_from_files import keys_in_file, start_from_snapshot
from keyturn.verifier.store import Store, Taken

log = get_logger(__name__)


class Knowledge:
    """Runs until cancelled."""

    def __init__(self, client: Client, settings: VerifierSettings, store: Store, *, app: AppFolder | None = None) -> None:
        self._client, self._settings, self._store, self._app = client, settings, store, app
        self._keys_file = app.keys_file if app is not None else _file(settings.verification_keys_file)
        self._snapshot_file = app.snapshot if app is not None else _file(settings.snapshot)
        self._have_keys = asyncio.Event()
        self._must_list = asyncio.Event()
        self._snapshot = SnapshotWriter(self._snapshot_file) if self._snapshot_file is not None else None
        self._has_started_from_snapshot = False
        self.records = RecordFeed(store, clock=utc_now, on_taken=_count, snapshot=self._snapshot)

    @property
    def snapshot_file(self) -> Path | None:
        """Where the signed records are kept; None: nowhere."""
        return self._snapshot_file

    def complaint(self) -> str | None:
        """Why requests should go to another replica; None: nothing. An API server that goes away later is none: what is known counts."""
        if not self._have_keys.is_set():
            return f"The public keys are not published yet: ConfigMap {self._settings.namespace}/{CONFIG_MAP_NAME}, by the operator"
        return None if self._store.is_complete or self._has_started_from_snapshot else "The records were not read yet"

    def is_ready(self) -> bool:
        """Whether there is no complaint."""
        return self.complaint() is None

    def list_again(self) -> None:
        """What was taken is in doubt: offer every record anew."""
        self._must_list.set()

    async def run(self) -> None:
        """Watch both, for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._start_from_files()
                tasks.create_task(self._watch_keys(), name="public keys")
                await self._have_keys.wait()
                while True:
                    watching = tasks.create_task(self._watch_records(), name="records")
                    await self._must_list.wait()
                    self._must_list.clear()
                    watching.cancel()  # and every record is offered again
        finally:
            if self._snapshot is not None:
                self._snapshot.close()

    async def _start_from_files(self) -> None:
        """What was known before, so that requests can be answered while the API server is away. It is asked next, whatever this gave."""
        keys = keys_in_file(self._keys_file) if self._keys_file is not None else None
        if keys is None:
            return
        self._take_keys(keys)
        if self._snapshot_file is not None:
            records = await start_from_snapshot(self._snapshot_file, self._store, now=utc_now().timestamp())
            self._has_started_from_snapshot = records > 0

    async def _watch_keys(self) -> None:
        path = f"/api/v1/namespaces/{self._settings.namespace}/configmaps"
        collection = Collection(path, field_selector=f"metadata.name={CONFIG_MAP_NAME}")
        await Reflector(self._client, collection, sink=KeysFeed(self._take_keys)).run()

    async def _watch_records(self) -> None:
        path = f"/api/v1/namespaces/{self._settings.records_namespace}/secrets"
        collection = Collection(path, label_selector=RECORD_SELECTOR, from_cache=False)
        await Reflector(self._client, collection, sink=self.records, on_heard=self.records.heard).run()

    def _take_keys(self, keys: VerificationKeys) -> None:
        if self._have_keys.is_set() and keys == self._store.keys:
            return
        log.info("Took the public keys", keys=" ".join(key.key_id for key in keys.keys))
        self._store.keys = keys
        if self._app is not None:
            self._app.write_keys(keys)
        if self._have_keys.is_set():
            self.list_again()
        self._have_keys.set()


def _file(path: str) -> Path | None:
    return Path(path) if path else None


def _count(_record_name: str, taken: Taken) -> None:
    metrics.RECORDS_TAKEN.labels(result=taken.value).inc()
