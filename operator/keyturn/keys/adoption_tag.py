"""The adoption tag: proof, on a credential Secret, that this operator put this key into this Secret.

`hmac-sha256:<root id>:<base64url>`. A Secret that somebody else wrote has no valid tag and is never adopted; a Secret
moved to another name, namespace or installation, or with another version or token in it, has one that does not match.
"""

from __future__ import annotations

import hmac
from typing import Final

from keyturn.base.verdict import Comparison, Match, Mismatch
from keyturn.keys.base64url import encode_base64url
from keyturn.keys.root_secret import TagKey, TagRing

_DOMAIN: Final = b"keyturn.dev/adoption-tag/v1\0"


def adoption_tag(tag_key: TagKey, *, installation: str, namespace: str, name: str, key_id: str, version: int, token_digest: str) -> str:
    """The tag for one version of one ApiKey; `token_digest` is `digest_token` of the token in the Secret."""
    message = _DOMAIN + b"".join(_sized(part) for part in (installation, namespace, name, key_id, str(version), token_digest))
    return f"hmac-sha256:{tag_key.key_id}:{encode_base64url(tag_key.mac(message))}"


def tag_matches(
    ring: TagRing, *, tag: str, installation: str, namespace: str, name: str, key_id: str, version: int, token_digest: str
) -> Comparison:
    """Make the tag anew and compare in constant time, with the key that the tag names. Never raises, whatever the tag."""
    named = tag.split(":", 2)[1:2]
    tag_key = (ring.find(named[0]) if named else None) or ring.first
    made = adoption_tag(
        tag_key, installation=installation, namespace=namespace, name=name, key_id=key_id, version=version, token_digest=token_digest
    )
    return Match() if hmac.compare_digest(made.encode("ascii"), tag.encode("utf-8", "surrogatepass")) else Mismatch()


def _sized(part: str) -> bytes:
    # With its length in front no part can run into the next one: ("a", "bc") and ("ab", "c") are different messages.
    raw = part.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "big") + raw
