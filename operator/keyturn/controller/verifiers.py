"""Which verifiers live, and what each has in force: their Leases, as a watch shows them, for `lifecycle/barrier.py`.

Nobody's clock is believed but our own monotonic one: a Lease runs for its duration from the moment we saw it renewed. It counts as
ended only after the API server itself was asked: silence may be our watch's. That an acknowledgement arrived through the watch proves
that every Lease made before it has arrived too, so a new verifier cannot be overlooked by those who wait for an older one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keyturn.base.clock import DAY
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.cache import Cache, Entry
from keyturn.cluster.client import Client
from keyturn.cluster.raw import objects_of, resource_version_of, uid_of
from keyturn.cluster.verifier_leases import VERIFIER_SELECTOR, VerifierLease, decode_verifier_lease, leases_path
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.lifecycle.barrier import verifiers_behind
from keyturn.lifecycle.observed import LiveVerifier
from keyturn.lifecycle.old_key_use import ReplicaLife

ASK_AGAIN: Final = 1.0

log = get_logger(__name__)


@dataclass(slots=True)
class _Renewal:
    """The last renewal of a Lease that was seen here."""

    uid: str
    text: str
    ends: float
    """On the monotonic clock."""
    ended: bool = False
    owed: int = 0
    """A change of the records that it must apply next."""
    owed_since: float = 0.0


class Verifiers:
    """Belongs to one term and one event loop. `wake` is called for a key that waited, when every live verifier knows its version."""

    def __init__(
        self, client: Client, *, namespace: str, wake: Callable[[Key], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._path = leases_path(namespace)
        self._wake = wake
        self._monotonic = monotonic
        self._cache = Cache[VerifierLease]()
        self._renewals: dict[Key, _Renewal] = {}
        self._waiting: dict[Key, int] = {}
        self._new_end = asyncio.Event()
        self._was_away = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when one of the living has something else in force, or another one lives."""
        self.live: tuple[LiveVerifier, ...] = ()
        """Those whose Lease runs."""

    def reflector(self) -> Reflector:
        """The watch that feeds this."""
        collection = Collection(self._path, label_selector=VERIFIER_SELECTOR)
        return Reflector(self._client, collection, sink=CacheSink(self._cache, decode=decode_verifier_lease, on_change=self.note_change))

    def note_change(self, where: Key) -> None:
        """A Lease is different now, or gone."""
        self._take(where)
        self._look()

    def await_version(self, key: Key, resource_version: int | None, *, seen: tuple[LiveVerifier, ...]) -> None:
        """The key came to rest having seen these verifiers; it waits for them to know this version, or (None) for nothing here."""
        if resource_version is None:
            self._waiting.pop(key, None)
            return
        self._waiting[key] = resource_version
        if seen != self.live:
            self._wake_if_known(key, resource_version)

    def lives(self, now: datetime) -> tuple[ReplicaLife, ...]:
        """Every verifier that has a Lease, for `lifecycle/old_key_use.py`: those too whose Lease ended, for they had no last word."""
        found = []
        for where, renewal in self._renewals.items():
            entry = self._cache.get(where)
            if entry is not None:
                lease = entry.value
                ended = self._end_time(renewal, lease, now) if renewal.ended else None
                found.append(ReplicaLife(lease.identity, ended, lease.use_reported_time))
        return tuple(found)

    def left_behind(self, now: datetime) -> tuple[tuple[Key, Entry[VerifierLease]], ...]:
        """Leases that ended over a day ago: their replicas died, and what they may have seen matters no more."""
        ended = [(where, renewal) for where, renewal in self._renewals.items() if renewal.ended]
        entries = [(where, renewal, entry) for where, renewal in ended if (entry := self._cache.get(where)) is not None]
        return tuple((where, entry) for where, renewal, entry in entries if self._end_time(renewal, entry.value, now) < now - DAY)

    def _end_time(self, renewal: _Renewal, lease: VerifierLease, now: datetime) -> datetime:
        """When a Lease ended: as its writer says, and no later than it was seen to end here."""
        seen = now - timedelta(seconds=self._monotonic() - renewal.ends)
        return min(lease.end_time or seen, seen)

    def lag(self, newest: int) -> float:
        """Seconds for which the live verifier furthest behind has had something to apply; `newest`: the records' newest change."""
        return max((self._lag_of(where, renewal, newest) for where, renewal in self._renewals.items()), default=0.0)

    def _lag_of(self, where: Key, renewal: _Renewal, newest: int) -> float:
        entry = self._cache.get(where)
        if entry is None or renewal.ended or entry.value.applied >= newest:
            return 0.0
        if entry.value.applied >= renewal.owed:  # it keeps up: what it owes now is another change
            renewal.owed, renewal.owed_since = newest, self._monotonic()
        return self._monotonic() - renewal.owed_since

    async def run(self) -> None:
        """Let Leases end, for ever."""
        while True:
            self._new_end.clear()
            due = min((renewal.ends for renewal in self._renewals.values() if not renewal.ended), default=None)
            left = due - self._monotonic() if due is not None else None
            if left is not None and left <= 0:
                await self._confirm_ends()
                continue
            try:
                async with asyncio.timeout(left):
                    await self._new_end.wait()
            except TimeoutError:
                continue

    def _take(self, where: Key) -> None:
        entry, known = self._cache.get(where), self._renewals.get(where)
        if entry is None:
            self._renewals.pop(where, None)
        elif known is None or (known.uid, known.text) != (entry.uid, entry.value.renewal):
            ends = self._monotonic() + entry.value.duration.total_seconds()
            came_up = known is None or known.ended
            owed, owed_since = (known.owed, known.owed_since) if known is not None else (0, 0.0)
            self._renewals[where] = _Renewal(entry.uid, entry.value.renewal, ends, owed=owed, owed_since=owed_since)
            if came_up:
                log.info("Verifier came up", verifier=entry.value.identity)
                self._new_end.set()

    def _look(self) -> None:
        """Who lives now; and who waited for nobody else."""
        before, entries = self.live, self._cache.entries()
        running = {where: entries[where].value for where, renewal in self._renewals.items() if not renewal.ended and where in entries}
        self.live = tuple(LiveVerifier(lease.identity, lease.applied, lease.refused) for _, lease in sorted(running.items()))
        if self.live != before:
            self.on_change()
            for key, resource_version in tuple(self._waiting.items()):
                self._wake_if_known(key, resource_version)

    def _wake_if_known(self, key: Key, resource_version: int) -> None:
        if not verifiers_behind(self.live, key.record_name, resource_version):
            del self._waiting[key]
            self._wake(key)

    async def _confirm_ends(self) -> None:
        """A Lease seems to have ended: ask the API server for all of them, past every cache and watch."""
        try:
            answer = await self._client.get(self._path, query={"labelSelector": VERIFIER_SELECTOR})
        except KeyturnError:
            self._was_away = True
            await asyncio.sleep(ASK_AGAIN)
            return
        for item in objects_of(answer, "items"):
            decoded = decode_verifier_lease(item)
            if decoded is not None and self._cache.put(*decoded, resource_version_of(item), uid_of(item)):
                self._take(decoded[0])
        if self._was_away:
            self._was_away = False
            self._let_everybody_come_back()
        else:
            self._end_what_is_over()
        self._look()

    def _let_everybody_come_back(self) -> None:
        """While the API server was away nobody could renew: they get the time of a Lease to do so."""
        for where, renewal in self._renewals.items():
            entry = self._cache.get(where)
            if entry is not None and not renewal.ended:
                renewal.ends = self._monotonic() + entry.value.duration.total_seconds()

    def _end_what_is_over(self) -> None:
        now = self._monotonic()
        for where, renewal in self._renewals.items():
            if not renewal.ended and renewal.ends <= now:
                renewal.ended = True
                entry = self._cache.get(where)
                log.warning("Verifier fell silent and is not waited for", verifier=entry.value.identity if entry else where.name)
