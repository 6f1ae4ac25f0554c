"""The reflector against a real API server, and against one that stops answering."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
import pytest_asyncio

from keyturn.base.names import Key
from keyturn.cluster.cache import Cache
from keyturn.cluster.client import Client
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from testbed.cable import cable_to
from testbed.cluster import Cluster, until
from testbed.plane import Plane, bare

SECONDS = timedelta(seconds=1)


@pytest_asyncio.fixture
async def client(plane: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(timeout=10 * SECONDS, kubeconfig=str(plane.kubeconfig)) as client:
        yield client


def decode(item: Mapping[str, object]) -> tuple[Key, str] | None:
    metadata, data = item["metadata"], item.get("data")
    assert isinstance(metadata, dict)
    if metadata.get("labels", {}).get("foreign"):
        return None
    return Key(metadata["namespace"], metadata["name"]), data.get("x", "") if isinstance(data, dict) else "no data"


@dataclass(frozen=True, slots=True)
class Watched:
    reflector: Reflector
    cache: Cache[str]
    changes: list[Key]

    def values(self) -> dict[str, str]:
        return {key.name: entry.value for key, entry in self.cache.entries().items() if key.name != "kube-root-ca.crt"}


@asynccontextmanager
async def watching(client: Client, collection: Collection, **options: timedelta) -> AsyncIterator[Watched]:
    cache, changes = Cache[str](), list[Key]()
    reflector = Reflector(client, collection, sink=CacheSink(cache, decode=decode, on_change=changes.append), **options)
    running = asyncio.create_task(reflector.run())
    try:
        await asyncio.wait_for(reflector.synced.wait(), 10)
        yield Watched(reflector, cache, changes)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def labelled(name: str, x: str, **labels: str) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": labels}, "data": {"x": x}}


async def test_what_is_there_and_what_changes_is_seen(client: Client, namespace: str) -> None:
    await client.post(path(namespace), labelled("a", "1"))
    async with watching(client, Collection(path(namespace))) as seen:
        assert seen.values() == {"a": "1"}
        await client.post(path(namespace), labelled("b", "2"))
        await client.patch_merge(f"{path(namespace)}/a", {"data": {"x": "3"}})
        await until(lambda: seen.values() == {"a": "3", "b": "2"}, patience=20)
        await client.request("DELETE", f"{path(namespace)}/a")
        await until(lambda: seen.values() == {"b": "2"}, patience=20)
        assert [key.name for key in seen.changes if key.name != "kube-root-ca.crt"] == ["a", "b", "a", "a"]


async def test_an_answer_put_into_the_cache_is_no_change_when_the_watch_brings_it(client: Client, namespace: str) -> None:
    async with watching(client, Collection(path(namespace))) as seen:
        written = await client.post(path(namespace), labelled("a", "1"))
        metadata = written["metadata"]
        assert isinstance(metadata, dict)
        seen.cache.put(Key(namespace, "a"), "1", int(metadata["resourceVersion"]), metadata["uid"])
        changed_before = [key.name for key in seen.changes].count("a")
        await client.post(path(namespace), labelled("b", "2"))
        await until(lambda: "b" in seen.values(), patience=20)
        assert [key.name for key in seen.changes].count("a") == changed_before <= 1


async def test_a_selector_narrows_and_leaving_it_is_a_deletion(client: Client, namespace: str) -> None:
    await client.post(path(namespace), labelled("a", "1", mine="yes"))
    await client.post(path(namespace), labelled("b", "2"))
    async with watching(client, Collection(path(namespace), label_selector="mine=yes")) as seen:
        assert seen.values() == {"a": "1"}
        await client.patch_merge(f"{path(namespace)}/a", {"metadata": {"labels": {"mine": None}}})
        await until(lambda: seen.values() == {}, patience=20)


async def test_what_is_no_longer_ours_is_dropped(client: Client, namespace: str) -> None:
    await client.post(path(namespace), labelled("a", "1"))
    async with watching(client, Collection(path(namespace))) as seen:
        await client.patch_merge(f"{path(namespace)}/a", {"metadata": {"labels": {"foreign": "yes"}}})
        await until(lambda: seen.values() == {}, patience=20)


async def test_metadata_can_be_watched_without_data(client: Client, namespace: str) -> None:
    await client.post(path(namespace), labelled("a", "1"))
    async with watching(client, Collection(path(namespace), metadata_only=True)) as seen:
        await client.post(path(namespace), labelled("b", "2"))
        await until(lambda: seen.values() == {"a": "no data", "b": "no data"}, patience=20)


async def test_a_watch_that_ends_goes_on_without_a_list(client: Client, namespace: str) -> None:
    async with watching(client, Collection(path(namespace)), watch_timeout=SECONDS) as seen:
        await asyncio.sleep(2.5)
        await client.post(path(namespace), labelled("a", "1"))
        await until(lambda: seen.values() == {"a": "1"}, patience=20)
        assert seen.reflector.lists == 1


@pytest.fixture(scope="module")
def fragile() -> Iterator[Plane]:
    """A plane of our own, whose store may be compacted and put back."""
    with Plane.start(bare()) as plane:
        yield plane


def compact(plane: Plane) -> None:
    """Forget all history, as a busy cluster does every five minutes."""
    etcd = next(word.partition("=")[2] for word in plane.apiserver._command if word.startswith("--etcd-servers="))
    connection = HTTPConnection(etcd.removeprefix("http://"), timeout=10)

    def ask(question: str, **body: str) -> dict[str, dict[str, str]]:
        connection.request("POST", question, body=json.dumps(body))
        answer = json.loads(connection.getresponse().read())
        assert isinstance(answer, dict)
        return answer

    ask("/v3/kv/compaction", revision=ask("/v3/maintenance/status")["header"]["revision"])
    connection.close()


async def test_a_compacted_history_leads_to_a_new_list_in_pages(fragile: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Core Events are the one resource without a watch cache in the server: their watch meets etcd's compaction itself."""
    monkeypatch.setattr("keyturn.cluster.watch.PAGE", 3)
    events = "/api/v1/namespaces/default/events"
    about = {"involvedObject": {"namespace": "default"}, "source": {"component": "test"}}
    async with (
        await Client.connect(timeout=10 * SECONDS, kubeconfig=str(fragile.kubeconfig)) as client,
        watching(client, Collection(events), watch_timeout=SECONDS) as seen,
    ):
        await asyncio.gather(*(client.post(events, {"metadata": {"name": f"e{number}"}, **about}) for number in range(10)))
        await until(lambda: len(seen.cache) >= 10, patience=20)
        for count in range(5):
            await client.patch_merge("/api/v1/namespaces/default", {"metadata": {"annotations": {"touched": str(count)}}})
        compact(fragile)
        await until(lambda: seen.reflector.lists >= 2, patience=20)
        await client.request("DELETE", f"{events}/e0")
        await until(lambda: seen.cache.get(Key("default", "e0")) is None, patience=20)


async def test_a_store_put_back_from_a_backup_is_followed(fragile: Plane, tmp_path: Path) -> None:
    """After a restore resource versions are lower than those held: a cache that ignored them served the lost future for ever."""
    async with await Client.connect(timeout=10 * SECONDS, kubeconfig=str(fragile.kubeconfig)) as client:
        await client.post(path("default"), labelled("kept", "before"))
        async with watching(client, Collection(path("default"))) as seen:
            fragile.snapshot(tmp_path / "backup")
            await client.patch_merge(f"{path('default')}/kept", {"data": {"x": "lost"}})
            await client.post(path("default"), labelled("lost", "1"))
            await until(lambda: seen.values() == {"kept": "lost", "lost": "1"}, patience=20)
            await asyncio.to_thread(fragile.restore, tmp_path / "backup")
            await until(lambda: seen.values() == {"kept": "before"}, patience=20)
            assert seen.reflector.went_back.is_set()
            await client.patch_merge(f"{path('default')}/kept", {"data": {"x": "after"}})
            await until(lambda: seen.values() == {"kept": "after"}, patience=20)


async def test_a_half_open_watch_is_noticed(plane: Cluster, client: Client, namespace: str, tmp_path: Path) -> None:
    """A load balancer forgot the connection: no error ever came, and changes were missed for hours."""
    async with (
        cable_to(plane, tmp_path) as cable,
        await Client.connect(timeout=SECONDS, kubeconfig=str(cable.kubeconfig)) as far,
        watching(far, Collection(path(namespace)), idle_timeout=SECONDS) as seen,
    ):
        cable.freeze()
        await client.post(path(namespace), labelled("a", "1"))
        await asyncio.sleep(1.5)
        assert seen.values() == {}
        cable.thaw()
        await until(lambda: seen.values() == {"a": "1"}, patience=20)
        assert seen.reflector.age < 20 * SECONDS
