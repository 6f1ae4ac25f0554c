"""Keeps a cache equal to the API server's collection: list → diff → watch, again from the list when the watch cannot go on.

A sink holds the result: `cache.py` as objects (CacheSink), the verifier's store as what it needs of them. It is given one item after
the other, so that a list of 100,000 need not be in memory at once, and is left alone for other work in between.
Kopf's watch is not used for this: it tells neither that a re-list has ended nor what vanished in a gap.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Generic, Protocol, TypeVar

from keyturn.base.errors import KeyturnError, RetryLater
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.api_errors import Gone
from keyturn.cluster.cache import Cache, Entry
from keyturn.cluster.client import METADATA_LIST, METADATA_ONLY, Client
from keyturn.cluster.raw import mapping_of, objects_of, resource_version_of, text_of, uid_of

T = TypeVar("T")
Item = Mapping[str, object]
Decode = Callable[[Item], tuple[Key, T] | None]
"""Reads one object; None: not ours. Must not raise: what cannot be read is a value too (say so in it), or not ours."""

PAGE: Final = 500
BREATH: Final = 4
"""Items between two chances for everything else that this event loop does: a verifier takes a quarter of a millisecond for each."""
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
    from_cache: bool = True
    """Whether the first list may be as old as the server's cache: quicker, and all of it in one answer."""

    def query(self) -> dict[str, str]:
        """The selectors."""
        return {name: value for name, value in (("labelSelector", self.label_selector), ("fieldSelector", self.field_selector)) if value}


class Sink(Protocol):
    """Where a collection's objects go. Nothing of it may raise, whatever an object holds: it would have taken half of it.

    Where one raises all the same, the watch ends and no object is passed over: what is not taken may be a revocation, access that was lost,
    or a verifier that must be waited for.
    """

    @property
    def seen_through(self) -> int:
        """Every change up to this resource version has been taken."""
        ...

    def begin_list(self) -> None:
        """A list is about to be read, from its beginning."""
        ...

    def take_listed(self, item: Item) -> None:
        """One object of that list."""
        ...

    def end_list(self, resource_version: int) -> None:
        """That was all; what was not in it is gone."""
        ...

    def take_change(self, item: Item, *, is_deletion: bool, resource_version: int) -> None:
        """One event of the watch, and everything up to its version."""
        ...

    def advance(self, resource_version: int) -> None:
        """A bookmark: nothing else changed up to this version."""
        ...


class _About:
    """Names the object in whatever is raised about it: who reads the traceback must know which one to look at."""

    __slots__ = ("_name",)

    def __init__(self, name: object) -> None:
        self._name = name

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: type[BaseException] | None, bug: BaseException | None, _traceback: TracebackType | None) -> None:
        if bug is not None:
            bug.add_note(f"about {self._name}")


class CacheSink(Generic[T]):
    """Keeps decoded objects in a Cache; `on_change` is told which key is different now."""

    def __init__(self, cache: Cache[T], *, decode: Decode[T], on_change: Callable[[Key], None]) -> None:
        self._cache, self._decode, self._on_change = cache, decode, on_change
        self._listing: list[tuple[Key, Entry[T]]] = []

    @property
    def seen_through(self) -> int:
        """As the cache's."""
        return self._cache.seen_through

    def begin_list(self) -> None:
        """Start anew."""
        self._listing = []

    def take_listed(self, item: Item) -> None:
        """Decode and keep until the list is whole: our own writes may be answered meanwhile."""
        decoded = self._decoded(item)
        if decoded is not None:
            self._listing.append((decoded[0], Entry(decoded[1], resource_version_of(item), uid_of(item))))

    def end_list(self, resource_version: int) -> None:
        """Into the cache, and tell what is different."""
        changed = self._cache.replace_all(self._listing, resource_version)
        self._listing = []
        for key in changed:
            self._tell(key)

    def take_change(self, item: Item, *, is_deletion: bool, resource_version: int) -> None:
        """Into the cache, and tell if it was news."""
        key = self._changed_by(item, resource_version, is_deletion=is_deletion)
        self._cache.advance(resource_version)
        if key is not None:
            self._tell(key)

    def advance(self, resource_version: int) -> None:
        """As the cache."""
        self._cache.advance(resource_version)

    def _changed_by(self, item: Item, version: int, *, is_deletion: bool) -> Key | None:
        decoded = self._decoded(item)
        if decoded is None:  # not ours, or no longer
            held = self._cache.key_of(uid_of(item))
            return held if held is not None and self._cache.remove(held, version) else None
        key, value = decoded
        if is_deletion:
            return key if self._cache.remove(key, version) else None
        return key if self._cache.put(key, value, version, uid_of(item)) else None

    def _decoded(self, item: Item) -> tuple[Key, T] | None:
        with _About(text_of(mapping_of(item, "metadata"), "name")):
            return self._decode(item)

    def _tell(self, key: Key) -> None:
        with _About(str(key).lstrip("/")):
            self._on_change(key)


def _ignore() -> None:
    return


class Reflector:
    """Runs until cancelled; `synced` is set after the first list."""

    def __init__(
        self,
        client: Client,
        collection: Collection,
        *,
        sink: Sink,
        on_heard: Callable[[], None] = _ignore,
        idle_timeout: timedelta = IDLE_TIMEOUT,
        watch_timeout: timedelta = WATCH_TIMEOUT,
    ) -> None:
        self._client = client
        self._collection = collection
        self._sink = sink
        self._on_heard = on_heard
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
    def path(self) -> str:
        """Of the collection."""
        return self._collection.path

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
        """Read everything. The first list may come from the server's cache, a later one must be up to date."""
        self._sink.begin_list()
        try:
            version = await self._pages()
        except Gone:  # the continue token grew too old between two pages: all in one then
            self._sink.begin_list()
            version = await self._page(await self._answer({}))
        self._sink.end_list(version)
        self.lists += 1
        self._heard()
        self.synced.set()

    async def _compare(self) -> None:
        """Before a watch goes on: is the store still the one we know? Raises Gone if it went back.

        A store restored from a backup counts from lower versions, and a watch from a version that does not exist yet is no error
        for the API server: it stays silent until the count gets there. One item, quorum read, is enough to tell: whichever the labels
        leave, but for the fields, by which a right may be limited to one name.
        """
        query = {name: value for name, value in self._collection.query().items() if name == "fieldSelector"}
        answer = await self._client.get(self._collection.path, query={**query, "limit": "1"}, accept=METADATA_LIST)
        if resource_version_of(answer) < self._sink.seen_through:
            log.warning("Store went back to an earlier state and is read anew", path=self._collection.path)
            self.went_back.set()
            raise Gone("list: the store went back")
        self._heard_at = time.monotonic()  # but failures stay counted: only a watch that works ends them

    async def _pages(self) -> int:
        if self._collection.from_cache and not self.synced.is_set():
            return await self._page(await self._answer({"resourceVersion": "0"}))
        query = {"limit": str(PAGE)}
        coming = asyncio.ensure_future(self._answer(query))
        try:
            while True:
                answer = await coming
                token = text_of(mapping_of(answer, "metadata"), "continue")
                if token:  # the server reads the next page while this one is taken
                    coming = asyncio.ensure_future(self._answer({**query, "continue": token}))
                version = await self._page(answer)
                if not token:
                    return version
        finally:
            coming.cancel()

    async def _page(self, answer: Item) -> int:
        for number, item in enumerate(objects_of(answer, "items"), start=1):
            self._sink.take_listed(item)
            if number % BREATH == 0:
                await asyncio.sleep(0)
        return resource_version_of(answer)

    async def _answer(self, query: Mapping[str, str]) -> Item:
        accept = METADATA_LIST if self._collection.metadata_only else None
        return await self._client.get(self._collection.path, query={**self._collection.query(), **query}, accept=accept)

    async def _watch(self) -> None:
        """Follow changes until the server ends the stream. Raises Gone, TimeoutError (silence), RetryLater."""
        query = {
            **self._collection.query(),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._sink.seen_through),
            "timeoutSeconds": str(max(1, round(self._watch_timeout.total_seconds()))),
        }
        accept = METADATA_ONLY if self._collection.metadata_only else None
        stream = self._client.stream(self._collection.path, query=query, accept=accept, idle_timeout=self._idle_timeout)
        async with aclosing(stream) as lines:
            taken = 0
            async for line in lines:
                self._take(_event(line))
                taken += 1
                if taken % BREATH == 0:
                    await asyncio.sleep(0)

    def _take(self, event: Item) -> None:
        what, item = text_of(event, "type"), mapping_of(event, "object")
        if what == "ERROR":
            raise _watch_error(item)
        version = resource_version_of(item)
        if what == "BOOKMARK":
            self._sink.advance(version)
        else:
            self._sink.take_change(item, is_deletion=what == "DELETED", resource_version=version)
        self._heard()

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        self._failures = 0
        self._on_heard()


def _event(line: bytes) -> Item:
    try:
        event = json.loads(line)
    except ValueError:  # cut off in the middle, by a proxy that ends streams in good order
        event = None
    if not isinstance(event, Mapping):
        raise RetryLater("watch: a line is no event")
    return event


def _watch_error(status: Item) -> RetryLater:
    code = status.get("code")
    reason = text_of(status, "reason")
    if code == 410 or reason in {"Expired", "Gone"}:  # noqa: PLR2004  HTTP's own number
        return Gone(f"watch: {reason}")
    return RetryLater(f"watch: {code} {reason}")
