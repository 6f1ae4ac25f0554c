"""Tokens of OIDC issuers beside keys: who is let in, and everything that is tried against it."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from gen import tokens as gen
from gen import verifying
from keyturn.base.names import Key
from keyturn.verifier.answers import answer_to
from keyturn.verifier.check import Asked
from keyturn.verifier.guard import looks_like_token
from keyturn.verifier.issuers import Issuer
from keyturn.verifier.json_web_tokens import MAXIMUM_AGE, MAXIMUM_LENGTH, JsonWebTokens, UnusableKeys
from keyturn.verifier.limits import LocalLimiter
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

UNKNOWN_KEY = answer_to(Refused(Refusal.UNKNOWN))


def ask(token: str, *issuers: Issuer, asked: Asked | None = None, now: float = gen.NOW, **others: object) -> CheckVerdict:
    return gen.tokens(*issuers, **others).check(token, asked or Asked(), now=now)


def test_a_token_is_accepted_as_whose_it_is() -> None:
    verdict = ask(gen.token(), gen.issuer(plan="gold", product="apis/payments"), asked=Asked(scopes=("write",)))
    assert verdict == Accepted("jwt:corp.alice", "jwt:corp", 0, "default", "apis/payments", "gold", ("read", "write"))
    assert isinstance(verdict, Accepted)
    assert verdict.headers == {
        "x-keyturn-key-id": "jwt:corp",
        "x-keyturn-apikey": "jwt:corp/alice",
        "x-keyturn-scopes": "read write",
        "x-keyturn-plan": "gold",
    }


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"])
def test_every_algorithm_that_may_be_allowed_works_and_only_if_it_is(alg: str) -> None:
    keys = [gen.public(gen.key(alg))]
    other = "ES384" if alg == "ES256" else "ES256"
    assert isinstance(ask(gen.token(alg=alg), gen.issuer(algorithms=[alg]), keys=keys), Accepted)
    if alg[:2] == other[:2]:
        with pytest.raises(UnusableKeys):
            ask(gen.token(alg=alg), gen.issuer(algorithms=[other]), keys=keys)
    else:
        refused = ask(gen.token(alg=alg), gen.issuer(algorithms=[other]), keys=[gen.public(gen.key(other))])
        assert refused == Refused(Refusal.TOKEN)


@pytest.mark.parametrize("aud", [gen.AUDIENCE, [gen.AUDIENCE], ["https://other.example.com", gen.AUDIENCE]])
def test_one_of_its_audiences_must_be_ours(aud: object) -> None:
    assert isinstance(ask(gen.token(aud=aud)), Accepted)


@pytest.mark.parametrize(
    "others",
    [
        {"iss": None},
        {"iss": "https://id.example.com/"},
        {"iss": "https://evil.example.com"},
        {"iss": ["https://id.example.com"]},
        {"iss": {}},
        {"aud": None},
        {"aud": "https://other.example.com"},
        {"aud": []},
        {"aud": [[gen.AUDIENCE]]},
        {"aud": {gen.AUDIENCE: 1}},
        {"aud": gen.AUDIENCE + "x"},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": [gen.NOW + 300]},
        {"nbf": gen.NOW + 60},
        {"nbf": "now"},
        {"iat": gen.NOW + 60},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 257},
    ],
)
def test_a_token_that_claims_too_little_or_something_else_is_refused(others: dict[str, object]) -> None:
    assert ask(gen.token(**others)) == Refused(Refusal.TOKEN)


def test_a_token_ends_with_its_time_but_for_what_clocks_may_differ() -> None:
    token = gen.token(exp=gen.NOW)
    assert isinstance(ask(token, now=gen.NOW + 29), Accepted)
    assert ask(token, now=gen.NOW + 30) == Refused(Refusal.TOKEN_EXPIRED)
    assert ask(token, gen.issuer(leewaySeconds=0)) == Refused(Refusal.TOKEN_EXPIRED)
    assert isinstance(ask(gen.token(nbf=gen.NOW + 30)), Accepted)


def test_without_a_good_signature_nobody_learns_that_a_token_expired() -> None:
    expired = gen.token(exp=gen.NOW - 300, by=gen.key("RS256", "stranger"))
    assert ask(expired) == Refused(Refusal.TOKEN)


def unsigned(header: dict[str, object]) -> str:
    return f"{gen.encoded(json.dumps(header).encode())}.{gen.encoded(json.dumps(gen.claims()).encode())}."


def confused() -> str:
    """HS256 with the public key, which everyone has, as the shared secret."""
    made = gen.key()
    assert isinstance(made, RSAKey)
    message = unsigned({"alg": "HS256", "kid": "k1"}).removesuffix(".")
    return f"{message}.{gen.encoded(hmac.new(made.as_pem(private=False), message.encode(), hashlib.sha256).digest())}"


def beside(header: dict[str, object]) -> str:
    """Signed by a stranger's key, which the header offers."""
    stranger = gen.key("RS256", "stranger")
    return gen.token(by=stranger, header={**header, "jwk": gen.public(stranger), "x5c": ["AAAA"]})


ATTACKS: dict[str, str] = {
    "alg none": unsigned({"alg": "none", "kid": "k1"}),
    "alg None": unsigned({"alg": "None", "kid": "k1"}),
    "alg missing": unsigned({"kid": "k1"}),
    "alg a list": unsigned({"alg": ["RS256"], "kid": "k1"}),
    "alg of a shared secret": confused(),
    "no signature": gen.token().rsplit(".", 1)[0] + ".",
    "signature of another token": gen.token(sub="mallory").rsplit(".", 1)[0] + "." + gen.token().rsplit(".", 1)[1],
    "a stranger's key with a known kid": gen.token(by=gen.key("RS256", "stranger")),
    "a stranger's key in the header": beside({}),
    "keys from a URL in the header": beside({"jku": "https://evil.example.com/jwks", "x5u": "https://evil.example.com/x5u"}),
    "unknown kid": gen.token(header={"kid": "k2"}),
    "kid a path": gen.token(header={"kid": "../../../../dev/null"}),
    "kid SQL": gen.token(header={"kid": "k1' OR '1'='1"}),
    "kid a number": gen.token(header={"kid": 1}),
    "kid an object": gen.token(header={"kid": {"k1": 1}}),
    "unknown critical extension": gen.token(header={"crit": ["exp"], "exp": gen.NOW}),
    "crit no list": gen.token(header={"crit": 7}),
    "payload not encoded": gen.token(header={"crit": ["b64"], "b64": False}),
    "encrypted": "eyJhbGciOiJSU0EtT0FFUCJ9.eA.eA.eA.eA",
    "payload a list": gen.signed(b"[]", header={"alg": "RS256", "kid": "k1"}),
    "payload a text": gen.signed(b'"iss"', header={"alg": "RS256", "kid": "k1"}),
    "payload no JSON": gen.signed(b"{", header={"alg": "RS256", "kid": "k1"}),
    "payload no UTF-8": gen.signed(b'{"iss":"\xff"}', header={"alg": "RS256", "kid": "k1"}),
    "payload nested without end": gen.signed(b"[" * 5000, header={"alg": "RS256", "kid": "k1"}),
    "payload a huge number": gen.signed(b'{"exp":' + b"9" * 5000 + b"}", header={"alg": "RS256", "kid": "k1"}),
    "header a list": gen.signed(b"{}", header=["alg"]),
    "header a text": gen.signed(b"{}", header="alg"),
    "header nested without end": f"{gen.encoded(b'[' * 1000)}.e30.e30",
    "header too long": gen.token(header={"pad": "x" * 2000}),
    "token too long": gen.token(pad="x" * MAXIMUM_LENGTH),
    "no ASCII": gen.token() + "\xe9",
    "surrogates": gen.token() + "\ud800",
    "padding": gen.token() + "==",
    "newline": gen.token() + "\n",
    "three dots": gen.token() + ".",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gets_the_answer_of_an_unknown_key(attack: str) -> None:
    """Byte for byte: whether it was nearly a token, or nearly a key, or neither, nobody learns."""
    verdict = gen.door(gen.tokens()).ask(gen.bearer(ATTACKS[attack]))
    assert isinstance(verdict, Refused)
    assert answer_to(verdict) == UNKNOWN_KEY


@given(st.text(alphabet=st.characters(codec=None)), st.text(alphabet="eyJ.A{}-_"), st.binary(max_size=200))
def test_no_text_raises(text: str, like: str, payload: bytes) -> None:
    known = gen.tokens()
    for each in (text, like, f"eyJ.{text}.", f"{gen.encoded(payload)}.{gen.encoded(payload)}.{gen.encoded(payload)}"):
        assert known.check(each, Asked(), now=gen.NOW) == Refused(Refusal.TOKEN)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "options", "value"]), JSON))
def test_no_claims_raise_even_of_a_trusted_issuer(others: dict[str, object]) -> None:
    issuer = gen.issuer(algorithms=["Ed25519"])
    token = gen.token(alg="Ed25519", **others)
    assert ask(token, issuer, keys=[gen.public(gen.key("Ed25519"))]).__class__ in {Accepted, Refused}


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("system:serviceaccount:team-a:billing", "system:serviceaccount:team-a:billing"),
        ("alice@example.com", "alice@example.com"),
        ("a.b", "a.b"),
        ("a/b", "a%2Fb"),
        ("alice\r\nx-keyturn-plan: gold", "alice%0D%0Ax-keyturn-plan:%20gold"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("\ud800", "%ED%A0%80"),
        ("100%", "100%25"),
    ],
)
def test_a_subject_is_told_in_a_form_that_a_header_can_hold(subject: str, told: str) -> None:
    verdict = ask(gen.token(sub=subject))
    assert isinstance(verdict, Accepted)
    assert verdict.headers["x-keyturn-apikey"] == f"jwt:corp/{told}"
    assert verdict.key == Key("jwt:corp", told)


@pytest.mark.parametrize(
    ("fields", "others", "scopes"),
    [
        ({}, {"scope": "read write read"}, ("read", "write")),
        ({}, {"scope": ["read", "write"]}, ("read", "write")),
        ({}, {"scope": None}, ()),
        ({}, {"scope": {"read": True}}, ()),
        ({}, {"scope": ["two words", 'quo"te', "fine", 7, None, "new\nline"]}, ("fine",)),
        ({"scopeClaim": "scp"}, {"scp": ["read"]}, ("read",)),
        ({"scopeClaim": ["realm_access", "roles"]}, {"realm_access": {"roles": ["read"]}}, ("read",)),
        ({"scopeClaim": ["realm_access", "roles"]}, {"realm_access": "roles"}, ()),
        ({"scopes": {"admins": ["read", "write"]}, "scopeClaim": "groups"}, {"groups": ["admins", "write-all"]}, ("read", "write")),
        ({"scopes": {}}, {"scope": "read"}, ()),
        ({"grantedScopes": ["basic"]}, {"scope": "read"}, ("basic", "read")),
        ({}, {"scope": " ".join(f"s{number}" for number in range(100))}, tuple(f"s{number}" for number in range(64))),
    ],
)
def test_claims_become_scopes(fields: dict[str, object], others: dict[str, object], scopes: tuple[str, ...]) -> None:
    verdict = ask(gen.token(**others), gen.issuer(**fields))
    assert isinstance(verdict, Accepted)
    assert verdict.scopes == scopes


def test_a_token_without_the_scope_is_told_so() -> None:
    assert ask(gen.token(), asked=Asked(scopes=("admin",))) == Refused(Refusal.SCOPE, "jwt:corp", ("admin",))


def test_an_issuer_opens_its_own_routes_only() -> None:
    issuer = gen.issuer(routes=["https://payments.example.com"])
    assert ask(gen.token(), issuer) == Refused(Refusal.AUDIENCE, "jwt:corp")
    assert isinstance(ask(gen.token(), issuer, asked=Asked("https://payments.example.com")), Accepted)


def test_no_issuer_speaks_for_another() -> None:
    """The key of one under the name of the other."""
    evil = gen.issuer(name="evil", issuer="https://evil.example.com")
    known = gen.tokens(gen.issuer(), evil)
    known.learn("evil", {"keys": [gen.public(gen.key("RS256", "stranger"), kid="k1")]}, now=gen.NOW)
    assert known.check(gen.token(by=gen.key("RS256", "stranger")), Asked(), now=gen.NOW) == Refused(Refusal.TOKEN)
    assert known.check(gen.token(iss="https://evil.example.com"), Asked(), now=gen.NOW) == Refused(Refusal.TOKEN)


def test_without_news_an_issuers_keys_are_believed_for_a_day_and_then_it_is_said() -> None:
    token = gen.token(exp=gen.NOW + 10 * MAXIMUM_AGE)
    assert isinstance(ask(token, now=gen.NOW + MAXIMUM_AGE), Accepted)
    assert ask(token, now=gen.NOW + MAXIMUM_AGE + 1) == Refused(Refusal.NO_ISSUER_KEYS)
    assert JsonWebTokens([gen.issuer()]).check(token, Asked(), now=gen.NOW) == Refused(Refusal.NO_ISSUER_KEYS)


def test_a_key_taken_back_is_believed_no_longer_and_a_new_one_is() -> None:
    known = gen.tokens()
    assert known.learn("corp", {"keys": [gen.public(gen.key("RS256", "k2"))]}, now=gen.NOW) == 1
    assert known.check(gen.token(), Asked(), now=gen.NOW) == Refused(Refusal.TOKEN)
    assert isinstance(known.check(gen.token(by=gen.key("RS256", "k2"), header={"kid": "k2"}), Asked(), now=gen.NOW), Accepted)


def test_a_key_that_is_not_known_is_asked_for_and_nothing_else_is() -> None:
    asked: list[str] = []
    known = gen.tokens(on_unknown_key=asked.append)
    for token in (gen.token(), gen.token(by=gen.key("RS256", "stranger")), gen.token(iss="https://evil.example.com"), "eyJ.e30.e30"):
        known.check(token, Asked(), now=gen.NOW)
    assert asked == []
    known.check(gen.token(header={"kid": "k2"}), Asked(), now=gen.NOW)
    assert asked == ["corp"]


def test_a_token_without_a_kid_is_accepted_where_there_is_one_key() -> None:
    token = gen.token(header={"kid": None})
    assert isinstance(ask(token), Accepted)
    assert ask(token, keys=[gen.public(gen.key()), gen.public(gen.key("RS256", "k2"))]) == Refused(Refusal.TOKEN)


@pytest.mark.parametrize(
    "keys",
    [
        None,
        [],
        {},
        "k1",
        [None, 7, {}, {"kty": "XYZ"}, {"kty": ["RSA"]}, {"kty": "RSA"}, {"kty": "RSA", "n": "!", "e": "AQAB"}],
        [{"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}],
        [gen.key().as_dict(private=True)],
        [gen.public(gen.key(), use="enc")],
        [gen.public(gen.key(), alg="RSA-OAEP")],
        [gen.public(gen.key(), alg="HS256")],
        [{"kty": "RSA", "n": gen.encoded(b"\x81" * 128), "e": "AQAB"}],
        [gen.public(gen.key("ES384"))],
        [{"kty": "EC", "crv": "P-256", "x": gen.encoded(bytes(32)), "y": gen.encoded(bytes(32))}],
    ],
)
def test_keys_that_may_not_sign_are_refused_and_the_old_ones_kept(keys: object) -> None:
    known = gen.tokens()
    with pytest.raises(UnusableKeys):
        known.learn("corp", {"keys": keys}, now=gen.NOW)
    assert isinstance(known.check(gen.token(), Asked(), now=gen.NOW), Accepted)


@pytest.mark.parametrize("jwks", [None, [], "x", 7, {"other": []}])
def test_what_is_no_set_of_keys_is_refused(jwks: object) -> None:
    with pytest.raises(UnusableKeys):
        gen.tokens().learn("corp", jwks, now=gen.NOW)


def test_one_bad_key_does_not_spoil_the_others() -> None:
    verdict = ask(gen.token(), keys=[{"kty": "ML-DSA"}, gen.public(gen.key("RS256", "k2"), use="enc"), gen.public(gen.key())])
    assert isinstance(verdict, Accepted)


def test_the_same_door_takes_keys_and_tokens() -> None:
    door = gen.door(gen.tokens())
    key, token = (door.ask(gen.bearer(text)) for text in (verifying.TOKEN, gen.token()))
    assert isinstance(key, Accepted)
    assert isinstance(token, Accepted)
    assert (key.version, token.version) == (3, 0)


def test_a_token_stands_in_authorization_only() -> None:
    assert gen.door(gen.tokens()).ask([(b"x-api-key", gen.token().encode())]) == Refused(Refusal.MALFORMED)


def test_each_subject_has_its_own_limit() -> None:
    known = gen.tokens(gen.issuer(limits={"requestsPerSecond": 1, "burst": 1}))
    door = gen.door(known, limiter=LocalLimiter())
    first, second = gen.bearer(gen.token()), gen.bearer(gen.token(sub="bob"))
    kinds = [door.ask(headers) for headers in (first, first, second)]
    assert [isinstance(kind, Accepted) for kind in kinds] == [True, False, True]
    assert isinstance(kinds[1], Refused)
    assert kinds[1].refusal is Refusal.LIMITED


@pytest.mark.parametrize("text", [verifying.TOKEN, "", "eyJ", "eyJ.x", "a.b.c", "eyJhbGciOiJSU0EtT0FFUCJ9.eA.eA.eA.eA"])
def test_what_does_not_look_like_a_token_is_not_looked_at(text: str) -> None:
    assert not looks_like_token(text)


def test_what_looks_like_a_token_is() -> None:
    assert looks_like_token(gen.token())
