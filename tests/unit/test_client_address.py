"""Which address a client has, by what the gateway says of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.verifier.service.client_address import ClientAddress

FORWARDED = ClientAddress(b"x-forwarded-for")
LINES = st.lists(
    st.binary(max_size=40) | st.sampled_from([b"192.0.2.7", b"198.51.100.1, 203.0.113.9", b"[::1]:80", b",", b"["]), max_size=5
)


@pytest.mark.parametrize(
    ("lines", "hops", "address"),
    [
        ([b"192.0.2.7"], 1, "192.0.2.7"),
        ([b"10.0.0.1, 192.0.2.7"], 1, "192.0.2.7"),
        ([b"10.0.0.1,192.0.2.7 "], 2, "10.0.0.1"),
        ([b"10.0.0.1", b"192.0.2.7"], 1, "192.0.2.7"),
        ([b"10.0.0.1", b"192.0.2.7"], 2, "10.0.0.1"),
        ([b"10.0.0.1, 10.0.0.2", b"192.0.2.7"], 3, "10.0.0.1"),
        ([b"192.0.2.7:4711"], 1, "192.0.2.7"),
        ([b"2001:db8::1"], 1, "2001:db8::1"),
        ([b"[2001:db8::1]"], 1, "2001:db8::1"),
        ([b"[2001:db8::1]:4711"], 1, "2001:db8::1"),
        ([b"192.0.2.7,"], 1, ""),
        ([b"192.0.2.7"], 2, None),
        ([b"10.0.0.1, 192.0.2.7"], 3, None),
        ([], 1, None),
    ],
)
def test_it_is_counted_from_the_right(lines: list[bytes], hops: int, address: str | None) -> None:
    headers = [(b"x-forwarded-for", line) for line in lines]
    assert ClientAddress(b"x-forwarded-for", hops).of([(b"accept", b"*/*"), *headers]) == address


def test_without_a_header_to_trust_nobody_has_an_address() -> None:
    assert ClientAddress(b"").of([(b"x-forwarded-for", b"192.0.2.7"), (b"", b"192.0.2.7")]) is None


@given(LINES, st.integers(1, 32))
def test_no_bytes_raise(lines: list[bytes], hops: int) -> None:
    address = ClientAddress(b"x-forwarded-for", hops).of([(b"x-forwarded-for", line) for line in lines])
    assert address is None or "," not in address


@given(LINES)
def test_what_a_client_makes_up_does_not_change_what_its_gateway_appends(lines: list[bytes]) -> None:
    made_up = [(b"x-forwarded-for", line) for line in lines]
    assert FORWARDED.of([*made_up, (b"x-forwarded-for", b"192.0.2.7")]) == "192.0.2.7"
    joined = b", ".join([*lines, b"192.0.2.7"])
    assert FORWARDED.of([(b"x-forwarded-for", joined)]) == "192.0.2.7"
