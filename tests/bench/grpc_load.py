"""Envoy's questions over gRPC from an own process, whose CPU time is not counted: so many, so many in flight, over one connection.

    python -m bench.grpc_load PORT REQUESTS IN_FLIGHT KEYS

The bytes are written beforehand and answers are counted by the frame that ends them. Ends with 1 if one of them refuses.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import uvloop

from gen.http2_peer import Peer, data, framed
from gen.many_keys import ASKED, token
from keyturn.verifier.service.grpc_door import envoy_messages
from keyturn.verifier.service.grpc_door import http2_frames as wire

_WINDOW: Final = 2**30
_ENDS_ANSWER: Final = wire.HEADERS, wire.END_STREAM | wire.END_HEADERS


def question(number: int) -> bytes:
    """What Envoy asks with the configuration in deploy/gateways: 600 bytes, of which few are looked at."""
    message = envoy_messages.message("CheckRequest")()
    headers = message.attributes.request.http.headers
    headers["authorization"] = b"Bearer " + token(number).encode()
    for name, value in ((":method", b"GET"), (":path", b"/orders/1?page=2"), (":authority", b"api.example.com"), (":scheme", b"http")):
        headers[name] = value
    for name, value in (("x-forwarded-proto", b"http"), ("x-request-id", b"b6f8a7c2-1f0e-4f43-9b7d-0c1d2e3f4a5b")):
        headers[name] = value
    message.attributes.source.address.socket_address.address = "192.0.2.7"
    message.attributes.context_extensions["audience"] = ASKED["audience"]
    message.attributes.context_extensions["scope"] = "orders:read"
    # what Envoy says besides (time, id, host, destination) is passed over: unknown fields of the same length
    return message.SerializeToString() + b"\xba\x3e\xff\x01" + bytes(255)


class Load(asyncio.Protocol):
    """One connection, always as many requests under way as asked for."""

    def __init__(self, requests: int, in_flight: int, keys: int) -> None:
        peer = Peer()
        self._first, self._again = (peer.block(grpc_timeout="60S") for _ in range(2))  # grpcio keeps to it
        self._bodies = [framed(question(number)) for number in range(keys)]
        self._left, self._in_flight, self._under_way = requests, in_flight, 0
        self._stream_id, self._rest, self._held = -1, b"", 0
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        hello = wire.PREFACE + wire.settings((wire.INITIAL_WINDOW_SIZE, _WINDOW)) + wire.window_update(0, _WINDOW)
        transport.write(hello + self._more())  # type: ignore[attr-defined]  # uvloop's derive from none of asyncio's

    def data_received(self, received: bytes) -> None:
        buffer, at, out = self._rest + received, 0, []
        while len(buffer) - at >= wire.HEAD_SIZE:
            word, flags, stream_id = wire.HEAD.unpack_from(buffer, at)
            stop = at + wire.HEAD_SIZE + (word >> 8)
            if stop > len(buffer):
                break
            kind = word & 0xFF
            if kind in {wire.SETTINGS, wire.PING} and not flags & wire.ACK:
                out.append(wire.frame(kind, wire.ACK, 0, buffer[at + wire.HEAD_SIZE : stop] if kind == wire.PING else b""))
            elif kind == wire.DATA and word >> 8 and b"x-keyturn-key-id" not in buffer[at:stop]:
                self.refused += 1
            elif kind in {wire.GOAWAY, wire.RST_STREAM}:
                self.done.set_exception(ConnectionError(f"frame {kind} on stream {stream_id}"))
            elif (kind, flags) == _ENDS_ANSWER:
                self._under_way -= 1
            at = stop
        self._rest = buffer[at:]
        out.append(self._more())
        self._transport.write(b"".join(out))  # type: ignore[attr-defined]  # as above
        if self._left == self._under_way == 0 and not self.done.done():
            self.done.set_result(None)

    def _more(self) -> bytes:
        out = []
        while self._left and self._under_way < self._in_flight:
            self._stream_id += 2
            block = self._again if self._stream_id > 1 else self._first
            out.append(wire.frame(wire.HEADERS, wire.END_HEADERS, self._stream_id, block))
            out.append(data(self._stream_id, self._bodies[self._left % len(self._bodies)]))
            self._left -= 1
            self._under_way += 1
        return b"".join(out)


async def ask(port: int, requests: int, in_flight: int, keys: int) -> int:
    """How many were refused."""
    _, load = await asyncio.get_running_loop().create_connection(lambda: Load(requests, in_flight, keys), "127.0.0.1", port)
    await load.done
    return load.refused


if __name__ == "__main__":
    sys.exit(min(1, uvloop.run(ask(*map(int, sys.argv[1:5])))))
