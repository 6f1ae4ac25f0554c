"""Encryption to a person's or a safe's public key, in the format of age (age-encryption.org/v1): X25519 recipients only.

Backups and keys that are shown once leave the process like this, so that `age --decrypt` opens them without Keyturn too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import pyrage

from keyturn.base.plaintext import SecretBytes


class NotARecipient(ValueError):
    """The text is no X25519 public key of age."""


class NotAnIdentity(ValueError):
    """The text is no X25519 secret key of age."""


class NotDecrypted(ValueError):
    """None of the identities opens it, or it was changed on the way."""


@final
class AgeIdentity:
    """A secret key of age. Its repr is the public key, and it is neither pickled nor copied."""

    __slots__ = ("_identity", "recipient")

    def __init__(self, identity: pyrage.x25519.Identity) -> None:
        self._identity = identity
        self.recipient = str(identity.to_public())
        """The public key, `age1` and 58 characters."""

    @classmethod
    def generate(cls) -> AgeIdentity:
        """A new one, which lives in this process alone."""
        return cls(pyrage.x25519.Identity.generate())

    @classmethod
    def parse(cls, text: SecretBytes) -> AgeIdentity:
        """The one that `AGE-SECRET-KEY-1…` spells. Raises NotAnIdentity, which does not repeat the text."""
        try:
            return cls(pyrage.x25519.Identity.from_str(text.reveal().decode()))
        except (pyrage.IdentityError, UnicodeDecodeError):
            raise NotAnIdentity("not an age secret key: one begins with AGE-SECRET-KEY-1 and is made by age-keygen") from None

    def decrypt(self, sealed: bytes) -> SecretBytes:
        """Open what was encrypted to this identity, armored or not. Raises NotDecrypted."""
        try:
            return SecretBytes("decrypted with age", pyrage.decrypt(sealed, [self._identity]))
        except pyrage.DecryptError as error:
            raise NotDecrypted(f"cannot be decrypted: {error}") from None

    def __repr__(self) -> str:
        return f"AgeIdentity({self.recipient})"

    def __reduce__(self) -> str:
        raise TypeError(f"{self!r} is neither pickled nor copied")


def check_recipient(recipient: str) -> None:
    """Raise NotARecipient unless data can be encrypted to it: a checksum is part of it."""
    _parsed(recipient)


def encrypt_to(recipients: Sequence[str], secret: bytes, *, armored: bool = False) -> bytes:
    """Encrypt to each of one or more public keys. `armored`: lines of ASCII. Raises NotARecipient."""
    if not recipients:
        raise NotARecipient("give at least one recipient: without one nobody could decrypt it")
    sealed: bytes = pyrage.encrypt(secret, [_parsed(recipient) for recipient in recipients], armored=armored)
    return sealed


def _parsed(recipient: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError as error:
        raise NotARecipient(f"{recipient!r} is not an age public key (age1…, as age-keygen -y prints it): {error}") from None
