"""What a gateway says in HTTP/2, as bytes, and what it is told, taken apart: for tests of the front without a socket, and over one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hpack import Decoder, Encoder

from keyturn.verifier.service.grpc_door import http2_frames as wire

CHECK_PATH: Final = "/envoy.service.auth.v3.Authorization/Check"
EMPTY_SETTINGS: Final = wire.settings()
HELLO: Final = wire.PREFACE + EMPTY_SETTINGS


@dataclass(frozen=True, slots=True)
class Frame:
    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def number(self) -> int:
        """The payload of RST_STREAM; the last four bytes of GOAWAY's: the error code."""
        return wire.NUMBER.unpack(self.payload[-4:])[0]


def frames_of(data: bytes) -> list[Frame]:
    """Whole frames, one after the other, and nothing else."""
    found, at = [], 0
    while at < len(data):
        word, flags, stream_id = wire.HEAD.unpack_from(data, at)
        start = at + wire.HEAD_SIZE
        at = start + (word >> 8)
        assert at <= len(data), "half a frame"
        found.append(Frame(word & 0xFF, flags, stream_id, data[start:at]))
    return found


class Peer:
    """One connection's other end: it compresses headers as gateways do, so that the second request of a kind is a few bytes."""

    def __init__(self) -> None:
        self._encoder, self._decoder = Encoder(), Decoder()

    def block(self, path: str = CHECK_PATH, **more: str) -> bytes:
        """The headers of a call; `more` replaces or adds some, `_` for `-` and `__` before pseudo-headers."""
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "verifier",
            "content-type": "application/grpc",
            "te": "trailers",
            "grpc-timeout": "500m",
        }
        headers |= {name.replace("__", ":").replace("_", "-"): value for name, value in more.items()}
        return self._encoder.encode(list(headers.items()))

    def headers(self, stream_id: int, path: str = CHECK_PATH, *, ends: bool = False, **more: str) -> bytes:
        flags = wire.END_HEADERS | (wire.END_STREAM if ends else 0)
        return wire.frame(wire.HEADERS, flags, stream_id, self.block(path, **more))

    def call(self, stream_id: int, message: bytes = b"", path: str = CHECK_PATH, **more: str) -> bytes:
        """A whole request."""
        return self.headers(stream_id, path, **more) + data(stream_id, framed(message))

    def read_headers(self, frame: Frame) -> dict[str, str]:
        """Of an answer. To be called for every one of them, in their order."""
        return {str(name): str(value) for name, value in self._decoder.decode(frame.payload)}


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """As gRPC puts it into a body."""
    return bytes((compressed,)) + len(message).to_bytes(4, "big") + message


def data(stream_id: int, payload: bytes, *, ends: bool = True) -> bytes:
    return wire.frame(wire.DATA, wire.END_STREAM if ends else 0, stream_id, payload)
