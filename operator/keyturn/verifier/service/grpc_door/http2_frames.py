"""HTTP/2 frames as bytes: their kinds, flags and error codes (RFC 9113 sections 4, 6 and 7), and how one is written."""

from __future__ import annotations

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD: Final = struct.Struct(">IBI")
"""Length (24 bits) and kind, flags, stream."""
HEAD_SIZE: Final = HEAD.size
MAX_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65_535
EVERY_STREAM: Final = 2**31 - 1

# Kinds. Plain integers: an enum's comparison would be the dearest line of a frame.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
LARGEST_FRAME: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
FLOW_CONTROL_ERROR: Final = 3
STREAM_CLOSED: Final = 5
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11

PRIORITY_SIZE: Final = 5
NUMBER: Final = struct.Struct(">I")
SETTING: Final = struct.Struct(">HI")


class ConnectionFault(Exception):
    """The peer broke a rule after which no byte of the connection can be trusted: it ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"HTTP/2 error {code}")
        self.code = code


class StreamFault(Exception):
    """The peer broke a rule within one stream: that one is reset, the others go on."""

    def __init__(self, stream_id: int, code: int) -> None:
        super().__init__(f"HTTP/2 error {code} on a stream")
        self.stream_id, self.code = stream_id, code


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame. Its payload is not longer than the peer takes: the caller sees to that."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings(*values: tuple[int, int]) -> bytes:
    """A SETTINGS frame with these."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(name, value) for name, value in values))


def window_update(stream_id: int, increment: int) -> bytes:
    """More may be sent."""
    return frame(WINDOW_UPDATE, 0, stream_id, NUMBER.pack(increment))


def reset(stream_id: int, code: int) -> bytes:
    """One stream ends here."""
    return frame(RST_STREAM, 0, stream_id, NUMBER.pack(code))


def go_away(last_stream_id: int, code: int) -> bytes:
    """No stream above this one was, or will be, looked at."""
    return frame(GOAWAY, 0, 0, NUMBER.pack(last_stream_id) + NUMBER.pack(code))


def without_padding(payload: bytes) -> bytes:
    """What a PADDED frame carries. Raises ConnectionFault if the padding is as long as the frame."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(PROTOCOL_ERROR)
    return payload[1 : len(payload) - payload[0]]


def read_settings(payload: bytes) -> dict[int, int]:
    """The peer's settings; of one that is there twice, the last. Raises ConnectionFault for what RFC 9113 section 6.5.2 does not allow."""
    if len(payload) % SETTING.size:
        raise ConnectionFault(FRAME_SIZE_ERROR)
    found: dict[int, int] = {}
    for name, value in SETTING.iter_unpack(payload):
        if name == ENABLE_PUSH and value > 1:
            raise ConnectionFault(PROTOCOL_ERROR)
        if name == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ConnectionFault(FLOW_CONTROL_ERROR)
        if name == LARGEST_FRAME and not 2**14 <= value < 2**24:
            raise ConnectionFault(PROTOCOL_ERROR)
        found[name] = value
    return found
