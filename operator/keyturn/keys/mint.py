"""Minting: the one place that draws randomness for keys, from the system's CSPRNG. Called by `controller/apikey/act.py`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from keyturn.base.plaintext import Plaintext
from keyturn.keys.digest import digest_token
from keyturn.keys.root_secret import ROOT_LENGTH, RootSecret
from keyturn.keys.token_format import ALPHABET, KEY_ID_LENGTH, SECRET_LENGTH, format_token


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key: the digest goes into the record, the plaintext only into the credential Secret."""

    key_id: str
    plaintext: Plaintext
    digest: str


def mint(prefix: str) -> Minted:
    """Make a new key; raise ValueError for a prefix that `token_format.is_prefix` refuses."""
    key_id = _uniform_base62(KEY_ID_LENGTH)
    text = format_token(prefix, key_id=key_id, secret=_uniform_base62(SECRET_LENGTH))
    return Minted(key_id, Plaintext(key_id, text), digest_token(text))


def mint_root_secret() -> RootSecret:
    """Make the root secret of a new installation."""
    return RootSecret(secrets.token_bytes(ROOT_LENGTH))


def _uniform_base62(length: int) -> str:
    # One uniform number below 62**length, written out: randbelow draws again where a remainder would favour some; bytes modulo 62
    # would not be uniform. A draw for each digit takes five times as long.
    number, digits = secrets.randbelow(len(ALPHABET) ** length), []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(digits)
