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
_TWO_HEADS: Final = 4
"""Bytes: tag and length, of a header's name and of its value."""
_REST_OF_OPTION: Final = 2 + len(_REPLACES)
_OK: Final = b"\x0a\x00"
"""An empty status: code 0."""


def ok_response(*, headers: Headers = (), removed: Iterable[str] = (), to_client: Headers = ()) -> bytes:
    """The request passes: with these headers and without those. `to_client`: with the API's answer."""
    passed = [_set_header(name, value) for name, value in headers]
    passed += [_remove_header(name) for name in removed]
    passed += [_field(6, _option(name, value)) for name, value in to_client]
    return _OK + _field(3, b"".join(passed))


def denied_response(*, code: int, status: int, headers: Headers, body: bytes) -> bytes:
    """The client is answered this; `code` is gRPC's for it."""
    denied = [_field(1, b"\x08" + _varint(status)), *(_set_header(name, value) for name, value in headers), _field(3, body)]
    return _field(1, b"\x08" + _varint(code)) + _field(2, b"".join(denied))


def _set_header(name: str, value: str) -> bytes:
    written_name, written_value = name.encode("latin-1"), value.encode("latin-1")
    header = len(written_name) + len(written_value) + _TWO_HEADS
    option = header + _REST_OF_OPTION
    if option > _SEVEN_BITS:
        return _field(2, _option(name, value))
    # The same in one step, where every length is one byte: two of these are about the key, and made for every request.
    return b"\x12%c\x0a%c\x0a%c%b\x12%c%b\x18\x02\x20\x01" % (
        option, header, len(written_name), written_name, len(written_value), written_value
    )  # fmt: skip


@lru_cache(maxsize=64)
def _remove_header(name: str) -> bytes:
    return _field(5, name.encode("latin-1"))


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
