"""Before what a reconcile gives way, and before what not: the real loop in the real queue, up to the question who leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gen import verifying
from gen.revocations import revocation
from keyturn.base.clock import utc_now
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.cluster.client import Client
from keyturn.cluster.lease import Elector
from keyturn.cluster.login import Login
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.controller.apikey.reconcile import reconcile
from keyturn.controller.installation import Installation
from keyturn.controller.leadership import _runtime
from keyturn.controller.runtime import Runtime
from keyturn.controller.workqueue import WorkQueue
from keyturn.keys.mint import mint_root_secret

BUSY, QUIET = Key("team-a", "billing"), Key("quiet", "one")


@dataclass(slots=True)
class Crossing:
    """A key of a busy namespace is reconciled beside one of a quiet namespace, which does not end before it may."""

    rt: Runtime
    quiet_ran: asyncio.Event = field(default_factory=asyncio.Event)
    quiet_may_end: asyncio.Event = field(default_factory=asyncio.Event)
    went_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, key: Key) -> datetime | None:
        if key == BUSY:
            return await reconcile(self.rt, key)
        self.quiet_ran.set()
        await self.quiet_may_end.wait()
        return None

    def does_not_lead(self) -> bool:
        """Asked before anything is written, and where the reconcile ends: the cluster is not needed."""
        self.went_on.set()
        return False

    async def meet(self) -> None:
        """Both run, the quiet one first."""
        self.rt.queue.add(QUIET)
        await self.quiet_ran.wait()
        self.rt.queue.add(BUSY)
        for _ in range(200):
            await asyncio.sleep(0)


@pytest.fixture
async def crossing() -> AsyncIterator[Crossing]:
    client, settings = Client(Login(kubeconfig=None, context=None), timeout=timedelta(seconds=1)), Settings()
    elector = Elector(client, namespace="n", name="n", identity="i", lease_duration=settings.lease_duration)
    crossing = Crossing(_runtime(client, settings, Installation.of(mint_root_secret()), elector))
    crossing.rt.is_leading = crossing.does_not_lead
    crossing.rt.queue = WorkQueue(
        crossing.handle,
        workers=2,
        share=2,
        clock=lambda: datetime(2026, 11, 30, tzinfo=UTC),
        on_error=lambda _key, _error: None,
        monotonic=lambda: 0.0,
    )
    crossing.rt.queue.start()
    yield crossing
    crossing.quiet_may_end.set()
    assert await crossing.rt.queue.stop(timedelta(seconds=5))
    await client.close()


def revoke(rt: Runtime, *, mode: str = "Immediate", end: datetime | None = None) -> None:
    """What its watch, and a look at the records, tell of a revocation of the busy one's key. It wakes nobody. `end`: its notAfter."""
    record = verifying.record()
    offered = verifying.offered(replace(record, versions=tuple(replace(entry, not_after=end) for entry in record.versions)))
    rt.records.put(BUSY, StoredRecord(offered.data, offered.signature), 1, "uid")
    leak = revocation({"mode": mode, "apiKeyRef": {"namespace": BUSY.namespace, "name": BUSY.name}}, created=verifying.NOW)
    sink = rt.revocations.reflector()._sink
    sink.take_change(leak.model_dump(mode="json", by_alias=True), is_deletion=False, resource_version=1)
    (progress,) = rt.revocations._unfinished.values()
    rt.revocations._peek_at(leak, progress, BUSY, offered.data)


async def test_a_busy_namespaces_key_lets_a_quiet_ones_pass_before_it_goes_on(crossing: Crossing) -> None:
    await crossing.meet()
    assert not crossing.went_on.is_set()
    crossing.quiet_may_end.set()
    async with asyncio.timeout(5):
        await crossing.went_on.wait()


@pytest.mark.parametrize(
    ("mode", "end"),
    [("Immediate", None), ("Replace", None), ("Replace", utc_now() - timedelta(seconds=1))],
    ids=["at once", "by an end that is not written yet", "by now"],
)
async def test_a_key_that_is_to_end_does_not_give_way_first(crossing: Crossing, mode: str, end: datetime | None) -> None:
    """Whoever woke it, and however often it has to look again: what leaked ends before anybody passes."""
    revoke(crossing.rt, mode=mode, end=end)
    assert crossing.rt.revocations.await_end(BUSY)
    await crossing.meet()
    assert crossing.went_on.is_set()


async def test_a_key_that_has_a_day_to_be_replaced_gives_way(crossing: Crossing) -> None:
    """A thousand of a namespace were replaced in its own time, and a neighbour's one rotation waited for each step of all of them."""
    revoke(crossing.rt, mode="Replace", end=utc_now() + timedelta(days=1))
    assert crossing.rt.revocations.await_end(BUSY)
    await crossing.meet()
    assert not crossing.went_on.is_set()
