"""Reads what `keyturn describe` tells of: the ApiKey, its Secret's metadata, who uses it, Events. What may not be read is named.

After it: `description.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from keyturn.api.workloads import RolloutView
from keyturn.base.errors import RetryLater
from keyturn.base.names import KEY_ID_ANNOTATION, VERSION_ANNOTATION
from keyturn.cli.apikeys.apikey_view import ApiKeyView, Raw, decode_apikey, time_of
from keyturn.cli.apikeys.description import EventView, SecretView, Sources
from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.apikeys import object_path
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.raw import mapping_of, objects_of, text_of, texts_of
from keyturn.cluster.resource_path import path_part
from keyturn.cluster.workloads import list_pods, list_workloads, serves_rollouts

T = TypeVar("T")


async def read_sources(client: Client, namespace: str, name: str) -> Sources:
    """Everything about one ApiKey. Raises as `Client.get` for the ApiKey itself, for nothing else."""
    key = decode_apikey(await client.get(object_path(namespace, name)))
    not_seen: list[str] = []
    if not key.secret_name:
        events = await _or_none(_read_events(client, key), "Events", not_seen)
        return Sources(key, None, RolloutView((), ()), events, tuple(not_seen))
    secret, consumers, events = await asyncio.gather(
        _or_none(read_secret(client, key), f"Secret {key.secret_name}", not_seen),
        _or_none(_read_consumers(client, key), "workloads and pods", not_seen),
        _or_none(_read_events(client, key), "Events", not_seen),
    )
    return Sources(key, secret, consumers, events, tuple(sorted(not_seen)))


async def read_secret(client: Client, key: ApiKeyView) -> SecretView:
    """The Secret's metadata; the API server leaves its data out of the answer."""
    try:
        raw = await client.get(f"/api/v1/namespaces/{path_part(key.namespace)}/secrets/{path_part(key.secret_name)}", accept=METADATA_ONLY)
    except NotFound:
        return SecretView(key.secret_name, present=False)
    annotations = texts_of(mapping_of(raw, "metadata"), "annotations")
    return SecretView(
        key.secret_name,
        present=True,
        key_id=annotations.get(KEY_ID_ANNOTATION, ""),
        version=annotations.get(VERSION_ANNOTATION, ""),
    )


async def _or_none(reading: Awaitable[T], what: str, not_seen: list[str]) -> T | None:
    try:
        return await reading
    except Forbidden:
        not_seen.append(f"{what}: your role does not allow it")
    except RetryLater as error:
        not_seen.append(f"{what}: {error}")
    return None


async def _read_consumers(client: Client, key: ApiKeyView) -> RolloutView:
    has_rollouts = await serves_rollouts(client)
    workloads = await list_workloads(client, key.namespace, secret_name=key.secret_name, apikey_name=key.name, has_rollouts=has_rollouts)
    pods = await list_pods(client, key.namespace, secret_name=key.secret_name, apikey_name=key.name, everything=bool(key.targets))
    return RolloutView(workloads, pods)


async def _read_events(client: Client, key: ApiKeyView) -> tuple[EventView, ...]:
    query = {"fieldSelector": f"involvedObject.uid={key.uid}"}
    answer = await client.get(f"/api/v1/namespaces/{path_part(key.namespace)}/events", query=query)
    events = [_event(raw) for raw in objects_of(answer, "items")]
    return tuple(sorted(events, key=lambda event: event.last_seen.timestamp() if event.last_seen else 0.0))


def _event(raw: Raw) -> EventView:
    series = mapping_of(raw, "series")
    times = (text_of(series, "lastObservedTime"), text_of(raw, "lastTimestamp"), text_of(raw, "eventTime"))
    counts = (series.get("count"), raw.get("count"))
    return EventView(
        last_seen=next((instant for instant in map(time_of, times) if instant is not None), None),
        type=text_of(raw, "type"),
        reason=text_of(raw, "reason"),
        message=text_of(raw, "message"),
        count=next((count for count in counts if isinstance(count, int) and count), 1),
    )
