"""Base64url without padding (RFC 4648 section 5), where every value has exactly one spelling.

A lenient decoder ignores the spare bits of the last character, so a signature could be changed and still verify.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")


def encode_base64url(raw: bytes) -> str:
    """Write bytes as text."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Read what `encode_base64url` writes; raise ValueError for every other text."""
    if _ALPHABET.fullmatch(text) is None:
        raise ValueError("the text is not base64url without padding")
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode_base64url(raw) != text:
        raise ValueError("the text is not the one base64url spelling of its value")
    return raw
