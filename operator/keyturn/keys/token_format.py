"""The token: `<prefix>_<id><secret><checksum>`, for example `kt_` + 12 + 43 + 6 characters of base62.

One double-click selects it, one regular expression finds it, a typo fails before any lookup. The checksum is for
scanners and typos, never for security: anyone can compute it. `mint.py` makes tokens, the verifier's check parses them.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keyturn.base.plaintext import Plaintext
from keyturn.base.verdict import Verdict

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
"""62**43 > 2**256: a uniform secret has at least 256 bits."""
CHECKSUM_LENGTH: Final = 6
"""62**6 > 2**32: room for a whole CRC-32."""
BODY_LENGTH: Final = KEY_ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
PREFIX_LENGTHS: Final = range(2, 17)
MINIMUM_LENGTH: Final = PREFIX_LENGTHS[0] + 1 + BODY_LENGTH
MAXIMUM_LENGTH: Final = PREFIX_LENGTHS[-1] + 1 + BODY_LENGTH

SCANNER_PATTERN: Final = rf"[a-z0-9]{{1,16}}(?:_[a-z0-9]{{1,14}})?_[0-9A-Za-z]{{{BODY_LENGTH}}}"
"""Finds every token in any text, also glued to other words. Only syntax that RE2 and Hyperscan have, so that secret
scanners can take it as it is; the checksum sorts out what only looks like a token (`find_tokens` does both)."""

_PREFIX: Final = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)?")
_BODY: Final = re.compile(rf"[0-9A-Za-z]{{{BODY_LENGTH}}}")
_UNDERSCORE_AND_BODY: Final = re.compile(rf"_(?=[0-9A-Za-z]{{{BODY_LENGTH}}})")


@dataclass(frozen=True, slots=True)
class Token(Verdict):
    """A text that has a token's shape and the right checksum. Nothing is known yet about whether such a key exists."""

    prefix: str
    key_id: str
    plaintext: Plaintext


class Fault(StrEnum):
    """Why a text is no token; a label for metrics. Whoever sent it is told nothing of this."""

    SHAPE = "shape"
    """Wrong length or characters."""
    CHECKSUM = "checksum"
    """The shape is right, the checksum is not: a typo, or another system's token."""


@dataclass(frozen=True, slots=True)
class Malformed(Verdict):
    """Not a token. It does not hold the text: that may be a real key with one character wrong."""

    fault: Fault


def is_prefix(text: str) -> bool:
    """Whether tokens may begin so: 2 to 16 of a-z and 0-9, with at most one `_`, inside."""
    return len(text) in PREFIX_LENGTHS and _PREFIX.fullmatch(text) is not None


def format_token(prefix: str, *, key_id: str, secret: str) -> str:
    """Put a token together; raise ValueError, which shows no secret, where a part has the wrong form."""
    if not is_prefix(prefix):
        raise ValueError(f"{prefix!r} is no key prefix: write 2 to 16 of a-z and 0-9, one inner _ allowed")
    if len(key_id) != KEY_ID_LENGTH or not _is_base62(key_id):
        raise ValueError(f"a key ID is {KEY_ID_LENGTH} characters of 0-9, A-Z and a-z")
    if len(secret) != SECRET_LENGTH or not _is_base62(secret):
        raise ValueError(f"a key's secret part is {SECRET_LENGTH} characters of 0-9, A-Z and a-z")
    unchecked = f"{prefix}_{key_id}{secret}"
    return unchecked + checksum(unchecked)


def parse_token(text: str | bytes) -> Token | Malformed:
    """Read what a client sent. Never raises, whatever the input; never looks anything up."""
    if len(text) > MAXIMUM_LENGTH:
        return Malformed(Fault.SHAPE)
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    prefix, _, body = text.rpartition("_")
    if not is_prefix(prefix) or _BODY.fullmatch(body) is None:
        return Malformed(Fault.SHAPE)
    if checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        return Malformed(Fault.CHECKSUM)
    key_id = body[:KEY_ID_LENGTH]
    return Token(prefix, key_id, Plaintext(key_id, text))


def find_tokens(text: str) -> tuple[Token, ...]:
    """Every token inside a text, in order, also where other words touch it: the checksum tells where its prefix begins."""
    found = []
    for here in _UNDERSCORE_AND_BODY.finditer(text):
        end = here.end() + BODY_LENGTH
        for length in PREFIX_LENGTHS:
            token = parse_token(text[max(0, here.start() - length) : end])
            if isinstance(token, Token):
                found.append(token)
                break
    return tuple(found)


def checksum(unchecked: str) -> str:
    """CRC-32 (ISO-HDLC, as in zlib) of ASCII text, as 6 base62 digits, most significant first."""
    return encode_base62(zlib.crc32(unchecked.encode("ascii")), length=CHECKSUM_LENGTH)


def encode_base62(number: int, *, length: int) -> str:
    """Write a number from 0 to 62**length - 1 in exactly `length` digits; raise ValueError for any other."""
    if not 0 <= number < len(ALPHABET) ** length:
        raise ValueError(f"the number does not fit into {length} base62 digits")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _is_base62(text: str) -> bool:
    return text.isascii() and text.isalnum()
