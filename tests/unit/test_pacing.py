from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from heapq import heapify, heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.errors import RetryLater
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.lifecycle.pacing import Bucket, Rate, RotationPacer, earliest, take

START = datetime(2026, 11, 24, 6, tzinfo=UTC)
SECOND = timedelta(seconds=1)
rates = st.builds(Rate, st.floats(0.001, 1000.0), st.integers(1, 50))
pauses = st.lists(st.timedeltas(timedelta(0), timedelta(seconds=5)), max_size=30)


def most(rate: Rate, elapsed: timedelta) -> Fraction:
    return Fraction(rate.per_second) * (elapsed // timedelta(microseconds=1)) / 1_000_000 + rate.burst


@given(rates, pauses)
def test_a_bucket_never_exceeds_rate_times_t_plus_burst(rate: Rate, pauses: list[timedelta]) -> None:
    bucket, now, taken = Bucket(START), START, []
    for pause in pauses:
        now += pause
        if earliest(bucket, rate=rate, now=now) == now:
            bucket = take(bucket, rate=rate, now=now)
            taken.append(now)
    for first, since in enumerate(taken):
        assert all(count <= most(rate, until - since) for count, until in enumerate(taken[first:], start=1))


@given(rates, st.integers(0, 60))
def test_the_earliest_time_is_the_first_at_which_a_token_can_be_taken(rate: Rate, taken: int) -> None:
    bucket, now = Bucket(START), START
    for _ in range(taken):
        now = earliest(bucket, rate=rate, now=now)
        bucket = take(bucket, rate=rate, now=now)
    start = earliest(bucket, rate=rate, now=now)
    assert take(bucket, rate=rate, now=start).full_time > start
    if start > now:
        with pytest.raises(RetryLater):
            take(bucket, rate=rate, now=start - timedelta(microseconds=1))


def test_a_refusal_says_when_to_come_back() -> None:
    rate = Rate(0.5, 1)
    with pytest.raises(RetryLater) as refused:
        take(take(Bucket(START), rate=rate, now=START), rate=rate, now=START)
    assert refused.value.after_seconds == 2.0


def test_a_clock_set_back_by_a_year_leaves_an_empty_bucket_and_not_a_year_of_waiting() -> None:
    rate = Rate(1.0, 3)
    bucket = take(Bucket(START), rate=rate, now=START)
    assert earliest(bucket, rate=rate, now=START - timedelta(days=365)) == START - timedelta(days=365) + SECOND


requests = st.lists(st.tuples(st.sampled_from("abc"), st.timedeltas(timedelta(0), timedelta(seconds=2))), max_size=30)


@given(requests)
def test_a_pacer_keeps_the_law_over_all_namespaces_and_in_each(requests: list[tuple[str, timedelta]]) -> None:
    overall, per_namespace = Rate(2.0, 4), Rate(0.7, 2)
    pacer, now = RotationPacer(overall=overall, per_namespace=per_namespace), START
    taken: list[tuple[datetime, str]] = []
    for number, (namespace, pause) in enumerate(requests):
        now += pause
        key = Key(namespace, f"key-{number}")
        if pacer.turn(key, now=now) == now:
            pacer.take(key, now=now)
            taken.append((now, namespace))
    for first, (since, _) in enumerate(taken):
        for last, (until, namespace) in enumerate(taken[first:], start=first + 1):
            assert last - first <= most(overall, until - since)
            assert [name for _, name in taken[first:last]].count(namespace) <= most(per_namespace, until - since)


def test_what_a_namespace_may_not_start_costs_the_others_nothing() -> None:
    pacer = RotationPacer(overall=Rate(1.0, 2), per_namespace=Rate(1.0, 1))
    pacer.take(Key("a", "one"), now=START)
    with pytest.raises(RetryLater):
        pacer.take(Key("a", "two"), now=START)
    assert pacer.earliest("b", now=START) == START


def test_one_key_does_not_wait_for_the_thousands_of_other_namespaces() -> None:
    pacer = RotationPacer(overall=Rate(2.0, 1), per_namespace=Rate(0.5, 1))
    pacer.take(Key("first", "key"), now=START)
    for number in range(5000):
        pacer.turn(Key(f"large-{number % 2}", str(number)), now=START)
    assert pacer.turn(Key("small", "key"), now=START) <= START + 3 * SECOND


def test_a_pacer_forgets_namespaces_whose_bucket_is_full() -> None:
    pacer = RotationPacer(overall=Rate(1000.0, 1000), per_namespace=Rate(1.0, 1))
    for number in range(500):
        pacer.take(Key(f"team-{number}", "key"), now=START + number * SECOND)
    assert pacer.size == 1


def test_a_pacer_forgets_keys_that_never_came_back() -> None:
    pacer = RotationPacer(overall=Rate(1.0, 1), per_namespace=Rate(1.0, 1))
    pacer.take(Key("a", "first"), now=START)
    for number in range(100):
        pacer.turn(Key("a", f"deleted-{number}"), now=START)
    assert pacer.size == 101
    pacer.take(Key("b", "later"), now=START + timedelta(hours=1))
    assert pacer.size == 1


def test_hundreds_of_due_keys_all_start_without_asking_for_every_token() -> None:
    """Days of standstill over many due dates: the rate is used up, and a key looks at the cluster a few times, not once a token."""
    pacer = RotationPacer.of(Settings(rotation_rate=2, rotation_burst=20, namespace_rotation_rate=0.5, namespace_rotation_burst=10))
    asks = [(START, Key(f"team-{number % 20}", f"key-{number}")) for number in range(400)]
    heapify(asks)
    questions, now = 0, START
    while asks:
        now, key = heappop(asks)
        questions += 1
        turn = pacer.turn(key, now=now)
        if turn > now:
            heappush(asks, (turn, key))
        else:
            pacer.take(key, now=now)
    assert now - START < timedelta(seconds=400 / 2) * 1.5
    assert questions < 400 * 6
