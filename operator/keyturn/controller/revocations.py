"""ApiKeyRevocations as their watch shows them, whom they concern, and their status. For `apikey/observe.py`.

Belongs to one term and one event loop. What a revocation does to a key decides `lifecycle/revocation.py`; here the key is woken, and
the status follows the records and what verifiers say they have in force.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.base.clock import Clock
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.apikeyrevocations import COLLECTION_PATH, decode_revocation, object_path
from keyturn.cluster.cache import Cache, Entry
from keyturn.cluster.client import Client
from keyturn.cluster.merge_patch import model_patch
from keyturn.cluster.raw import resource_version_of, uid_of
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.keys.record import Record
from keyturn.keys.record_peek import key_ids_in, readable_record
from keyturn.lifecycle.barrier import verifiers_behind
from keyturn.lifecycle.observed import LiveVerifier
from keyturn.lifecycle.revocation_hit import NewestRevocations, RevocationHit, hit_on
from keyturn.lifecycle.revocation_status import RecordStanding, is_complete, revocation_status, standing_in

ROUND: Final = 0.2
"""Seconds between two looks at what is not complete, where nothing is heard of it."""
PAUSE: Final = 0.02
"""Between two looks in any case: what is heard comes in swarms."""
TELLING: Final = 0.5
"""Seconds between two writes of a status that only tell how far it is."""
BREATH: Final = 100
"""Records between two chances for everything else that this event loop does."""

log = get_logger(__name__)


@dataclass(slots=True)
class _Progress:
    """How far one revocation is."""

    seen_time: datetime
    """When it was seen first."""
    scanned: bool = False
    """Every record was looked at."""
    to_look: set[Key] = field(default_factory=set)
    """Records that somebody else has written since."""
    standings: dict[Key, RecordStanding] = field(default_factory=dict)
    living: set[Key] = field(default_factory=set)
    """Records with something alive that is meant."""
    unconfirmed: dict[Key, int] = field(default_factory=dict)
    """Records without a live version that is meant, by the resource version that verifiers must have applied."""
    told_time: float = float("-inf")
    """When its status was written last, on the monotonic clock."""
    has_news: bool = True
    """Something of all this, or the revocation itself, may differ from what its status says."""
    live_then: tuple[LiveVerifier, ...] = ()
    """The verifiers as they were at the last look."""

    def is_over(self, key: Key) -> bool:
        """Whether a record has nothing alive any more that is meant: that stays so, whatever is written to it."""
        standing = self.standings.get(key)
        return standing is not None and not standing.live

    def is_due_to_tell(self) -> bool:
        """Whether a status that is not the last one is worth a write."""
        return time.monotonic() - self.told_time >= TELLING

    def would_read_the_same(self, live: tuple[LiveVerifier, ...]) -> bool:
        """Whether its status needs no look: one walks over all its keys, and a replacement of many takes hours in which nothing happens."""
        return not self.has_news and (not self.unconfirmed or live == self.live_then)

    def stands(self, key: Key, standing: RecordStanding | None) -> None:
        """Keep how it is with a record; None: it is none of its business."""
        self.has_news = True
        self.living.discard(key)
        self.standings.pop(key, None)
        if standing is not None:
            self.standings[key] = standing
            if standing.live:
                self.living.add(key)


class Revocations:
    """`read`: a record, believed. `wake`: look at this key now, also where its ApiKey is gone. `live`: the verifiers to wait for."""

    def __init__(
        self,
        client: Client,
        *,
        records: Cache[StoredRecord],
        read: Callable[[Key], Record | None],
        wake: Callable[[Key], None],
        live: Callable[[], tuple[LiveVerifier, ...]],
        clock: Clock,
    ) -> None:
        self._client, self._records, self._read = client, records, read
        self._wake, self._live, self._clock = wake, live, clock
        self._all = Cache[ApiKeyRevocation]()
        self._indexed: dict[str, ApiKeyRevocation] = {}
        self._by_key_id: dict[str, set[str]] = {}
        self._by_apikey: dict[Key, set[str]] = {}
        self._matching: set[str] = set()
        self._unfinished: dict[str, _Progress] = {}
        self.newest: NewestRevocations | None = None
        """Of those that were ever seen."""
        self._changed = asyncio.Event()

    def reflector(self) -> Reflector:
        """The watch that feeds this."""
        sink = CacheSink(self._all, decode=decode_revocation, on_change=self._take)
        return Reflector(self._client, Collection(COLLECTION_PATH, from_cache=False), sink=sink)

    def of(self, record: Record) -> tuple[RevocationHit, ...]:
        """The revocations that concern a record."""
        names = set(self._matching) | self._by_apikey.get(Key(record.namespace, record.name), set())
        for entry in record.versions:
            names |= self._by_key_id.get(entry.key_id, set())
        hits = (hit_on(self._indexed[name], record) for name in sorted(names))
        return tuple(hit for hit in hits if hit is not None)

    def await_end(self, key: Key) -> bool:
        """Whether something alive in this record is to end, as far as anybody has looked."""
        return any(key in progress.living for progress in self._unfinished.values())

    def must_end_now(self, key: Key) -> bool:
        """The same, but for what may live on until its consumers have moved. An end that the record does not tell yet is to be written."""
        standings = [progress.standings.get(key) for progress in self._unfinished.values()]
        return any(each is not None and each.live and (each.end is None or each.end <= self._clock()) for each in standings)

    def note(self, key: Key) -> None:
        """We have just written a record, or found that it needs nothing."""
        for name, progress in self._unfinished.items():
            entry = self._all.get(Key("", name))
            if entry is not None and not progress.is_over(key):
                self._look_at(entry.value, progress, key)
                self._changed.set()

    def record_changed(self, key: Key) -> None:
        """Somebody else has written this record."""
        for progress in self._unfinished.values():
            if not progress.is_over(key):
                progress.to_look.add(key)
                self._changed.set()

    def verifiers_changed(self) -> None:
        """One of them says something new."""
        if self._unfinished:
            self._changed.set()

    async def keep(self) -> None:
        """Wake whom a revocation concerns, and write how far each is, again and again, until cancelled."""
        while True:
            self._changed.clear()
            for name in tuple(self._unfinished):
                try:
                    await self._follow(name)
                except KeyturnError as error:
                    log.warning("The status of an ApiKeyRevocation was not written", revocation=name, problem=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND if self._unfinished else None):
                    await self._changed.wait()
            await asyncio.sleep(PAUSE)

    def _take(self, where: Key) -> None:
        """A revocation is there, different or gone."""
        entry, name = self._all.get(where), where.name
        self._unindex(name)
        if entry is None:
            self._unfinished.pop(name, None)
            return
        self._index(name, entry.value)
        if is_complete(entry.value):
            self._unfinished.pop(name, None)
        else:
            self._unfinished.setdefault(name, _Progress(self._clock())).has_news = True
            self._changed.set()

    def _index(self, name: str, revocation: ApiKeyRevocation) -> None:
        self._indexed[name] = revocation
        created, uid = revocation.metadata.creation_timestamp, revocation.metadata.uid
        if created is not None:
            self.newest = (self.newest or NewestRevocations(created, frozenset())).with_another(created=created, uid=uid)
        ref = revocation.spec.api_key_ref
        for key_id in revocation.spec.key_ids or ():
            self._by_key_id.setdefault(key_id, set()).add(name)
        if ref is not None:
            self._by_apikey.setdefault(Key(ref.namespace, ref.name), set()).add(name)
        if revocation.spec.match is not None:
            self._matching.add(name)

    def _unindex(self, name: str) -> None:
        revocation = self._indexed.pop(name, None)
        if revocation is None:
            return
        ref = revocation.spec.api_key_ref
        for key_id in revocation.spec.key_ids or ():
            self._by_key_id[key_id].discard(name)
        if ref is not None:
            self._by_apikey[Key(ref.namespace, ref.name)].discard(name)
        self._matching.discard(name)

    async def _follow(self, name: str) -> None:
        """One look at a revocation that is not complete."""
        entry, progress = self._all.get(Key("", name)), self._unfinished.get(name)
        if entry is None or progress is None:
            return
        await self._look_at_records(entry.value, progress)
        if progress.living and not progress.is_due_to_tell():
            return
        live = self._live()
        if progress.would_read_the_same(live):
            return
        progress.has_news, progress.live_then = True, live
        behind = _take_off_confirmed(progress, live)
        if not (progress.living or behind) or progress.is_due_to_tell():
            await self._write_status(entry, progress, behind=behind)

    async def _look_at_records(self, revocation: ApiKeyRevocation, progress: _Progress) -> None:
        """At first at all, then at those that somebody has written."""
        if progress.scanned:
            while progress.to_look:
                self._look_at(revocation, progress, progress.to_look.pop())
            return
        for number, (key, entry) in enumerate(self._records.entries().items(), start=1):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            if _may_concern(revocation, key, entry.value.data):
                self._peek_at(revocation, progress, key, entry.value.data)
        progress.scanned = True

    def _peek_at(self, revocation: ApiKeyRevocation, progress: _Progress, key: Key, data: bytes) -> None:
        """Not believing what is alive there yet costs a third: whoever ends it checks the signature."""
        record = readable_record(data)
        standing = standing_in(revocation, record, seen=progress.seen_time) if record is not None else None
        if standing is not None and standing.live:
            progress.stands(key, standing)
            self._wake(key)
        elif standing is not None:
            self._look_at(revocation, progress, key)

    def _look_at(self, revocation: ApiKeyRevocation, progress: _Progress, key: Key) -> None:
        entry, record = self._records.get(key), self._read(key)  # both as of now: a newer one may have come meanwhile
        standing = standing_in(revocation, record, seen=progress.seen_time) if record is not None else None
        before = progress.standings.get(key)
        progress.stands(key, standing if entry is not None else None)
        if standing is None or entry is None:
            return
        if standing.live:
            progress.unconfirmed.pop(key, None)
            if before != standing:
                self._wake(key)
        elif before is None or before.live:
            progress.unconfirmed[key] = entry.resource_version

    async def _write_status(self, entry: Entry[ApiKeyRevocation], progress: _Progress, *, behind: tuple[str, ...]) -> None:
        revocation = entry.value
        status = revocation_status(
            revocation, tuple(progress.standings.values()), behind=behind, seen=progress.seen_time, now=self._clock()
        )
        patch = model_patch(revocation.status, status)
        if not patch:
            progress.has_news = False  # not after a write: meanwhile something may have happened, or it failed
            return
        name, progress.told_time = revocation.metadata.name, time.monotonic()
        with suppress(NotFound):  # it was deleted meanwhile
            answer = await self._client.patch_merge(f"{object_path(name)}/status", {"metadata": {"uid": entry.uid}, "status": patch})
            self._keep(answer)

    def _keep(self, answer: Mapping[str, object]) -> None:
        decoded = decode_revocation(answer)
        if decoded is not None and self._all.put(*decoded, resource_version_of(answer), uid_of(answer)):
            self._take(decoded[0])


def _take_off_confirmed(progress: _Progress, live: tuple[LiveVerifier, ...]) -> tuple[str, ...]:
    """The verifiers that may still accept something that is dead."""
    behind = set[str]()
    for key, version in tuple(progress.unconfirmed.items()):
        late = verifiers_behind(live, key.record_name, version)
        behind |= set(late)
        if not late:
            del progress.unconfirmed[key]
    return tuple(behind)


def _may_concern(revocation: ApiKeyRevocation, key: Key, data: bytes) -> bool:
    """Whether a record is worth decoding: most are not, and there may be a hundred thousand."""
    spec = revocation.spec
    if spec.key_ids is not None:
        return not key_ids_in(data).isdisjoint(spec.key_ids)
    if spec.api_key_ref is not None:
        return key == Key(spec.api_key_ref.namespace, spec.api_key_ref.name)
    return spec.match is not None and spec.match.namespace in (None, key.namespace)
