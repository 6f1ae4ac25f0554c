"""How a key reaches its user: the parts of an ApiKey's spec that say so. Part of `apikey_spec.py`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import StringConstraints

from keyturn.api.rules import ApiModel

DIGEST_PATTERN: Final = "^[$]sha256[$][A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"
"""As `keys/digest.py` writes it: 256 bits leave two bits of the last digit unused, so a digest has one spelling."""
KEY_ID_PATTERN: Final = "^[0-9A-Za-z]{12}$"

RECIPIENT_PATTERN: Final = "^age1[02-9ac-hj-np-z]{58}$"
"""bech32 of 32 bytes. Its checksum no pattern can hold: the operator says where that is wrong."""

Digest = Annotated[str, StringConstraints(max_length=51, pattern=DIGEST_PATTERN)]
OwnKeyID = Annotated[str, StringConstraints(max_length=12, pattern=KEY_ID_PATTERN)]


class Delivery(StrEnum):
    """Who gets the plaintext of a key."""

    SECRET = "Secret"
    """Workloads, by a Secret in the ApiKey's namespace."""
    SEALED = "Sealed"
    """A person, once: the status holds it encrypted to a public key of theirs until they say that they have it."""
    NONE = "None"
    """Nobody: it was made elsewhere, and is known here by its digest alone."""


class ListedDigest(ApiModel):
    """A key that was made elsewhere, without the key."""

    digest: Digest
    """SHA-256 of the whole key, as $sha256$ and base64url without padding; `keyturn mint` and `keyturn import` write it so."""
    key_id: OwnKeyID | None = None
    """Public ID of a key of Keyturn's own form (keyturn mint): the twelve characters after its prefix. Such a key is accepted under no
    other ID. Unset, for a key of any other form: an ID is made of the digest."""


class SealedSpec(ApiModel):
    """To whom a key is shown."""

    recipient: Annotated[str, StringConstraints(max_length=62, pattern=RECIPIENT_PATTERN)]
    """Public key of age (X25519), as `age-keygen` prints it: age1 and 58 characters. Each version is encrypted to the one that stands here
    when it is made. Another one in its place: what waits is made anew for that."""
