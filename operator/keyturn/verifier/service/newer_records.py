"""Tells the operator which records it holds that are newer than the cluster's: somebody restored a backup, or put an old record back.

The signed bytes come from the snapshot, where there is one: memory does not keep them. One report holds a batch; when the operator has
put those records back, they arrive by the watch, are news no more, and the next batch is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from keyturn.api.newer_records import NewerRecord, write_newer_records
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.cluster.replica_reports import ReplicaReports
from keyturn.keys.record_peek import serial_in
from keyturn.verifier.service.feed import RecordFeed
from keyturn.verifier.snapshot import NoSnapshot, read_snapshot
from keyturn.verifier.store import OfferedRecord, Store

TICK: Final = 0.5
"""Seconds between two looks."""
BYTES_A_SECOND: Final = 128 * 1024
BATCH: Final = 500
"""Records looked up at once: about as many as fill a report."""
LONGEST_PAUSE: Final = 30.0

log = get_logger(__name__)


class NewerRecordsReporter:
    """One replica's report. `run` until cancelled."""

    def __init__(self, reports: ReplicaReports, feed: RecordFeed, store: Store, *, snapshot: Path | None) -> None:
        self._reports, self._feed, self._store, self._snapshot = reports, feed, store, snapshot
        self._told: tuple[tuple[str, int], ...] = ()
        """Names and serials in the report as it stands there."""

    async def run(self) -> None:
        """Tell what is new, for ever; what cannot be written now is written later."""
        failures = 0
        while True:
            await asyncio.sleep(min(TICK * 2**failures, LONGEST_PAUSE))
            try:
                await asyncio.sleep(await self._turn() / BYTES_A_SECOND)
                failures = 0
            except KeyturnError as error:
                failures = min(failures + 1, 6)
                if failures == 1:
                    log.warning("Newer records could not be reported and will be told again", problem=str(error))

    async def _turn(self) -> int:
        """Write the report if it is another one than before; answers how long it is."""
        wanted = tuple((name, self._store.serial_of(name)) for name in self._feed.newer[:BATCH])
        if wanted == self._told:
            return 0
        names = [name for name, _ in wanted]
        signed = await asyncio.to_thread(_signed, self._snapshot, frozenset(names)) if self._snapshot is not None and names else {}
        text = write_newer_records(self._newer(names, signed))
        await self._reports.write_newer_records(text)
        self._told = wanted
        if names:
            log.warning("The cluster holds older records than this replica", records=len(self._feed.newer), told=len(names))
        return len(text)

    def _newer(self, names: Collection[str], signed: Mapping[str, OfferedRecord]) -> Iterator[NewerRecord]:
        for name in names:
            held, offered = self._store.held(name), signed.get(name)
            if offered is not None and serial_in(offered.data) == held.serial:
                yield NewerRecord(name, held.serial, held.highest, held.live, offered.data, offered.signature)
            else:
                yield NewerRecord(name, held.serial, held.highest, held.live)


def _signed(snapshot: Path, names: frozenset[str]) -> dict[str, OfferedRecord]:
    """The newest of each name in the snapshot; none where it cannot be read."""
    found: dict[str, OfferedRecord] = {}
    try:
        for entry in read_snapshot(snapshot):
            if isinstance(entry, OfferedRecord) and entry.record_name in names:
                found[entry.record_name] = entry
    except NoSnapshot as none:
        log.warning("Newer records are told without their signatures", why=str(none))
    return found
