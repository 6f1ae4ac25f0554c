from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import vectors
from keyturn.base.clock import parse_time
from keyturn.base.errors import UserMustAct
from keyturn.lifecycle.schedule import CronSchedule, Schedule, parse_schedule, smallest_gap

CASES = vectors.cases("cron")
RUNS = [case for case in CASES if "next" in case]
REFUSALS = [case for case in CASES if "error" in case]
ZONES = ("UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Asia/Kathmandu")

instants = st.timedeltas(timedelta(0), timedelta(days=3300)).map(lambda since: datetime(2022, 1, 1, tzinfo=UTC) + since)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, high).map(lambda every: f"*/{every}")
    several = st.lists(number.map(str), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), several, span, step)


expressions = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
schedules = st.builds(lambda text, zone: schedule(text, time_zone=zone), expressions, st.sampled_from(ZONES))


def schedule(text: str, *, time_zone: str | None = None) -> Schedule:
    return parse_schedule(text, time_zone=time_zone, field="rotation.schedule")


def name_of(case: dict[str, Any]) -> str:
    return f"{case['expression']!a} {case['time_zone']} {case.get('start', '')}"


@pytest.mark.parametrize("case", RUNS, ids=name_of)
def test_runs_are_those_of_cronjob(case: dict[str, Any]) -> None:
    parsed = schedule(case["expression"], time_zone=case["time_zone"])
    instant, found = parse_time(case["start"]), []
    for _ in case["next"]:
        following = parsed.next_after(instant)
        found.append(following)
        instant = following or instant
    assert found == [None if time is None else parse_time(time) for time in case["next"]]


@pytest.mark.parametrize("case", REFUSALS, ids=name_of)
def test_what_cronjob_refuses_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(UserMustAct) as refused:
        schedule(case["expression"], time_zone=case["time_zone"])
    zone_is_wrong = "zone" in case["origin"] or case["error"] == "not an explicit zone"
    assert refused.value.reason == ("UnknownTimeZone" if zone_is_wrong else "InvalidSchedule")


def test_the_vectors_are_many() -> None:
    assert len(RUNS) >= 150
    assert len(REFUSALS) >= 50


@pytest.mark.parametrize(
    ("text", "time_zone", "words"),
    [
        ("0 25 * * *", None, ("rotation.schedule", 'hour "25"', "0 to 23")),
        ("0 3 * * 7", None, ("rotation.schedule", 'day of week "7"', "0 is Sunday")),
        ("0 3 * *", None, ("rotation.schedule", "minute, hour, day of month, month and day of week", "0 3 * * 1")),
        ("TZ=UTC 0 3 * * *", None, ("rotation.schedule", "write it into timeZone")),
        ("@every 9999999999999h", None, ("rotation.schedule", "too long")),
        ("0 3 * * *", "Mars/Olympus", ("rotation.timeZone", "'Mars/Olympus'", "Europe/Zurich")),
    ],
)
def test_a_refusal_names_the_field_and_says_what_to_write(text: str, time_zone: str | None, words: tuple[str, ...]) -> None:
    with pytest.raises(UserMustAct) as refused:
        schedule(text, time_zone=time_zone)
    assert [word for word in words if word not in str(refused.value)] == []


def test_no_time_zone_is_utc() -> None:
    assert schedule("0 3 * * *") == schedule("0 3 * * *", time_zone="UTC")


def test_the_same_text_is_parsed_once() -> None:
    assert schedule("7 3 * * *") is schedule("7 3 * * *")


@given(schedules, instants)
def test_the_next_run_is_later_and_on_the_minute(parsed: Schedule, instant: datetime) -> None:
    following = parsed.next_after(instant)
    assert following is not None
    assert following > instant
    assert following.tzinfo is UTC
    assert (following.second, following.microsecond) == (0, 0)


@given(expressions, instants)
def test_without_clock_changes_the_next_run_fits_and_none_is_left_out(text: str, instant: datetime) -> None:
    parsed = schedule(text)
    assert isinstance(parsed, CronSchedule)

    def fits(minute: datetime) -> bool:
        time_fits = parsed.hours >> minute.hour & 1 and parsed.minutes >> minute.minute & 1
        return bool(time_fits and parsed.months >> minute.month & 1 and parsed.fits_day(minute))

    following = parsed.next_after(instant)
    assert following is not None
    assert fits(following)
    closest = max(instant, following - timedelta(hours=3)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    between = (closest + timedelta(minutes=n) for n in range((following - closest) // timedelta(minutes=1)))
    assert not any(fits(minute) for minute in between)


@given(expressions, instants)
def test_runs_are_never_closer_than_the_smallest_gap(text: str, instant: datetime) -> None:
    parsed = schedule(text)
    runs = [instant]
    for _ in range(8):
        following = parsed.next_after(runs[-1])
        assert following is not None
        runs.append(following)
    least = min(later - earlier for earlier, later in pairwise(runs[1:]))
    gap = smallest_gap(parsed)
    assert gap is not None
    assert gap <= least


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("*/45 * * * *", timedelta(minutes=15)),
        ("0 3 * * *", timedelta(days=1)),
        ("0 3 * * 1,3", timedelta(days=2)),
        ("0 3 * * 1", timedelta(days=7)),
        ("0 3 1 * *", timedelta(days=28)),
        ("0 3 1 1 *", timedelta(days=365)),
        ("0 0 29 2 *", timedelta(days=1461)),
        ("30 1,23 1,2 * *", timedelta(hours=2, minutes=30) - timedelta(minutes=30)),
        ("@every 36h", timedelta(hours=36)),
        ("0 0 30 2 *", None),
        (", 0 1 1 *", None),
    ],
)
def test_smallest_gap(text: str, gap: timedelta | None) -> None:
    assert smallest_gap(schedule(text)) == gap


def test_a_day_that_a_zone_skipped_does_not_stop_the_search() -> None:
    """Apia had no 30 December 2011; the Go library never returns when it steps onto that day."""
    last_day = schedule("0 0 31 12 *", time_zone="Pacific/Apia").next_after(datetime(2011, 12, 29, 10, 30, tzinfo=UTC))
    assert last_day == datetime(2011, 12, 30, 10, tzinfo=UTC)


def test_a_schedule_that_never_runs_is_found_out_quickly() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [schedule(text).next_after(now) for text in ("0 0 30 2 *", "0 0 , * *", ", * * * *", "0 , * * *", "0 0 1 , *")] == [None] * 5
