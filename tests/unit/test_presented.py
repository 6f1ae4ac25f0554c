"""Finding the key in a request's headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.verifier.presented import Presented, Sources, find_token, without_keys
from keyturn.verifier.verdicts import Refusal, Refused

Headers = list[tuple[bytes, bytes]]
DEFAULT = Sources()
PAIRS = st.lists(st.tuples(st.sampled_from([b"Authorization", b"x-api-key", b"X-Api-Key", b"cookie", b""]) | st.binary(), st.binary()))


@pytest.mark.parametrize(
    ("headers", "token", "header"),
    [
        ([(b"authorization", b"Bearer abc")], "abc", "authorization"),
        ([(b"Authorization", b"bEARER   abc  ")], "abc", "authorization"),
        ([(b"authorization", b"Bearer")], "", "authorization"),
        ([(b"X-API-Key", b"abc")], "abc", "x-api-key"),
        ([(b"x-api-key", b"\tabc ")], "abc", "x-api-key"),
        ([(b"authorization", b"Basic dTpw"), (b"x-api-key", b"abc")], "abc", "x-api-key"),
        ([(b"authorization", b"Bearer abc, Bearer def")], "abc, Bearer def", "authorization"),
        ([(b"x-api-key", b"\xff")], "\xff", "x-api-key"),
    ],
)
def test_a_key_is_found_where_clients_put_it(headers: Headers, token: str, header: str) -> None:
    assert find_token(headers, DEFAULT) == Presented(token, header)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer abc"), (b"authorization", b"Bearer abc")],
        [(b"x-api-key", b"abc"), (b"X-Api-Key", b"def")],
        [(b"authorization", b"Bearer abc"), (b"x-api-key", b"abc")],
        [(b"x-api-key", b""), (b"x-api-key", b"abc")],
    ],
)
def test_two_keys_are_refused_also_where_they_are_the_same(headers: Headers) -> None:
    assert find_token(headers, DEFAULT) == Refused(Refusal.AMBIGUOUS)


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Basic dTpw")], [(b"authorization", b"Bearerabc")], [(b"cookie", b"abc")]])
def test_no_key_is_no_key(headers: Headers) -> None:
    assert find_token(headers, DEFAULT) == Refused(Refusal.NO_KEY)


def test_where_keys_may_stand_can_be_said() -> None:
    own = Sources(bearer=False, headers=("X-Team-Key",))
    assert find_token([(b"authorization", b"Bearer abc"), (b"x-team-key", b"def")], own) == Presented("def", "x-team-key")
    assert find_token([(b"x-api-key", b"abc")], own) == Refused(Refusal.NO_KEY)


@given(PAIRS)
def test_no_bytes_raise_and_what_is_left_holds_no_key(headers: Headers) -> None:
    find_token(headers, DEFAULT)
    left = without_keys(headers, sources=DEFAULT, hidden=frozenset())
    assert find_token(left, DEFAULT) == Refused(Refusal.NO_KEY)
    assert [pair for pair in headers if pair in left] == left


def test_what_is_none_of_ours_is_left_to_the_api() -> None:
    headers = [(b"Authorization", b"Basic dTpw"), (b"x-api-key", b"abc"), (b"X-Keyturn-Plan", b"gold"), (b"accept", b"*/*")]
    left = without_keys(headers, sources=DEFAULT, hidden=frozenset({b"x-keyturn-plan"}))
    assert left == [(b"Authorization", b"Basic dTpw"), (b"accept", b"*/*")]


def test_a_presented_key_does_not_show_itself() -> None:
    assert "abc" not in repr(Presented("abc", "x-api-key"))
    assert "abc" not in f"{Presented('abc', 'x-api-key')}"
