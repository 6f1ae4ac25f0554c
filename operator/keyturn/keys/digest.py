"""What is stored instead of a token: `$sha256$<base64url, no padding>`, SHA-256 over the whole token.

A uniform 256-bit key needs neither a slow hash nor a salt or pepper: NIST SP 800-63B-4 section 3.1.2.2 asks for an approved
hash on look-up secrets of at least 112 bits. The name in front lets another hash come later without guessing.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final

from keyturn.base.verdict import Comparison, Match, Mismatch
from keyturn.keys.base64url import decode_base64url, encode_base64url
from keyturn.keys.token_format import ALPHABET, KEY_ID_LENGTH, encode_base62

# 256 bits are 42 digits and 4 bits: the last digit has two zero bits, so a digest has exactly one spelling.
_DIGEST: Final = re.compile(r"\$sha256\$[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")

_NAME: Final = "$sha256$"

DUMMY_DIGEST: Final = _NAME + "A" * 43
"""Compare against this when no such key exists, so that a miss takes as long as a hit. No known text has it."""


def digest_token(text: str) -> str:
    """The digest of a token, or of any text: it never raises."""
    return _NAME + encode_base64url(sha256(text.encode("utf-8", "surrogatepass")).digest())


def digest_matches(text: str, *, digest: str) -> Comparison:
    """Hash the text, always, and compare in constant time. A digest in an unknown form never matches."""
    computed = digest_token(text).encode("ascii")
    return Match() if hmac.compare_digest(computed, digest.encode("utf-8", "surrogatepass")) else Mismatch()


def is_digest(text: str) -> bool:
    """Whether a text (an imported one, say) is a digest in the one spelling we write."""
    return _DIGEST.fullmatch(text) is not None


def raw_digest(text: str) -> bytes | None:
    """The 32 bytes of a digest; None for one in a form that is not known here, which nothing matches."""
    return decode_base64url(text.removeprefix(_NAME)) if is_digest(text) else None


def derived_key_id(digest: str) -> str:
    """The public ID of a key that has none inside of it, made of its digest; raise ValueError for a text that is no digest.

    Twelve characters, as every key ID. It tells 71 of the 256 bits of the digest, so nothing of the key.
    """
    raw = raw_digest(digest)
    if raw is None:
        raise ValueError("not a digest: one is $sha256$ and 43 characters of base64url")
    return encode_base62(int.from_bytes(raw) % len(ALPHABET) ** KEY_ID_LENGTH, length=KEY_ID_LENGTH)
