"""CheckResponse as bytes. Pure. `envoy_check.py` says what is in it, `envoy_messages.py` has the numbers of the fields.

Written by hand: protobuf's own runtime takes ten times as long to be given the dozen small messages of an answer, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

Headers = Iterable[tuple[str, str]]

_LENGTH_DELIMITED: Final = 2
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80
_REPLACES: Final = b"\x18\x02\x20\x01"
"""Of a HeaderValueOption: append_action OVERWRITE_IF_EXISTS_OR_ADD, so that a client's own copy is replaced, and keep_empty_value, so
that it is also replaced by nothing."""
_OK: Final = b"\x0a\x00"
"""An empty status: code 0."""


def ok_response(*, headers: Headers = (), removed: Iterable[str] = (), to_client: Headers = ()) -> bytes:
    """The request passes: with these headers and without those. `to_client`: with the API's answer."""
    passed = [_set_header(name, value) for name, value in headers]
    passed += [_field(5, name.encode("latin-1")) for name in removed]
    passed += [_field(6, _option(name, value)) for name, value in to_client]
    return _OK + _field(3, b"".join(passed))


def denied_response(*, code: int, status: int, headers: Headers, body: bytes) -> bytes:
    """The client is answered this; `code` is gRPC's for it."""
    denied = [_field(1, b"\x08" + _varint(status)), *(_set_header(name, value) for name, value in headers), _field(3, body)]
    return _field(1, b"\x08" + _varint(code)) + _field(2, b"".join(denied))


@lru_cache(maxsize=1024)
def _set_header(name: str, value: str) -> bytes:
    return _field(2, _option(name, value))


def _option(name: str, value: str) -> bytes:
    return _field(1, _field(1, name.encode("latin-1")) + _field(2, value.encode("latin-1"))) + _REPLACES


def _field(number: int, content: bytes) -> bytes:
    length = len(content)
    tag = number << 3 | _LENGTH_DELIMITED
    return bytes((tag, length)) + content if length <= _SEVEN_BITS else bytes((tag,)) + _varint(length) + content


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > _SEVEN_BITS:
        written.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    written.append(number)
    return bytes(written)
