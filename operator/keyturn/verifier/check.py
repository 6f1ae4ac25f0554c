"""May this request pass? Pure: the token, what the route asks for, what is known, and `now` go in, a verdict comes out.

Before it: a front (`asgi.py`, `wsgi.py`) that has found the token (`presented.py`). After it: `answers.py`, which tells the client.

What an attacker can time: whether a text is as long as a key, which everyone knows, and nothing else. A key ID that nobody has
costs the same hash and comparison as one that somebody has. Everything a refusal tells apart comes after the whole key matched.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol

from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.keys.token_format import BODY_LENGTH, KEY_ID_LENGTH, MAXIMUM_LENGTH, MINIMUM_LENGTH, Token, parse_token
from keyturn.verifier.live_key import DIGEST_SIZE, LiveKey, Network, Power, Terms
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

LONGEST_IMPORTED: Final = 1024
"""Characters of a key that was made elsewhere: others' keys may be JSON Web Tokens. Longer texts cost nothing."""
_ID_START: Final = -BODY_LENGTH
_ID_END: Final = -BODY_LENGTH + KEY_ID_LENGTH
_NOBODY: Final = LiveKey(
    proof=bytes(DIGEST_SIZE),
    key_id="",
    record_name="",
    version=0,
    terms=Terms(
        not_after=float("-inf"),
        expiration=float("-inf"),
        disabled=True,
        power=Power(audience="", product=None, plan=None, scopes=(), networks=(), staleness=0.0),
    ),
)
"""To compare with where there is no key. No known text has this digest, and it would be over all the same."""
_MALFORMED: Final = Refused(Refusal.MALFORMED)
_WRONG: Final = Refused(Refusal.WRONG)
_UNKNOWN: Final = Refused(Refusal.UNKNOWN)
_NOT_CAUGHT_UP: Final = Refused(Refusal.NOT_CAUGHT_UP)
_FRESH: Final = hashlib.sha256(usedforsecurity=True)
"""Copying a hash object is cheaper than asking OpenSSL for a new one."""


_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the route asks for, said by the gateway or the application: never by the client.

    Raises ValueError for a scope that RFC 6749 section 3.3 does not know: it would end up in a header.
    """

    audience: str = DEFAULT_AUDIENCE
    scopes: tuple[str, ...] = ()
    """All of these."""
    address: str | None = None
    """The client's, where somebody trustworthy says so. A key that is bound to addresses is refused without it."""

    def __post_init__(self) -> None:
        for scope in self.scopes:
            if not is_scope(scope):
                raise ValueError(f"{scope!r} is no scope: write printable ASCII without spaces, quotes and backslashes")

    def seen_from(self, address: str | None) -> Asked:
        """The same, asked for a client of this address. Made for every request, so without another look at the scopes."""
        if address is None:
            return self
        seen = object.__new__(Asked)
        object.__setattr__(seen, "audience", self.audience)
        object.__setattr__(seen, "scopes", self.scopes)
        object.__setattr__(seen, "address", address)
        return seen


def is_scope(text: str) -> bool:
    """Whether it is one in the words of RFC 6749: printable ASCII without spaces, quotes and backslashes."""
    return _SCOPE.fullmatch(text) is not None


class View(Protocol):
    """What is known here of the cluster's keys."""

    @property
    def live(self) -> Mapping[str, LiveKey]:
        """Every version that may be accepted, by key ID."""
        ...

    @property
    def imported(self) -> Mapping[bytes, LiveKey]:
        """Those of them that were made elsewhere, by digest."""
        ...

    @property
    def heard(self) -> float:
        """When the cluster was last heard from, in unix seconds; what came up to then is known."""
        ...

    @property
    def is_caught_up(self) -> bool:
        """Whether a key that is not known here does not exist. If not, an unknown key is answered by 503, not by 401."""
        ...


def check(token: str, asked: Asked, view: View, *, now: float) -> CheckVerdict:
    """Decide about one token. Never raises, whatever the text. `now` in unix seconds."""
    if not MINIMUM_LENGTH <= len(token) <= MAXIMUM_LENGTH and not _may_be_imported(token, view):
        return _MALFORMED
    found = view.live.get(token[_ID_START:_ID_END], _NOBODY)
    hashing = _FRESH.copy()
    hashing.update(token.encode("utf-8", "surrogatepass"))
    digest = hashing.digest()
    if compare_digest(digest, found.proof[:DIGEST_SIZE]):
        return _by_its_terms(found, asked, view, now=now)
    imported = _imported(token, digest, view) if view.imported else None
    return _guessed(is_there=found is not _NOBODY, view=view) if imported is None else _by_its_terms(imported, asked, view, now=now)


def _by_its_terms(found: LiveKey, asked: Asked, view: View, *, now: float) -> CheckVerdict:
    """The whole key matched: what is refused from here on may be told."""
    terms, key_id = found.terms, found.key_id
    power = terms.power
    if (
        now >= terms.not_after
        or now >= terms.expiration
        or terms.disabled
        or now - view.heard > power.staleness
        or now >= terms.believed_until
    ):
        return Refused(_end_of(terms, now=now), key_id)
    if asked.audience != power.audience:
        return Refused(Refusal.AUDIENCE, key_id)
    for scope in asked.scopes:
        if scope not in power.scopes:
            return Refused(Refusal.SCOPE, key_id, asked.scopes)
    if power.networks and not _is_inside(asked.address, power.networks):
        return Refused(Refusal.ADDRESS, key_id)
    return Accepted(found.record_name, key_id, found.version, power.audience, power.product, power.plan, power.scopes, power.limit)


def _may_be_imported(token: str, view: View) -> bool:
    """Whether a text that is no key of ours is worth a hash. Nobody's garbage is where no such key is, which is nearly everywhere."""
    return 0 < len(token) <= LONGEST_IMPORTED and (bool(view.imported) or not view.is_caught_up)


def _imported(token: str, digest: bytes, view: View) -> LiveKey | None:
    """The key that was made elsewhere and has this digest.

    Found by the digest: nobody can choose one, so that the look-up tells nothing. A key of our own form counts under its own ID
    alone: otherwise one that was revoked by its ID would be back once somebody lists its digest.
    """
    found = view.imported.get(digest, _NOBODY)
    if not compare_digest(digest, found.proof[:DIGEST_SIZE]):
        return None
    parsed = parse_token(token)
    return None if isinstance(parsed, Token) and parsed.key_id != found.key_id else found


def _guessed(*, is_there: bool, view: View) -> Refused:
    """No look at the text's shape: it would cost a guess more than a good key, and tell nobody anything."""
    if is_there:
        return _WRONG
    return _UNKNOWN if view.is_caught_up else _NOT_CAUGHT_UP


def _end_of(terms: Terms, *, now: float) -> Refusal:
    if now >= terms.expiration:
        return Refusal.EXPIRED
    if now >= terms.not_after:
        return Refusal.ENDED
    return Refusal.DISABLED if terms.disabled else Refusal.STALE


def _is_inside(text: str | None, networks: tuple[Network, ...]) -> bool:
    if text is None:
        return False
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # ::ffff:192.0.2.1, as a listener for both families says it
    return any(address in network for network in networks)
