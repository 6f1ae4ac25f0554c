"""Any bytes in any header: nothing raises, no key gets into a log line or an answer, and what it costs is bounded by how many there are."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gen import tokens
from gen import verifying as gen
from gen.envoy_question import question
from keyturn.base.log_output import redactions
from keyturn.keys.token_format import format_token
from keyturn.verifier.check import Asked
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import Limit, LocalLimiter
from keyturn.verifier.live_key import LiveKey
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.gatekeeper import ByAccount
from keyturn.verifier.service.grpc_door.envoy_check import EnvoyCheck
from keyturn.verifier.service.grpc_door.grpc_calls import CallFailed
from keyturn.verifier.service.http_door.http_connection import LONGEST_BODY, LONGEST_HEAD, Hall, HttpConnection, Limits
from keyturn.verifier.service.http_door.http_front import HttpFront
from keyturn.verifier.verdicts import CheckVerdict

Headers = list[tuple[bytes, bytes]]

SECRET: Final = "Qw3Er5Ty7Ui9Op1As3Df5Gh7Jk9Lz1Xc3Vb5Nm7Qw9E"
KEY: Final = format_token("kt", key_id=gen.KEY_ID, secret=SECRET).encode()
JWT: Final = tokens.token().encode()
"""A good one of an issuer whose keys are known."""
TELLING: Final = (SECRET.encode(), JWT.rpartition(b".")[2])
"""What must not be seen again: nobody can use what is left of either."""

NAMES: Final = st.sampled_from(
    [b"authorization", b"x-api-key", b"x-forwarded-for", b"x-keyturn-gateway-token", b"x-keyturn-apikey", b"cookie", b"te", b""]
)
SECRETS: Final = st.sampled_from([KEY, JWT, b"Bearer " + KEY, b"Bearer " + JWT, b"bearer  " + KEY + b", Bearer " + KEY, KEY[:-1], JWT[:-1]])
VALUES: Final = st.binary() | SECRETS | st.builds(lambda before, secret, after: before + secret + after, st.binary(), SECRETS, st.binary())
HEADERS: Final[st.SearchStrategy[Headers]] = st.lists(st.tuples(NAMES | st.binary(), VALUES), max_size=8)
IN_A_LINE: Final = re.compile(rb"[^\t -~\x80-\xff]")


def guards() -> Iterator[Guard]:
    """Doors of every mood, to a verifier that knows KEY and who made JWT."""
    moods: tuple[dict[str, object], ...] = (
        {},
        {"disabled": True},
        {"expiration_time": gen.NOW},
        {"not_after": gen.NOW - timedelta(days=1)},
        {"audience": "orders"},
        {"allowed_cidrs": ("192.0.2.0/24", "2001:db8::/32")},
    )
    known = tokens.tokens()
    for mood in moods:
        yield gen.guard(gen.record(token=KEY.decode(), **mood), tokens=known)
    yield gen.guard(gen.record(token=KEY.decode()), tokens=known, limiter=LocalLimiter(default=Limit(0.001, 20)))
    for facts in ({"heard": 0.0}, {"is_caught_up": False}):
        yield Guard(gen.known(gen.record(token=KEY.decode()), **facts), clock=lambda: gen.NOW, tokens=known)


GUARDS: Final = tuple(guards())
BOUND_TO_ADDRESSES: Final = GUARDS[5]


@contextmanager
def nothing_told() -> Iterator[list[str]]:
    """Collects what is answered inside; at the end neither that nor any log line, before the net under them, holds a secret."""
    told: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(repr(vars(record)))

    listener, level, caught = Listener(), logging.root.level, redactions.caught
    logging.root.addHandler(listener)
    logging.root.setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        logging.root.removeHandler(listener)
        logging.root.setLevel(level)
    text = "\n".join(told)
    assert [secret for secret in TELLING if secret.decode() in text] == []
    assert redactions.caught == caught


def asked() -> Asked:
    return Asked(scopes=("read",)).seen_from("192.0.2.7")


@given(HEADERS)
@example([(b"authorization", b"Bearer " + KEY)])
@example([(b"authorization", b"Bearer " + JWT)])
def test_no_headers_make_a_guard_raise_or_tell(headers: Headers) -> None:
    with nothing_told() as told:
        for guard in GUARDS:
            for judged in (guard.judge(headers, Asked()), guard.judge(headers, asked())):
                told.append(f"{judged} {judged!r}")


class KnowsOnly:
    """Verifies gateways' tokens by an issuer's keys, as AccountTokens does."""

    def __init__(self) -> None:
        self._known = tokens.tokens()

    def check(self, token: str, asked: Asked, *, now: float) -> CheckVerdict:
        return self._known.check(token, asked, now=now)


def front(guard: Guard, *, is_kept: bool = False) -> HttpFront:
    keeper = ByAccount(["gateways/envoy"], KnowsOnly(), clock=lambda: gen.NOW) if is_kept else None
    return HttpFront(guard, client_address=ClientAddress(b"x-forwarded-for", 2), gatekeeper=keeper)


@given(HEADERS, st.sampled_from([b"/verify", b"/verify?scope=read", b"/check/orders/read/-/x?y", b"/nowhere"]))
@example([(b"x-api-key", KEY)], b"/verify?scope=read")
def test_no_headers_make_the_http_front_raise_or_tell(headers: Headers, target: bytes) -> None:
    with nothing_told() as told:
        for guard in GUARDS:
            for reply in (front(guard).reply_to(target, headers), front(guard, is_kept=True).reply_to(target, headers)):
                told.append(reply.whole.decode("latin-1"))


@given(HEADERS)
def test_no_headers_make_envoys_check_raise_or_tell(headers: Headers) -> None:
    with nothing_told() as told:
        for guard in GUARDS:
            try:
                told.append(EnvoyCheck(guard)(question(raw=headers)).decode("latin-1"))
            except CallFailed as failed:
                told.append(repr(failed))


class Wire(asyncio.Transport):
    """What a connection writes on, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def speak(guard: Guard, pieces: list[bytes]) -> bytes:
    """All that a connection answers to these, however they are cut."""
    wire, connection = Wire(), HttpConnection(Hall(front(guard), Limits(connections=10, keep_alive=60.0)))
    connection.connection_made(wire)
    for piece in pieces:
        connection.data_received(piece)
        assert connection._held <= LONGEST_HEAD + LONGEST_BODY + len(piece)
    connection.connection_lost(None)
    return bytes(wire.written)


@dataclass(frozen=True, slots=True)
class Cut:
    """One request, in pieces."""

    head: bytes
    at: list[int] = field(default_factory=list)

    @property
    def pieces(self) -> list[bytes]:
        ends = sorted({end % (len(self.head) + 1) for end in self.at})
        return [self.head[start:end] for start, end in zip([0, *ends], [*ends, len(self.head)], strict=True)]


def head_of(headers: Headers, *, is_tamed: bool) -> bytes:
    """As it is sent; tamed: so that it is one head, whatever is in it."""
    if is_tamed:
        headers = [(re.sub(rb"[^!-9;-~]", b"-", name) or b"x", IN_A_LINE.sub(b" ", value)) for name, value in headers]
    return b"GET /verify HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % pair for pair in headers) + b"\r\n"


@given(st.builds(Cut, st.builds(head_of, HEADERS, is_tamed=st.booleans()), st.lists(st.integers(0), max_size=5)))
@example(Cut(head_of([(b"Authorization", b"Bearer " + KEY)], is_tamed=False), [30]))
@example(Cut(head_of([(b"X-Api-Key", KEY + b"\x00")], is_tamed=False)))
def test_no_bytes_on_the_wire_make_a_connection_raise_or_tell(cut: Cut) -> None:
    with nothing_told() as told:
        for guard in GUARDS:
            said = speak(guard, cut.pieces)
            assert re.fullmatch(rb"(HTTP/1\.1 (200|400|401|403|429|503) .*)?", said, re.DOTALL)
            told.append(said.decode("latin-1"))


def test_the_key_itself_is_accepted_so_that_these_tests_are_about_something() -> None:
    assert speak(GUARDS[0], [head_of([(b"Authorization", b"Bearer " + KEY)], is_tamed=False)]).startswith(b"HTTP/1.1 200 ")
    assert speak(GUARDS[0], [head_of([(b"Authorization", b"Bearer " + JWT)], is_tamed=False)]).startswith(b"HTTP/1.1 200 ")


def test_a_door_that_tells_is_found_out() -> None:
    with pytest.raises(AssertionError), nothing_told() as told:
        told.append(f"the key was {KEY.decode()}")
    with pytest.raises(AssertionError), nothing_told():
        logging.getLogger("keyturn").debug("the key was %s", KEY.decode())


class Counted(dict[str, LiveKey]):
    """Keys that count how often one is looked for."""

    lookups = 0

    def get(self, key: str, default: LiveKey | None = None) -> LiveKey | None:  # type: ignore[override]
        self.lookups += 1
        return super().get(key, default)


def steps(work: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def live() -> Mapping[str, LiveKey]:
    return gen.known(gen.record(token=KEY.decode())).live


@given(HEADERS)
def test_a_request_looks_for_one_key_at_most_and_takes_a_few_steps_for_each_header(headers: Headers) -> None:
    keys = Counted(live())
    guard = Guard(gen.Known(live=keys), clock=lambda: gen.NOW)
    assert steps(lambda: guard.judge(headers, Asked())) <= 40 + 12 * len(headers)
    assert keys.lookups <= 1


@pytest.mark.parametrize("start", [b"", b"Bearer ", b"Bearer eyJ", b"Bearer eyJhbGciOiJFUzI1NiJ9.", b"Bearer " + JWT])
@pytest.mark.parametrize("name", [b"authorization", b"x-api-key", b"x-forwarded-for"])
def test_a_long_value_takes_no_more_steps_than_a_short_one(name: bytes, start: bytes) -> None:
    def judge(length: int) -> int:
        headers = [(name, start + b". ,:[" * length)]
        return steps(lambda: [BOUND_TO_ADDRESSES.judge(headers, asked()), front(BOUND_TO_ADDRESSES).reply_to(b"/verify", headers)])

    judge(2_000)  # what is kept from the first time on
    assert judge(12_000) <= judge(2_000)
