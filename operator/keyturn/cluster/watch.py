"""Keeps a cache equal to the API server's collection: list → diff → watch, again from the list when the watch cannot go on.

`cache.py` holds the result; `on_change` tells whoever cares (the work queue, the verifier's store) which key is different now.
Kopf's watch is not used for this: it tells neither that a re-list has ended nor what vanished in a gap.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from keyturn.base.errors import KeyturnError, RetryLater
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.api_errors import Gone
from keyturn.cluster.cache import Cache, Entry
from keyturn.cluster.client import METADATA_LIST, METADATA_ONLY, Client
from keyturn.cluster.raw import mapping_of, objects_of, resource_version_of, text_of, uid_of

T = TypeVar("T")
Decode = Callable[[Mapping[str, object]], tuple[Key, T] | None]
"""Reads one object; None: not ours. Must not raise: what cannot be read is a value too (say so in it), or not ours."""

PAGE: Final = 500
IDLE_TIMEOUT: Final = timedelta(seconds=100)
"""The API server sends a bookmark about once a minute, so a watch silent for longer is half-open."""
WATCH_TIMEOUT: Final = timedelta(seconds=290)
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 15.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Collection:
    """What to watch. `path` is the collection's, in one namespace or over all."""

    path: str
    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False

    def query(self) -> dict[str, str]:
        """The selectors."""
        return {name: value for name, value in (("labelSelector", self.label_selector), ("fieldSelector", self.field_selector)) if value}


class Reflector(Generic[T]):
    """Runs until cancelled; `synced` is set after the first list."""

    def __init__(
        self,
        client: Client,
        collection: Collection,
        *,
        cache: Cache[T],
        decode: Decode[T],
        on_change: Callable[[Key], None],
        idle_timeout: timedelta = IDLE_TIMEOUT,
        watch_timeout: timedelta = WATCH_TIMEOUT,
    ) -> None:
        self._client = client
        self._collection = collection
        self._cache = cache
        self._decode = decode
        self._on_change = on_change
        self._idle_timeout = idle_timeout
        self._watch_timeout = watch_timeout
        self._heard_at = float("-inf")
        self._failures = 0
        self.synced = asyncio.Event()
        self.went_back = asyncio.Event()
        """Set when the store turned out to be older than what was seen: a restore. Whatever else was remembered is in doubt then."""
        self.lists = 0
        """How often the whole collection was read."""

    @property
    def age(self) -> timedelta:
        """Since the server last said anything about this collection: a list, a change, a bookmark. Before the first list: timedelta.max."""
        seconds = time.monotonic() - self._heard_at
        return timedelta(seconds=seconds) if seconds < float("inf") else timedelta.max

    async def run(self) -> None:
        """List, watch, and list again when needed, for ever; failures are waited out."""
        must_list = True
        while True:
            try:
                if must_list:
                    await self._list()
                    must_list = False
                else:
                    await self._compare()
                await self._watch()
                await asyncio.sleep(FIRST_PAUSE)  # a proxy that ends every stream at once must not turn this into a storm
            except Gone:
                must_list = True
            except TimeoutError:
                log.debug("Watch fell silent and was opened again", path=self._collection.path)
            except KeyturnError as error:
                await self._pause(error)

    async def _pause(self, error: KeyturnError) -> None:
        self._failures += 1
        if self._failures in {1, 10, 100}:
            log.warning("Watch failed and will be tried again", path=self._collection.path, error=str(error), failures=self._failures)
        pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 16), LONGEST_PAUSE)
        advice = error.after_seconds if isinstance(error, RetryLater) else None
        await asyncio.sleep(max(pause, advice or 0.0))

    async def _list(self) -> None:
        """Read everything and tell what is different. The first list may come from the server's cache, a later one must be up to date."""
        listing: list[tuple[Key, Entry[T]]] = []
        try:
            version = await self._pages(listing, first=not self.synced.is_set())
        except Gone:  # the continue token grew too old between two pages: all in one then
            listing.clear()
            version = await self._page(listing, {})
        changed = self._cache.replace_all(listing, version)
        self.lists += 1
        self._heard()
        for key in changed:
            self._on_change(key)
        self.synced.set()

    async def _compare(self) -> None:
        """Before a watch goes on: is the store still the one we know? Raises Gone if it went back.

        A store restored from a backup counts from lower versions, and a watch from a version that does not exist yet is no error
        for the API server: it stays silent until the count gets there. One item, quorum read, is enough to tell.
        """
        answer = await self._client.get(self._collection.path, query={"limit": "1"}, accept=METADATA_LIST)
        if resource_version_of(answer) < self._cache.seen_through:
            log.warning("Store went back to an earlier state and is read anew", path=self._collection.path)
            self.went_back.set()
            raise Gone("list: the store went back")
        self._heard_at = time.monotonic()  # but failures stay counted: only a watch that works ends them

    async def _pages(self, listing: list[tuple[Key, Entry[T]]], *, first: bool) -> int:
        if first:
            return await self._page(listing, {"resourceVersion": "0"})
        page = await self._answer({"limit": str(PAGE)})
        listing.extend(self._items(page))
        while token := text_of(mapping_of(page, "metadata"), "continue"):
            page = await self._answer({"limit": str(PAGE), "continue": token})
            listing.extend(self._items(page))
        return resource_version_of(page)

    async def _page(self, listing: list[tuple[Key, Entry[T]]], query: Mapping[str, str]) -> int:
        answer = await self._answer(query)
        listing.extend(self._items(answer))
        return resource_version_of(answer)

    async def _answer(self, query: Mapping[str, str]) -> Mapping[str, object]:
        accept = METADATA_LIST if self._collection.metadata_only else None
        return await self._client.get(self._collection.path, query={**self._collection.query(), **query}, accept=accept)

    def _items(self, answer: Mapping[str, object]) -> Iterator[tuple[Key, Entry[T]]]:
        for item in objects_of(answer, "items"):
            decoded = self._decode(item)
            if decoded is not None:
                yield decoded[0], Entry(decoded[1], resource_version_of(item), uid_of(item))

    async def _watch(self) -> None:
        """Follow changes until the server ends the stream. Raises Gone, TimeoutError (silence), RetryLater."""
        query = {
            **self._collection.query(),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._cache.seen_through),
            "timeoutSeconds": str(max(1, round(self._watch_timeout.total_seconds()))),
        }
        accept = METADATA_ONLY if self._collection.metadata_only else None
        stream = self._client.stream(self._collection.path, query=query, accept=accept, idle_timeout=self._idle_timeout)
        async with aclosing(stream) as lines:
            async for line in lines:
                self._take(_event(line))

    def _take(self, event: Mapping[str, object]) -> None:
        what, item = text_of(event, "type"), mapping_of(event, "object")
        if what == "ERROR":
            raise _watch_error(item)
        self._heard()
        version = resource_version_of(item)
        key = None if what == "BOOKMARK" else self._changed_by(what, item, version)
        self._cache.advance(version)
        if key is not None:
            self._on_change(key)

    def _changed_by(self, what: str, item: Mapping[str, object], version: int) -> Key | None:
        """Put one event into the cache; answers the key it was news for."""
        decoded = self._decode(item)
        if decoded is None:  # not ours, or no longer
            held = self._cache.key_of(uid_of(item))
            return held if held is not None and self._cache.remove(held, version) else None
        key, value = decoded
        if what == "DELETED":
            return key if self._cache.remove(key, version) else None
        return key if self._cache.put(key, value, version, uid_of(item)) else None

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        self._failures = 0


def _event(line: bytes) -> Mapping[str, object]:
    try:
        event = json.loads(line)
    except ValueError:  # cut off in the middle, by a proxy that ends streams in good order
        event = None
    if not isinstance(event, Mapping):
        raise RetryLater("watch: a line is no event")
    return event


def _watch_error(status: Mapping[str, object]) -> RetryLater:
    code = status.get("code")
    reason = text_of(status, "reason")
    if code == 410 or reason in {"Expired", "Gone"}:  # noqa: PLR2004  HTTP's own number
        return Gone(f"watch: {reason}")
    return RetryLater(f"watch: {code} {reason}")
