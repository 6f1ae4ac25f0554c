"""What a request's headers say, and whether HTTP/2 allows them (RFC 9113 sections 8.2 and 8.3). Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PSEUDO: Final = frozenset({b":method", b":scheme", b":path", b":authority"})
_NEEDED: Final = (b":method", b":scheme", b":path")
_OF_ONE_CONNECTION: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_BAD_NAME: Final = re.compile(rb"[^!-9;-@\[-~]")
"""RFC 9113 section 8.2.1: no upper case, no space or control character, no colon."""
_BAD_VALUE: Final = re.compile(rb"[\x00\r\n]")
_A_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class Head(NamedTuple):
    """The headers of a request."""

    method: bytes
    path: bytes
    content_type: bytes
    """Empty: none, or several."""
    content_length: int | None
    headers: tuple[tuple[bytes, bytes], ...]
    """Without those that begin with a colon."""

    def get(self, name: bytes) -> bytes | None:
        """The value of a header, in lower case; None unless there is exactly one."""
        values = [value for each, value in self.headers if each == name]
        return values[0] if len(values) == 1 else None


class Trailers(NamedTuple):
    """Headers after a body. Nothing in them is looked at."""


class NotAllowed(NamedTuple):
    """Headers that no request may have."""


Meaning = Head | Trailers | NotAllowed


def read_headers(headers: list[tuple[bytes, bytes]]) -> Meaning:
    """The headers in the order they came. Never raises."""
    pseudo: dict[bytes, bytes] = {}
    at = 0
    for name, value in headers:
        if not name.startswith(b":"):
            break
        if name not in _PSEUDO or name in pseudo or _BAD_VALUE.search(value):
            return NotAllowed()
        pseudo[name] = value
        at += 1
    rest = tuple(headers[at:])
    if not all(_is_allowed(name, value) for name, value in rest):
        return NotAllowed()
    if not pseudo:
        return Trailers()
    lengths = {value for name, value in rest if name == b"content-length"}
    if not all(pseudo.get(name) for name in _NEEDED) or len(lengths) > 1 or not all(map(_A_LENGTH.fullmatch, lengths)):
        return NotAllowed()
    kinds = [value for name, value in rest if name == b"content-type"]
    kind = kinds[0] if len(kinds) == 1 else b""
    return Head(pseudo[b":method"], pseudo[b":path"], kind, int(lengths.pop()) if lengths else None, rest)


def _is_allowed(name: bytes, value: bytes) -> bool:
    if not name or _BAD_NAME.search(name) or _BAD_VALUE.search(value) or name in _OF_ONE_CONNECTION:
        return False
    return name != b"te" or value == b"trailers"
