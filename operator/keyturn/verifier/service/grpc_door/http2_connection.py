"""One HTTP/2 connection as seen by a server, without a socket: bytes in, requests out; answers in, bytes out. Pure but for its own memory.

Before it: `grpc_front.py`, which owns the socket and the clock. It knows requests that have a body and answers that are short, which is
what an authorizer has; no push, no priorities. RFC 9113; `http2_limits.py` says what a peer may cost.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from keyturn.verifier.service.flood_allowance import FloodAllowance
from keyturn.verifier.service.grpc_door import http2_frames as wire
from keyturn.verifier.service.grpc_door import http2_limits as limits
from keyturn.verifier.service.grpc_door.header_blocks import HeaderBlocks
from keyturn.verifier.service.grpc_door.http2_frames import HEAD, HEAD_SIZE, ConnectionFault, StreamFault
from keyturn.verifier.service.grpc_door.http2_sending import Outbox
from keyturn.verifier.service.http_door.request_heads import Head, Meaning, Trailers, read_headers

_HELLO: Final = wire.settings(
    (wire.MAX_CONCURRENT_STREAMS, limits.MAX_STREAMS),
    (wire.INITIAL_WINDOW_SIZE, limits.MAX_BODY),
    (wire.MAX_HEADER_LIST_SIZE, limits.MAX_HEADER_LIST),
) + wire.window_update(0, limits.MAX_BODIES - wire.DEFAULT_WINDOW)
_LAST_CALL: Final = b"keyturn!"
"""In the PING that follows a first GOAWAY: once it comes back, the peer has read that."""


class Request(NamedTuple):
    """A request that is whole, to be answered."""

    stream_id: int
    head: Head
    body: bytes | None
    """None: it is larger than MAX_BODY, or too much is under way."""


class Reply(NamedTuple):
    """An answer: header blocks that use no table, and a body of at most a few KiB."""

    headers: bytes
    body: bytes = b""
    trailers: bytes = b""
    """Without a body they are not sent: what they would say stands in the headers."""


class _Stream:
    """A request that is not answered, or whose answer waits for room at the peer's."""

    __slots__ = ("body", "head", "is_given", "is_whole", "received", "since")

    def __init__(self, head: Head, since: float) -> None:
        self.head, self.since = head, since
        self.body: bytearray | None = None
        """What came of it, where it comes in pieces."""
        self.received = 0
        self.is_whole = False
        """The peer has said all of it."""
        self.is_given = False
        """Who answers has it."""


class Connection:
    """Feed it what comes, `answer` what it asks, send what `take_output` gives; when `is_over`, close."""

    def __init__(self, *, now: float) -> None:
        self.is_over = False
        self.last_request = now
        self.is_greeted = False
        """Whether the peer has shown that it speaks HTTP/2."""
        self._now = now
        self._rest = b""
        self._streams: dict[int, _Stream] = {}
        self._highest = 0
        self._last_accepted = wire.EVERY_STREAM
        self._is_leaving = False
        self._consumed = 0
        self._bodies = 0
        self._block: tuple[int, int, bytes] | None = None
        """Stream, flags and bytes of headers that CONTINUATION frames are to complete."""
        self._blocks: HeaderBlocks[Meaning] = HeaderBlocks(read_headers)
        self._flood = FloodAllowance(now)
        self._out = Outbox(_HELLO)
        self._requests: list[Request] = []

    @property
    def open_streams(self) -> int:
        """Requests that came and are not answered to the end."""
        return len(self._streams)

    def receive(self, data: bytes, *, now: float) -> list[Request]:
        """Take what the peer sent. Never raises: a peer that breaks the rules is told so, and `is_over`."""
        if self.is_over:
            return []
        self._now = now
        try:
            self._read_frames(data)
        except ConnectionFault as fault:
            self._end(fault.code)
            return []
        requests, self._requests = self._requests, []
        return requests

    def answer(self, stream_id: int, reply: Reply) -> None:
        """Answer a request that `receive` gave. One that was given up in the meantime is passed over."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        self._flood.earn()
        if not self._out.put(stream_id, reply.headers, reply.body, reply.trailers):
            return
        if stream.is_whole and not self._is_leaving:
            del self._streams[stream_id]  # the usual end, without the calls of _close
            self._out.forget(stream_id)
        else:
            self._close(stream_id, stream)

    def take_output(self) -> bytes:
        """What is to be sent now."""
        return self._out.take()

    def drain(self) -> None:
        """Ask the peer to send no new requests here; what is under way will be answered. Then `is_over`."""
        if not self._is_leaving:
            self._is_leaving = True
            self._out.add(wire.go_away(wire.EVERY_STREAM, wire.NO_ERROR) + wire.frame(wire.PING, 0, 0, _LAST_CALL))

    def expire(self, *, now: float) -> None:
        """Give up requests that take too long; leave politely if there was none for long. To be called every few seconds."""
        self._now = now
        if not self.is_greeted:
            self.is_over = self.is_over or now - self.last_request > limits.HELLO_SECONDS
            return
        for stream_id in [each for each, stream in self._streams.items() if now - stream.since > limits.REQUEST_SECONDS]:
            self._out.add(wire.reset(stream_id, wire.CANCEL))
            self._drop(stream_id)
        if not self._streams and now - self.last_request > limits.IDLE_SECONDS:
            self.drain()

    def _read_frames(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        at, end = 0, len(buffer)
        if not self.is_greeted:
            at = self._read_hello(buffer)
        while self.is_greeted and end - at >= HEAD_SIZE:
            word, flags, stream_id = HEAD.unpack_from(buffer, at)
            stop = at + HEAD_SIZE + (word >> 8)
            if word >> 8 > limits.MAX_FRAME_SIZE:
                raise ConnectionFault(wire.FRAME_SIZE_ERROR)
            if stop > end:
                break
            try:
                self._read_frame(word & 0xFF, flags, stream_id & wire.EVERY_STREAM, buffer[at + HEAD_SIZE : stop])
            except StreamFault as fault:
                self._reset(fault.stream_id, fault.code)
            at = stop
        self._rest = buffer[at:]

    def _read_hello(self, buffer: bytes) -> int:
        """Where the frames begin, once the preface and the head of the SETTINGS frame that follows it are there (RFC 9113 section 3.4)."""
        start = len(wire.PREFACE)
        if not buffer.startswith(wire.PREFACE[: len(buffer)]):
            raise ConnectionFault(wire.PROTOCOL_ERROR)
        if len(buffer) < start + HEAD_SIZE:
            return 0
        if buffer[start + 3] != wire.SETTINGS or buffer[start + 4] & wire.ACK:
            raise ConnectionFault(wire.PROTOCOL_ERROR)
        self.is_greeted = True
        return start

    def _read_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and (kind != wire.CONTINUATION or stream_id != self._block[0]):
            raise ConnectionFault(wire.PROTOCOL_ERROR)
        if kind == wire.DATA:
            self._read_data(flags, stream_id, payload)
        elif kind == wire.HEADERS:
            self._read_headers(flags, stream_id, payload)
        elif kind == wire.CONTINUATION:
            self._read_continuation(flags, stream_id, payload)
        else:
            self._flood.spend(self._now)
            self._read_control(kind, flags, stream_id, payload)

    def _read_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id % 2 == 0:
            raise ConnectionFault(wire.PROTOCOL_ERROR)
        if flags & (wire.PADDED | wire.HAS_PRIORITY):
            payload, depends_on = _bare_headers(flags, payload)
        else:
            depends_on = None
        if not flags & wire.END_HEADERS:
            self._block = stream_id, flags, payload
            return
        self._read_block(flags, stream_id, payload)
        if depends_on == stream_id:
            raise StreamFault(stream_id, wire.PROTOCOL_ERROR)

    def _read_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None:
            raise ConnectionFault(wire.PROTOCOL_ERROR)
        self._flood.spend(self._now)
        _, first_flags, start = self._block
        block = start + payload
        if len(block) > limits.MAX_HEADER_BLOCK:
            raise ConnectionFault(wire.ENHANCE_YOUR_CALM)
        self._block = stream_id, first_flags, block
        if flags & wire.END_HEADERS:
            self._block = None
            self._read_block(first_flags, stream_id, block)

    def _read_block(self, flags: int, stream_id: int, block: bytes) -> None:
        meaning = self._blocks.read(block)
        if stream_id <= self._highest:
            self._read_trailers(flags, stream_id, meaning)
            return
        self._highest = stream_id
        if len(self._streams) >= limits.MAX_STREAMS or stream_id > self._last_accepted:
            raise StreamFault(stream_id, wire.REFUSED_STREAM)
        if not isinstance(meaning, Head):
            raise StreamFault(stream_id, wire.PROTOCOL_ERROR)
        self.last_request = self._now
        stream = self._streams[stream_id] = _Stream(meaning, self._now)
        if flags & wire.END_STREAM:
            self._finish(stream_id, stream, b"")

    def _read_trailers(self, flags: int, stream_id: int, meaning: Meaning) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.is_whole:
            raise ConnectionFault(wire.STREAM_CLOSED)
        if not flags & wire.END_STREAM or not isinstance(meaning, Trailers):
            raise StreamFault(stream_id, wire.PROTOCOL_ERROR)
        self._finish(stream_id, stream, bytes(stream.body or b""))

    def _read_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._take_from_window(size)
        if flags & wire.PADDED:
            payload = wire.without_padding(payload)
        stream = self._streams.get(stream_id)
        if stream is None or stream.is_whole:
            if stream_id == 0 or stream_id > self._highest:
                raise ConnectionFault(wire.PROTOCOL_ERROR)
            raise StreamFault(stream_id, wire.STREAM_CLOSED)
        stream.received += size
        if stream.received > limits.MAX_BODY:
            raise StreamFault(stream_id, wire.FLOW_CONTROL_ERROR)
        if not flags & wire.END_STREAM:
            self._keep(stream_id, stream, payload)
            return
        if stream.body is not None or stream.is_given:
            self._keep(stream_id, stream, payload)
            payload = bytes(stream.body or b"")
        self._finish(stream_id, stream, payload)

    def _keep(self, stream_id: int, stream: _Stream, payload: bytes) -> None:
        """A part of a body. Of one that is too large nothing is kept, and the request is answered before it ends."""
        if len(payload) < limits.SMALL_DATA:
            self._flood.spend(self._now)
        if stream.is_given:
            return
        if stream.body is None:
            stream.body = bytearray()
        stream.body += payload
        self._bodies += len(payload)
        if stream.received >= limits.MAX_BODY or self._bodies > limits.MAX_BODIES:
            self._give(stream_id, stream, None)

    def _finish(self, stream_id: int, stream: _Stream, body: bytes) -> None:
        """The peer has said all of this request."""
        stream.is_whole = True
        if stream.is_given:
            return
        promised = stream.head.content_length
        if promised is not None and promised != len(body):
            raise StreamFault(stream_id, wire.PROTOCOL_ERROR)
        self._give(stream_id, stream, body)

    def _give(self, stream_id: int, stream: _Stream, body: bytes | None) -> None:
        if stream.body is not None:
            self._bodies -= len(stream.body)
            stream.body = None
        stream.is_given = True
        self._requests.append(Request(stream_id, stream.head, body))

    def _take_from_window(self, size: int) -> None:
        """Room is given back at once: MAX_BODIES bounds what is kept, and halves of bodies could hold a window for ever."""
        self._consumed += size
        if self._consumed > limits.MAX_BODIES:
            raise ConnectionFault(wire.FLOW_CONTROL_ERROR)
        if self._consumed > limits.MAX_BODIES // 2:
            self._out.add(wire.window_update(0, self._consumed))
            self._consumed = 0

    def _read_control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Everything but requests. Kinds that nobody knows are passed over (RFC 9113 section 5.5)."""
        if kind == wire.WINDOW_UPDATE:
            self._read_window_update(stream_id, payload)
        elif kind == wire.PING:
            self._read_ping(flags, stream_id, payload)
        elif kind == wire.SETTINGS:
            self._read_settings(flags, stream_id, payload)
        elif kind == wire.RST_STREAM:
            self._read_reset(stream_id, payload)
        elif kind == wire.PRIORITY:
            _check_priority(stream_id, payload)
        elif kind == wire.GOAWAY:
            _check_size(payload, at_least=8, stream_id=stream_id)
        elif kind == wire.PUSH_PROMISE:
            raise ConnectionFault(wire.PROTOCOL_ERROR)

    def _read_window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != wire.NUMBER.size:
            raise ConnectionFault(wire.FRAME_SIZE_ERROR)
        increment = wire.NUMBER.unpack(payload)[0] & wire.MAX_WINDOW
        if stream_id > self._highest or (stream_id == 0 and increment == 0):
            raise ConnectionFault(wire.PROTOCOL_ERROR)
        if increment == 0:
            raise StreamFault(stream_id, wire.PROTOCOL_ERROR)
        if stream_id == 0:
            self._out.widen(increment)
        elif stream_id in self._streams:
            self._out.widen_stream(stream_id, increment)
        self._flush()

    def _read_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        _check_size(payload, at_least=8, at_most=8, stream_id=stream_id)
        if not flags & wire.ACK:
            self._out.add(wire.frame(wire.PING, wire.ACK, 0, payload))
        elif self._is_leaving and payload == _LAST_CALL:
            self._last_accepted = self._highest
            self._out.add(wire.go_away(self._highest, wire.NO_ERROR))
            self._leave_if_done()

    def _read_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        _check_size(payload, at_most=0 if flags & wire.ACK else limits.MAX_SETTINGS, stream_id=stream_id)
        if flags & wire.ACK:
            return
        window = wire.read_settings(payload).get(wire.INITIAL_WINDOW_SIZE)
        if window is not None:
            self._out.set_initial_window(window)
        self._out.add(wire.frame(wire.SETTINGS, wire.ACK, 0))
        self._flush()

    def _read_reset(self, stream_id: int, payload: bytes) -> None:
        _check_size(payload, at_least=4, at_most=4)
        if stream_id == 0 or stream_id > self._highest:
            raise ConnectionFault(wire.PROTOCOL_ERROR)
        self._drop(stream_id)

    def _flush(self) -> None:
        for stream_id in self._out.flush():
            self._close(stream_id, self._streams[stream_id])

    def _close(self, stream_id: int, stream: _Stream) -> None:
        """All of the answer is sent. Who still sends a body need not go on (RFC 9113 section 8.1)."""
        if not stream.is_whole:
            self._out.add(wire.reset(stream_id, wire.NO_ERROR))
        self._drop(stream_id)

    def _reset(self, stream_id: int, code: int) -> None:
        self._flood.spend(self._now)
        self._out.add(wire.reset(stream_id, code))
        self._drop(stream_id)

    def _drop(self, stream_id: int) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        if stream.body is not None:
            self._bodies -= len(stream.body)
        self._out.forget(stream_id)
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self._last_accepted != wire.EVERY_STREAM and not self._streams:
            self.is_over = True

    def _end(self, code: int) -> None:
        self._streams.clear()
        self._out.add(wire.go_away(self._highest, code))
        self.is_over = True


def _check_size(payload: bytes, *, at_least: int = 0, at_most: int = limits.MAX_FRAME_SIZE, stream_id: int = 0) -> None:
    """A frame of the whole connection: not of a stream, and not of another size."""
    if stream_id != 0:
        raise ConnectionFault(wire.PROTOCOL_ERROR)
    if not at_least <= len(payload) <= at_most:
        raise ConnectionFault(wire.FRAME_SIZE_ERROR)


def _check_priority(stream_id: int, payload: bytes) -> None:
    """Priorities are not followed (RFC 9113 section 5.3.2), but have to be well formed."""
    if stream_id == 0:
        raise ConnectionFault(wire.PROTOCOL_ERROR)
    if len(payload) != wire.PRIORITY_SIZE:
        raise StreamFault(stream_id, wire.FRAME_SIZE_ERROR)
    if wire.NUMBER.unpack_from(payload)[0] & wire.EVERY_STREAM == stream_id:
        raise StreamFault(stream_id, wire.PROTOCOL_ERROR)


def _bare_headers(flags: int, payload: bytes) -> tuple[bytes, int | None]:
    """The header block within a HEADERS frame, and the stream that it says to depend on."""
    if flags & wire.PADDED:
        payload = wire.without_padding(payload)
    if not flags & wire.HAS_PRIORITY:
        return payload, None
    if len(payload) < wire.PRIORITY_SIZE:
        raise ConnectionFault(wire.FRAME_SIZE_ERROR)
    return payload[wire.PRIORITY_SIZE :], wire.NUMBER.unpack_from(payload)[0] & wire.EVERY_STREAM
