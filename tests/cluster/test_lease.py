"""Leader election against a real API server, with short leases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from gen.operator_process import OperatorProcess, unique_name
from keyturn.base.clock import parse_time, utc_now
from keyturn.base.settings import Settings
from keyturn.cluster.client import Client
from keyturn.cluster.lease import Elector
from keyturn.controller.leadership import first_notes
from testbed.cable import cable_to
from testbed.cluster import Cluster

DURATION = timedelta(milliseconds=900)


@pytest_asyncio.fixture
async def client(plane: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(timeout=timedelta(seconds=10), kubeconfig=str(plane.kubeconfig)) as client:
        yield client


class Frozen:
    """A monotonic clock that jumps ahead when the process was frozen."""

    def __init__(self) -> None:
        self.jumped = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.jumped


@pytest.fixture
def elector(client: Client, namespace: str) -> Callable[..., Elector]:
    def make(identity: str, **options: Callable[[], float]) -> Elector:
        return Elector(client, namespace=namespace, name="keyturn-operator", identity=identity, lease_duration=DURATION, **options)

    return make


def lease(plane: Cluster, namespace: str) -> dict[str, object]:
    spec = json.loads(plane.kubectl("-n", namespace, "get", "lease", "keyturn-operator", "-o", "json"))["spec"]
    assert isinstance(spec, dict)
    return spec


def annotations(plane: Cluster, namespace: str) -> dict[str, str]:
    return dict(json.loads(plane.kubectl("-n", namespace, "get", "lease", "keyturn-operator", "-o", "json"))["metadata"]["annotations"])


async def test_one_leads_and_the_other_waits_until_the_lead_is_given_up(elector: Callable[..., Elector]) -> None:
    first, second = elector("first"), elector("second")
    await asyncio.wait_for(first.acquire(), 5)
    renewing = asyncio.create_task(first.run())
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(2 * DURATION.total_seconds())
    assert first.is_leading()
    assert not waiting.done()
    renewing.cancel()
    await first.release()
    assert not first.is_leading()
    await asyncio.wait_for(waiting, DURATION.total_seconds())
    assert second.is_leading()


async def test_a_leader_that_died_is_followed_within_two_durations(elector: Callable[..., Elector], plane: Cluster, namespace: str) -> None:
    first, second = elector("first"), elector("second")
    await asyncio.wait_for(first.acquire(), 5)
    left_behind = parse_time(str(lease(plane, namespace)["renewTime"]))
    await asyncio.wait_for(second.acquire(), 2 * DURATION.total_seconds())
    assert second.previous_renew_time == left_behind
    spec = lease(plane, namespace)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def test_what_a_leader_left_untold_outlives_two_that_die_before_they_renew(
    elector: Callable[..., Elector], plane: Cluster, namespace: str
) -> None:
    """Incident: killed twice in a row, with a slow start in between; the first one's last write was told by nobody."""
    settings = Settings(lease_duration=DURATION)
    seen = []
    for identity in ("first", "second", "third"):
        leader = elector(identity)
        leader.notes = partial(first_notes, leader, settings)
        await asyncio.wait_for(leader.acquire(), 5)
        seen.append(annotations(plane, namespace)["keyturn.dev/told-through"])
    assert int(seen[0]) < (utc_now() - timedelta(minutes=9)).timestamp() * 1000
    assert seen[1:] == [seen[0], seen[0]]


@pytest.mark.usefixtures("shared_operator")  # it has installed the CRDs
def test_the_operator_says_so_with_the_very_write_that_takes_the_lead(plane: Cluster, namespace: str) -> None:
    """With ten minutes of lease there is no renewal before we look."""
    settings = {"lease_duration": "10m", "watch_namespaces": namespace}
    with OperatorProcess.start(plane, records_namespace=unique_name("records"), settings=settings, name="first") as operator:
        operator.wait_ready()
        assert "keyturn.dev/told-through" in annotations(plane, operator.setting("namespace"))


async def test_the_same_identity_takes_over_at_once(elector: Callable[..., Elector]) -> None:
    await asyncio.wait_for(elector("first").acquire(), 5)
    await asyncio.wait_for(elector("first").acquire(), DURATION.total_seconds() / 2)


async def test_a_frozen_leader_knows_when_it_wakes(elector: Callable[..., Elector]) -> None:
    monotonic = Frozen()
    leader = elector("first", monotonic=monotonic)
    await asyncio.wait_for(leader.acquire(), 5)
    running = asyncio.create_task(leader.run())
    await asyncio.sleep(0)
    monotonic.jumped = 60.0
    assert not leader.is_leading()
    await asyncio.wait_for(running, 5)
    assert leader.lost.is_set()


async def test_a_leader_whose_lease_was_taken_stops(client: Client, elector: Callable[..., Elector], namespace: str) -> None:
    leader = elector("first")
    await asyncio.wait_for(leader.acquire(), 5)
    running = asyncio.create_task(leader.run())
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/keyturn-operator"
    await client.patch_merge(path, {"spec": {"holderIdentity": "thief"}})
    await asyncio.wait_for(running, 5)
    assert not leader.is_leading()


async def test_a_touched_or_deleted_lease_does_not_cost_the_lead(client: Client, elector: Callable[..., Elector], namespace: str) -> None:
    leader = elector("first")
    await asyncio.wait_for(leader.acquire(), 5)
    running = asyncio.create_task(leader.run())
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/keyturn-operator"
    await client.patch_merge(path, {"metadata": {"labels": {"touched": "yes"}}})
    await asyncio.sleep(DURATION.total_seconds())
    assert leader.is_leading()
    await client.request("DELETE", path)
    await asyncio.sleep(DURATION.total_seconds())
    assert leader.is_leading()
    running.cancel()


async def test_a_server_that_falls_silent_costs_the_lead_before_the_lease_ends(plane: Cluster, namespace: str, tmp_path: Path) -> None:
    async with (
        cable_to(plane, tmp_path) as cable,
        await Client.connect(timeout=timedelta(seconds=10), kubeconfig=str(cable.kubeconfig)) as client,
    ):
        leader = Elector(client, namespace=namespace, name="keyturn-operator", identity="first", lease_duration=DURATION)
        await asyncio.wait_for(leader.acquire(), 5)
        running = asyncio.create_task(leader.run())
        cable.freeze()
        await asyncio.wait_for(running, DURATION.total_seconds())
        assert leader.lost.is_set()
