"""What a check answers: `Accepted` or `Refused`. Match on them; neither can be tested for truth."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, NoReturn

from keyturn.base.names import Key
from keyturn.verifier.limits import Limit, Quota

KEY_ID_HEADER: Final = "x-keyturn-key-id"
APIKEY_HEADER: Final = "x-keyturn-apikey"
SCOPES_HEADER: Final = "x-keyturn-scopes"
PLAN_HEADER: Final = "x-keyturn-plan"
IDENTITY_HEADERS: Final = (KEY_ID_HEADER, APIKEY_HEADER, SCOPES_HEADER, PLAN_HEADER)
"""What the API behind the gateway is told. A client's own copies of these must never get through."""


class Accepted(NamedTuple):
    """The request may pass, as this key's. A tuple, since one is made for each request."""

    record_name: str
    """Whose key it is, as its record is called: `<namespace>.<name>`. Of a token: `jwt:<issuer's name>.<subject>`."""
    key_id: str
    """Of a token: `jwt:<issuer's name>`."""
    version: int
    """0: it is no key but a token, which no record knows."""
    audience: str
    product: str | None
    plan: str | None
    scopes: tuple[str, ...]
    limit: Limit | None = None
    """How often it may be used; None: the verifier's default."""
    quota: Quota | None = None
    """How it stands with that: for the client, see `answers.limit_headers`. None: nothing counts its requests."""

    def __bool__(self) -> NoReturn:
        raise TypeError("match on Accepted or Refused; do not test a verdict for truth")

    @property
    def key(self) -> Key:
        """The ApiKey's namespace and name."""
        return Key.of_record(self.record_name)

    def lacking(self, *scopes: str) -> Refused | None:
        """The refusal for a route that asks for more than its API does, for `answers.answer_to`; None: it has all of these scopes."""
        return None if all(scope in self.scopes for scope in scopes) else Refused(Refusal.SCOPE, self.key_id, scopes)

    @property
    def headers(self) -> dict[str, str]:
        """Who it is, for the API behind the gateway. Every one of IDENTITY_HEADERS is there, so that each replaces a client's own."""
        return {
            KEY_ID_HEADER: self.key_id,
            APIKEY_HEADER: self.record_name.replace(".", "/", 1),  # as str(self.key), for every request
            SCOPES_HEADER: " ".join(self.scopes),
            PLAN_HEADER: self.plan or "",
        }


class Refusal(StrEnum):
    """Why a request may not pass: a label for metrics and audits. What the client is told is in `answers.py`, and is less."""

    NO_KEY = "no_key"
    """The request carries no key."""
    AMBIGUOUS = "ambiguous"
    """It carries more than one: which of them a gateway or an API behind it would take is anybody's guess."""
    MALFORMED = "malformed"
    """What it carries is shorter or longer than any key."""
    UNKNOWN = "unknown"
    """No live key has this ID: never issued, retired, revoked."""
    WRONG = "wrong"
    """The ID is a live key's, the rest is not."""
    ENDED = "ended"
    """This version of the key was replaced and its time is over."""
    EXPIRED = "expired"
    """The ApiKey's expirationTime is reached."""
    DISABLED = "disabled"
    """The ApiKey says `disabled: true`."""
    AUDIENCE = "audience"
    """The key is for another API."""
    SCOPE = "scope"
    """The key lacks a scope that the route asks for."""
    ADDRESS = "address"
    """The key may not be used from this address."""
    LIMITED = "limited"
    """The key was used more often than it may be. This request is not counted."""
    STALE = "stale"
    """The verifier has not heard from the cluster, or of this key's record, for longer than the key allows: it might have been revoked."""
    TOKEN = "token"
    """It looks like a JSON Web Token, but no issuer that is trusted here vouches for it, or not for us."""
    TOKEN_EXPIRED = "token_expired"
    """A trusted issuer's token whose time is over."""
    NO_ISSUER_KEYS = "no_issuer_keys"
    """It names a trusted issuer whose public keys could not be had, or not for too long."""
    NOT_CAUGHT_UP = "not_caught_up"
    """No key of this ID is known here, but this verifier may be behind: it cannot say that there is none."""


class Refused(NamedTuple):
    """The request may not pass. `key_id` is known only once the whole key matched: nothing is said of keys by mere guessers."""

    refusal: Refusal
    key_id: str | None = None
    needs_scopes: tuple[str, ...] = ()
    """With SCOPE: what the route asks for."""
    quota: Quota | None = None
    """With LIMITED: which limit, and for how long."""

    def __bool__(self) -> NoReturn:
        raise TypeError("match on Accepted or Refused; do not test a verdict for truth")


CheckVerdict = Accepted | Refused
