"""The half of a connection that sends: answers, as far as the peer's windows allow, the rest when they do. See `http2_connection.py`."""

from __future__ import annotations

from keyturn.verifier.service.grpc_door import http2_frames as wire
from keyturn.verifier.service.grpc_door.http2_frames import HEAD, ConnectionFault, StreamFault
from keyturn.verifier.service.grpc_door.http2_limits import MAX_FRAME_SIZE


class Outbox:
    """Bytes to be sent, and answers that wait for room (RFC 9113 section 5.2)."""

    def __init__(self, hello: bytes) -> None:
        self._parts = [hello]
        self._window = wire.DEFAULT_WINDOW
        self._initial = wire.DEFAULT_WINDOW
        self._granted: dict[int, int] = {}
        """What a stream may send beyond the initial window: WINDOW_UPDATEs less what was sent. Most streams need no entry."""
        self._waiting: dict[int, tuple[bytes, bytes]] = {}
        """Body and trailers that are still to be sent."""

    def take(self) -> bytes:
        """What is to be sent now; it is no longer kept here."""
        if not self._parts:
            return b""
        taken = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        return taken

    def add(self, frames: bytes) -> None:
        """Send frames that no window holds back."""
        self._parts.append(frames)

    def put(self, stream_id: int, headers: bytes, body: bytes, trailers: bytes) -> bool:
        """Send an answer; whether all of it is sent. Without a body there are no trailers."""
        size = len(body)
        if size == 0:
            self._parts.append(HEAD.pack(len(headers) << 8 | wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, stream_id) + headers)
            return True
        self._parts.append(HEAD.pack(len(headers) << 8 | wire.HEADERS, wire.END_HEADERS, stream_id) + headers)
        if size > self._room(stream_id):
            self._waiting[stream_id] = body, trailers
            return stream_id in self.flush()
        self._window -= size
        self._parts.append(_end(stream_id, body, trailers))
        return True

    def flush(self) -> list[int]:
        """Send what there is room for by now; the streams whose answers are complete."""
        done = []
        for stream_id, (whole, trailers) in self._waiting.items():
            body, room = whole, self._room(stream_id)
            while 0 < room < len(body):
                self._parts.append(wire.frame(wire.DATA, 0, stream_id, body[:room]))
                self._sent(stream_id, room)
                body, room = body[room:], self._room(stream_id)
            if len(body) <= room:
                self._sent(stream_id, len(body))
                self._parts.append(_end(stream_id, body, trailers))
                done.append(stream_id)
            self._waiting[stream_id] = body, trailers
        for stream_id in done:
            del self._waiting[stream_id]
        return done

    def forget(self, stream_id: int) -> None:
        """The stream is closed."""
        if self._granted:
            self._granted.pop(stream_id, None)
        if self._waiting:
            self._waiting.pop(stream_id, None)

    def widen(self, increment: int) -> None:
        """The peer takes more on the connection."""
        self._window += increment
        if self._window > wire.MAX_WINDOW:
            raise ConnectionFault(wire.FLOW_CONTROL_ERROR)

    def widen_stream(self, stream_id: int, increment: int) -> None:
        """The peer takes more on an open stream."""
        granted = self._granted.get(stream_id, 0) + increment
        if self._initial + granted > wire.MAX_WINDOW:
            raise StreamFault(stream_id, wire.FLOW_CONTROL_ERROR)
        self._granted[stream_id] = granted

    def set_initial_window(self, size: int) -> None:
        """What the peer takes on every stream, also on those that are open (RFC 9113 section 6.9.2)."""
        if size > wire.MAX_WINDOW or any(size + granted > wire.MAX_WINDOW for granted in self._granted.values()):
            raise ConnectionFault(wire.FLOW_CONTROL_ERROR)
        self._initial = size

    def _room(self, stream_id: int) -> int:
        window = self._initial + self._granted.get(stream_id, 0) if self._granted else self._initial
        return min(window, self._window, MAX_FRAME_SIZE)

    def _sent(self, stream_id: int, size: int) -> None:
        self._window -= size
        self._granted[stream_id] = self._granted.get(stream_id, 0) - size


def _end(stream_id: int, body: bytes, trailers: bytes) -> bytes:
    """The last of a body, and the trailers after it."""
    if not trailers:
        return HEAD.pack(len(body) << 8 | wire.DATA, wire.END_STREAM, stream_id) + body
    return b"".join(
        (
            HEAD.pack(len(body) << 8 | wire.DATA, 0, stream_id),
            body,
            HEAD.pack(len(trailers) << 8 | wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, stream_id),
            trailers,
        )
    )
