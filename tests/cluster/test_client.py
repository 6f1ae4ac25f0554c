"""The client against a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from keyturn.base.errors import Conflict, OutcomeUnknown, RetryLater
from keyturn.cluster.api_errors import AlreadyExists, Forbidden, Invalid, NotFound
from keyturn.cluster.caller import own_name
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.events import Regarding, post_event
from keyturn.cluster.login import NoClusterAccess
from keyturn.cluster.permissions import Right, missing_rights
from testbed.cable import cable_to
from testbed.cluster import Cluster, until

SECONDS = timedelta(seconds=1)


@pytest_asyncio.fixture
async def client(plane: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(timeout=10 * SECONDS, kubeconfig=str(plane.kubeconfig)) as client:
        yield client


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def acting_as(plane: Cluster, file: Path, **whom: object) -> Path:
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"][0]["user"] |= whom
    file.write_text(yaml.safe_dump(config))
    return file


def version_of(answer: dict[str, object]) -> str:
    metadata = answer["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["resourceVersion"])


async def test_an_object_is_created_read_changed_and_deleted(client: Client, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    created = await client.post(collection, config_map("a", x="1"))
    assert (await client.get(f"{collection}/a"))["data"] == {"x": "1"}
    merged = await client.patch_merge(f"{collection}/a", {"metadata": {"resourceVersion": version_of(created)}, "data": {"y": "2"}})
    assert merged["data"] == {"x": "1", "y": "2"}
    await client.request("DELETE", f"{collection}/a")
    with pytest.raises(NotFound):
        await client.get(f"{collection}/a")


async def test_whom_the_kubeconfig_acts_as_it_acts_as(plane: Cluster, namespace: str, tmp_path: Path) -> None:
    """Somebody who narrows their own rights in the file acted with all of them."""
    plane.kubectl("create", "rolebinding", "viewers", "--clusterrole=view", "--group=viewers", "-n", namespace)
    narrowed = acting_as(
        plane, tmp_path / "kubeconfig", **{"as": "nora", "as-groups": ["viewers", "guests"], "as-user-extra": {"a/b": ["c"]}}
    )
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    async with await Client.connect(timeout=10 * SECONDS, kubeconfig=str(narrowed)) as client:
        assert await own_name(client) == "nora"
        await client.get(collection)
        with pytest.raises(Forbidden, match="nora"):
            await client.post(collection, config_map("a"))
        client.act_as("otto", ["system:masters"])
        await client.post(collection, config_map("a"))
        assert await own_name(client) == "otto"


async def test_groups_without_a_name_are_refused_as_kubectl_does_it(plane: Cluster, tmp_path: Path) -> None:
    nameless = acting_as(plane, tmp_path / "kubeconfig", **{"as-groups": ["viewers"]})
    with pytest.raises(NoClusterAccess, match="as-groups without as"):
        await Client.connect(timeout=10 * SECONDS, kubeconfig=str(nameless))


async def test_the_second_to_create_or_to_write_is_told_so(client: Client, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    created = await client.post(collection, config_map("a"))
    with pytest.raises(AlreadyExists):
        await client.post(collection, config_map("a"))
    await client.patch_merge(f"{collection}/a", {"data": {"x": "1"}})
    with pytest.raises(Conflict) as stale:
        await client.patch_merge(f"{collection}/a", {"metadata": {"resourceVersion": version_of(created)}, "data": {"x": "2"}})
    assert not isinstance(stale.value, AlreadyExists)
    with pytest.raises(Conflict):
        await client.request("DELETE", f"{collection}/a", body={"preconditions": {"uid": "another"}})


async def test_an_apply_with_a_uid_does_not_create(client: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/a"
    body = config_map("a", x="1")
    assert (await client.apply(path, body))["data"] == {"x": "1"}
    await client.request("DELETE", path)
    with pytest.raises(Conflict):
        await client.apply(path, body | {"metadata": {"name": "a", "uid": "4d5c3a1e-0000-0000-0000-000000000000"}})


async def test_a_refused_secret_quotes_nothing_of_it(client: Client, namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"not a key": "cGxhaW50ZXh0"}}
    with pytest.raises(Invalid) as refused:
        await client.post(f"/api/v1/namespaces/{namespace}/secrets", secret)
    assert refused.value.fields == ("data[not a key]",)
    assert "cGxhaW50ZXh0" not in str(refused.value)


async def test_a_secret_can_be_probed_without_reading_it(client: Client, namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"x": "cGxhaW50ZXh0"}}
    created = await client.post(f"/api/v1/namespaces/{namespace}/secrets", secret)
    probed = await client.patch_merge(f"/api/v1/namespaces/{namespace}/secrets/a", {}, accept=METADATA_ONLY)
    assert probed["kind"] == "PartialObjectMetadata"
    assert "data" not in probed
    assert version_of(probed) == version_of(created)


async def test_an_empty_patch_answers_with_the_secret_and_writes_nothing(client: Client, namespace: str) -> None:
    """Neither a new version, nor another manager of a field, nor an event of a watch: the guarded mode reads by it."""
    collection = f"/api/v1/namespaces/{namespace}/secrets"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"x": "cGxhaW50ZXh0"}}
    created = await client.request("POST", collection, body=secret, query={"fieldManager": "somebody"})
    for _ in range(3):
        assert await client.patch_merge(f"{collection}/a", {}) == created
        await asyncio.sleep(0.5)  # managers are stamped with whole seconds
    await client.post(collection, {"metadata": {"name": "b"}})
    query = {"watch": "1", "resourceVersion": version_of(created)}
    async with aclosing(client.stream(collection, query=query, idle_timeout=5 * SECONDS)) as lines:
        first = json.loads(await anext(lines))
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "b")


async def test_a_namespace_that_is_going_away_is_told_apart(client: Client, plane: Cluster, namespace: str) -> None:
    await client.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "stays", "finalizers": ["keyturn.dev/test"]}})
    plane.delete_namespace(namespace)
    with pytest.raises(Forbidden) as refused:
        await client.post(f"/api/v1/namespaces/{namespace}/configmaps", config_map("late"))
    assert refused.value.namespace_terminating
    await client.patch_merge(f"/api/v1/namespaces/{namespace}/configmaps/stays", {"metadata": {"finalizers": None}})


async def test_a_write_without_an_answer_in_time_may_have_happened(client: Client, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    with pytest.raises(OutcomeUnknown, match="no answer in 0"):
        await client.request("POST", collection, body=config_map("a"), timeout=timedelta(microseconds=100))
    with pytest.raises(RetryLater, match="no answer in 0"):
        await client.request("GET", collection, timeout=timedelta(microseconds=100))


async def test_nobody_listening_is_something_to_retry(plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    away = tmp_path_factory.mktemp("away") / "kubeconfig"
    away.write_text(plane.kubeconfig.read_text().replace(plane.url, "https://127.0.0.1:1"))
    async with await Client.connect(timeout=SECONDS, kubeconfig=str(away)) as client:
        with pytest.raises(RetryLater) as refused:
            await client.post("/api/v1/namespaces", {"metadata": {"name": "x"}})
    assert not isinstance(refused.value, OutcomeUnknown)


async def test_closing_leaves_no_connection_to_a_server_that_says_nothing(plane: Cluster, tmp_path: Path) -> None:
    """Else each would be held for half a minute: until the server answers the goodbye of TLS."""
    before = open_sockets()
    async with cable_to(plane, tmp_path) as cable:
        beside = open_sockets()
        async with await Client.connect(timeout=10 * SECONDS, kubeconfig=str(cable.kubeconfig)) as client:
            watching = [asyncio.create_task(watch_forever(client)) for _ in range(3)]
            await until(lambda: cable.ends == 2 * len(watching), patience=10)
            await client.get("/api/v1/namespaces/default/configmaps")  # by one more
            cable.freeze()
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        assert cable.ends >= 2 * len(watching)  # which wait for what no longer comes
        await until(lambda: open_sockets() - beside == cable.ends, patience=10)
    assert open_sockets() == before


async def watch_forever(client: Client) -> None:
    query = {"watch": "true", "resourceVersion": "0"}
    async with aclosing(client.stream("/api/v1/namespaces/default/configmaps", query=query, idle_timeout=60 * SECONDS)) as lines:
        async for _ in lines:
            pass


def open_sockets() -> int:
    """How many sockets this process holds."""
    return sum("socket:" in str(file.resolve()) for file in Path("/proc/self/fd").iterdir())


async def test_requests_are_counted_and_the_clock_is_compared(client: Client, plane: Cluster, namespace: str) -> None:
    seen: list[tuple[str, str, int]] = []
    client.on_request = lambda *call: seen.append(call)
    await client.get(f"/api/v1/namespaces/{namespace}/configmaps")
    with pytest.raises(NotFound):
        await client.get(f"/api/v1/namespaces/{namespace}/configmaps/nothing")
    assert seen == [("list", "configmaps", 200), ("get", "configmaps", 404)]
    assert client.clock_skew is not None
    assert abs(client.clock_skew) < 5 * SECONDS
    fast = await Client.connect(
        timeout=10 * SECONDS, kubeconfig=str(plane.kubeconfig), clock=lambda: datetime.now(UTC) + timedelta(hours=1)
    )
    async with fast:
        await fast.get("/version")
        assert fast.clock_skew is not None
        assert fast.clock_skew > timedelta(minutes=59)


async def test_a_missing_kubeconfig_is_said_in_words() -> None:
    with pytest.raises(NoClusterAccess, match="No access to a cluster: /nowhere/config does not exist"):
        await Client.connect(timeout=SECONDS, kubeconfig="/nowhere/config")


async def test_a_token_file_is_read_again_when_the_token_was_refused(
    client: Client, plane: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A projected token is replaced by the kubelet; an operator that kept the first one was locked out after an hour."""
    folder = tmp_path_factory.mktemp("login")
    (folder / "token").write_text("refused")
    authority = plane.kubectl("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}")
    (folder / "kubeconfig").write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{plane.url}", certificate-authority-data: {authority}}}}}]
users: [{{name: u, user: {{tokenFile: "{folder / "token"}"}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u, namespace: {namespace}}}}}]
current-context: x
"""
    )
    await client.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "robot"}})
    async with await Client.connect(timeout=10 * SECONDS, kubeconfig=str(folder / "kubeconfig")) as robot:
        assert robot.namespace == namespace
        with pytest.raises(RetryLater, match="401"):
            await robot.get("/api/v1/namespaces")
        (folder / "token").write_text(plane.kubectl("-n", namespace, "create", "token", "robot") + "\n")
        missing = await missing_rights(robot, [Right("create", "", "secrets"), Right("patch", "apps", "deployments", "status", namespace)])
    assert missing == ("May not create secrets in all namespaces", f"May not patch deployments.apps/status in namespace {namespace}")


async def test_an_administrator_misses_no_right(client: Client) -> None:
    assert await missing_rights(client, [Right("create", "", "secrets"), Right("list", "keyturn.dev", "apikeys")]) == ()


async def test_an_event_posted_twice_is_one_event(client: Client, plane: Cluster, namespace: str) -> None:
    regarding = Regarding("v1", "ConfigMap", namespace, "billing", "u-1")
    for fresh in (True, False):
        posted = await post_event(
            client,
            regarding=regarding,
            type="Normal",
            reason="Rotated",
            message="Version 2 is active " + "é" * 2000,
            action="Rotate",
            name_seed="u-1/2/Activated",
            now=datetime(2026, 11, 24, 6, tzinfo=UTC),
        )
        assert posted is fresh
    shown = plane.kubectl("-n", namespace, "get", "events", "-o", "jsonpath={range .items[*]}{.reason} {.reportingComponent}{end}")
    assert shown == "Rotated keyturn.dev/operator"


async def test_many_requests_share_one_client(client: Client, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    await asyncio.gather(*(client.post(collection, config_map(f"n{number}")) for number in range(50)))
    items = (await client.get(collection))["items"]
    assert isinstance(items, list)
    assert len([item for item in items if item["metadata"]["name"].startswith("n")]) == 50
