"""Who of several operators works: a Lease, renewed while the work lives.

For efficiency only: the rules for versions stay safe with any number of writers. So there is no fencing here, just the
promise that two rarely work at once and that a dead leader is followed within one lease duration.
Every length of time is measured by the monotonic clock of this process; other holders' clocks are never believed: a lease counts as
abandoned when it did not change for its duration while we watched (as client-go's leaderelection does).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from keyturn.base.clock import Clock, utc_now
from keyturn.base.errors import Conflict, KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.client import Client
from keyturn.cluster.raw import instant_of, mapping_of, text_of, texts_of

log = get_logger(__name__)


class Elector:
    """`await acquire()`, then `async with kept()` around the work, which must end after `until_lost()`.

    `identity` must be this process's own (a pod's name and uid): who starts again under the same identity takes over at once.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        lease_duration: timedelta,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{name}"
        self._name = name
        self._identity = identity
        self._duration = lease_duration.total_seconds()
        self._deadline = self._duration * 2 / 3
        self._pause = self._duration / 6
        self._clock = clock
        self._monotonic = monotonic
        self._renewed_at: float | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._version = ""
        self._acquire_time = ""
        self._transitions = 0
        self._observed: tuple[str, float] = ("", 0.0)
        self.lost = asyncio.Event()
        self.inherited_notes: Mapping[str, str] = {}
        """The Lease's annotations as the holder before us left them."""
        self.notes: Callable[[], Mapping[str, str]] = dict
        """Annotations written with every renewal, over the inherited ones: what a follower must know of us, were we to die now."""
        self.previous_renew_time: datetime | None = None
        """When the holder before us last renewed, by its own clock: how long nobody may have worked. None: there was none."""

    def is_leading(self) -> bool:
        """Whether the lead is ours at this moment.

        Asked before every piece of work: a process that was frozen (SIGSTOP, a paused VM) wakes long after its lease passed on, and its
        first act must not be a write. The monotonic clock went on meanwhile, so this is False at once, whatever the tasks have noticed.
        """
        return self._renewed_at is not None and not self.lost.is_set() and self._monotonic() - self._renewed_at < self._deadline

    async def acquire(self) -> None:
        """Wait until the lead is ours. Failures are waited out: a standby has nothing better to do."""
        complained = False
        while True:
            try:
                if await self._try_to_take():
                    log.info("Took the lead", lease=self._name, identity=self._identity)
                    return
                complained = False
            except KeyturnError as error:
                if not complained:
                    log.warning("Could not ask for the lead", lease=self._name, error=str(error))
                complained = True
            await asyncio.sleep(self._pause)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew beside whatever this is around, from the first moment on: reading all there is may take longer than a lead lasts."""
        self._renewal = asyncio.create_task(self.run(), name="lease")
        try:
            yield
        finally:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def until_lost(self) -> None:
        """Wait for that, while it is kept; raises the bug that ended the renewal."""
        if self._renewal is not None:
            await asyncio.shield(self._renewal)

    async def run(self) -> None:
        """Renew until cancelled or lost; sets `lost` and returns when the lead could not be renewed within two thirds of the duration."""
        while self.is_leading():
            await asyncio.sleep(self._pause)
            if not self.is_leading():  # frozen meanwhile: too late to renew
                break
            try:
                await self._renew()
            except KeyturnError as error:
                log.warning("Could not renew the lead", lease=self._name, error=str(error))
                if await self._is_held_by_another():
                    break
        self.lost.set()
        log.error("Lost the lead", lease=self._name, identity=self._identity)

    async def release(self) -> None:
        """Give the lead up, so that a standby need not wait; silence if that fails. Only after the work has ended."""
        if not self.is_leading():
            return
        try:
            await self._write_empty()
        except KeyturnError as error:
            log.warning("Could not release the lead", lease=self._name, error=str(error))
        self._renewed_at = None

    async def _write_empty(self) -> None:
        try:
            await self._write(holder="", started=self._monotonic())
        except Conflict:  # a renewal that was cancelled under way has arrived all the same
            if not await self._is_held_by_another():
                await self._write(holder="", started=self._monotonic())

    async def _try_to_take(self) -> bool:
        try:
            lease = await self._call("GET", self._path)
        except NotFound:
            return await self._create()
        spec = mapping_of(lease, "spec")
        holder, version = text_of(spec, "holderIdentity"), text_of(mapping_of(lease, "metadata"), "resourceVersion")
        if version != self._observed[0]:
            self._observed = (version, self._monotonic())
        abandoned = self._monotonic() - self._observed[1] >= self._duration
        if holder not in {"", self._identity} and not abandoned:
            return False
        self._version = version
        self._acquire_time = micro_time(self._clock())
        self._transitions = _whole_number(spec, "leaseTransitions") + (holder != self._identity)
        self.previous_renew_time = instant_of(spec, "renewTime")
        self.inherited_notes = texts_of(mapping_of(lease, "metadata"), "annotations")
        await self._write(holder=self._identity, started=self._monotonic())
        return True

    async def _create(self) -> bool:
        started = self._monotonic()
        self._version = ""
        self._acquire_time = micro_time(self._clock())
        answer = await self._call("POST", self._collection, body=self._manifest(holder=self._identity))
        self._remember(answer, started=started)
        return True

    async def _renew(self) -> None:
        try:
            await self._write(holder=self._identity, started=self._monotonic())
        except NotFound:  # somebody deleted it; whoever creates it first leads
            await self._create()

    async def _is_held_by_another(self) -> bool:
        """After a failed renewal: our write may have arrived all the same, then its resource version is what comes next."""
        if not self.is_leading():
            return True
        try:
            lease = await self._call("GET", self._path)
        except KeyturnError:
            return False  # unknown; the deadline decides
        self._version = text_of(mapping_of(lease, "metadata"), "resourceVersion")
        return text_of(mapping_of(lease, "spec"), "holderIdentity") != self._identity

    async def _write(self, *, holder: str, started: float) -> None:
        self._remember(await self._call("PUT", self._path, body=self._manifest(holder=holder)), started=started)

    def _remember(self, answer: Mapping[str, object], *, started: float) -> None:
        """The lead counts from before the request: the server may have taken it at once and answered late."""
        self._version = text_of(mapping_of(answer, "metadata"), "resourceVersion")
        self._renewed_at = started

    async def _call(self, method: str, path: str, *, body: object | None = None) -> Mapping[str, object]:
        """A request that ends before the renew deadline does, so that a hung connection cannot cost the lead."""
        left = self._deadline if self._renewed_at is None else self._deadline - (self._monotonic() - self._renewed_at)
        limit = max(min(left, self._deadline / 2), 0.001)
        return await self._client.request(method, path, body=body, timeout=timedelta(seconds=limit))

    def _manifest(self, *, holder: str) -> dict[str, object]:
        metadata = {"name": self._name, "annotations": {**self.inherited_notes, **self.notes()}}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**metadata, **({"resourceVersion": self._version} if self._version else {})},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, math.ceil(self._duration)),
                "acquireTime": self._acquire_time,
                "renewTime": micro_time(self._clock()),
                "leaseTransitions": self._transitions,
            },
        }


def micro_time(instant: datetime) -> str:
    """A metav1.MicroTime: exactly six digits, anything else is refused."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _whole_number(raw: Mapping[str, object], name: str) -> int:
    value = raw.get(name)
    return value if isinstance(value, int) else 0
