"""Finds what no watch tells: ApiKeys that vanished while nobody looked. Records against ApiKeys, at the start and every few minutes."""

from __future__ import annotations

import asyncio
from typing import Final

from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.apikeys import list_apikeys
from keyturn.cluster.client import Client
from keyturn.cluster.raw import key_of
from keyturn.controller.leftovers import remove_leftovers
from keyturn.controller.runtime import Runtime

PAGE: Final = 1000

log = get_logger(__name__)


async def sweep_forever(rt: Runtime, *, namespaces: tuple[str, ...]) -> None:
    """Sweep now and every `sweep_interval`; failures wait for the next turn."""
    while True:
        try:
            await sweep(rt, namespaces=namespaces)
            await remove_leftovers(rt)
        except KeyturnError as error:
            log.warning("Sweep failed and will be tried again", error=str(error))
        await asyncio.sleep(rt.settings.sweep_interval.total_seconds())


async def sweep(rt: Runtime, *, namespaces: tuple[str, ...]) -> int:
    """Queue every key that has a record or a cached ApiKey but no ApiKey; answers how many. Observing asks again before anything ends."""
    cached = set(rt.apikeys.keys())
    there = await _apikeys(rt.client, namespaces)
    records = rt.records.entries()
    scope = set(namespaces)
    candidates = (records.keys() | cached) - there
    gone = [key for key in candidates if not scope or key.namespace in scope]
    queued = 0
    for key in gone:
        held = rt.apikeys.get(key)
        if held is not None:
            rt.apikeys.remove(key, held.resource_version)
        record = records.get(key)
        if held is None and record is not None and rt.memory.buried.get(key) == record.resource_version:
            continue
        rt.queue.add(key)
        queued += 1
    return queued


async def _apikeys(client: Client, namespaces: tuple[str, ...]) -> set[Key]:
    """Every ApiKey there is, none older than now."""
    found: set[Key] = set()
    for namespace in namespaces or ("",):
        for item in await list_apikeys(client, namespace, chunk=PAGE, metadata_only=True):
            found.add(key_of(item))
    return found
