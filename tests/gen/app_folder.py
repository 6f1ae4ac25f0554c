"""The folder that a verifier shares with an application, filled by the verifier's own code; a test says what the API server sends.

beside = VerifierBeside(tmp_path)
beside.list(verifying.record())
guard = guard_from(tmp_path)
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from threading import Event

from gen import verifying
from keyturn.keys.record import Record
from keyturn.keys.root_secret import SigningRing
from keyturn.verifier.service.app_folder import AppFolder
from keyturn.verifier.service.feed import RecordFeed
from keyturn.verifier.service.snapshot_writer import SnapshotWriter
from keyturn.verifier.store import Store


class VerifierBeside:
    """A verifier in the same pod. `now` is its clock."""

    def __init__(self, folder: Path, *, now: datetime = verifying.NOW, ring: SigningRing = verifying.RING) -> None:
        self.now, self.store, self._ring = now, Store(ring.verification_keys), ring
        self.folder = AppFolder(folder)
        self._writer = SnapshotWriter(self.folder.snapshot)
        self._feed = RecordFeed(self.store, clock=lambda: self.now, on_taken=lambda _name, _taken: None, snapshot=self._writer)
        self.folder.write_keys(ring.verification_keys)

    def list(self, *records: Record) -> None:
        """Read all records."""
        self._feed.begin_list()
        for record in records:
            self._feed.take_listed(self._secret(record))
        self._feed.end_list(10)
        self._settle()

    def change(self, record: Record, *, is_deletion: bool = False) -> None:
        """See one written, or gone."""
        self._feed.take_change(self._secret(record), is_deletion=is_deletion, resource_version=11)
        self._settle()

    def hear(self) -> None:
        """A bookmark."""
        self._feed.heard()
        self._settle()

    def _secret(self, record: Record) -> dict[str, object]:
        return verifying.secret_of(verifying.offered(record, ring=self._ring))

    def _settle(self) -> None:
        """The writer flushes after its last task: after the first of these two at the latest."""
        for _ in range(2):
            done = Event()
            self._writer._tasks.put(done.set)
            assert done.wait(10.0)
