"""What a verifier remembers of use: nothing is lost, nothing is dated too early, and it stays small."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gen.verifying import KEY_ID, NOW, TOKEN, guard, record, store
from keyturn.api.use_report import LARGEST, read_days, read_retiring
from keyturn.verifier.live_key import FOREVER, LiveKey, Power, Terms
from keyturn.verifier.usage import DaysOfUse, Usage
from keyturn.verifier.verdicts import Refused

TODAY = NOW.date().toordinal()
POWER = Power(audience="api", product=None, plan=None, scopes=(), networks=(), staleness=900.0)
TERMS = Terms(FOREVER, FOREVER, disabled=False, power=POWER)


def live(*key_ids: str) -> dict[str, LiveKey]:
    """Versions, each of an ApiKey of its own."""
    return {key_id: LiveKey(bytes(48), key_id, f"team-a.{key_id.lower()}", 1, TERMS) for key_id in key_ids}


def retiring_lines(usage: Usage) -> dict[str, float | None]:
    """What a report says, in unix seconds."""
    read = read_retiring("".join(usage.retiring.texts()), now=NOW)
    return {key_id: None if at is None else at.timestamp() for key_id, at in read.items()}


def test_a_use_is_dated_by_the_end_of_its_second() -> None:
    usage = Usage()
    usage.note("K1")
    usage.collect(live("K1"), {"K1"}, now=1000.25)
    assert retiring_lines(usage) == {"K1": 1001.0}


def test_a_version_that_was_not_used_is_named_as_such() -> None:
    usage = Usage()
    usage.collect(live("K1", "K2"), {"K1"}, now=1000.0)
    assert retiring_lines(usage) == {"K1": None}


def test_the_use_of_a_version_before_it_was_replaced_is_known_to_the_second() -> None:
    """Between the switch and its arrival here the version counted as Active: those uses must not be lost."""
    usage = Usage()
    usage.note("K1")
    usage.collect(live("K1"), set(), now=1000.0)
    usage.collect(live("K1"), {"K1"}, now=1005.0)
    assert retiring_lines(usage) == {"K1": 1000.0}


def test_a_report_is_due_only_when_it_differs_from_what_was_written() -> None:
    usage = Usage()
    usage.collect(live("K1"), {"K1"}, now=1000.0)
    assert usage.retiring.changed
    usage.retiring.note_written()
    usage.collect(live("K1"), {"K1"}, now=1001.0)
    assert not usage.retiring.changed
    usage.note("K1")
    usage.collect(live("K1"), {"K1"}, now=1002.0)
    assert usage.retiring.changed


def test_an_empty_report_is_written_too_since_silence_says_nothing() -> None:
    usage = Usage()
    assert usage.retiring.changed
    assert usage.retiring.texts() == [""]


def test_what_an_earlier_life_may_have_left_untold_counts_as_used_now() -> None:
    usage = Usage()
    usage.may_have_been_used(["K1"], now=1000.0)
    usage.collect(live("K1", "K2"), {"K1", "K2"}, now=1005.0)
    assert retiring_lines(usage) == {"K1": 1000.0, "K2": None}


def test_what_ended_is_forgotten() -> None:
    usage = Usage()
    for key_id in ("K1", "K2"):
        usage.note(key_id)
    usage.collect(live("K1", "K2"), set(), now=1000.0)
    usage.forget_ended(live("K2"))
    assert (len(usage), len(usage.days)) == (1, 1)


@given(steps=st.lists(st.tuples(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.floats(0.1, 5000)), max_size=12))
def test_every_use_is_in_the_report_that_follows(steps: list[tuple[set[str], set[str], float]]) -> None:
    usage, now, last = Usage(), 1000.0, dict[str, float]()
    for used, retiring, pause in steps:
        now += pause
        for key_id in used:
            usage.note(key_id)
            last[key_id] = now
        usage.collect(live(*"abcd"), retiring, now=now)
        said = retiring_lines(usage)
        assert said.keys() == retiring
        for key_id, at in said.items():
            assert (at is None) == (key_id not in last)
            assert at is None or 0 <= at - last[key_id] < 1


def test_days_are_news_after_a_pause_and_a_change_after_a_night() -> None:
    days = DaysOfUse()
    days.note("a.b", TODAY - 3)
    assert days.news == {0}
    days.take(0)
    days.note("a.b", TODAY - 2)
    assert (days.news, days.changed) == (set(), {0}), "in use every day"
    days.take(0)
    days.note("a.b", TODAY)
    assert days.news == {0}, "nobody used it for a day"


def test_the_same_day_again_changes_nothing() -> None:
    days = DaysOfUse()
    days.note("a.b", TODAY)
    days.take(0)
    days.note("a.b", TODAY)
    days.note("a.b", TODAY - 1)
    assert days.changed == set()


def test_a_shard_that_could_not_be_written_is_due_again() -> None:
    days = DaysOfUse()
    days.note("a.b", TODAY)
    text = days.take(0)
    days.give_back(0)
    assert days.changed == {0}
    assert days.take(0) == text


def test_thousands_of_keys_are_spread_over_shards_of_bounded_size() -> None:
    days, names = DaysOfUse(), [f"team-{number % 97}.key-{number}" for number in range(40_000)]
    for name in names:
        days.note(name, TODAY)
    texts = [days.take(shard) for shard in sorted(days.changed)]
    assert len(texts) == 8
    assert max(map(len, texts)) <= LARGEST
    assert {name: day for text in texts for name, day in read_days(text, now=NOW)} == dict.fromkeys(names, TODAY)


def test_many_retiring_versions_are_spread_over_shards_too() -> None:
    usage, key_ids = Usage(), {f"K{number:011}" for number in range(20_000)}
    usage.collect({}, key_ids, now=0.0)
    texts = usage.retiring.texts()
    assert len(texts) > 1
    assert max(map(len, texts)) <= LARGEST
    assert retiring_lines(usage).keys() == key_ids


def test_a_hundred_thousand_keys_in_use_stay_small() -> None:
    known = live(*(f"K{number:011}" for number in range(100_000)))
    gc.collect()
    tracemalloc.start()
    usage = Usage()
    for key_id in known:
        usage.note(key_id[:6] + key_id[6:])  # as a request brings it: equal, and another object
    usage.collect(known, set(), now=NOW.timestamp())
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(usage.days) == len(known)
    assert held < 16 * 1024**2, f"{held / 1024**2:.1f} MiB"


def test_the_door_tells_of_accepted_keys_alone() -> None:
    noted: list[str] = []
    door = guard(record(), on_use=noted.append)
    door.ask([(b"x-api-key", TOKEN.encode())])
    assert isinstance(door.ask([(b"x-api-key", TOKEN.encode()[:-1] + b"x")]), Refused)
    assert isinstance(door.ask([]), Refused)
    assert noted == [KEY_ID]


def test_a_store_knows_which_versions_are_on_their_way_out() -> None:
    made = store(record())
    assert made.retiring == set()
    made = store(record(serial=1), record(serial=2, not_after=NOW + timedelta(days=1)))
    assert made.retiring == {KEY_ID}
    made = store(record(serial=1, not_after=NOW + timedelta(days=1)), record(serial=2, versions=()))
    assert made.retiring == set()


def test_days_are_those_of_utc() -> None:
    usage = Usage()
    usage.note("K1")
    usage.collect(live("K1"), set(), now=NOW.replace(hour=23, minute=59).timestamp())
    assert usage.days.take(0) == f"team-a.k1 {date.fromordinal(TODAY).isoformat()}\n"
