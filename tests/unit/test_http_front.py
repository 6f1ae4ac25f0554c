"""What gateways are told over HTTP."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gen import verifying as gen
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import Limit, LocalLimiter
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.http_door.http_front import HttpFront, Reply

Headers = list[tuple[bytes, bytes]]
GOOD: Headers = [(b"authorization", b"Bearer " + gen.TOKEN.encode())]
PAIRS = st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"x-forwarded-for", b"cookie"]) | st.binary(), st.binary()))


class Answered:
    def __init__(self, reply: Reply) -> None:
        status, *lines = reply.head.decode().split("\r\n")
        assert reply.whole == reply.head + b"\r\n" + reply.body
        assert lines.pop() == ""
        self.status = int(status.removeprefix("HTTP/1.1 ")[:3])
        self.headers = dict(line.split(": ", 1) for line in lines)
        self.body = reply.body
        assert len(self.headers) == len(lines)
        assert self.headers.pop("content-length") == str(len(self.body))
        assert self.headers.pop("cache-control") == "no-store"


def ask(guard: Guard, headers: Headers, target: bytes = b"/verify") -> Answered:
    return Answered(HttpFront(guard, client_address=ClientAddress(b"x-forwarded-for")).reply_to(target, headers))


def test_a_good_key_is_told_by_name() -> None:
    answered = ask(gen.guard(gen.record(scopes=("read", "write"), plan="gold")), GOOD)
    assert (answered.status, answered.body) == (200, b"")
    assert answered.headers == {
        "x-keyturn-key-id": gen.KEY_ID,
        "x-keyturn-apikey": "team-a/billing",
        "x-keyturn-scopes": "read write",
        "x-keyturn-plan": "gold",
    }


def test_a_refusal_is_a_problem_that_names_no_key() -> None:
    answered = ask(gen.guard(gen.record(disabled=True)), GOOD)
    assert answered.status == 401
    assert json.loads(answered.body) == {"type": "about:blank", "title": "This API key is disabled", "status": 401}
    assert set(answered.headers) == {"content-type", "www-authenticate"}
    assert gen.KEY_ID not in str(answered.headers)


def test_a_missing_scope_is_named() -> None:
    answered = ask(gen.guard(gen.record()), GOOD, b"/verify?scope=read&scope=write")
    assert answered.status == 403
    assert answered.headers["www-authenticate"].endswith('scope="read write"')


def test_two_refusals_for_one_reason_are_the_same_whoever_is_refused() -> None:
    other = gen.record(token=gen.OTHER_TOKEN, name="orders", disabled=True)
    guard = gen.guard(gen.record(disabled=True), other)
    theirs: Headers = [(b"x-api-key", gen.OTHER_TOKEN.encode())]
    assert vars(ask(guard, GOOD)) == vars(ask(guard, theirs))


def test_a_limit_is_told_anew_with_each_request() -> None:
    guard = gen.guard(gen.record(), limiter=LocalLimiter(default=Limit(1.0, 2, name="default")))
    answers = [ask(guard, GOOD) for _ in range(3)]
    assert [answered.status for answered in answers] == [200, 200, 429]
    assert [answered.headers["ratelimit"].partition(";t")[0] for answered in answers] == [f'"default";r={left}' for left in (1, 0, 0)]
    assert answers[2].headers["retry-after"] == "1"


def test_the_address_is_the_one_that_the_gateway_appended() -> None:
    guard = gen.guard(gen.record(allowed_cidrs=("192.0.2.0/24",)))
    inside, outside = (b"x-forwarded-for", b"198.51.100.1, 192.0.2.7"), (b"x-forwarded-for", b"192.0.2.7, 198.51.100.1")
    assert [ask(guard, [*GOOD, *more]).status for more in ([inside], [outside], [inside, outside], [])] == [200, 403, 403, 403]


def test_a_route_that_is_none_is_said_to_whoever_wrote_it() -> None:
    answered = ask(gen.guard(gen.record()), GOOD, b"/verify?scopes=read")
    assert answered.status == 400
    assert "'scopes'" in json.loads(answered.body)["title"]


@given(PAIRS, st.binary())
def test_no_bytes_raise_or_open_anything(headers: Headers, target: bytes) -> None:
    for start in (b"/verify", b"/verify?", b"/check/-/", b""):
        assert ask(gen.guard(gen.record()), headers, start + target).status in {400, 401}


def test_what_is_in_a_record_cannot_end_a_line() -> None:
    answered = ask(gen.guard(gen.record(plan="gold\r\nx-keyturn-apikey: team-b/admin\u0141")), GOOD)
    assert answered.headers["x-keyturn-plan"] == "gold??x-keyturn-apikey: team-b/admin?"
