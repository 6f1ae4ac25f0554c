"""The file of trusted issuers: what may stand there, and what whoever wrote something else is told."""

from __future__ import annotations

import pytest

from keyturn.verifier.issuers import IssuersInvalid, parse_issuers

GOOD = {"name": "corp", "issuer": "https://id.example.com", "audiences": ["https://api.example.com"]}


def test_little_is_needed_and_the_rest_is_strict() -> None:
    (issuer,) = parse_issuers({"issuers": [GOOD]})
    assert (issuer.routes, issuer.algorithms, issuer.scopes, issuer.granted_scopes) == (("default",), ("RS256", "ES256"), None, ())
    assert (issuer.limits, issuer.leeway_seconds) == (None, 30)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "Corp"}, "issuers.0.name"),
        ({"name": "a.b"}, "issuers.0.name"),
        ({"audiences": []}, "issuers.0.audiences"),
        ({"audience": "x"}, "issuers.0.audience: Extra inputs are not permitted"),
        ({"algorithms": ["HS256"]}, "issuers.0.algorithms.0"),
        ({"algorithms": ["none"]}, "issuers.0.algorithms.0"),
        ({"algorithms": []}, "issuers.0.algorithms"),
        ({"issuer": "http://id.example.com"}, "write an https:// URL"),
        ({"issuer": "corp"}, "write an https:// URL"),
        ({"jwksURL": "http://id.example.com/jwks"}, "write an https:// URL"),
        ({"jwksURL": "https:///jwks"}, "write an https:// URL"),
        ({"jwksURL": "file:///etc/keys"}, "write an https:// URL"),
        ({"jwksURL": "https://id.example.com/jwks", "jwksFile": "/keys"}, "write jwksURL or jwksFile, not both"),
        ({"tokenFile": "/token"}, "tokenFile goes with jwksURL"),
        ({"grantedScopes": ["two words"]}, "is no scope"),
        ({"scopes": {"admins": ['quo"te']}}, "is no scope"),
        ({"plan": "gold\n"}, "issuers.0.plan"),
        ({"leewaySeconds": 3600}, "issuers.0.leewaySeconds"),
        ({"limits": {"requestsPerSecond": 0, "burst": 1}}, "issuers.0.limits.requestsPerSecond"),
    ],
)
def test_a_mistake_is_named_with_its_place(fields: dict[str, object], told: str) -> None:
    with pytest.raises(IssuersInvalid, match=told.replace("(", r"\(")):
        parse_issuers({"issuers": [GOOD | fields]})


@pytest.mark.parametrize("document", [None, [], "issuers", 7, {}, {"issuers": GOOD}, {"issuers": [None]}])
def test_what_is_no_file_of_issuers_is_refused(document: object) -> None:
    with pytest.raises(IssuersInvalid):
        parse_issuers(document)


@pytest.mark.parametrize(("other", "what"), [({"issuer": "https://b.example.com"}, "name"), ({"name": "b"}, "issuer")])
def test_two_issuers_are_not_the_same(other: dict[str, object], what: str) -> None:
    with pytest.raises(IssuersInvalid, match=f"two issuers have the same {what}"):
        parse_issuers({"issuers": [GOOD, GOOD | other]})


def test_this_machine_needs_no_certificate() -> None:
    for address in ("http://localhost:8001/jwks", "http://127.0.0.1/jwks", "http://[::1]:1/jwks"):
        assert parse_issuers({"issuers": [GOOD | {"jwksURL": address}]})[0].jwks_url == address


def test_an_issuer_whose_keys_are_named_need_not_be_a_url() -> None:
    assert parse_issuers({"issuers": [GOOD | {"issuer": "corp", "jwksFile": "keys.json"}]})[0].issuer == "corp"
