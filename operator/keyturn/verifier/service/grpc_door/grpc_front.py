"""The door for Envoy over gRPC: sockets, TLS and the clock around `http2_connection.py` and `grpc_calls.py`.

One `GrpcFront` a process; `drain` ends it without failing a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from typing import Final, cast

from keyturn.base.log_output import get_logger
from keyturn.verifier.guard import Guard
from keyturn.verifier.service.doors import Door
from keyturn.verifier.service.gatekeeper import HOW_TO, NOT_NOW, Entry, Gatekeeper
from keyturn.verifier.service.grpc_door import http2_limits as limits
from keyturn.verifier.service.grpc_door.envoy_check import CHECK, EnvoyCheck
from keyturn.verifier.service.grpc_door.grpc_calls import Code, Method, answer, failure
from keyturn.verifier.service.grpc_door.grpc_health import HEALTH, HealthCheck
from keyturn.verifier.service.grpc_door.http2_connection import Connection, Reply, Request

ALPN: Final = "h2"
_LOOK_SECONDS: Final = 2.0

log = get_logger(__name__)


class GrpcFront:
    """Answers Envoy's checks and health checks at one address."""

    def __init__(self, guard: Guard, *, is_ready: Callable[[], bool], gatekeeper: Gatekeeper | None = None) -> None:
        """`gatekeeper`: None: everyone may ask who can connect."""
        self._gatekeeper = gatekeeper
        self._methods: Mapping[bytes, Method] = {
            CHECK: EnvoyCheck(guard),
            HEALTH: HealthCheck(lambda: is_ready() and not self._is_draining),
        }
        self._peers = _Peers()
        self._is_draining = False
        self._door: Door | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self, door: Door, *, tls: ssl.SSLContext | None = None) -> None:
        """Answer at this door from now on. `tls` has to offer ALPN h2."""
        self._door = door
        peers = self._peers
        await door.open(lambda: _Peer(self._methods, peers, self._gatekeeper), peers, tls=tls)
        self._looking = asyncio.create_task(self._look(), name="grpc")

    async def drain(self, *, seconds: float) -> None:
        """Take no new connections, let every peer finish and go elsewhere; cut off those that have not within `seconds`."""
        self._is_draining = True
        if self._door is not None:
            self._door.close()
        for peer in tuple(self._peers.present):
            peer.drain()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peers.all_gone.wait(), seconds)
        for peer in tuple(self._peers.present):
            peer.abort()
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for peer in tuple(self._peers.present):
                peer.look()


class _Peers:
    """Who is connected."""

    def __init__(self) -> None:
        self.present: set[_Peer] = set()
        self._leaving: set[_Peer] = set()
        self.all_gone = asyncio.Event()
        self.all_gone.set()

    @property
    def staying(self) -> int:
        """As `doors.Guests`."""
        return len(self.present) - len(self._leaving)

    def send_one_away(self) -> None:
        """As `doors.Guests`."""
        chosen = next((each for each in self.present if each not in self._leaving), None)
        if chosen is not None:
            self._leaving.add(chosen)
            chosen.drain()

    def add(self, peer: _Peer) -> None:
        """It came."""
        self.present.add(peer)
        self.all_gone.clear()

    def discard(self, peer: _Peer) -> None:
        """It went, if it was ever let in."""
        self.present.discard(peer)
        self._leaving.discard(peer)
        if not self.present:
            self.all_gone.set()


class _Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, methods: Mapping[bytes, Method], peers: _Peers, gatekeeper: Gatekeeper | None) -> None:
        self._methods, self._peers, self._gatekeeper = methods, peers, gatekeeper
        self._has_certificate = False
        self._loop = asyncio.get_running_loop()
        self._connection = Connection(now=self._loop.time())
        self._transport: asyncio.Transport
        self._stalled_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected. Without ALPN h2 a TLS peer did not ask for HTTP/2 (RFC 9113 section 3.2)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's derive from none of asyncio's
        tls = transport.get_extra_info("ssl_object")
        self._has_certificate = bool(transport.get_extra_info("peercert"))
        if len(self._peers.present) >= limits.MAX_CONNECTIONS or (tls is not None and tls.selected_alpn_protocol() != ALPN):
            self.abort()
            return
        self._peers.add(self)
        self._transport.set_write_buffer_limits(high=limits.WRITE_AHEAD)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole by now, all in one write."""
        connection = self._connection
        for request in connection.receive(data, now=self._loop.time()):
            connection.answer(request.stream_id, self._answer(request))
        self._send()

    def _answer(self, request: Request) -> Reply:
        if self._gatekeeper is not None and request.head.path == CHECK:
            match self._gatekeeper.entry(request.head.headers, has_certificate=self._has_certificate):
                case Entry.UNPROVEN:
                    return failure(Code.PERMISSION_DENIED, HOW_TO)
                case Entry.NOT_NOW:
                    return failure(Code.UNAVAILABLE, NOT_NOW)
                case Entry.OPEN:
                    pass
        return answer(request, self._methods)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the name is asyncio's
        """It is closed, by whomever."""
        self._peers.discard(self)

    def pause_writing(self) -> None:
        """The peer does not read: take nothing more from it, or its answers would pile up here."""
        self._stalled_since = self._loop.time()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self._stalled_since = None
        self._transport.resume_reading()

    def drain(self) -> None:
        """Ask it to go elsewhere."""
        self._connection.drain()
        self._send()

    def look(self) -> None:
        """What no byte of the peer would bring about."""
        now = self._loop.time()
        if self._stalled_since is not None and now - self._stalled_since > limits.STALLED_SECONDS:
            self.abort()
            return
        self._connection.expire(now=now)
        self._send()

    def abort(self) -> None:
        """Cut it off."""
        self._transport.abort()

    def _send(self) -> None:
        output = self._connection.take_output()
        if output:
            self._transport.write(output)
        if self._connection.is_over:
            self._transport.close()
