"""Envoy's question and its answer, as bytes: what reaches the guard, and what Envoy is told to do."""

from __future__ import annotations

import pytest

from gen.envoy_question import Told, answer_in, question
from gen.verifying import KEY_ID, NOW, OTHER_TOKEN, TOKEN, guard, known, record
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import Limit, LocalLimiter
from keyturn.verifier.service.grpc_door.envoy_check import EnvoyCheck
from keyturn.verifier.service.grpc_door.grpc_calls import CallFailed, Code

BEARER = f"Bearer {TOKEN}".encode()


def asked(message: bytes, **fields: object) -> Told:
    return answer_in(EnvoyCheck(guard(record(scopes=("read", "write"), plan="gold", **fields)))(message))


def test_a_good_key_passes_without_its_header_and_as_whose() -> None:
    assert asked(question({"authorization": BEARER})) == Told(
        code=Code.OK,
        status=None,
        headers={
            "x-keyturn-key-id": KEY_ID,
            "x-keyturn-apikey": "team-a/billing",
            "x-keyturn-scopes": "read write",
            "x-keyturn-plan": "gold",
        },
        removed=("authorization",),
        to_client={},
        body=b"",
    )


def test_what_a_client_says_of_itself_is_replaced_even_by_nothing() -> None:
    answer = answer_in(EnvoyCheck(guard(record()))(question({"x-api-key": TOKEN.encode(), "x-keyturn-plan": b"platinum"})))
    assert (answer.headers["x-keyturn-plan"], answer.headers["x-keyturn-scopes"]) == ("", "")
    assert answer.removed == ("x-api-key",)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {OTHER_TOKEN}".encode()},
        {"authorization": BEARER + b"," + BEARER},
        {"authorization": b"Bearer junk," + BEARER},
        {"authorization": b"Basic junk," + BEARER},
        {"x-api-key": TOKEN.encode() + b"," + TOKEN.encode()},
        {"x-api-key": TOKEN.encode() + b","},
        {"authorization": BEARER, "x-api-key": TOKEN.encode()},
        {"x-other": BEARER},
        {"authorization": b"Bearer \xff\xfe"},
    ],
)
def test_what_is_not_exactly_one_good_key_is_a_401(headers: dict[str, bytes]) -> None:
    answer = asked(question(headers))
    assert (answer.code, answer.status) == (Code.UNAUTHENTICATED, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.body.startswith(b"{")


@pytest.mark.parametrize("as_bytes", [True, False])
def test_headers_as_they_came_are_understood_too(*, as_bytes: bool) -> None:
    """`encode_raw_headers`."""
    one = asked(question(raw=[(b":path", b"/x"), (b"authorization", BEARER)], as_bytes=as_bytes))
    assert one.code == Code.OK
    two = asked(question(raw=[(b"authorization", BEARER), (b"authorization", BEARER)], as_bytes=as_bytes))
    assert two.status == 401


def test_the_route_says_audience_and_scopes() -> None:
    good = question({"authorization": BEARER}, audience="orders", scope="read write")
    assert asked(good, audience="orders").code == Code.OK
    assert asked(good, audience="other").status == 401
    more = asked(question({"authorization": BEARER}, scope="read admin"))
    assert (more.code, more.status) == (Code.PERMISSION_DENIED, 403)


def test_the_address_is_that_of_the_connection() -> None:
    bound = {"allowed_cidrs": ("192.0.2.0/24",)}
    assert asked(question({"authorization": BEARER}, address="192.0.2.7"), **bound).code == Code.OK
    assert asked(question({"authorization": BEARER}, address="198.51.100.7"), **bound).status == 403
    assert asked(question({"authorization": BEARER, "x-forwarded-for": b"192.0.2.7"}), **bound).status == 403


@pytest.mark.parametrize("extensions", [{"scopes": "read"}, {"scope": 'a"b'}, {"scope": ""}, {"scope": "a  b"}, {"Audience": "x"}])
def test_a_mistake_in_the_route_lets_nobody_through(extensions: dict[str, str]) -> None:
    with pytest.raises(CallFailed) as failed:
        asked(question({"authorization": BEARER}, **extensions))
    assert failed.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\xff", b"\x0a\x05\x22\x03\x12\x01\x1a"])
def test_what_is_no_question_gets_no_answer(message: bytes) -> None:
    with pytest.raises(CallFailed) as failed:
        asked(message)
    assert failed.value.code is Code.INTERNAL


def test_an_empty_question_is_one_without_a_key() -> None:
    assert asked(b"").status == 401


def test_a_limit_is_told_to_the_client_and_then_kept() -> None:
    check = EnvoyCheck(guard(record(), limiter=LocalLimiter(default=Limit(1 / 60, 1))))
    passed, refused = (answer_in(check(question({"authorization": BEARER}))) for _ in range(2))
    assert (passed.code, passed.to_client.keys()) == (Code.OK, {"ratelimit", "ratelimit-policy"})
    assert passed.headers["x-keyturn-key-id"] == KEY_ID
    assert (refused.code, refused.status) == (Code.RESOURCE_EXHAUSTED, 429)
    assert {"retry-after", "ratelimit"} <= refused.headers.keys()


def test_a_verifier_that_is_behind_gives_no_verdict_so_that_another_is_asked() -> None:
    behind = EnvoyCheck(Guard(known(is_caught_up=False), clock=lambda: NOW))
    with pytest.raises(CallFailed) as told:
        behind(question({"authorization": BEARER}))
    assert told.value.code == Code.UNAVAILABLE
