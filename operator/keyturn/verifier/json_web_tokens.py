"""Tokens of OIDC issuers (RFC 7519, RFC 9068), accepted beside our own keys. Before it: `guard.py`, once a bearer is no key of ours.

Pure but for the keys it holds: `now` is passed in, and the public keys come from whoever fetches them (`learn`). An application installs
it by `pip install keyturn[jwt]`. What a token claims counts only once its signature does; until then it chooses among the issuers that
are configured and the keys they published, and nothing else: no URL, key or certificate in a token is ever looked at.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact
from joserfc.jwt import JWTClaimsRegistry

from keyturn.base.errors import KeyturnError
from keyturn.verifier.check import Asked, is_scope
from keyturn.verifier.issuers import Issuer
from keyturn.verifier.limits import Limit
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

MAXIMUM_LENGTH: Final = 8192
PREFIX: Final = "jwt:"
"""What tells such an identity from a key's: no key ID and no namespace has a colon."""
LONGEST_SUBJECT: Final = 256
MOST_SCOPES: Final = 64
MOST_KEYS: Final = 100
MAXIMUM_AGE: Final = 86_400.0
"""Seconds for which an issuer's keys are believed without news from it: a key it took back must not live on for ever."""
_KEY_TYPES: Final = ("RSA", "EC", "OKP")
_PLAIN: Final = "~:@+"
"""What stays readable in a subject, beside letters, digits and `_.-`. The rest is percent-encoded: it ends up in a header."""
_UNTRUSTED: Final = Refused(Refusal.TOKEN)
_NO_KEYS: Final = Refused(Refusal.NO_ISSUER_KEYS)

Claims = dict[str, Any]
"""JSON from a stranger: https://www.rfc-editor.org/rfc/rfc7519#section-4 says no more of it."""


class UnusableKeys(KeyturnError):
    """What an issuer published holds no key that its tokens may be signed by."""


class _Registry(JWSRegistry):
    max_header_length = 2048
    max_payload_length = MAXIMUM_LENGTH


@dataclass(slots=True)
class _Trusted:
    issuer: Issuer
    registry: JWSRegistry
    limit: Limit | None
    keys: KeySet | None = None
    learned: float = float("-inf")


class JsonWebTokens:
    """All trusted issuers with the keys they publish. Belongs to one event loop or thread."""

    def __init__(self, issuers: Iterable[Issuer], *, on_unknown_key: Callable[[str], None] | None = None) -> None:
        self._trusted = {issuer.issuer: _Trusted(issuer, _registry_of(issuer), _limit_of(issuer)) for issuer in issuers}
        self._named = {trusted.issuer.name: trusted for trusted in self._trusted.values()}
        self._on_unknown_key = on_unknown_key
        """Told the issuer's name when a token names a key that is not known: it may be a new one."""

    def learn(self, name: str, jwks: object, *, now: float) -> int:
        """Believe these keys of an issuer from now on, and no others; the number of them. Raises UnusableKeys, and keeps what was."""
        trusted = self._named[name]
        keys = [key for key in _imported(jwks) if _may_sign(key, trusted.issuer)]
        if not keys:
            raise UnusableKeys("it has no public key for signatures of the algorithms that are allowed")
        trusted.keys, trusted.learned = KeySet(keys), now
        return len(keys)

    def learned(self, name: str) -> float:
        """When that issuer's keys were last learned, in unix seconds; minus infinity: never."""
        return self._named[name].learned

    def check(self, token: str, asked: Asked, *, now: float) -> CheckVerdict:
        """Decide about one bearer that looks like a token. Never raises, whatever it holds; costs at most one signature."""
        if len(token) > MAXIMUM_LENGTH:
            return _UNTRUSTED
        try:
            signed = extract_compact(token.encode("ascii"), registry=_SIZES)
            claims = json.loads(signed.payload)
        except (JoseError, ValueError, TypeError, RecursionError, AttributeError):
            return _UNTRUSTED
        if not isinstance(claims, dict) or not _is_plain(signed.protected):
            return _UNTRUSTED
        issuer = claims.get("iss")
        trusted = self._trusted.get(issuer) if isinstance(issuer, str) else None
        return _UNTRUSTED if trusted is None else self._of_issuer(trusted, signed, claims, asked, now)

    def _of_issuer(self, trusted: _Trusted, signed: CompactSignature, claims: Claims, asked: Asked, now: float) -> CheckVerdict:
        if trusted.keys is None or now - trusted.learned > MAXIMUM_AGE:
            return _NO_KEYS
        try:
            if not validate_compact(signed, trusted.keys, registry=trusted.registry):
                return _UNTRUSTED
            _claims_registry(trusted.issuer, now).validate(claims)
        except InvalidKeyIdError:
            if self._on_unknown_key is not None:
                self._on_unknown_key(trusted.issuer.name)
            return _UNTRUSTED
        except ExpiredTokenError:
            return Refused(Refusal.TOKEN_EXPIRED)
        except (JoseError, ValueError, TypeError, RecursionError):
            return _UNTRUSTED
        return _allowed(trusted, claims, asked)


_SIZES: Final = _Registry()


def _registry_of(issuer: Issuer) -> JWSRegistry:
    return _Registry(algorithms=issuer.algorithms, strict_check_header=False)  # issuers put all kinds of things there


def _limit_of(issuer: Issuer) -> Limit | None:
    return None if issuer.limits is None else Limit(issuer.limits.requests_per_second, issuer.limits.burst)


def _imported(jwks: object) -> Iterator[Key]:
    """The public keys in a JWK Set; what cannot be read, is secret or too small is left out, as RFC 7517 section 5 asks."""
    members = jwks.get("keys") if isinstance(jwks, dict) else None
    for member in members[:MOST_KEYS] if isinstance(members, list) else ():
        if not isinstance(member, dict) or member.get("kty") not in _KEY_TYPES or "d" in member:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", SecurityWarning)  # RSA below 2048 bits
                yield JWKRegistry.import_key(member)
        except (JoseError, SecurityWarning, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
            continue


def _may_sign(key: Key, issuer: Issuer) -> bool:
    return bool(JWSRegistry.filter_algorithms(key, list(issuer.algorithms)))


def _is_plain(header: object) -> bool:
    """No extension that a verifier must understand (RFC 7515 section 4.1.11, RFC 7797): there is none that we do."""
    return isinstance(header, dict) and "crit" not in header and "b64" not in header


def _claims_registry(issuer: Issuer, now: float) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=int(now),
        leeway=issuer.leeway_seconds,
        iss={"essential": True, "value": issuer.issuer},
        aud={"essential": True, "values": list(issuer.audiences)},
        exp={"essential": True},
        sub={"essential": True},
    )


def _allowed(trusted: _Trusted, claims: Claims, asked: Asked) -> CheckVerdict:
    issuer, subject = trusted.issuer, claims["sub"]
    if len(subject) > LONGEST_SUBJECT:
        return _UNTRUSTED
    key_id = f"{PREFIX}{issuer.name}"
    if asked.audience not in issuer.routes:
        return Refused(Refusal.AUDIENCE, key_id)
    scopes = _scopes_of(claims, issuer)
    if not all(scope in scopes for scope in asked.scopes):
        return Refused(Refusal.SCOPE, key_id, asked.scopes)
    record_name = f"{key_id}.{quote(subject, safe=_PLAIN, errors='surrogatepass')}"
    return Accepted(record_name, key_id, 0, asked.audience, issuer.product, issuer.plan, scopes, trusted.limit)


def _scopes_of(claims: Claims, issuer: Issuer) -> tuple[str, ...]:
    value: object = claims
    for name in (issuer.scope_claim,) if isinstance(issuer.scope_claim, str) else issuer.scope_claim:
        value = value.get(name) if isinstance(value, dict) else None
    named = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else []
    texts = [text for text in named if isinstance(text, str)]
    if issuer.scopes is None:
        meant = [text for text in texts if is_scope(text)]
    else:
        meant = [scope for text in texts for scope in issuer.scopes.get(text, ())]
    return tuple(dict.fromkeys([*issuer.granted_scopes, *meant]))[:MOST_SCOPES]
