"""Who knows a record better than the cluster: verifiers, by their reports, and this process, which saw it before. For `apikey/observe.py`.

What becomes of that decides `lifecycle/restore.py`. What was seen outlives a term of leading (`EarlierTerm`): a term ends when the
cluster goes back in time. Nothing here is needed for safety: what is forgotten, verifiers still refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from keyturn.api.newer_records import NewerRecord
from keyturn.base.clock import DAY
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.cache import Cache, Entry
from keyturn.cluster.client import Client
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.cluster.replica_reports import NEWER_SELECTOR, NewerRecordsReport, decode_newer_records, reports_path
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.controller.installation import Installation
from keyturn.keys.record import Record
from keyturn.keys.record_peek import serial_in
from keyturn.keys.record_signing import Genuine, verify_record
from keyturn.lifecycle.observed import Attestation
from keyturn.lifecycle.restore import attestation_of

log = get_logger(__name__)


@dataclass(slots=True)
class EarlierTerm:
    """Every record as this process saw it last, before its lead ended or the cluster went back."""

    records: dict[Key, StoredRecord] = field(default_factory=dict)
    newer: dict[Key, Record] = field(default_factory=dict)
    """What it knew better than the cluster by then."""


class Witnesses:
    """Belongs to one term and one event loop."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.wake: Callable[[Key], None] = lambda key: None  # noqa: ARG005  until there is a queue
        """Called for a key of which somebody knows something."""
        self._reports = Cache[NewerRecordsReport]()
        self._told: dict[Key, dict[Key, NewerRecord]] = {}
        """By ApiKey, and by the report it stands in."""
        self._seen: dict[Key, Record] = {}
        """Records that were replaced by an older one, or taken away, under the eyes of this process."""

    def reflector(self, client: Client, *, namespace: str) -> Reflector:
        """The watch of what verifiers report."""
        collection = Collection(reports_path(namespace), label_selector=NEWER_SELECTOR)
        return Reflector(client, collection, sink=CacheSink(self._reports, decode=decode_newer_records, on_change=self.note_change))

    def note_change(self, where: Key) -> None:
        """A report is different now, or gone."""
        for reports in self._told.values():
            reports.pop(where, None)
        entry = self._reports.get(where)
        for each in entry.value.records if entry is not None else ():
            key = Key.of_record(each.record_name)
            self._told.setdefault(key, {})[where] = each
            self.wake(key)
        self._told = {key: reports for key, reports in self._told.items() if reports}

    def note_replaced(self, key: Key, before: StoredRecord, after: StoredRecord | None) -> None:
        """Another state of a record took the place of the one that was seen; None: it is gone."""
        serial = serial_in(after.data) if after is not None else -1
        if serial < serial_in(before.data):
            self._remember(key, before)
        elif key in self._seen and self._seen[key].serial <= serial:
            del self._seen[key]

    def compare(self, earlier: EarlierTerm, now: Mapping[Key, Entry[StoredRecord]]) -> None:
        """A term begins: find what this process knew and the cluster does not know any more."""
        self._seen |= earlier.newer
        for key, stored in earlier.records.items():
            entry = now.get(key)
            self.note_replaced(key, stored, entry.value if entry is not None else None)
        earlier.records, earlier.newer = {}, {}
        if self._seen:
            log.warning(
                "The cluster holds older records than this process has seen: it was restored from a backup", records=len(self._seen)
            )

    def hand_over(self, earlier: EarlierTerm, now: Mapping[Key, Entry[StoredRecord]]) -> None:
        """A term ends: the next one of this process is to know what this one knew."""
        earlier.records = {key: entry.value for key, entry in now.items()}
        earlier.newer = dict(self._seen)

    def of(self, key: Key) -> tuple[Attestation, ...]:
        """What is known of one ApiKey's record; signatures are checked here."""
        seen = (attestation_of(self._seen[key]),) if key in self._seen else ()
        return (*(self._attestation(key, each) for each in self._told.get(key, {}).values()), *seen)

    def left_behind(self, now: datetime, *, replicas: frozenset[str]) -> tuple[tuple[Key, Entry[NewerRecordsReport]], ...]:
        """Reports of replicas that are no more, made over a day ago: whatever stood in them was acted on."""
        entries = self._reports.entries().items()
        gone = ((where, entry) for where, entry in entries if entry.value.replica not in replicas)
        return tuple((where, entry) for where, entry in gone if (entry.value.made_time or now) < now - DAY)

    def _remember(self, key: Key, stored: StoredRecord) -> None:
        record = self._believed(key, stored.data, stored.signature)
        if record is not None and (key not in self._seen or self._seen[key].serial < record.serial):
            self._seen[key] = record

    def _attestation(self, key: Key, told: NewerRecord) -> Attestation:
        record = self._believed(key, told.data, told.signature) if told.data else None
        return attestation_of(record) if record is not None else Attestation(told.serial, told.highest, told.live)

    def _believed(self, key: Key, data: bytes, signature: bytes) -> Record | None:
        installation = self._installation
        verdict = verify_record(data, signature=signature, keys=installation.verification_keys, expected=key, installation=installation.id)
        return verdict.record if isinstance(verdict, Genuine) else None
