"""What peers may do to the verifier's HTTP server: slow, huge, broken and too many. Each is answered or closed, and the rest go on."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from gen import verifying as gen
from gen.served_front import ServedFront, read_all
from keyturn.verifier.service.metrics import REGISTRY
from testbed.cluster import wait_until

KEY = b"Authorization: Bearer " + gen.TOKEN.encode() + b"\r\n"
CLOSE = b"Connection: close\r\n"
KEPT = b"GET /verify HTTP/1.1\r\nHost: verifier\r\n" + KEY + b"\r\n"
"""A good request on a connection that stays open."""
GOOD = KEPT[:-2] + CLOSE + b"\r\n"
BAD = b"GET /verify HTTP/1.1\r\n" + CLOSE + b"\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def front() -> Iterator[ServedFront]:
    with ServedFront(gen.guard(gen.record())) as front:
        yield front


def impatient() -> ServedFront:
    return ServedFront(gen.guard(gen.record()), patience=0.5)


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(answers)]


def turned_away(why: str) -> float:
    return REGISTRY.get_sample_value("keyturn_verifier_connections_turned_away_total", {"why": why}) or 0.0


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND"])
def test_every_method_is_answered_alike(front: ServedFront, method: bytes) -> None:
    assert statuses(front.say(GOOD.replace(b"GET", method))) == [200]
    assert statuses(front.say(BAD.replace(b"GET", method))) == [401]


def test_the_answer_to_head_has_no_body(front: ServedFront) -> None:
    assert front.say(BAD.replace(b"GET", b"HEAD")).endswith(b"\r\n\r\n")


def test_http_1_0_is_answered_and_closed(front: ServedFront) -> None:
    with front.connect() as connection:
        connection.sendall(KEPT.replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = read_all(connection)
    assert statuses(answer) == [200]
    assert b"\r\nconnection: close\r\n" in answer


def test_pipelined_requests_are_answered_each_in_their_order(front: ServedFront) -> None:
    bad = b"GET /verify HTTP/1.1\r\n\r\n"
    mistaken = b"GET /nowhere HTTP/1.1\r\n\r\n"
    assert statuses(front.say(*[KEPT + bad + mistaken] * 50, GOOD)) == [*[200, 401, 400] * 50, 200]


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 500000\r\n\r\n" + b"x" * 500_000,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"ff\r\n" + b"x" * 255 + b"\r\n0\r\n\r\n",
    ],
)
def test_a_body_is_dropped_and_the_connection_goes_on(front: ServedFront, body: bytes) -> None:
    assert statuses(front.say(b"POST /verify HTTP/1.1\r\n" + KEY + body, GOOD)) == [200, 200]


def test_a_body_without_end_is_cut_off(front: ServedFront) -> None:
    before = turned_away("body")
    endless = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
    answers = front.say(b"POST /verify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + KEY + b"\r\n", *[endless] * 64)
    assert statuses(answers) in ([200], [200, 413], [])  # what was sent into a closed connection may take the answer with it
    assert turned_away("body") == before + 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /verify HTTP/1.1\r\nX-Api-Key: " + b"k" * 200_000 + b"\r\n\r\n",
        b"GET /verify HTTP/1.1\r\n" + b"a: b\r\n" * 40_000 + KEY + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_a_huge_head_is_refused_and_closed(front: ServedFront, head: bytes) -> None:
    before = turned_away("head")
    assert statuses(front.say(head)) in ([431], [])
    assert turned_away("head") == before + 1


def test_a_long_head_within_bounds_is_a_request_like_any_other(front: ServedFront) -> None:
    assert statuses(front.say(GOOD[:-2] + b"Cookie: " + b"c" * 40_000 + b"\r\n\r\n")) == [200]
    assert statuses(front.say(BAD[:-2] + b"X-Api-Key: " + b"k" * 40_000 + b"\r\n\r\n")) == [401]


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /verify HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /verify HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /verify HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /verify HTTP/1.1\r\nX-Api-Key: a\r\n folded\r\n\r\n",
        b"GET /verify HTTP/1.1\r\nX-Api-Key: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(front: ServedFront, noise: bytes) -> None:
    assert statuses(front.say(noise)) in ([], [400])


def test_a_request_without_a_version_is_answered_and_closed(front: ServedFront) -> None:
    assert statuses(front.say(b"GET /verify\r\n\r\n")) == [401]


def test_a_websocket_and_a_tunnel_are_requests_that_need_a_key(front: ServedFront) -> None:
    upgrade = b"GET /verify HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    with front.connect() as connection:
        connection.sendall(upgrade)
        assert statuses(connection.recv(4096)) == [401]
    assert 200 not in statuses(front.say(b"CONNECT verifier:443 HTTP/1.1\r\n" + CLOSE + b"\r\n"))


def test_who_dawdles_is_closed_and_who_is_idle_between_requests_is_not() -> None:
    before = turned_away("slow")
    with impatient() as front, front.connect() as idle, front.connect() as silent, front.connect() as dawdler:
        idle.sendall(KEPT)
        dawdler.sendall(KEPT + KEPT[:-2])
        start = time.monotonic()
        assert (statuses(read_all(dawdler)), statuses(read_all(silent))) == ([200], [])
        assert time.monotonic() - start < 10
        idle.sendall(KEPT)
        wait_until(lambda: turned_away("slow") == before + 2, patience=5, what="both to be counted")
        idle.sendall(GOOD)
        assert statuses(read_all(idle)) == [200, 200, 200]


def test_who_never_takes_its_answers_is_closed() -> None:
    before = turned_away("slow")
    with impatient() as front, front.connect() as glutton:
        glutton.settimeout(1.0)
        try:
            while True:
                glutton.sendall(b"GET /verify HTTP/1.1\r\n\r\n" * 1000)
        except OSError:
            pass  # the server no longer reads
        wait_until(lambda: turned_away("slow") > before, patience=20, what="it to be closed")


def test_above_the_most_connections_newcomers_are_refused_and_the_others_go_on() -> None:
    with ServedFront(gen.guard(gen.record()), connections=2) as front:
        with front.connect() as first, front.connect() as second:
            for connection in (first, second):
                connection.sendall(KEPT)
                assert statuses(connection.recv(4096)) == [200]
            assert statuses(front.say(GOOD)) == [503]
            first.sendall(KEPT)
            assert statuses(first.recv(4096)) == [200]
        wait_until(lambda: statuses(front.say(GOOD)) == [200], patience=10, what="room for others")


def test_an_idle_connection_ends_after_its_time_also_behind_a_body_that_came_late() -> None:
    with ServedFront(gen.guard(gen.record()), keep_alive=1.0) as front, front.connect() as connection:
        connection.sendall(b"POST /verify HTTP/1.1\r\nContent-Length: 3\r\n" + KEY + b"\r\n")
        assert statuses(connection.recv(4096)) == [200]
        connection.sendall(b"abc")
        connection.settimeout(10.0)
        assert connection.recv(4096) == b""
