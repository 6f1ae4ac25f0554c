"""The one connection to the API server: raw JSON over one pool, every call with a deadline, every refusal one of our errors.

`login.py` says who we are, `api_errors.py` what a refusal means. Everything in `cluster/` and `controller/` speaks through this.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final, Self

import aiohttp
from yarl import URL

from keyturn.base.clock import Clock, utc_now
from keyturn.base.errors import KeyturnError, RetryLater
from keyturn.base.names import FIELD_MANAGER
from keyturn.cluster.api_errors import no_answer_error, read_refusal, refusal_error
from keyturn.cluster.login import Credentials, Login
from keyturn.cluster.open_sockets import OpenSockets
from keyturn.cluster.request_target import parse_path

Json = dict[str, object]
OnRequest = Callable[[str, str, int], None]
"""Called with verb, resource and HTTP status (0: no answer) after every request."""

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
LONGEST_ADVICE: Final = 300.0
"""Seconds of a Retry-After that are heeded: a proxy may write any number."""
_KEEP_ALIVE_SECONDS: Final = 75.0


class _Call:
    """One request, ready to be sent, as often as it takes."""

    __slots__ = ("headers", "limit", "method", "path", "payload", "query", "target", "verb")

    def __init__(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        limit: aiohttp.ClientTimeout,
        *,
        payload: bytes | None = None,
        query: Mapping[str, str] | None = None,
        watch: bool = False,
    ) -> None:
        self.method, self.path, self.headers, self.limit, self.payload, self.query = method, path, headers, limit, payload, query
        self.target = parse_path(path)
        self.verb = self.target.verb(method, watch=watch)


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    """Status, body and Retry-After; without a repr, since the body may be a Secret."""

    status: int
    body: bytes
    retry_after: float | None


def _ignore(_verb: str, _resource: str, _status: int, /) -> None:
    return


class Client:
    """Speaks JSON to one API server. Open it with `connect`, end it with `close` (or `async with`)."""

    def __init__(self, login: Login, *, timeout: timedelta, limit: int = 128, clock: Clock = utc_now) -> None:
        self._login = login
        self._timeout = timeout
        self._clock = clock
        self._tls = login.tls()
        self._sockets = OpenSockets()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limit,
                ssl=self._tls,
                keepalive_timeout=_KEEP_ALIVE_SECONDS,
                ttl_dns_cache=30,
                socket_factory=self._sockets.create,
            ),
            headers=[("User-Agent", FIELD_MANAGER), ("Accept", "application/json"), *login.impersonation],
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self.clock_skew: timedelta | None = None
        """Own time minus the server's, from its last answer; a Date header has whole seconds, so ± 1 s is nothing."""
        self.on_request: OnRequest = _ignore

    @classmethod
    async def connect(
        cls,
        *,
        timeout: timedelta,  # noqa: ASYNC109 - the default deadline of every later call, none of this one
        limit: int = 128,
        kubeconfig: str | None = None,
        context: str | None = None,
        clock: Clock = utc_now,
    ) -> Client:
        """Log in by kubeconfig or as a pod; nothing is sent yet. Raises NoClusterAccess."""
        return cls(await Login.load(kubeconfig=kubeconfig, context=context), timeout=timeout, limit=limit, clock=clock)

    @property
    def namespace(self) -> str:
        """The kubeconfig's or the pod's own namespace."""
        return self._login.namespace

    @property
    def acts_as_another(self) -> bool:
        """Whether the kubeconfig says so, or `act_as` did."""
        return any(name.startswith("Impersonate-") for name in self._session.headers)

    async def credentials(self) -> Credentials:
        """Our login of this moment, for Kopf's own connections."""
        await self._login.fresh()
        return self._login.credentials()

    def act_as(self, user: str, groups: Iterable[str]) -> None:
        """From now on as somebody else, as kubectl's --as and --as-group: also in the place of whom the kubeconfig names."""
        for name in [name for name in self._session.headers if name.startswith("Impersonate-")]:
            self._session.headers.popall(name, None)
        self._session.headers["Impersonate-User"] = user
        for group in groups:
            self._session.headers.add("Impersonate-Group", group)

    async def close(self) -> None:
        """End all connections, also those that wait for the server to say goodbye."""
        await self._session.close()
        await self._sockets.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: str | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - part of the contract: each call says how long it may wait
    ) -> Json:
        """Send one request and answer the decoded JSON object.

        Raises NotFound, AlreadyExists, Conflict, Gone, Forbidden, Invalid, Unauthorized, OutcomeUnknown, RetryLater.
        """
        payload = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        raw = await self.request_bytes(
            method, path, payload=payload, content_type=content_type, query=query, accept=accept, timeout=timeout
        )
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            target = parse_path(path)
            raise no_answer_error(target.verb(method), target=target, what="the answer is no JSON object", sent=True)
        return answer

    async def request_bytes(
        self,
        method: str,
        path: str,
        *,
        payload: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: str | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - as above
    ) -> bytes:
        """As `request`, with bytes in and out: for what must not pass through ordinary strings."""
        headers = {} if payload is None else {"Content-Type": content_type}
        if accept is not None:
            headers["Accept"] = accept
        limit = aiohttp.ClientTimeout(total=(timeout or self._timeout).total_seconds())
        call = _Call(method, path, headers, limit, payload=payload, query=query)
        sent_at = time.monotonic()
        answer = await self._exchange(call)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            await self._renew_login(since=sent_at)
            answer = await self._exchange(call)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _error(answer, call=call)
        return answer.body

    async def get(self, path: str, *, query: Mapping[str, str] | None = None, accept: str | None = None) -> Json:
        """Read an object or a list."""
        return await self.request("GET", path, query=query, accept=accept)

    async def post(self, path: str, body: object, *, query: Mapping[str, str] | None = None, accept: str | None = None) -> Json:
        """Create an object in the collection `path`."""
        return await self.request("POST", path, body=body, query=_managed(query), accept=accept)

    async def put(self, path: str, body: object, *, accept: str | None = None) -> Json:
        """Replace an object; `metadata.resourceVersion` in the body makes it conditional."""
        return await self.request("PUT", path, body=body, query=_managed(None), accept=accept)

    async def patch_merge(self, path: str, body: object, *, query: Mapping[str, str] | None = None, accept: str | None = None) -> Json:
        """Change an object by RFC 7386; `metadata.resourceVersion` or `uid` in the body makes it conditional."""
        return await self.request("PATCH", path, body=body, content_type=MERGE_PATCH, query=_managed(query), accept=accept)

    async def apply(self, path: str, body: object, *, manager: str = FIELD_MANAGER, force: bool = True, accept: str | None = None) -> Json:
        """Server-side apply. Creates what is missing, unless `metadata.uid` is in the body (then a Conflict)."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self.request("PATCH", path, body=body, content_type=APPLY_PATCH, query=query, accept=accept)

    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        accept: str | None = None,
        idle_timeout: timedelta,
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a watch, without their ends, until the server ends it. Close it with `contextlib.aclosing`.

        TimeoutError when nothing came for `idle_timeout` (a half-open connection, or a quiet server); else as `request`.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total_seconds(), sock_read=idle_timeout.total_seconds())
        call = _Call("GET", path, {} if accept is None else {"Accept": accept}, limit, query=query, watch=True)
        sent_at = time.monotonic()
        try:
            async with await self._open(call) as response:
                self._seen(response, call=call)
                if response.status == HTTPStatus.UNAUTHORIZED:
                    await self._renew_login(since=sent_at)  # for the next attempt: whoever watches tries again
                if response.status != HTTPStatus.OK:
                    raise _error(_Answer(response.status, await response.read(), _retry_after(response)), call=call)
                async for line in _lines(response.content):
                    yield line
        except aiohttp.ConnectionTimeoutError as error:
            raise no_answer_error("watch", target=call.target, what=_word_for(error), sent=False) from None
        except TimeoutError:
            raise TimeoutError(f"watch {call.target}: silent for {idle_timeout.total_seconds():g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise no_answer_error("watch", target=call.target, what=_word_for(error), sent=False) from None

    async def _exchange(self, call: _Call) -> _Answer:
        """One round trip. Raises OutcomeUnknown or RetryLater where there is no answer."""
        try:
            async with await self._open(call) as response:
                body = await response.read()
                self._seen(response, call=call)
                return _Answer(response.status, body, _retry_after(response))
        except TimeoutError:
            what, sent = f"no answer in {call.limit.total:g} s", True
        except aiohttp.ClientConnectorError as error:  # before anything was sent
            what, sent = _word_for(error), False
        except (aiohttp.ClientError, OSError) as error:
            what, sent = _word_for(error), True
        self.on_request(call.verb, call.target.resource, 0)
        raise no_answer_error(call.verb, target=call.target, what=what, sent=sent)

    async def _open(self, call: _Call) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        authorization = await self._login.fresh()
        return self._session.request(
            call.method,
            URL(self._login.server + call.path),
            params=call.query,
            data=call.payload,
            headers=call.headers if authorization is None else {**call.headers, "Authorization": authorization},
            timeout=call.limit,
            allow_redirects=False,
            proxy=self._login.proxy,
            server_hostname=self._login.server_name,
        )

    async def _renew_login(self, *, since: float) -> None:
        try:
            await self._login.renew(since=since)
        except KeyturnError as error:
            raise RetryLater(str(error)) from None

    def _seen(self, response: aiohttp.ClientResponse, *, call: _Call) -> None:
        self.on_request(call.verb, call.target.resource, response.status)
        date = response.headers.get("Date")
        if date is not None:
            self.clock_skew = _skew(self._clock(), date)


def _error(answer: _Answer, *, call: _Call) -> KeyturnError:
    refusal = read_refusal(answer.status, answer.body, target=call.target)
    return refusal_error(refusal, verb=call.verb, target=call.target, after_seconds=answer.retry_after)


def _managed(query: Mapping[str, str] | None) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER, **(query or {})}


def _word_for(error: Exception) -> str:
    """Our own words for a broken connection: an aiohttp message may hold a URL or a header."""
    return f"connection failed ({type(error).__name__})"


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), LONGEST_ADVICE) if text.isascii() and text.isdigit() else None


def _skew(now: datetime, date: str) -> timedelta | None:
    server = _server_time(date)
    return None if server is None else now - server


@lru_cache(maxsize=2)  # all answers of one second carry the same date
def _server_time(date: str) -> datetime | None:
    try:
        server = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return server if server.tzinfo is not None else server.replace(tzinfo=UTC)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a stream at line ends. Not `readline`: that has a limit, and one event may be larger."""
    pending: list[bytes] = []
    async for chunk in content.iter_any():
        first, *rest = chunk.split(b"\n")
        pending.append(first)
        for part in rest:
            line = b"".join(pending)
            pending = [part]
            if line:
                yield line
    if any(pending):
        yield b"".join(pending)
