"""gRPC on top of HTTP/2: which method a request calls, the message in it, and the answer with its status. Pure.

Before it: `http2_connection.py`, which gives whole requests. After it: a method, from bytes to bytes (`envoy_check.py`). Every method
answers one message by one. `grpc-timeout` is not looked at: an answer takes microseconds, and whoever gave up waiting resets its stream.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final
from urllib.parse import quote

from keyturn.verifier.service.grpc_door.header_blocks import plain_block
from keyturn.verifier.service.grpc_door.http2_connection import Reply, Request
from keyturn.verifier.service.grpc_door.http2_limits import MAX_BODY

Method = Callable[[bytes], bytes]
"""From a request's message to the answer's. Raises CallFailed."""

_PREFIX: Final = struct.Struct(">BI")
_CONTENT_TYPE: Final = b"application/grpc"


class Code(IntEnum):
    """gRPC's status codes, as far as they are answered here."""

    OK = 0
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class CallFailed(Exception):
    """The call has no answer but a status. The message is for whoever configures the gateway."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


_HEADERS: Final = plain_block((b":status", b"200"), (b"content-type", _CONTENT_TYPE))
_TRAILERS: Final = plain_block((b"grpc-status", b"0"))
_NOT_GRPC: Final = Reply(
    plain_block((b":status", b"415"), (b"content-type", b"text/plain"), (b"cache-control", b"no-store")),
    b"gRPC is spoken here: POST with content-type application/grpc. Over HTTP gateways ask at another port.\n",
)


def answer(request: Request, methods: Mapping[bytes, Method]) -> Reply:
    """The answer to a whole request. Never raises for what came from outside."""
    head = request.head
    if head.method != b"POST" or not head.content_type.startswith(_CONTENT_TYPE):
        return _NOT_GRPC
    method = methods.get(head.path)
    if method is None:
        return failure(Code.UNIMPLEMENTED, "There is no such method here")
    try:
        message = method(_message_in(request))
    except CallFailed as failed:
        return failure(failed.code, str(failed))
    return Reply(_HEADERS, _PREFIX.pack(0, len(message)) + message, _TRAILERS)


def _message_in(request: Request) -> bytes:
    body = request.body
    if body is None:
        raise CallFailed(Code.RESOURCE_EXHAUSTED, f"The message is larger than {MAX_BODY} bytes, or too much is under way")
    if len(body) < _PREFIX.size:
        raise CallFailed(Code.INTERNAL, "There is no message")
    compressed, length = _PREFIX.unpack_from(body)
    if compressed and request.head.get(b"grpc-encoding") in {None, b"identity"}:
        raise CallFailed(Code.INTERNAL, "The message is compressed, and the headers do not say how")
    if compressed:
        raise CallFailed(Code.UNIMPLEMENTED, "Compressed messages are not understood here")
    if length != len(body) - _PREFIX.size:
        raise CallFailed(Code.INTERNAL, "There is not exactly one message")
    return body[_PREFIX.size :]


def failure(code: Code, message: str) -> Reply:
    """A status and a sentence instead of a message."""
    said = quote(message, safe=" !\"#$&'()*+,/:;<=>?@[]^`{|}").encode()
    return Reply(
        plain_block(
            (b":status", b"200"),
            (b"content-type", _CONTENT_TYPE),
            (b"grpc-status", b"%d" % code),
            (b"grpc-message", said),
            (b"grpc-accept-encoding", b"identity"),
        )
    )
