"""Which ApiKey a key that was made elsewhere belongs to: the first whose record has it, dead or alive. For `apikey/observe.py`.

One key in two ApiKeys would have two powers and two ends, its public ID would not say whose it is, and what ended in one would begin anew
in the other. Belongs to one term and one event loop. The records are read for this once, when the first such ApiKey is looked at; from then
on each record tells what is new in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.clock import MINUTE
from keyturn.base.names import Key
from keyturn.cluster.cache import Cache
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.keys.record import Record
from keyturn.keys.record_peek import imported_digests_in, key_ids_in
from keyturn.lifecycle.imported import has_ended, key_id_of
from keyturn.lifecycle.observed import Holder
from keyturn.lifecycle.versions import ELSEWHERE

RESERVED: Final = MINUTE
"""How long a key waits for the record of the ApiKey that asked for it first."""


class _Hold(IntEnum):
    """What a record has of a key. The lesser goes before: one that ended anywhere has ended."""

    DEAD = 0
    LIVE = 1
    NOTHING = 2


class Claims:
    """`read`: a record, believed."""

    def __init__(self, *, records: Cache[StoredRecord], read: Callable[[Key], Record | None]) -> None:
        self._records, self._read = records, read
        self._holders: dict[str, Key] | None = None
        """By digest and by key ID: whose record has, or had it. None: nobody asked yet."""
        self._reserved: dict[str, tuple[Key, datetime]] = {}

    def elsewhere(self, apikey: ApiKey, *, now: datetime) -> Mapping[str, Holder]:
        """Of the digests in the spec, those whose key belongs to another ApiKey, and to which. The others are this one's from now on."""
        found: dict[str, Holder] = {}
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
            holder = self._holders.get(mark, key)
            if holder == key or (_hold(record, mark), key) < (_hold(self._read(holder), mark), holder):
                self._holders[mark] = key

    def _claim(self, mark: str, key: Key, *, now: datetime) -> Holder | None:
        """Take it; answers who has it, if that is somebody else."""
        if self._holders is None:
            self._holders = self._read_all()
        holder = self._holders.get(mark)
        if holder == key:
            return None
        hold = _hold(self._read(holder), mark) if holder is not None else _Hold.NOTHING
        if holder is not None and hold is not _Hold.NOTHING:
            return Holder(holder, has_ended=hold is _Hold.DEAD)
        first, until = self._reserved.get(mark, (key, now))
        if first != key and now < until:
            return Holder(first)
        if first != key or mark not in self._reserved:
            self._reserved = {each: kept for each, kept in self._reserved.items() if now < kept[1]}
            self._reserved[mark] = (key, now + RESERVED)
        if holder is not None:
            del self._holders[mark]
        return None

    def _read_all(self) -> dict[str, Key]:
        holders: dict[str, Key] = {}
        for key, entry in self._records.entries().items():
            data = entry.value.data
            for mark in key_ids_in(data) | imported_digests_in(data):
                holders[mark] = self._first(mark, key, holders.get(mark, key))
        return holders

    def _first(self, mark: str, one: Key, other: Key) -> Key:
        return one if one == other else min((one, other), key=lambda key: (_hold(self._read(key), mark), key))


def _hold(record: Record | None, mark: str) -> _Hold:
    if record is None:
        return _Hold.NOTHING
    if has_ended(record, digest=mark, key_id=mark):
        return _Hold.DEAD
    is_live = any(mark in (entry.digest, entry.key_id) for entry in record.versions)
    return _Hold.LIVE if is_live else _Hold.NOTHING


def _marks_of(record: Record) -> Iterator[str]:
    for entry in record.versions:
        yield entry.key_id
        if entry.imported:
            yield entry.digest
    for dead in record.dead:
        if dead.reason != ELSEWHERE:
            yield dead.key_id
            if dead.digest:
                yield dead.digest
    yield from record.ended_digests
