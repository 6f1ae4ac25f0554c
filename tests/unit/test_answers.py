"""What a refused client is told."""

from __future__ import annotations

import json

import pytest

from keyturn.verifier.answers import answer_to
from keyturn.verifier.verdicts import Refusal, Refused

STATUS = {
    Refusal.NO_KEY: 401,
    Refusal.AMBIGUOUS: 401,
    Refusal.MALFORMED: 401,
    Refusal.UNKNOWN: 401,
    Refusal.WRONG: 401,
    Refusal.ENDED: 401,
    Refusal.EXPIRED: 401,
    Refusal.DISABLED: 401,
    Refusal.AUDIENCE: 401,
    Refusal.SCOPE: 403,
    Refusal.ADDRESS: 403,
    Refusal.LIMITED: 429,
    Refusal.TOKEN: 401,
    Refusal.TOKEN_EXPIRED: 401,
    Refusal.NO_ISSUER_KEYS: 503,
    Refusal.STALE: 503,
    Refusal.NOT_CAUGHT_UP: 503,
}


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_its_status_and_a_body_for_programs(refusal: Refusal) -> None:
    answer = answer_to(Refused(refusal, "KEYID"))
    headers = dict(answer.headers)
    assert answer.status == STATUS[refusal]
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    body = json.loads(answer.body)
    assert body == {"type": "about:blank", "title": body["title"], "status": STATUS[refusal]}
    assert ("www-authenticate" in headers) == (STATUS[refusal] == 401 or refusal is Refusal.SCOPE)  # RFC 9110 section 15.5.2
    assert ("retry-after" in headers) == (STATUS[refusal] == 503)
    assert "KEYID" not in str(answer)


def test_without_a_key_no_error_is_named() -> None:
    """RFC 6750 section 3.1: a request without credentials is told how to authenticate and nothing else."""
    assert dict(answer_to(Refused(Refusal.NO_KEY)).headers)["www-authenticate"] == 'Bearer realm="keyturn"'


def test_a_missing_scope_is_named() -> None:
    answer = answer_to(Refused(Refusal.SCOPE, "k", ("read", "write")))
    challenge = dict(answer.headers)["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert challenge.endswith('scope="read write"')
