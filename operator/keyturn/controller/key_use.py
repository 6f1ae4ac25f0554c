"""What verifiers report of the use of keys, merged, as `lifecycle/old_key_use.py` wants it. Fed by a watch of their ConfigMaps.

Days only grow, so the latest one heard of is all that is kept, whoever said it and whatever becomes of the report. Of versions on their
way out each replica's own word counts, for one that says nothing must be told from one that says "not used".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Final
from zlib import crc32

from keyturn.api.use_report import LastUses, read_days, read_retiring
from keyturn.base.clock import HOUR, SECOND, Clock
from keyturn.base.names import Key
from keyturn.base.version_state import VersionState
from keyturn.cluster.cache import Cache, Entry
from keyturn.cluster.client import Client
from keyturn.cluster.replica_reports import USE_SELECTOR, UseReport, decode_use_report, reports_path
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.keys.record import Record
from keyturn.lifecycle.old_key_use import KeyUse, ReplicaLife, needed_until, uses_of

SPREAD: Final = HOUR
"""Over how long the new days of keys that are in steady use are written: at midnight they are all news."""


class KeyUses:
    """Belongs to one term and one event loop. `wake` is called for an ApiKey whose day of last use is a new one."""

    def __init__(self, *, wake: Callable[[Key, datetime | None], None], lives: Callable[[], Iterable[ReplicaLife]], clock: Clock) -> None:
        self._wake = wake
        self._lives = lives
        self._clock = clock
        self._cache = Cache[UseReport]()
        self._days: dict[str, int] = {}
        self._retiring: dict[Key, tuple[str, LastUses]] = {}
        self._needed_until: dict[Key, datetime] = {}

    def reflector(self, client: Client, *, namespace: str) -> Reflector:
        """The watch that feeds this."""
        collection = Collection(reports_path(namespace), label_selector=USE_SELECTOR)
        return Reflector(client, collection, sink=CacheSink(self._cache, decode=decode_use_report, on_change=self.note_change))

    def note_change(self, where: Key) -> None:
        """A report is different now, or gone."""
        entry = self._cache.get(where)
        if entry is None:
            self._retiring.pop(where, None)
            self._needed_until.pop(where, None)
            return
        self.take(where, entry.value)

    def take(self, where: Key, report: UseReport) -> None:
        """Take what one report says now."""
        now = self._clock()
        uses = read_retiring(report.retiring, now=now)
        if uses:
            self._retiring[where] = report.replica, uses
        else:
            self._retiring.pop(where, None)
        newest = 1
        for record_name, day in read_days(report.days, now=now):
            newest = max(newest, day)
            before = self._days.get(record_name, 0)
            if day > before:
                self._days[record_name] = day
                self._wake(Key.of_record(record_name), self._look_time(record_name) if before == day - 1 else None)
        self._needed_until[where] = needed_until(report.made_time or now, uses, date.fromordinal(newest), now=now)

    def left_behind(self, now: datetime) -> tuple[tuple[Key, Entry[UseReport]], ...]:
        """Reports of replicas that are no more, in which nothing stands that matters any more."""
        there = {life.replica for life in self._lives()}
        spent = [where for where, end in self._needed_until.items() if end < now]
        entries = [(where, entry) for where in spent if (entry := self._cache.get(where)) is not None]
        return tuple((where, entry) for where, entry in entries if entry.value.replica not in there)

    def of(self, key: Key, record: Record) -> KeyUse:
        """What is known of one ApiKey."""
        day = self._days.get(key.record_name)
        old = record.in_state(VersionState.RETIRING)
        return KeyUse(
            last_day=date.fromordinal(day) if day is not None else None,
            retiring=uses_of(self._lives(), self._said_of(old[-1].key_id)) if old else (),
        )

    def _said_of(self, key_id: str) -> dict[str, datetime | None]:
        return {replica: uses[key_id] for replica, uses in self._retiring.values() if key_id in uses}

    def _look_time(self, record_name: str) -> datetime:
        return self._clock() + timedelta(seconds=crc32(record_name.encode()) % (SPREAD // SECOND))
