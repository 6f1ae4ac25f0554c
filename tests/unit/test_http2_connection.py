"""One HTTP/2 connection without a socket: what a gateway needs of it, and what others get."""

from __future__ import annotations

import pytest

from gen.http2_peer import EMPTY_SETTINGS, HELLO, Frame, Peer, data, framed, frames_of
from keyturn.verifier.service.grpc_door import http2_frames as wire
from keyturn.verifier.service.grpc_door import http2_limits as limits
from keyturn.verifier.service.grpc_door.header_blocks import plain_block
from keyturn.verifier.service.grpc_door.http2_connection import Connection, Reply, Request

REPLY = Reply(plain_block((b":status", b"200")), b"answer", plain_block((b"grpc-status", b"0")))


def greeted(now: float = 0.0) -> Connection:
    connection = Connection(now=now)
    connection.receive(HELLO, now=now)
    connection.take_output()
    return connection


def told(connection: Connection, sent: bytes = b"", *, now: float = 0.0) -> list[Frame]:
    connection.receive(sent, now=now)
    return frames_of(connection.take_output())


def answered(connection: Connection, requests: list[Request]) -> list[Frame]:
    for request in requests:
        connection.answer(request.stream_id, REPLY)
    return frames_of(connection.take_output())


def last_word(frames: list[Frame]) -> tuple[int, int]:
    return frames[-1].kind, frames[-1].number


def test_a_request_in_one_piece_is_given_and_answered() -> None:
    connection, peer = greeted(), Peer()
    requests = connection.receive(peer.call(1, b"hello"), now=0)
    assert [(each.stream_id, each.head.path, each.body) for each in requests] == [
        (1, b"/envoy.service.auth.v3.Authorization/Check", framed(b"hello"))
    ]
    assert [(each.kind, each.flags, each.payload) for each in answered(connection, requests)] == [
        (wire.HEADERS, wire.END_HEADERS, REPLY.headers),
        (wire.DATA, 0, b"answer"),
        (wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, REPLY.trailers),
    ]
    assert connection.open_streams == 0


def test_it_makes_no_difference_how_the_bytes_are_cut() -> None:
    peer = Peer()
    sent = HELLO + peer.call(1, b"hello") + peer.call(3, b"again") + EMPTY_SETTINGS
    whole = Connection(now=0)
    wanted = whole.receive(sent, now=0)
    bytewise = Connection(now=0)
    got = [request for at in range(len(sent)) for request in bytewise.receive(sent[at : at + 1], now=0)]
    assert got == wanted
    assert bytewise.take_output() == whole.take_output()


def test_the_same_question_again_is_a_few_bytes_and_means_the_same() -> None:
    connection, peer = greeted(), Peer()
    first, second, third = (peer.block() for _ in range(3))
    assert len(first) > len(second) == len(third)
    heads = []
    for number, block in ((1, first), (3, second), (5, third)):
        sent = wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, number, block)
        heads += [request.head for request in connection.receive(sent, now=0)]
    assert heads[0] == heads[1] == heads[2]


def test_a_block_is_not_remembered_past_a_change_of_the_table() -> None:
    """The same bytes mean another header once one was added in front of it."""
    connection, peer = greeted(), Peer()
    heads = []
    for number, value in ((1, "a"), (3, "a"), (5, "b"), (7, "b"), (9, "a"), (11, "a"), (13, "b")):
        heads += [request.head.get(b"x-traced") for request in connection.receive(peer.headers(number, ends=True, x_traced=value), now=0)]
    assert heads == [b"a", b"a", b"b", b"b", b"a", b"a", b"b"]


def test_an_answer_waits_for_room_at_the_peer() -> None:
    connection, peer = greeted(), Peer()
    told(connection, wire.settings((wire.INITIAL_WINDOW_SIZE, 4)))
    frames = answered(connection, connection.receive(peer.call(1), now=0))
    assert [each.payload for each in frames[1:]] == [b"answ"]
    assert connection.open_streams == 1
    rest = told(connection, wire.window_update(1, 10))
    assert [(each.kind, each.payload) for each in rest] == [(wire.DATA, b"er"), (wire.HEADERS, REPLY.trailers)]
    assert connection.open_streams == 0


def test_the_connections_own_window_holds_answers_back_too() -> None:
    connection, peer = greeted(), Peer()
    large = Reply(REPLY.headers, b"x" * 40_000, REPLY.trailers)
    for request in connection.receive(peer.call(1) + peer.call(3), now=0):
        connection.answer(request.stream_id, large)
    sent = sum(len(each.payload) for each in frames_of(connection.take_output()) if each.kind == wire.DATA)
    assert sent == wire.DEFAULT_WINDOW
    rest = told(connection, wire.window_update(0, 100_000))
    assert sum(len(each.payload) for each in rest if each.kind == wire.DATA) == 80_000 - sent


def test_a_body_that_is_too_large_is_given_as_none_and_not_kept() -> None:
    connection, peer = greeted(), Peer()
    requests = connection.receive(peer.headers(1), now=0)
    for _ in range(limits.MAX_BODY // limits.MAX_FRAME_SIZE):
        requests += connection.receive(data(1, bytes(limits.MAX_FRAME_SIZE), ends=False), now=0)
    assert [(each.stream_id, each.body) for each in requests] == [(1, None)]
    frames = answered(connection, requests)
    assert (frames[-1].kind, frames[-1].number) == (wire.RST_STREAM, wire.NO_ERROR)


def test_halves_of_bodies_do_not_add_up_without_bound() -> None:
    connection, peer = greeted(), Peer()
    refused: list[int] = []
    for number in range(1, 400, 2):
        connection.receive(peer.headers(number), now=0)
        for _ in range(4):
            requests = connection.receive(data(number, bytes(limits.MAX_FRAME_SIZE), ends=False), now=0)
            refused += [request.stream_id for request in requests if request.body is None]
    assert len(refused) == 200 - limits.MAX_BODIES // (4 * limits.MAX_FRAME_SIZE)
    assert not connection.is_over


def test_one_stream_too_many_is_refused_so_that_it_can_be_sent_elsewhere() -> None:
    connection, peer = greeted(), Peer()
    connection.receive(b"".join(peer.headers(number) for number in range(1, 2 * limits.MAX_STREAMS, 2)), now=0)
    frames = told(connection, peer.headers(2 * limits.MAX_STREAMS + 1))
    assert last_word(frames) == (wire.RST_STREAM, wire.REFUSED_STREAM)
    assert connection.open_streams == limits.MAX_STREAMS


def test_a_drained_connection_answers_what_is_under_way_and_refuses_the_rest() -> None:
    connection, peer = greeted(), Peer()
    connection.receive(peer.headers(1), now=0)
    connection.drain()
    goodbye, ping = frames_of(connection.take_output())
    assert (goodbye.kind, goodbye.number) == (wire.GOAWAY, wire.NO_ERROR)
    in_time = connection.receive(peer.headers(3), now=0)
    last = told(connection, wire.frame(wire.PING, wire.ACK, 0, ping.payload))
    assert last == [Frame(wire.GOAWAY, 0, 0, bytes((0, 0, 0, 3, 0, 0, 0, 0)))]
    assert last_word(told(connection, peer.headers(5))) == (wire.RST_STREAM, wire.REFUSED_STREAM)
    assert not connection.is_over
    requests = in_time + connection.receive(data(1, framed(b"")) + data(3, framed(b"")), now=0)
    assert len(answered(connection, requests)) == 6
    assert connection.is_over


@pytest.mark.parametrize(
    "flood",
    [
        wire.frame(wire.PING, 0, 0, bytes(8)),
        wire.settings((wire.INITIAL_WINDOW_SIZE, 65_535)),
        wire.window_update(0, 1),
        wire.frame(wire.PRIORITY, 0, 99, bytes(5)),
        wire.frame(wire.GOAWAY, 0, 0, bytes(8)),
        wire.frame(77, 0, 0),
    ],
    ids=["ping", "settings", "window", "priority", "goaway", "unknown"],
)
def test_frames_that_ask_for_nothing_are_borne_for_a_while(flood: bytes) -> None:
    connection = greeted()
    assert not [each for each in told(connection, flood * (limits.FLOOD_ALLOWANCE - 1)) if each.kind == wire.GOAWAY]
    assert last_word(told(connection, flood * 2)) == (wire.GOAWAY, wire.ENHANCE_YOUR_CALM)
    assert connection.is_over


def test_time_and_answers_make_up_for_them() -> None:
    connection, peer = greeted(), Peer()
    ping = wire.frame(wire.PING, 0, 0, bytes(8))
    told(connection, ping * (limits.FLOOD_ALLOWANCE - 1))
    told(connection, ping * 99, now=1.0)
    assert not connection.is_over
    answered(connection, connection.receive(b"".join(peer.call(number) for number in range(1, 101, 2)), now=1.0))
    told(connection, ping * 100, now=1.0)
    assert not connection.is_over


def test_opening_and_resetting_without_end_is_ended() -> None:
    """The rapid reset, CVE-2023-44487."""
    connection, peer = greeted(), Peer()
    attack = b"".join(peer.headers(number) + wire.reset(number, wire.CANCEL) for number in range(1, 2 * limits.FLOOD_ALLOWANCE + 3, 2))
    assert last_word(told(connection, attack)) == (wire.GOAWAY, wire.ENHANCE_YOUR_CALM)
    assert connection.open_streams == 0


def test_headers_that_never_end_are_ended() -> None:
    """The CONTINUATION flood, CVE-2024-27316."""
    connection = greeted()
    start = wire.frame(wire.HEADERS, 0, 1, bytes(100))
    more = wire.frame(wire.CONTINUATION, 0, 1, bytes(8_000))
    assert last_word(told(connection, start + more * 3)) == (wire.GOAWAY, wire.ENHANCE_YOUR_CALM)


def test_few_bytes_that_stand_for_many_headers_are_ended() -> None:
    connection, peer = greeted(), Peer()
    connection.receive(peer.headers(1, ends=True, x_large="x" * 3_000), now=0)
    bomb = wire.frame(wire.HEADERS, wire.END_HEADERS, 3, b"\xbe" * 1_000)
    assert last_word(told(connection, bomb)) == (wire.GOAWAY, wire.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("piece", [b"", b"x"], ids=["empty", "tiny"])
def test_a_body_of_crumbs_is_ended(piece: bytes) -> None:
    connection, peer = greeted(), Peer()
    connection.receive(peer.headers(1), now=0)
    crumbs = data(1, piece, ends=False) * (limits.FLOOD_ALLOWANCE + 1)
    assert last_word(told(connection, crumbs)) == (wire.GOAWAY, wire.ENHANCE_YOUR_CALM)


def test_a_request_that_never_ends_is_given_up() -> None:
    connection, peer = greeted(), Peer()
    connection.receive(peer.headers(1), now=0)
    connection.receive(peer.headers(3), now=limits.REQUEST_SECONDS)
    connection.expire(now=limits.REQUEST_SECONDS + 1)
    assert [(each.kind, each.stream_id, each.number) for each in frames_of(connection.take_output())] == [(wire.RST_STREAM, 1, wire.CANCEL)]
    assert connection.open_streams == 1


def test_who_never_says_hello_is_cut_off() -> None:
    connection = Connection(now=0)
    connection.expire(now=limits.HELLO_SECONDS)
    assert not connection.is_over
    connection.expire(now=limits.HELLO_SECONDS + 1)
    assert connection.is_over


def test_an_idle_connection_is_left_politely() -> None:
    connection = greeted()
    connection.receive(wire.frame(wire.PING, 0, 0, bytes(8)), now=limits.IDLE_SECONDS)
    connection.take_output()
    connection.expire(now=limits.IDLE_SECONDS + 1)
    goodbye, ping = frames_of(connection.take_output())
    assert (goodbye.kind, goodbye.number) == (wire.GOAWAY, wire.NO_ERROR)
    told(connection, wire.frame(wire.PING, wire.ACK, 0, ping.payload), now=limits.IDLE_SECONDS + 1)
    assert connection.is_over


@pytest.mark.parametrize("hello", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01", wire.PREFACE + wire.window_update(0, 1)])
def test_who_speaks_something_else_is_told_so(hello: bytes) -> None:
    connection = Connection(now=0)
    assert last_word(told(connection, hello)) == (wire.GOAWAY, wire.PROTOCOL_ERROR)
    assert connection.is_over
