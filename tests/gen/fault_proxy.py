"""Stands between operators and the API server, counts what passes, keeps it, and does harm at the right moment.

    with FaultProxy(plane, folder=tmp_path, records_namespace="records", namespace="records-system") as proxy:
        door = proxy.door("a")                   # one door an operator; KUBECONFIG=door.kubeconfig
        door.rule = lambda call: Refuse(409) if call.kind == "PATCH apikeys/status" else None

It runs in a thread of its own, so that tests may wait and call kubectl meanwhile. Operators speak plain HTTP to it and it speaks to
the API server as the cluster's administrator: what is tested is who does what when, not who may. With an `account`, as that one among
the administrators: it has all rights, and the admission policies know it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
from aiohttp import web
from yarl import URL

from gen.api_call import Call, Delay, Drop, Hang, Hold, Interrupt, Refuse, Rule, no_fault
from gen.fence import MASTERS
from testbed.cluster import Cluster

T = TypeVar("T")
LEASE: Final = "keyturn-operator"
HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"})
REASONS: Final = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
PATIENCE: Final = 30.0


@dataclass(slots=True)
class Door:
    """Where one operator comes in. Set `rule` at any time, from any thread; it is asked once a request, in the proxy's thread."""

    name: str
    kubeconfig: Path
    proxy: FaultProxy
    own_lease: str | None
    """The name under which this operator's Lease is really kept: with one of its own it always leads."""
    rule: Rule = no_fault
    calls: list[Call] = field(default_factory=list)
    watches_flow: bool = True
    """False: watches stay open and nothing arrives any more, as behind a dead load balancer."""
    is_open: bool = True
    transports: set[asyncio.Transport] = field(default_factory=set)
    watching: set[asyncio.Transport] = field(default_factory=set)

    def writes(self) -> list[Call]:
        """The writes so far that count."""
        return [call for call in list(self.calls) if call.is_write]

    def cut_watches(self) -> None:
        """End every open watch."""
        self.proxy.run(_abort(self.watching))

    def close(self) -> None:
        """Go away: open connections break, new ones do too."""
        self.is_open = False
        self.proxy.run(_abort(self.transports))

    def open(self) -> None:
        """Be back."""
        self.is_open = True

    def recorded(self) -> bytes:
        """Every byte that left the operator but the bodies of credential Secrets and of the root Secret, where secrets belong."""
        return b"\n".join(call.head + (b"" if call.resource in {"credentials", "root"} else call.body) for call in list(self.calls))


class FaultProxy:
    """A reverse proxy in front of one cluster, with a door for each operator. The namespaces are the operators' settings."""

    def __init__(self, cluster: Cluster, *, folder: Path, records_namespace: str, namespace: str, account: str | None = None) -> None:
        self._cluster, self._folder = cluster, folder
        self._as = {"Impersonate-User": account, "Impersonate-Group": MASTERS} if account else {}
        self._about = {"records_namespace": records_namespace, "namespace": namespace}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._session: aiohttp.ClientSession | None = None
        self._runners: list[web.ServerRunner] = []
        self._serving: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._session = self.run(self._connect())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Do something in the proxy's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def door(self, name: str, *, own_lease: bool = False) -> Door:
        """A further way in, with a kubeconfig of its own. `own_lease`: whoever comes in here leads, whoever else does."""
        return self.run(self._open_door(name, own_lease=f"{LEASE}-{name}" if own_lease else None))

    async def _connect(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._cluster.login.tls)
        return aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))

    async def _end(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        if self._session:
            await self._session.close()
        await asyncio.sleep(0.05)  # TLS connections end a moment after they were closed

    async def _open_door(self, name: str, *, own_lease: str | None) -> Door:
        door = Door(name, self._folder / f"{name}.kubeconfig", proxy=self, own_lease=own_lease)

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            return await self._serve(door, request)

        runner = web.ServerRunner(web.Server(serve, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        door.kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{runner.addresses[0][1]}"))
        return door

    async def _serve(self, door: Door, request: web.BaseRequest) -> web.StreamResponse:
        task, transport = asyncio.current_task(), request.transport
        if task is None or transport is None or not door.is_open:
            return _broken(request)
        self._serving.add(task)
        door.transports.add(transport)
        try:
            call = await self._received(door, request)
            fault = door.rule(call)
            answer = await self._before(fault, request)
            if answer is None and call.is_watch:
                return await self._stream(door, request, call)
            return answer or await self._after(fault, request, await self._forward(door, request, call))
        except (aiohttp.ClientError, ConnectionError):  # the API server is gone, or the operator
            return _broken(request)
        finally:
            self._serving.discard(task)
            door.transports.discard(transport)

    async def _received(self, door: Door, request: web.BaseRequest) -> Call:
        body = await request.read()
        target = request._message.path  # as it came, not as yarl would spell it
        head = b"\n".join([f"{request.method} {target}".encode(), *(name + b": " + value for name, value in request.raw_headers)])
        call = Call.of(len(door.calls) + 1, method=request.method, target=target, head=head, body=body, **self._about)
        door.calls.append(call)
        return call

    async def _before(self, fault: object, request: web.BaseRequest) -> web.StreamResponse | None:
        """What happens to the request; None: it goes on."""
        match fault:
            case Refuse(status, retry_after):
                return _refusal(status, retry_after)
            case Drop(after=False):
                return _broken(request)
            case Hang(after=False):
                await asyncio.Event().wait()
            case Interrupt(act, after=False):
                act()
                return _broken(request)
            case Hold(until, after=False):
                await _is_set(until)
            case Delay(seconds):
                await asyncio.sleep(seconds)
        return None

    async def _after(self, fault: object, request: web.BaseRequest, answer: web.StreamResponse) -> web.StreamResponse:
        """What happens to the answer."""
        match fault:
            case Drop(after=True):
                return _broken(request)
            case Hang(after=True):
                await asyncio.Event().wait()
            case Interrupt(act, after=True):
                act()
                return _broken(request)
            case Hold(until, after=True):
                await _is_set(until)
        return answer

    async def _forward(self, door: Door, request: web.BaseRequest, call: Call) -> web.Response:
        async with self._open(door, request, call) as answer:
            body = await answer.read()
            call.status = answer.status
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        if door.own_lease and call.resource == "leases":
            body = body.replace(door.own_lease.encode(), LEASE.encode())
        return web.Response(status=call.status, body=body, headers=headers)

    async def _stream(self, door: Door, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        transport = request.transport
        async with self._open(door, request, call) as answer:
            call.status = answer.status
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=headers)
            response.enable_chunked_encoding()
            if transport is not None:
                door.watching.add(transport)
            try:
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    while not door.watches_flow:  # noqa: ASYNC110 - set from another thread
                        await asyncio.sleep(0.02)
                    await response.write(chunk)
                await response.write_eof()
            finally:
                door.watching.discard(transport)  # type: ignore[arg-type]
        return response

    def _open(self, door: Door, request: web.BaseRequest, call: Call) -> Any:  # noqa: ANN401 - aiohttp keeps its type private
        if self._session is None:
            raise RuntimeError("the proxy is not running")
        path, body = call.path, call.body
        if door.own_lease and call.resource == "leases":
            path, body = path.replace(LEASE, door.own_lease), body.replace(f'"{LEASE}"'.encode(), f'"{door.own_lease}"'.encode())
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        if self._cluster.login.token:
            headers["Authorization"] = f"Bearer {self._cluster.login.token}"
        headers |= self._as
        url = URL(self._cluster.url + path + (f"?{call.query}" if call.query else ""), encoded=True)
        return self._session.request(call.method, url, data=body or None, headers=headers)


async def _abort(transports: set[asyncio.Transport]) -> None:
    for transport in list(transports):
        transport.abort()


def _broken(request: web.BaseRequest) -> web.StreamResponse:
    """No answer: the other end sees its connection reset."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=HTTPStatus.BAD_GATEWAY)


async def _is_set(event: threading.Event) -> None:
    while not event.is_set():  # noqa: ASYNC110 - set from another thread
        await asyncio.sleep(0.01)


def _refusal(status: int, retry_after: int | None) -> web.Response:
    reason = REASONS.get(status, "Unknown")
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "made up for a test", "reason": reason, "code": status}
    return web.json_response(body, status=status, headers={} if retry_after is None else {"Retry-After": str(retry_after)})


def _kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxied", "cluster": {"server": server}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "proxied", "context": {"cluster": "proxied", "user": "nobody"}}],
            "current-context": "proxied",
        }
    )
