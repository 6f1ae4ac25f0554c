"""JSON Web Tokens, good ones and others: made by hand from parts, since a library refuses to make most of the bad ones."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gen import verifying
from keyturn.verifier.guard import Guard
from keyturn.verifier.issuers import Issuer
from keyturn.verifier.json_web_tokens import JsonWebTokens

NOW = verifying.NOW.timestamp()
ISSUER = "https://id.example.com"
AUDIENCE = "https://api.example.com"
Key = RSAKey | ECKey | OKPKey


def key(alg: str = "RS256", kid: str = "k1") -> Key:
    """A key pair of the issuer; the same for the same arguments."""
    return _made("RS" if alg[1:] in {"S256", "S384", "S512"} and alg[0] in "RP" else alg, kid)


@cache
def _made(alg: str, kid: str) -> Key:
    raw: Any
    match alg[:2]:
        case "RS":
            raw = rsa.generate_private_key(65537, 2048)
            return RSAKey.import_key(raw, {"kid": kid})
        case "ES":
            raw = ec.generate_private_key({"256": ec.SECP256R1, "384": ec.SECP384R1, "512": ec.SECP521R1}[alg[2:]]())
            return ECKey.import_key(raw, {"kid": kid})
        case _:
            raw = ed25519.Ed25519PrivateKey.generate()
            return OKPKey.import_key(raw, {"kid": kid})


def public(made: Key, **fields: object) -> dict[str, Any]:
    """What the issuer publishes of it."""
    return {**made.as_dict(private=False), **fields}


def claims(**others: object) -> dict[str, object]:
    """Of a good token; None takes one away."""
    good: dict[str, object] = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300, "scope": "read write"}
    return {name: value for name, value in {**good, **others}.items() if value is not None}


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed(payload: bytes, *, header: object, alg: str = "RS256", by: Key | None = None) -> str:
    """Any bytes under any header, really signed."""
    message = f"{encoded(json.dumps(header).encode())}.{encoded(payload)}"
    return f"{message}.{encoded(JWSRegistry.algorithms[alg].sign(message.encode(), by or key(alg)))}"


def token(*, alg: str = "RS256", by: Key | None = None, header: dict[str, object] | None = None, **others: object) -> str:
    """A good token, but for what is said."""
    whole = {"alg": alg, "kid": "k1", "typ": "JWT", **(header or {})}
    present = {name: value for name, value in whole.items() if value is not None}
    return signed(json.dumps(claims(**others)).encode(), header=present, alg=alg, by=by)


def issuer(**fields: object) -> Issuer:
    whole = {"name": "corp", "issuer": ISSUER, "audiences": [AUDIENCE], **fields}
    return Issuer.model_validate(whole)


def tokens(*issuers: Issuer, keys: list[dict[str, Any]] | None = None, **others: object) -> JsonWebTokens:
    """A verifier that trusts these, by default `issuer()`, and knows the keys of the first."""
    trusted = issuers or (issuer(),)
    made = JsonWebTokens(trusted, **others)
    made.learn(trusted[0].name, {"keys": keys or [public(key())]}, now=NOW)
    return made


def door(known: JsonWebTokens, **fields: object) -> Guard:
    """A door that accepts the key of `verifying.record()`, and tokens."""
    return verifying.guard(verifying.record(), tokens=known, **fields)


def bearer(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"Authorization", b"Bearer " + text.encode("utf-8", "surrogatepass"))]
