"""Reports of use on a real API server: what is written, how often, and what a second life of a replica makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gen.team import Api
from gen.verifying import KEY_ID, NOW, record, store
from keyturn.cluster.client import Client
from keyturn.cluster.replica_reports import ReplicaReports
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.service.use_report import UseReporter
from keyturn.verifier.store import Store
from keyturn.verifier.usage import Usage
from testbed.cluster import Cluster

DAY = timedelta(days=1)


@dataclass(slots=True)
class Replica:
    """One process of a verifier, whose clock the test turns."""

    client: Client
    namespace: str
    store: Store
    identity: str = "v-0"
    now: datetime = NOW
    usage: Usage = field(default_factory=Usage)
    reporter: UseReporter = field(init=False)

    def __post_init__(self) -> None:
        self.store.is_complete = True
        self.reporter = UseReporter(
            ReplicaReports(self.client, namespace=self.namespace, replica=self.identity),
            VerifierSettings(),
            self.store,
            self.usage,
            clock=lambda: self.now,
            monotonic=self._seconds,
        )

    def _seconds(self) -> float:
        return self.now.timestamp()

    async def turn(self, *, after: timedelta, uses: str | None = None) -> None:
        """Time goes by, a key is used or not, and the reporter has its turn."""
        self.now += after
        if uses is not None:
            self.usage.note(uses)
        await self.reporter.turn()

    @property
    def reported_time(self) -> str | None:
        return self.reporter.notes().get("keyturn.dev/use-reported-time")


@pytest.fixture
async def client(plane: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(timeout=timedelta(seconds=20), kubeconfig=str(plane.kubeconfig)) as client:
        yield client


@pytest.fixture
def api(plane: Cluster) -> Iterator[Api]:
    api = Api(plane.login)
    yield api
    api.close()


def replaced() -> Store:
    """A verifier's memory of one ApiKey whose only known version is on its way out."""
    return store(record(not_after=NOW + 7 * DAY))


def shards(api: Api, namespace: str) -> dict[str, Any]:
    """The reports in the cluster, by name."""
    listed = api.ask("GET", f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=app.kubernetes.io/component%3Dverifier-use")
    return {item["metadata"]["name"]: item for item in listed["items"]}


async def test_a_version_on_its_way_out_is_named_at_once_and_its_uses_within_seconds(client: Client, api: Api, namespace: str) -> None:
    replica = Replica(client, namespace, replaced())
    await replica.turn(after=timedelta(0))
    written = shards(api, namespace)
    assert {name: item["data"] for name, item in written.items()} == {
        "verifier-use-v-0-retiring-0": {"format": "1", "retiring": f"{KEY_ID} -\n"}
    }
    assert written["verifier-use-v-0-retiring-0"]["metadata"]["annotations"] == {"keyturn.dev/verifier": "v-0"}
    assert replica.reported_time == "2026-11-24T12:00:00Z"
    await replica.turn(after=timedelta(seconds=1), uses=KEY_ID)
    assert replica.reported_time == "2026-11-24T12:00:00Z", "that use is not told yet"
    await replica.turn(after=timedelta(seconds=1))
    written = shards(api, namespace)
    assert written["verifier-use-v-0-retiring-0"]["data"]["retiring"] == f"{KEY_ID} 2026-11-24T12:00:01Z\n"
    assert written["verifier-use-v-0-days-0"]["data"] == {"format": "1", "days": "team-a.billing 2026-11-24\n"}
    assert replica.reported_time == "2026-11-24T12:00:02Z"


async def test_nothing_new_is_no_write_and_still_a_word(client: Client, api: Api, namespace: str) -> None:
    replica = Replica(client, namespace, replaced())
    await replica.turn(after=timedelta(0), uses=KEY_ID)
    before = shards(api, namespace)
    for _ in range(5):
        await replica.turn(after=timedelta(minutes=1))
    assert shards(api, namespace) == before
    assert replica.reported_time == "2026-11-24T12:05:00Z"


async def test_the_next_day_of_steady_use_waits_for_its_hour(client: Client, api: Api, namespace: str) -> None:
    replica = Replica(client, namespace, store(record()), now=NOW.replace(hour=23, minute=50))
    await replica.turn(after=timedelta(0), uses=KEY_ID)
    before = shards(api, namespace)
    await replica.turn(after=timedelta(minutes=20), uses=KEY_ID)
    assert shards(api, namespace) == before
    await replica.turn(after=timedelta(minutes=40))
    assert shards(api, namespace)["verifier-use-v-0-days-0"]["data"]["days"] == "team-a.billing 2026-11-25\n"


async def test_who_knows_nothing_yet_says_nothing(client: Client, api: Api, namespace: str) -> None:
    replica = Replica(client, namespace, replaced())
    replica.store.is_complete = False
    await replica.turn(after=timedelta(0))
    assert shards(api, namespace) == {}
    assert replica.reported_time is None


async def test_a_second_life_counts_what_the_first_may_have_seen(client: Client, api: Api, namespace: str) -> None:
    first = Replica(client, namespace, replaced())
    await first.turn(after=timedelta(0))
    second = Replica(client, namespace, replaced(), now=NOW + timedelta(hours=1))
    await second.turn(after=timedelta(0))
    other = Replica(client, namespace, replaced(), identity="v-1", now=NOW + timedelta(hours=1))
    await other.turn(after=timedelta(0))
    written = shards(api, namespace)
    assert written["verifier-use-v-0-retiring-0"]["data"]["retiring"] == f"{KEY_ID} 2026-11-24T13:00:00Z\n"
    assert written["verifier-use-v-1-retiring-0"]["data"]["retiring"] == f"{KEY_ID} -\n"


async def test_the_last_word_is_written_without_waiting(client: Client, api: Api, namespace: str) -> None:
    replica = Replica(client, namespace, replaced())
    await replica.turn(after=timedelta(0))
    replica.now = datetime(2026, 11, 24, 12, 0, 0, 250_000, UTC)
    replica.usage.note(KEY_ID)
    await replica.reporter.finish()
    written = shards(api, namespace)
    assert written["verifier-use-v-0-retiring-0"]["data"]["retiring"] == f"{KEY_ID} 2026-11-24T12:00:01Z\n"
    assert written["verifier-use-v-0-days-0"]["data"]["days"] == "team-a.billing 2026-11-24\n"
