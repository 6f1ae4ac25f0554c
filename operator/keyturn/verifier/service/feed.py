"""Brings the cluster's records into the store: the sink of a watch (`cluster/watch.py`). Before `store.py`, after the API server.

The public keys come first: without them no record can be believed. When they change, every record is offered again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

from keyturn.base.clock import Clock
from keyturn.base.log_output import get_logger
from keyturn.cluster.raw import mapping_of, text_of, texts_of
from keyturn.keys.verification_keys import VerificationKeys, VerificationKeysDamaged
from keyturn.verifier.service.snapshot_writer import SnapshotWriter
from keyturn.verifier.store import OfferedRecord, Store, Taken

OnTaken = Callable[[str, Taken], None]
"""Told of every record that was offered: its name, and what became of it."""

BELIEVED: Final = frozenset({Taken.APPLIED, Taken.SAME})
BEHIND: Final = frozenset({Taken.OLDER, Taken.FORKED})
REFUSED_KEPT: Final = 1000

log = get_logger(__name__)


class RecordFeed:
    """Offers every record of a list or a change to the store, one by one."""

    def __init__(self, store: Store, *, clock: Clock, on_taken: OnTaken, snapshot: SnapshotWriter | None = None) -> None:
        self._store, self._clock, self._on_taken, self._snapshot = store, clock, on_taken, snapshot
        self._listed: set[str] = set()
        self._in_force: set[str] = set()
        """Those of them that the store believes as they were listed."""
        self._refused: dict[str, None] = {}
        self._behind: dict[str, None] = {}
        """Those whose cluster's state is older than the one in force here."""
        self._seen_through = 0
        self.lists = 0
        """How often all records were read."""
        self.on_progress: Callable[[], None] = lambda: None
        """Called when more is in force than before."""

    @property
    def refused(self) -> tuple[str, ...]:
        """Names of records that are not in force as they were offered last, the newest last."""
        return tuple(self._refused)

    @property
    def behind(self) -> int:
        """Of how many records the cluster holds an older state than is in force here: somebody restored a backup."""
        return len(self._behind)

    @property
    def newer(self) -> tuple[str, ...]:
        """Names of the records that are known better here than in the cluster, which holds an older one, or none."""
        return (*self._behind, *(name for name in self._store.vanished if name not in self._behind))

    @property
    def seen_through(self) -> int:
        """Every change up to this resource version is in force, or was refused."""
        return self._seen_through

    def heard(self) -> None:
        """The API server said something about records, if only that nothing changed."""
        self._store.heard = self._clock().timestamp()
        if self._snapshot is not None:
            self._snapshot.note_heard(self._store.heard)

    def begin_list(self) -> None:
        """Remember anew what is there."""
        self._listed, self._in_force = set(), set()
        if self._snapshot is not None:
            self._snapshot.begin()

    def take_listed(self, item: Mapping[str, object]) -> None:
        """Offer it at once."""
        offered, taken = self._offer(item)
        self._listed.add(offered.record_name)
        if taken in BELIEVED:
            self._in_force.add(offered.record_name)

    def end_list(self, resource_version: int) -> None:
        """What was not in the list has vanished. From here on, what is not known does not exist."""
        now = self._clock().timestamp()
        self._store.note_listed(self._listed, at=now)
        if self._snapshot is not None:
            self._snapshot.finish(kept=self._store.names() - self._in_force, vanished=dict(self._store.vanished), heard=now)
        self._behind = {name: None for name in self._behind if name in self._listed}
        self._listed, self._in_force = set(), set()
        self._seen_through = resource_version
        self._store.is_complete = True
        self.lists += 1
        self.on_progress()

    def take_change(self, item: Mapping[str, object], *, is_deletion: bool, resource_version: int) -> None:
        """A record was written, or is gone."""
        if not is_deletion:
            self._offer(item)
        else:
            self._lose(_name_of(item))
        self.advance(resource_version)
        self.on_progress()

    def advance(self, resource_version: int) -> None:
        """Nothing else changed up to there."""
        self._seen_through = max(self._seen_through, resource_version)

    def _offer(self, item: Mapping[str, object]) -> tuple[OfferedRecord, Taken]:
        offered = _offered(item)
        taken = self._store.take(offered)
        self._refused.pop(offered.record_name, None)
        self._behind.pop(offered.record_name, None)
        if taken in BEHIND:
            self._behind[offered.record_name] = None
        if taken not in BELIEVED:
            self._note_refused(offered.record_name)
            log.warning("A record was ignored", record=offered.record_name, why=taken.value)
        elif self._snapshot is not None:
            self._snapshot.add(offered)
        self._on_taken(offered.record_name, taken)
        return offered, taken

    def _lose(self, record_name: str) -> None:
        at = self._clock().timestamp()
        self._behind.pop(record_name, None)
        if self._store.note_vanished(record_name, at=at):
            log.warning("A record vanished and stays in force for now", record=record_name)
            if self._snapshot is not None:
                self._snapshot.note_vanished(record_name, at)

    def _note_refused(self, record_name: str) -> None:
        self._refused[record_name] = None
        if len(self._refused) > REFUSED_KEPT:
            del self._refused[next(iter(self._refused))]


class KeysFeed:
    """Reads the ConfigMap of the public keys; `on_keys` is told when they are others than before."""

    def __init__(self, on_keys: Callable[[VerificationKeys], None]) -> None:
        self._on_keys = on_keys
        self._known: VerificationKeys | None = None
        self.seen_through = 0
        """As in a Sink."""

    def begin_list(self) -> None:
        """Nothing is forgotten: keys that are not published for a moment still count."""

    def take_listed(self, item: Mapping[str, object]) -> None:
        """Read it."""
        try:
            keys = VerificationKeys.from_data(texts_of(item, "data"))
        except VerificationKeysDamaged as damaged:
            log.error("Published keys were ignored", problem=str(damaged))
            return
        if keys != self._known:
            self._known = keys
            self._on_keys(keys)

    def end_list(self, resource_version: int) -> None:
        """That was the one there is."""
        self.seen_through = resource_version

    def take_change(self, item: Mapping[str, object], *, is_deletion: bool, resource_version: int) -> None:
        """Read it, unless it is gone."""
        if not is_deletion:
            self.take_listed(item)
        self.advance(resource_version)

    def advance(self, resource_version: int) -> None:
        """Nothing else changed up to there."""
        self.seen_through = max(self.seen_through, resource_version)


def _offered(item: Mapping[str, object]) -> OfferedRecord:
    data = mapping_of(item, "data")
    return OfferedRecord(_name_of(item), _bytes_of(data, "record"), _bytes_of(data, "signature"))


def _name_of(item: Mapping[str, object]) -> str:
    return text_of(mapping_of(item, "metadata"), "name")


def _bytes_of(data: Mapping[str, object], name: str) -> bytes:
    """What cannot be read is empty, and no signature covers that."""
    try:
        return base64.b64decode(text_of(data, name), validate=True)
    except (binascii.Error, ValueError):
        return b""
