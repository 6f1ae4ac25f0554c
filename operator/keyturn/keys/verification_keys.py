"""The public half of the signing keys: all that a verifier holds. The operator publishes it in a ConfigMap.

The ConfigMap's data is one entry, `keys.json`: `{"keys":[{"keyID":…,"algorithm":"ed25519","publicKey":<base64url>}]}`.
Readers skip algorithms they do not know, so that another one can be added before anything is signed with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keyturn.base.errors import KeyturnError
from keyturn.keys.base64url import decode_base64url, encode_base64url

ALGORITHM: Final = "ed25519"
DATA_KEY: Final = "keys.json"
CONFIG_MAP_NAME: Final = "keyturn-verification-keys"
"""In the operator's namespace."""


class VerificationKeysDamaged(KeyturnError):
    """The published keys cannot be read. Nothing may be trusted on their account."""


def public_key_id(public_key: Ed25519PublicKey) -> str:
    """The id of a signing key: the first 64 bits of SHA-256 over its raw public key, in hexadecimal."""
    return sha256(public_key.public_bytes_raw()).hexdigest()[:16]


@final
@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key under its id."""

    key_id: str
    public_key: Ed25519PublicKey


@final
@dataclass(frozen=True, slots=True)
class VerificationKeys:
    """The public keys whose signatures count. Found by id, never by trial; without any, nothing verifies."""

    keys: tuple[VerificationKey, ...]

    def find(self, key_id: str) -> VerificationKey | None:
        """The key of that id."""
        return next((key for key in self.keys if key.key_id == key_id), None)

    def to_data(self) -> dict[str, str]:
        """The ConfigMap's `data`: the same keys always give the same text."""
        listed = [
            {"keyID": key.key_id, "algorithm": ALGORITHM, "publicKey": encode_base64url(key.public_key.public_bytes_raw())}
            for key in self.keys
        ]
        return {DATA_KEY: json.dumps({"keys": listed}, separators=(",", ":"))}

    @classmethod
    def from_data(cls, data: Mapping[str, str]) -> VerificationKeys:
        """Read a ConfigMap's `data`; raise VerificationKeysDamaged, also where an id is not the one of its key."""
        try:
            listed = json.loads(data[DATA_KEY])["keys"]
            known = [entry for entry in listed if entry["algorithm"] == ALGORITHM]
            return cls(tuple(_read_key(entry["keyID"], encoded=entry["publicKey"]) for entry in known))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise VerificationKeysDamaged(f"{DATA_KEY} does not hold readable verification keys") from error


def _read_key(key_id: str, *, encoded: str) -> VerificationKey:
    public_key = Ed25519PublicKey.from_public_bytes(decode_base64url(encoded))
    if public_key_id(public_key) != key_id:
        raise ValueError(f"the public key does not have the id {key_id!r}")
    return VerificationKey(key_id, public_key)
