"""What a client is told of a refusal: status, headers and a body. Before it: `check.py`.

RFC 6750 section 3 (WWW-Authenticate and its errors), RFC 9457 (problem details), RFC 9111 (no cache may keep any of it), RFC 6585 (429),
draft-ietf-httpapi-ratelimit-headers-10 (RateLimit-Policy and RateLimit).
Keys that are unknown, wrong or malformed get one and the same answer; a caller that proved to hold the key is told more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from keyturn.verifier.limits import Quota
from keyturn.verifier.verdicts import Refusal, Refused

REALM: Final = "keyturn"
RETRY_AFTER_SECONDS: Final = 5
PROBLEM_JSON: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer to a refused request."""

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Told:
    status: HTTPStatus
    title: str
    error: str | None = None
    """RFC 6750's error code; None: no WWW-Authenticate error."""


_INVALID: Final = _Told(HTTPStatus.UNAUTHORIZED, "The API key is not valid", "invalid_token")
_UNAVAILABLE: Final = _Told(HTTPStatus.SERVICE_UNAVAILABLE, "API keys cannot be checked at the moment; try again")
_TOLD: Final[dict[Refusal, _Told]] = {
    Refusal.NO_KEY: _Told(HTTPStatus.UNAUTHORIZED, "An API key is needed"),
    Refusal.AMBIGUOUS: _INVALID,
    Refusal.MALFORMED: _INVALID,
    Refusal.UNKNOWN: _INVALID,
    Refusal.WRONG: _INVALID,
    Refusal.ENDED: _Told(HTTPStatus.UNAUTHORIZED, "This API key was replaced by a newer one", "invalid_token"),
    Refusal.EXPIRED: _Told(HTTPStatus.UNAUTHORIZED, "This API key has expired", "invalid_token"),
    Refusal.DISABLED: _Told(HTTPStatus.UNAUTHORIZED, "This API key is disabled", "invalid_token"),
    Refusal.AUDIENCE: _Told(HTTPStatus.UNAUTHORIZED, "This API key is for another API", "invalid_token"),
    Refusal.SCOPE: _Told(HTTPStatus.FORBIDDEN, "This API key lacks a scope", "insufficient_scope"),
    Refusal.ADDRESS: _Told(HTTPStatus.FORBIDDEN, "This API key may not be used from here"),
    Refusal.LIMITED: _Told(HTTPStatus.TOO_MANY_REQUESTS, "This API key is used too often; wait as long as Retry-After says"),
    Refusal.STALE: _UNAVAILABLE,
    Refusal.TOKEN: _INVALID,
    Refusal.TOKEN_EXPIRED: _Told(HTTPStatus.UNAUTHORIZED, "This token has expired", "invalid_token"),
    Refusal.NO_ISSUER_KEYS: _UNAVAILABLE,
    Refusal.NOT_CAUGHT_UP: _UNAVAILABLE,
}


def answer_to(refused: Refused) -> Answer:
    """The answer to a refusal. The key ID stays with us: whoever sent the key knows it, whoever guesses shall not."""
    answer = _answer(refused.refusal, refused.needs_scopes)
    if refused.quota is None:
        return answer
    retry_after = ("retry-after", str(refused.quota.wait))
    return Answer(answer.status, (*answer.headers, retry_after, *limit_headers(refused.quota)), answer.body)


def limit_headers(quota: Quota | None) -> tuple[tuple[str, str], ...]:
    """What a client is told of its limit, in answers to accepted requests too; without a limit nothing."""
    if quota is None:
        return ()
    limit = quota.limit
    return (
        ("ratelimit-policy", f'"{limit.name}";q={limit.burst};w={limit.window}'),
        ("ratelimit", f'"{limit.name}";r={quota.remaining};t={quota.wait}'),
    )


@lru_cache(maxsize=256)
def _answer(refusal: Refusal, needs_scopes: tuple[str, ...]) -> Answer:
    told = _TOLD[refusal]
    headers = [("content-type", PROBLEM_JSON), ("cache-control", "no-store")]
    if told.status is HTTPStatus.UNAUTHORIZED or told.error is not None:
        headers.append(("www-authenticate", _challenge(told, needs_scopes)))
    if told.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("retry-after", str(RETRY_AFTER_SECONDS)))
    return Answer(told.status, tuple(headers), _problem(told))


def _challenge(told: _Told, needs_scopes: tuple[str, ...]) -> str:
    challenge = f'Bearer realm="{REALM}"'
    if told.error is not None:
        challenge += f', error="{told.error}", error_description="{told.title}"'
    if needs_scopes:
        challenge += f', scope="{" ".join(needs_scopes)}"'
    return challenge


def _problem(told: _Told) -> bytes:
    return json.dumps({"type": "about:blank", "title": told.title, "status": int(told.status)}).encode()
