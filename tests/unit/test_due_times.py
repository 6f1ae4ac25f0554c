"""A heap whose stale entries are passed over is, seen from outside, a table of times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.due_times import SPARE, DueTimes

NAMES = st.sampled_from("abcdef")
TIMES = st.integers(min_value=0, max_value=20).map(float)
ACTS = st.lists(st.tuples(st.sampled_from(["put", "put_sooner", "drop", "take"]), NAMES, TIMES), max_size=40)


def first_of(table: dict[str, float]) -> tuple[float, str]:
    return min((due, name) for name, due in table.items())


@given(ACTS)
def test_whatever_comes_and_goes_the_first_is_the_one_that_a_table_would_name(acts: list[tuple[str, str, float]]) -> None:
    times, table = DueTimes[str](), dict[str, float]()
    for act, name, time in acts:
        if act == "put":
            times.put(name, time)
            table[name] = time
        elif act == "put_sooner":
            is_sooner = time < table.get(name, float("inf"))
            table |= {name: time} if is_sooner else {}
            assert times.put_sooner(name, time) == (is_sooner and first_of(table)[0] == time)
        elif act == "drop":
            times.drop(name)
            table.pop(name, None)
        else:
            due = first_of(table)[1] if table and first_of(table)[0] <= time else None
            assert times.take(time) == due
            table.pop(due or "", None)
        assert (len(times), {each for each in "abcdef" if each in times}) == (len(table), set(table))
        assert not table or times.first() == first_of(table)


def test_moving_for_ever_does_not_grow_the_heap() -> None:
    times = DueTimes[str]()
    for number in range(10_000, 0, -1):
        times.put(str(number % 10), float(number))
        assert len(times._heap) <= 2 * len(times) + SPARE + 1
    assert len(times) == 10


def test_nothing_is_taken_before_its_time() -> None:
    times = DueTimes[str]()
    for name, due in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        times.put(name, due)
    times.drop("b")
    assert [times.take(now) for now in (0.9, 1.0, 2.9, 3.0, 9.0)] == [None, "a", None, "c", None]
