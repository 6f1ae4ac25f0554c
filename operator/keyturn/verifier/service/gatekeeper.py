"""Who may ask at all, where that is switched on: gateways that prove themselves by a client certificate or by a ServiceAccount's token.

Either is enough. Before it: the fronts. What a client of the gateway sends is not looked at before its gateway is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum
from typing import Final, Protocol

from keyturn.base.clock import Clock
from keyturn.verifier.check import Asked
from keyturn.verifier.guard import Tokens
from keyturn.verifier.verdicts import Accepted, Refusal

TOKEN_HEADER: Final = b"x-keyturn-gateway-token"
TOKEN_AUDIENCE: Final = "keyturn-verifier"
HOW_TO: Final = (
    "This verifier answers only gateways that prove themselves: by a client certificate that its CA signed, or by a ServiceAccount's token "
    f"for the audience {TOKEN_AUDIENCE} in the header {TOKEN_HEADER.decode()}"
)
NOT_NOW: Final = "This verifier has not learned yet by which keys the API server signs tokens; try again"
BELIEVED_SECONDS: Final = 60.0
"""How long a token that was verified is believed without looking again. A signature costs twenty times a check of a key."""
_MOST_BELIEVED: Final = 1024
_LONGEST_TOKEN: Final = 8192


class Entry(Enum):
    """What becomes of a gateway."""

    OPEN = "open"
    """It may ask."""
    UNPROVEN = "unproven"
    """It has not proved itself."""
    NOT_NOW = "not_now"
    """It cannot be said at the moment."""


# Looking them up in their class costs more than a request's share of this.
_OPEN: Final = Entry.OPEN
_UNPROVEN: Final = Entry.UNPROVEN


class Gatekeeper(Protocol):
    """What decides it."""

    def entry(self, headers: Iterable[tuple[bytes, bytes]], *, has_certificate: bool) -> Entry:
        """Headers with names in lower case; `has_certificate`: the connection showed one that the CA for gateways signed. Never raises."""
        ...


class ByCertificate:
    """Only certificates count."""

    def entry(self, headers: Iterable[tuple[bytes, bytes]], *, has_certificate: bool) -> Entry:  # noqa: ARG002  the protocol's
        """As in Gatekeeper."""
        return _OPEN if has_certificate else _UNPROVEN


class ByAccount:
    """Tokens of these ServiceAccounts count, and certificates where there is a CA for them."""

    def __init__(self, accounts: Iterable[str], tokens: Tokens, *, clock: Clock) -> None:
        """`accounts`: namespace/name of each. `tokens`: verifies what the API server signed for our audience."""
        self._subjects = frozenset(f"system:serviceaccount:{account.replace('/', ':')}" for account in accounts)
        self._tokens, self._clock = tokens, clock
        self._believed: dict[bytes, float] = {}

    def entry(self, headers: Iterable[tuple[bytes, bytes]], *, has_certificate: bool) -> Entry:
        """As in Gatekeeper. One signature at most, and for a gateway that is known none."""
        if has_certificate:
            return _OPEN
        shown = [value for name, value in headers if name == TOKEN_HEADER]
        if len(shown) != 1 or len(shown[0]) > _LONGEST_TOKEN:
            return _UNPROVEN
        now = self._clock().timestamp()
        digest = hashlib.sha256(shown[0]).digest()
        if self._believed.get(digest, 0.0) > now:
            return _OPEN
        return self._look_at(shown[0].decode("latin-1"), digest, now)

    def _look_at(self, token: str, digest: bytes, now: float) -> Entry:
        verdict = self._tokens.check(token, Asked(), now=now)
        if not isinstance(verdict, Accepted):
            return Entry.NOT_NOW if verdict.refusal is Refusal.NO_ISSUER_KEYS else _UNPROVEN
        if verdict.record_name.partition(".")[2] not in self._subjects:
            return _UNPROVEN
        if len(self._believed) >= _MOST_BELIEVED:
            self._believed.clear()
        self._believed[digest] = now + BELIEVED_SECONDS
        return _OPEN
