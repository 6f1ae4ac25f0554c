"""Any bytes at all: a connection never raises, keeps little, and says goodbye with a code before it ends."""

from __future__ import annotations

import itertools
import sys
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from gen.http2_peer import HELLO, Peer, data, framed, frames_of
from keyturn.verifier.service.grpc_door import http2_frames as wire
from keyturn.verifier.service.grpc_door import http2_limits as limits
from keyturn.verifier.service.grpc_door.grpc_calls import CallFailed, Code, answer
from keyturn.verifier.service.grpc_door.http2_connection import Connection

CODES: Final = frozenset(
    {
        wire.PROTOCOL_ERROR, wire.FLOW_CONTROL_ERROR, wire.STREAM_CLOSED, wire.FRAME_SIZE_ERROR, wire.COMPRESSION_ERROR,
        wire.ENHANCE_YOUR_CALM,
    }
)  # fmt: skip
STREAMS: Final = st.one_of(st.integers(0, 9), st.sampled_from([2**31 - 1, 2**31 - 2]))
ODD_FRAMES: Final = st.builds(
    wire.frame,
    st.integers(0, 12),
    st.one_of(st.sampled_from([0, 1, 4, 5, 8, 9, 0x20, 0x2D]), st.integers(0, 255)),
    STREAMS,
    st.binary(max_size=40),
)
GOOD_HEADERS: Final = st.builds(lambda stream_id, ends: Peer().headers(stream_id, ends=ends), st.sampled_from([1, 3, 5, 7]), st.booleans())
BODIES: Final = st.builds(
    lambda stream_id, body, ends: data(stream_id, framed(body), ends=ends),
    st.sampled_from([1, 3, 5, 7]),
    st.binary(max_size=200),
    st.booleans(),
)
NUMBERS: Final = st.builds(wire.window_update, STREAMS, st.one_of(st.integers(0, 9), st.just(2**31 - 1)))
SETTINGS: Final = st.builds(
    lambda name, value: wire.settings((name, value)), st.integers(0, 9), st.one_of(st.integers(0, 99), st.integers(0, 2**32 - 1))
)
TALK: Final = st.lists(st.one_of(ODD_FRAMES, GOOD_HEADERS, BODIES, NUMBERS, SETTINGS, st.binary(max_size=30)), max_size=40)


def failing(_: bytes) -> bytes:
    raise CallFailed(Code.INTERNAL, "no")


def live_through(connection: Connection, pieces: list[bytes]) -> bytes:
    """Feed it, answer everything, and look after it; all that it says."""
    said = [connection.take_output()]
    for at, piece in enumerate(pieces):
        for request in connection.receive(piece, now=at / 10):
            connection.answer(request.stream_id, answer(request, {b"/envoy.service.auth.v3.Authorization/Check": lambda message: message}))
        if at % 7 == 0:
            connection.expire(now=at / 10)
        said.append(connection.take_output())
        assert connection.open_streams <= limits.MAX_STREAMS
        if connection.is_over:
            break
    return b"".join(said)


def assert_ended_well(connection: Connection, said: bytes) -> None:
    frames = frames_of(said)
    assert all(len(frame.payload) <= limits.MAX_FRAME_SIZE for frame in frames)
    goodbyes = [frame for frame in frames if frame.kind == wire.GOAWAY]
    if connection.is_over:
        assert frames[-1] == goodbyes[-1]
        assert goodbyes[-1].number in CODES
        assert connection.receive(HELLO, now=0) == []
        assert connection.take_output() == b""
    else:
        assert goodbyes == []


@given(st.binary(max_size=400))
def test_any_bytes_from_a_stranger(noise: bytes) -> None:
    connection = Connection(now=0)
    assert_ended_well(connection, live_through(connection, [noise]))


@given(TALK)
def test_any_frames_in_any_order(pieces: list[bytes]) -> None:
    connection = Connection(now=0)
    assert_ended_well(connection, live_through(connection, [HELLO, *pieces]))


@given(TALK, st.lists(st.integers(0, 3_000), max_size=20))
def test_how_they_are_cut_makes_no_difference(pieces: list[bytes], cuts: list[int]) -> None:
    whole = b"".join([HELLO, *pieces])
    at_once, in_pieces = Connection(now=0), Connection(now=0)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    once = at_once.receive(whole, now=0)
    parts = [request for start, end in itertools.pairwise(edges) for request in in_pieces.receive(whole[start:end], now=0)]
    assert at_once.is_over == in_pieces.is_over
    assert at_once.is_over or once == parts
    assert frames_of(at_once.take_output()) == frames_of(in_pieces.take_output())


@given(st.lists(st.tuples(st.sampled_from([0, wire.END_HEADERS, 5, 0x2D]), st.binary(max_size=60)), min_size=1, max_size=8))
def test_any_header_blocks(blocks: list[tuple[int, bytes]]) -> None:
    """What the hpack library raises on some bytes or other must not get out."""
    connection = Connection(now=0)
    pieces = [wire.frame(wire.HEADERS, flags, 2 * number + 1, block) for number, (flags, block) in enumerate(blocks)]
    assert_ended_well(connection, live_through(connection, [HELLO, *pieces]))


@given(TALK)
def test_a_drain_comes_to_its_end_whatever_is_said(pieces: list[bytes]) -> None:
    connection = Connection(now=0)
    connection.receive(HELLO, now=0)
    connection.drain()
    ping = next(frame for frame in frames_of(connection.take_output()) if frame.kind == wire.PING)
    live_through(connection, [*pieces[:5], wire.frame(wire.PING, wire.ACK, 0, ping.payload)])
    connection.expire(now=limits.REQUEST_SECONDS + 100)
    assert connection.is_over or connection._block is not None or connection._rest


def test_a_peer_that_says_everything_it_may_is_kept_within_bounds() -> None:
    """Streams, halves of bodies, remembered headers: everything at its most, in bytes of this process."""
    connection, peer = Connection(now=0), Peer()
    connection.receive(HELLO, now=0)
    for number in range(1, 2 * limits.MAX_STREAMS, 2):
        connection.receive(peer.headers(number, x_different=str(number)) + data(number, bytes(16_000), ends=False), now=0)
    kept = sum(sys.getsizeof(stream.body) for stream in connection._streams.values())
    assert kept < 2 * limits.MAX_BODIES
    assert len(connection._blocks._known) <= 64
