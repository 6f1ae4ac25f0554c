"""The signature on a record: Ed25519 over a domain prefix and the stored bytes, as `ed25519:<key id>:<base64url>`.

Whoever can write Secrets can write hashes of their own; only the operator can sign them. So nothing in a record counts
before `verify_record` answered `Genuine`: the bytes are not even parsed before the signature held.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature

from keyturn.base.names import Key
from keyturn.base.verdict import Verdict
from keyturn.keys.base64url import decode_base64url, encode_base64url
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import RecordDamaged, RecordTooNew, decode_record
from keyturn.keys.root_secret import SigningRing
from keyturn.keys.verification_keys import VerificationKeys

# Another kind of signed thing gets another prefix, so that no signature of one can be passed off as one of the other.
_DOMAIN: Final = b"keyturn.dev/verifier-record/v1\0"
_SIGNATURE: Final = re.compile(r"ed25519:([0-9a-f]{16}):([A-Za-z0-9_-]{86})")


@dataclass(frozen=True, slots=True)
class Genuine(Verdict):
    """The operator of this installation wrote exactly this, for exactly this ApiKey."""

    record: Record


@dataclass(frozen=True, slots=True)
class Forged(Verdict):
    """Not what the operator wrote there: altered, moved from another ApiKey, or signed by somebody else."""

    reason: str


@dataclass(frozen=True, slots=True)
class UnknownSigner(Verdict):
    """The signature names a key that is not in the ring: another root secret, or keys that are out of date."""

    key_id: str


@dataclass(frozen=True, slots=True)
class TooNew(Verdict):
    """Genuine, but in a format of a newer operator: keep what you have, upgrade."""

    format: int


@dataclass(frozen=True, slots=True)
class Damaged(Verdict):
    """Genuine bytes that are no record: a bug in the operator that signed them."""

    reason: str


Verification = Genuine | Forged | UnknownSigner | TooNew | Damaged


def sign_record(data: bytes, *, ring: SigningRing) -> str:
    """Sign an encoded record with the ring's first key. The same bytes always get the same signature."""
    key = ring.first
    return f"ed25519:{key.key_id}:{encode_base64url(key.sign(_DOMAIN + data))}"


def verify_record(data: bytes, *, signature: str | bytes, keys: VerificationKeys, expected: Key, installation: str | None) -> Verification:
    """Check stored bytes against their signature and their place. Never raises, whatever the input.

    `expected` is the ApiKey whose record this should be: a genuine record under another name is Forged.
    `installation` likewise; None where the caller cannot know it (a verifier that holds public keys only).
    """
    parts = _split_signature(signature)
    if isinstance(parts, Forged):
        return parts
    key_id, raw_signature = parts
    key = keys.find(key_id)
    if key is None:
        return UnknownSigner(key_id)
    try:
        key.public_key.verify(raw_signature, _DOMAIN + data)
    except InvalidSignature:
        return Forged("the signature does not fit the bytes")
    return _read_signed(data, expected=expected, installation=installation)


def _split_signature(signature: str | bytes) -> tuple[str, bytes] | Forged:
    text = signature.decode("ascii", "replace") if isinstance(signature, bytes) else signature
    parts = _SIGNATURE.fullmatch(text)
    if parts is None:
        return Forged("the signature is not of the form ed25519:<key id>:<base64url>")
    try:
        return parts[1], decode_base64url(parts[2])
    except ValueError:
        return Forged("the signature is not spelled the one allowed way")


def _read_signed(data: bytes, *, expected: Key, installation: str | None) -> Verification:
    try:
        record = decode_record(data)
    except RecordTooNew as too_new:
        return TooNew(too_new.format)
    except RecordDamaged as damaged:
        return Damaged(str(damaged))
    if (record.namespace, record.name) != (expected.namespace, expected.name):
        return Forged(f"the record is the one of {record.namespace}/{record.name}")
    if installation is not None and record.installation != installation:
        return Forged("the record is the one of another installation")
    return Genuine(record)
