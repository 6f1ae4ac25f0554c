"""Which gateways may ask, where they have to prove themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import verifying as gen
from keyturn.verifier.check import Asked
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.gatekeeper import ByAccount, ByCertificate, Entry, Gatekeeper
from keyturn.verifier.service.http_door.http_front import HttpFront
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

ENVOY = "system:serviceaccount:gateways:envoy"


class Signed:
    """Knows whose each token is, and counts how often it had to look."""

    def __init__(self, **subjects: str) -> None:
        self.subjects = subjects
        self.looks = 0

    def check(self, token: str, asked: Asked, *, now: float) -> CheckVerdict:
        assert now >= gen.NOW.timestamp()
        self.looks += 1
        if token == "early":
            return Refused(Refusal.NO_ISSUER_KEYS)
        subject = self.subjects.get(token)
        if subject is None:
            return Refused(Refusal.TOKEN)
        return Accepted(f"jwt:kubernetes.{subject}", "jwt:kubernetes", 0, asked.audience, None, None, ())


def shown(*tokens: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer abc"), *((b"x-keyturn-gateway-token", token.encode()) for token in tokens)]


def keeper(tokens: Signed, *, later: float = 0.0) -> ByAccount:
    return ByAccount(["gateways/envoy"], tokens, clock=lambda: gen.NOW + timedelta(seconds=later))


@pytest.mark.parametrize(
    ("tokens", "entry"),
    [
        (["good"], Entry.OPEN),
        (["other"], Entry.UNPROVEN),
        (["longer"], Entry.UNPROVEN),
        (["forged"], Entry.UNPROVEN),
        (["good", "good"], Entry.UNPROVEN),
        ([], Entry.UNPROVEN),
        ([""], Entry.UNPROVEN),
        (["early"], Entry.NOT_NOW),
    ],
)
def test_only_the_accounts_that_are_named_may_ask(tokens: list[str], entry: Entry) -> None:
    signed = Signed(good=ENVOY, other="system:serviceaccount:team-a:envoy", longer=f"{ENVOY}:admin")
    assert keeper(signed).entry(shown(*tokens), has_certificate=False) is entry


def test_a_certificate_needs_no_token() -> None:
    assert keeper(Signed()).entry(shown(), has_certificate=True) is Entry.OPEN
    assert ByCertificate().entry(shown(), has_certificate=True) is Entry.OPEN
    assert ByCertificate().entry(shown("good"), has_certificate=False) is Entry.UNPROVEN


def test_a_token_is_verified_once_a_minute_and_a_wrong_one_each_time() -> None:
    times = iter([0.0, 59.0, 61.0])
    signed = Signed(good=ENVOY)
    gatekeeper = ByAccount(["gateways/envoy"], signed, clock=lambda: gen.NOW + timedelta(seconds=next(times)))
    assert [gatekeeper.entry(shown("good"), has_certificate=False) for _ in range(3)] == [Entry.OPEN] * 3
    assert signed.looks == 2
    wrong = keeper(signed)
    for _ in range(3):
        wrong.entry(shown("forged"), has_certificate=False)
    assert signed.looks == 5


@given(st.lists(st.tuples(st.sampled_from([b"x-keyturn-gateway-token"]) | st.binary(), st.binary())))
def test_no_bytes_raise_or_open(headers: list[tuple[bytes, bytes]]) -> None:
    assert keeper(Signed()).entry(headers, has_certificate=False) is Entry.UNPROVEN


@pytest.mark.parametrize(
    ("gatekeeper", "token", "status"),
    [(ByCertificate(), "", b"403"), (keeper(Signed()), "forged", b"403"), (keeper(Signed()), "early", b"503")],
)
def test_who_may_not_ask_is_told_how_and_nothing_of_the_key(gatekeeper: Gatekeeper, token: str, status: bytes) -> None:
    front = HttpFront(gen.guard(gen.record()), client_address=ClientAddress(b""), gatekeeper=gatekeeper)
    good = front.reply_to(b"/verify", [(b"x-api-key", gen.TOKEN.encode()), (b"x-keyturn-gateway-token", token.encode())])
    assert good.head.startswith(b"HTTP/1.1 " + status)
    assert good == front.reply_to(b"/nowhere", [(b"x-api-key", b"garbage"), (b"x-keyturn-gateway-token", token.encode())])
