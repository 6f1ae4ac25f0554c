"""Places for keys of a product that counts them: never more than it wants, first come, first served."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.names import Key
from keyturn.controller.places import Places

PRODUCT, OTHER = Key("owner", "api"), Key("owner", "other")
A, B, C = Key("shop", "a"), Key("shop", "b"), Key("shop", "c")


def test_first_come_first_served_and_the_next_in_line_when_one_goes() -> None:
    places = Places()
    assert [places.ask(PRODUCT, key, most=1) for key in (B, A, C)] == [0, 1, 1]
    assert places.ask(PRODUCT, B, most=1) == 0
    assert places.leave(PRODUCT, B) == A
    assert [places.ask(PRODUCT, key, most=1) for key in (A, C)] == [0, 1]


def test_what_was_there_before_counts_also_beyond_the_limit() -> None:
    places = Places()
    for key in (A, B):
        places.know(PRODUCT, key)
    assert places.ask(PRODUCT, C, most=1) == 2
    assert places.leave(PRODUCT, A) == C
    assert places.ask(PRODUCT, C, most=1) == 1


def test_namespaces_and_products_do_not_take_each_others_places() -> None:
    places = Places()
    assert [places.ask(PRODUCT, A, most=1), places.ask(OTHER, A, most=1), places.ask(PRODUCT, Key("else", "a"), most=1)] == [0, 0, 0]


def test_one_that_waited_and_went_is_not_called() -> None:
    places = Places()
    for key in (A, B, C):
        places.ask(PRODUCT, key, most=1)
    assert places.leave(PRODUCT, B) is None
    assert places.leave(PRODUCT, A) == C


@given(most=st.integers(1, 3), steps=st.lists(st.tuples(st.sampled_from(["ask", "leave"]), st.integers(0, 6))))
def test_never_more_than_the_product_wants_and_no_room_stays_empty(most: int, steps: list[tuple[str, int]]) -> None:
    places, holding, waiting = Places(), set[Key](), list[Key]()
    for what, number in steps:
        key = Key("shop", f"key-{number}")
        if what == "leave":
            called = places.leave(PRODUCT, key)
            waiting = [each for each in waiting if each != key]
            assert called == (waiting[0] if waiting and key in holding else None)
            holding.discard(key)
            key = called or key
        if (what == "ask" or key in waiting) and places.ask(PRODUCT, key, most=most) < most:
            holding.add(key)
            waiting = [each for each in waiting if each != key]
        elif what == "ask" and key not in waiting:
            waiting.append(key)
        assert len(holding) <= most
        assert not waiting or len(holding) == most
