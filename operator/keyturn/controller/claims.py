"""Which ApiKey a key that was made elsewhere belongs to: the first whose record has it. For `apikey/observe.py`.

One key in two ApiKeys would have two powers and two ends, and its public ID would not say whose it is. Belongs to one term and one event
loop. The records are read for this once, when the first such ApiKey is looked at; from then on each record tells what is new in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.clock import MINUTE
from keyturn.base.names import Key
from keyturn.cluster.cache import Cache
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.keys.record import Record
from keyturn.keys.record_peek import imported_digests_in, key_ids_in
from keyturn.lifecycle.imported import is_grave_of, key_id_of

RESERVED: Final = MINUTE
"""How long a key waits for the record of the ApiKey that asked for it first."""


class Claims:
    """`read`: a record, believed."""

    def __init__(self, *, records: Cache[StoredRecord], read: Callable[[Key], Record | None]) -> None:
        self._records, self._read = records, read
        self._holders: dict[str, Key] | None = None
        """By digest and by key ID: whose record has, or had it. None: nobody asked yet."""
        self._reserved: dict[str, tuple[Key, datetime]] = {}

    def elsewhere(self, apikey: ApiKey, *, now: datetime) -> Mapping[str, Key]:
        """Of the digests in the spec, those whose key belongs to another ApiKey, and to which. The others are this one's from now on."""
        found: dict[str, Key] = {}
        for listed in apikey.spec.digests or ():
            for mark in (listed.digest, key_id_of(listed)):
                holder = self._claim(mark, apikey.key, now=now)
                if holder is not None:
                    found[listed.digest] = holder
        return found

    def note(self, key: Key, record: Record) -> None:
        """A record is new, or another one than before. Of two that have one key (two operators wrote at once) the first by name has it."""
        if self._holders is None:
            return
        for mark in _marks_of(record):
            holder = self._holders.get(mark)
            if holder is None or key < holder:
                self._holders[mark] = key

    def _claim(self, mark: str, key: Key, *, now: datetime) -> Key | None:
        """Take it; answers who has it, if that is somebody else."""
        if self._holders is None:
            self._holders = self._read_all()
        holder = self._holders.get(mark)
        if holder == key:
            return None
        if holder is not None and self._still_holds(holder, mark):
            return holder
        first, until = self._reserved.get(mark, (key, now))
        if first != key and now < until:
            return first
        if first != key or mark not in self._reserved:
            self._reserved = {each: kept for each, kept in self._reserved.items() if now < kept[1]}
            self._reserved[mark] = (key, now + RESERVED)
        if holder is not None:
            del self._holders[mark]
        return None

    def _still_holds(self, holder: Key, mark: str) -> bool:
        record = self._read(holder)
        if record is None:
            return False
        is_live = any(mark in (entry.digest, entry.key_id) for entry in record.versions)
        return is_live or any(is_grave_of(dead, digest=mark, key_id=mark) for dead in record.dead)

    def _read_all(self) -> dict[str, Key]:
        holders: dict[str, Key] = {}
        for key, entry in self._records.entries().items():
            data = entry.value.data
            for mark in key_ids_in(data) | imported_digests_in(data):
                holders[mark] = min(key, holders.get(mark, key))
        return holders


def _marks_of(record: Record) -> Iterator[str]:
    for entry in record.versions:
        yield entry.key_id
        if entry.imported:
            yield entry.digest
    for dead in record.dead:
        yield dead.key_id
        if dead.digest:
            yield dead.digest
