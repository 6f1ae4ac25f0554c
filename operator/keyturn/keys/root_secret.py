"""The root secret and what is derived from it (HKDF-SHA256, RFC 5869): the signing key and the adoption-tag key.

Every root has a public id, the short hash of its Ed25519 public key (`public_key_id`); signatures and tags name it, so a ring finds the
right key by id and never by trial. During a change of roots the first of a ring makes, all of it verify.
Verifiers hold public keys only: `verification_keys.py`.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyturn.base.plaintext import SecretBytes
from keyturn.keys.verification_keys import VerificationKey, VerificationKeys, public_key_id

ROOT_LENGTH: Final = 32
_SIGNING_INFO: Final = b"keyturn.dev/signing-key/ed25519/v1"
_TAG_INFO: Final = b"keyturn.dev/adoption-tag-key/hmac-sha256/v1"


@final
@dataclass(frozen=True, slots=True)
class SigningKey:
    """Signs records. `sign` is all it does; the key itself is not shown."""

    key_id: str
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature. The message carries its own domain prefix."""
        return self._private.sign(message)

    @property
    def verification_key(self) -> VerificationKey:
        """What verifiers may know."""
        return VerificationKey(self.key_id, self._private.public_key())


@final
@dataclass(frozen=True, slots=True)
class TagKey:
    """Makes adoption tags. `mac` is all it does; the key itself is not shown."""

    key_id: str
    _secret: SecretBytes

    def mac(self, message: bytes) -> bytes:
        """The 32 bytes of HMAC-SHA256. The message carries its own domain prefix."""
        return hmac.digest(self._secret.reveal(), message, sha256)


@final
class RootSecret:
    """32 random bytes, from which everything else follows. Raise ValueError for any other length."""

    __slots__ = ("_secret",)

    def __init__(self, value: bytes) -> None:
        if len(value) != ROOT_LENGTH:
            raise ValueError(f"a root secret is {ROOT_LENGTH} random bytes, not {len(value)}")
        self._secret = SecretBytes("root secret", value)

    @classmethod
    def of(cls, stored: SecretBytes) -> RootSecret:
        """As it stood in its Secret, or in a backup."""
        return cls(stored.reveal())

    def __repr__(self) -> str:
        return "RootSecret()"

    def reveal(self) -> bytes:
        """The bytes, for the one Secret they are stored in."""
        return self._secret.reveal()

    def signing_key(self) -> SigningKey:
        """The Ed25519 key that signs this installation's records."""
        private = Ed25519PrivateKey.from_private_bytes(self._derive(_SIGNING_INFO))
        return SigningKey(public_key_id(private.public_key()), private)

    def tag_key(self) -> TagKey:
        """The HMAC key for adoption tags, under the same public id as the signing key."""
        return TagKey(self.signing_key().key_id, SecretBytes("adoption-tag key", self._derive(_TAG_INFO)))

    def _derive(self, info: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._secret.reveal())


@final
@dataclass(frozen=True, slots=True)
class SigningRing:
    """Signing keys of one or, during a change, several roots. Raise ValueError for none."""

    keys: tuple[SigningKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("a signing ring needs at least one key")

    @classmethod
    def of(cls, first: RootSecret, *others: RootSecret) -> SigningRing:
        """The ring of these roots; the first signs."""
        return cls(tuple(root.signing_key() for root in (first, *others)))

    @property
    def first(self) -> SigningKey:
        """The one that signs."""
        return self.keys[0]

    @property
    def verification_keys(self) -> VerificationKeys:
        """The public half, for verifiers and for checking our own records."""
        return VerificationKeys(tuple(key.verification_key for key in self.keys))


@final
@dataclass(frozen=True, slots=True)
class TagRing:
    """Tag keys of one or, during a change, several roots. Raise ValueError for none."""

    keys: tuple[TagKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("a tag ring needs at least one key")

    @classmethod
    def of(cls, first: RootSecret, *others: RootSecret) -> TagRing:
        """The ring of these roots; the first makes new tags."""
        return cls(tuple(root.tag_key() for root in (first, *others)))

    @property
    def first(self) -> TagKey:
        """The one that makes new tags."""
        return self.keys[0]

    def find(self, key_id: str) -> TagKey | None:
        """The key of that id."""
        return next((key for key in self.keys if key.key_id == key_id), None)
