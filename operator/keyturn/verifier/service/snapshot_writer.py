"""Keeps the snapshot file up to date, in a thread of its own: a disk that is slow or full must not hold up a request.

A list makes the file anew, beside the old one and put in its place when it is whole; what changes later is appended. When more was
appended than the list had, the file is rewritten with the newest of each name. Format and reading: `verifier/snapshot.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO, Final

from keyturn.base.log_output import get_logger
from keyturn.verifier.service import metrics
from keyturn.verifier.snapshot import Entry, Heard, NoSnapshot, Vanished, entry_line, header_line, read_snapshot
from keyturn.verifier.store import OfferedRecord

LEAST_APPENDED: Final = 1000
"""Lines before a rewrite is worth it."""
HEARD_EVERY: Final = 10.0
"""Seconds between two notes of when the API server was heard from."""
LONGEST_CLOSE: Final = 5.0

Task = Callable[[], None]

log = get_logger(__name__)


class SnapshotWriter:
    """Every method returns at once; `close` waits for all of it. After a failed write nothing is written until the next list."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._fresh = file.with_name(file.name + ".new")
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._writer: BinaryIO | None = None
        self._names: set[str] = set()
        self._appended = 0
        self._noted = float("-inf")
        self._thread = Thread(target=self._work, name="snapshot", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """A list begins: a new file."""
        self._tasks.put(self._begin)

    def add(self, offered: OfferedRecord) -> None:
        """A record that is in force, as listed or as changed later."""
        self._tasks.put(lambda: self._add(offered))

    def note_vanished(self, record_name: str, at: float) -> None:
        """A record is gone from the cluster."""
        self._tasks.put(lambda: self._write(Vanished(record_name, at)))

    def finish(self, *, kept: frozenset[str], vanished: dict[str, float], heard: float) -> None:
        """The list ended at `heard`. `kept`: what is in force and was not in it, to be taken over from the old file."""
        self._tasks.put(lambda: self._finish(kept, [*(Vanished(name, at) for name, at in vanished.items()), Heard(heard)]))

    def note_heard(self, at: float) -> None:
        """The API server was heard from."""
        if at - self._noted >= HEARD_EVERY or at < self._noted:
            self._noted = at
            self._tasks.put(lambda: self._write(Heard(at)))

    def close(self) -> None:
        """Finish what was begun, unless the disk takes too long over it."""
        self._tasks.put(None)
        self._thread.join(LONGEST_CLOSE)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
                if self._tasks.empty():
                    self._flush()
            except OSError as error:
                metrics.SNAPSHOT_FAILURES.inc()
                log.warning("The snapshot cannot be written", file=str(self._file), problem=error.strerror)
                self._leave()
        self._leave()

    def _begin(self) -> None:
        self._leave()
        self._writer = self._create()
        self._names, self._appended = set(), 0

    def _create(self) -> BinaryIO:
        """For the group too: that of an application that shares the volume."""
        writer = os.fdopen(os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb")
        writer.write(header_line())
        return writer

    def _add(self, offered: OfferedRecord) -> None:
        self._write(offered)
        self._names.add(offered.record_name)
        if self._appended > max(LEAST_APPENDED, len(self._names)):
            self._rewrite()

    def _write(self, entry: Entry) -> None:
        if self._writer is not None:
            self._writer.write(entry_line(entry))
            self._appended += 1

    def _finish(self, kept: frozenset[str], notes: Sequence[Entry]) -> None:
        if self._writer is None:
            return
        if kept:
            for entry in _newest(self._file):
                if isinstance(entry, OfferedRecord) and entry.record_name in kept:
                    self._write(entry)
        for note in notes:
            self._write(note)
        self._put_in_place()

    def _rewrite(self) -> None:
        """Only once the file is in its place: during a list nothing is appended."""
        if self._fresh.exists():
            return
        self._flush()
        old, self._writer = self._writer, self._create()
        for entry in _newest(self._file):
            self._writer.write(entry_line(entry))
        if old is not None:
            old.close()
        self._put_in_place()

    def _put_in_place(self) -> None:
        self._flush()
        self._fresh.replace(self._file)
        self._appended = 0
        metrics.SNAPSHOT_WRITTEN.set_to_current_time()

    def _flush(self) -> None:
        """To the kernel: what a crash of the machine takes is read from the API server."""
        if self._writer is not None:
            self._writer.flush()

    def _leave(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):
                writer.close()


def _newest(file: Path) -> Iterator[Entry]:
    """The last entry of each kind and name, in their order."""
    last: dict[object, int] = {}
    with suppress(NoSnapshot):
        for number, entry in enumerate(read_snapshot(file)):
            last[_place(entry)] = number
        for number, entry in enumerate(read_snapshot(file)):
            if entry != "unreadable" and last[_place(entry)] == number:
                yield entry


def _place(entry: object) -> object:
    match entry:
        case OfferedRecord(record_name):
            return record_name
        case Vanished(record_name):
            return (Vanished, record_name)
        case _:
            return type(entry)
