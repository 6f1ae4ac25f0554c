"""Header blocks: what a request's say, by the hpack library and a memo; how an answer's are written.

A gateway asks the same question again and again: once its compression has learned the headers, each request's block is the same dozen
bytes. What a block means stays true until a block changes the table of the compression, so it is decoded once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from hpack import Decoder, HeaderTuple
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from keyturn.verifier.service.grpc_door.http2_frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, ConnectionFault
from keyturn.verifier.service.grpc_door.http2_limits import MAX_HEADER_LIST

Headers = list[tuple[bytes, bytes]]
Meaning = TypeVar("Meaning")

_FULL_PREFIX: Final = 0x7F
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80
_REMEMBERED: Final = 64
_LONGEST_REMEMBERED: Final = 256
_RESIZES: Final = frozenset(bytes((first,)) for first in range(0x20, 0x40))
"""How a block begins that changes the size of the table (RFC 7541 section 6.3)."""

# At level DEBUG hpack logs every header it sees, and a gateway may prove itself by one.
logging.getLogger("hpack").setLevel(logging.WARNING)


class _Table(HeaderTable):
    """The dynamic table, which also says whether it was touched."""

    def __init__(self) -> None:
        self.is_touched = False
        super().__init__()

    def add(self, name: bytes, value: bytes) -> None:
        self.is_touched = True
        super().add(name, value)

    def _shrink(self) -> None:
        self.is_touched = True
        super()._shrink()


class HeaderBlocks(Generic[Meaning]):
    """One connection's: `read` every block once, in the order they came, also of requests that are refused."""

    def __init__(self, meaning_of: Callable[[Headers], Meaning]) -> None:
        self._meaning_of = meaning_of
        self._table = _Table()
        self._decoder = Decoder(max_header_list_size=MAX_HEADER_LIST)
        self._decoder.header_table = self._table
        self._known: dict[bytes, Meaning] = {}

    def read(self, block: bytes) -> Meaning:
        """What it means. Raises ConnectionFault: after a block that cannot be decoded, none can."""
        known = self._known.get(block)
        return self._learn(block) if known is None else known

    def _learn(self, block: bytes) -> Meaning:
        self._table.is_touched = block[:1] in _RESIZES
        try:
            headers: list[HeaderTuple] = list(self._decoder.decode(block, raw=True))
        except OversizedHeaderListError:
            raise ConnectionFault(ENHANCE_YOUR_CALM) from None
        except HPACKError:
            raise ConnectionFault(COMPRESSION_ERROR) from None
        meaning = self._meaning_of([(name, value) for name, value in headers])
        if self._table.is_touched or len(self._known) >= _REMEMBERED:
            self._known.clear()
        if not self._table.is_touched and len(block) <= _LONGEST_REMEMBERED:
            self._known[block] = meaning
        return meaning


def plain_block(*headers: tuple[bytes, bytes]) -> bytes:
    """A block that neither needs nor changes a table (RFC 7541 section 6.2.2), so that answers can be written beforehand."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def _text(text: bytes) -> bytes:
    return _length(len(text)) + text


def _length(number: int) -> bytes:
    """RFC 7541 section 5.1, with a prefix of seven bits."""
    if number < _FULL_PREFIX:
        return bytes((number,))
    number -= _FULL_PREFIX
    written = bytearray((_FULL_PREFIX,))
    while number > _SEVEN_BITS:
        written.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    written.append(number)
    return bytes(written)
