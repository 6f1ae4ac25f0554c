"""Tells the operator what is in force here, in this replica's Lease, so that no key is given out before it is known; after `feed.py`.

The Lease is written when something was applied, and renewed at a third of its duration. From its end on the operator does not wait for
this replica: a key that is unknown here may exist then (`is_waited_for`), until the Lease was written again and all that was written
before that is in force. Our own clock decides, from before the write began: it ends here no later than it does for the operator.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from keyturn.base.errors import Conflict, KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.verifier_leases import OwnLease, VerifierLease
from keyturn.verifier.service.feed import RecordFeed

LEAST_PAUSE: Final = 0.05
"""Between two writes: a thousand changes a second are twenty of them."""
REFUSED_TOLD: Final = 20
NEVER: Final = float("-inf")

log = get_logger(__name__)


class Acknowledgement:
    """`run` beside the feed until cancelled; `end` when nothing is answered any more."""

    def __init__(
        self,
        lease: OwnLease,
        feed: RecordFeed,
        *,
        notes: Callable[[], Mapping[str, str]],
        newest_record: Callable[[], Awaitable[int]],
        list_again: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease, self._feed = lease, feed
        self._notes, self._newest_record, self._list_again = notes, newest_record, list_again
        self._monotonic = monotonic
        self._duration = lease.duration.total_seconds()
        self._renewed_at = NEVER
        self._term = 0
        """Counts how often the Lease began to run."""
        self._covered_term = -1
        """The term in which everything from before it is in force."""
        self._doubted_lists = -1
        """With how many lists the store was found to have gone back: what was seen before the next list counts as nothing."""
        self._news, self._progress, self._began = asyncio.Event(), asyncio.Event(), asyncio.Event()
        feed.on_progress = self._note_progress

    def is_waited_for(self) -> bool:
        """Whether the operator gives out no key before it is known here."""
        return self._covered_term == self._term and self._runs()

    async def run(self) -> None:
        """Keep the Lease, for ever; the API server's absence is waited out."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_lease(), name="lease")
            tasks.create_task(self._keep_covered(), name="lease-covered")

    async def end(self) -> None:
        """Nobody need wait for this replica: it answers nothing any more."""
        self._renewed_at = NEVER
        try:
            await self._lease.delete()
        except KeyturnError as error:
            log.warning("Could not delete the Lease; it will end by itself", problem=str(error))

    def _runs(self) -> bool:
        return self._monotonic() - self._renewed_at < self._duration

    def _note_progress(self) -> None:
        self._news.set()
        self._progress.set()

    @property
    def _is_in_doubt(self) -> bool:
        return self._feed.lists == self._doubted_lists

    async def _keep_lease(self) -> None:
        while not self._feed.lists:  # who knows nothing yet need not be waited for
            await self._next_progress()
        complained = False
        while True:
            try:
                await self._renew()
                complained = False
                await asyncio.sleep(LEAST_PAUSE)
                await self._until_due()
            except KeyturnError as error:
                if not complained:
                    log.warning("Could not renew the Lease", problem=str(error))
                complained = True
                await asyncio.sleep(min(self._duration / 10, 1.0))

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._renewed_at + self._duration / 3 - self._monotonic()):
                await self._news.wait()

    async def _next_progress(self) -> None:
        self._progress.clear()
        await self._progress.wait()

    async def _renew(self) -> None:
        self._news.clear()
        # A restored backup: more than can be named are not in force as they stand there, until the operator has put them right.
        confirms_nothing = self._is_in_doubt or self._feed.behind > REFUSED_TOLD
        applied, refused = (0, ()) if confirms_nothing else (self._feed.seen_through, self._feed.refused[-REFUSED_TOLD:])
        started = self._monotonic()
        try:
            await self._lease.write(applied=applied, refused=refused, notes=self._notes())
        except (Conflict, NotFound):
            await self._see_who_wrote()
            return
        if not self._runs():  # also where it ended while the answer was under way
            self._term += 1
            self._began.set()
            self._progress.set()
        self._renewed_at = started

    async def _see_who_wrote(self) -> None:
        found, version = await self._lease.look()
        if found is not None and found.holder != self._lease.holder:
            await self._give_way(found)
        elif version < self._lease.resource_version:
            # Somebody deleted it, or the cluster was restored from a backup: then what was seen of the records is of another history.
            log.warning("The Lease is gone or older than it was: all records are read again")
            self._renewed_at = NEVER
            self._doubted_lists = self._feed.lists
            self._list_again()
        self._lease.resource_version = version
        self._news.set()

    async def _give_way(self, found: VerifierLease) -> None:
        """The one that started last has the Lease; two with one name would each speak for the other."""
        self._renewed_at = NEVER
        log.error("Another process has this replica's identity: give each its own", identity=found.identity, holder=found.holder)
        while True:
            await asyncio.sleep(found.duration.total_seconds())
            now, _ = await self._lease.look()
            if now is None or now.renewal == found.renewal:
                return
            found = now

    async def _keep_covered(self) -> None:
        while True:
            await self._began.wait()
            self._began.clear()
            try:
                await self._catch_up(self._term)
            except KeyturnError as error:
                log.warning("Could not ask for the newest record", problem=str(error))
                self._began.set()
                await asyncio.sleep(min(self._duration / 10, 1.0))

    async def _catch_up(self, term: int) -> None:
        """Whatever was written before this term began may have been given out without us."""
        newest = await self._newest_record()
        while term == self._term and (self._is_in_doubt or self._feed.seen_through < newest):
            await self._next_progress()
        if term == self._term:
            self._covered_term = term
            log.info("The operator waits for this replica", lease_term=term)
