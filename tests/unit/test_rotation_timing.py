from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.api.v1alpha1.apikey import RotationPolicy, RotationSpec, Window
from keyturn.base.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from keyturn.base.errors import UserMustAct
from keyturn.base.settings import Settings
from keyturn.lifecycle.rotation_timing import (
    EffectiveRotation,
    effective_rotation,
    in_window,
    jitter,
    may_start_time,
    next_rotation_time,
)
from keyturn.lifecycle.schedule import smallest_gap

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
DEFAULTS = Settings()
LOW_FLOORS = Settings(minimum_interval=SECOND, minimum_grace_period=SECOND)

instants = st.timedeltas(timedelta(0), timedelta(days=3300)).map(lambda since: datetime(2022, 1, 1, tzinfo=UTC) + since)
uids = st.uuids().map(str)
intervals = st.integers(2, 100_000 * 3600).map(lambda seconds: seconds * SECOND)
crons = st.sampled_from(["0 22 * * *", "30 2 * * 0", "0 0 1 * *", "15 1 * 3,10,11 *", "0 */6 * * 1-5", "*/20 8-17 * * *", "0 0 29 2 *"])
# Not Lord Howe: on the two days of its 30-minute changes CronJob's runs depend on where the search began.
zones = st.sampled_from([None, "America/New_York", "Europe/London", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Chatham"])
windows = st.builds(
    lambda cron, quarters, zone: Window(cron=cron, window_duration=quarters * HOUR / 4, time_zone=zone), crons, st.integers(1, 200), zones
)
lengths = st.none() | st.sampled_from([timedelta(0), MILLISECOND, SECOND, MINUTE, 5 * MINUTE, HOUR, 25 * HOUR, 8 * DAY, 100 * DAY])
all_settings = st.builds(
    Settings, rotation_interval=lengths.map(lambda x: x or 90 * DAY), minimum_interval=intervals, minimum_grace_period=intervals
)


def effective(settings: Settings = LOW_FLOORS, **spec: object) -> EffectiveRotation:
    return effective_rotation(RotationSpec.model_validate(spec), settings=settings)


def start(
    timing: EffectiveRotation, *, now: datetime, due: datetime = NOW, last: datetime = NOW, spacing: timedelta = timedelta(0)
) -> datetime:
    return may_start_time(timing, due=due, now=now, last_rotation_time=last, spacing=spacing)


def test_a_spec_that_says_nothing_gets_the_defaults() -> None:
    expected = EffectiveRotation(
        policy=RotationPolicy.AUTOMATIC,
        interval=2160 * HOUR,
        schedule=None,
        windows=(),
        grace_period=24 * HOUR,
        overlap_limit=7 * DAY,
        quiet_period=HOUR,
    )
    assert effective_rotation(None, settings=DEFAULTS) == expected
    assert effective_rotation(RotationSpec(), settings=DEFAULTS) == expected


@pytest.mark.parametrize(
    ("spec", "overlap_limit", "grace_period"),
    [
        ({"interval": "20s"}, 10 * SECOND, 5 * SECOND),
        ({"interval": "10h"}, 5 * HOUR, 2.5 * HOUR),
        ({"schedule": "0 3 * * *"}, 12 * HOUR, 6 * HOUR),
        ({"schedule": "0 3 1 * *"}, 7 * DAY, DAY),
        ({"interval": "720h", "overlapLimit": "2h"}, 2 * HOUR, HOUR),
        ({"interval": "720h", "gracePeriod": "200h"}, 200 * HOUR, 200 * HOUR),
        ({"interval": "3s"}, 1.5 * SECOND, SECOND),
        ({"policy": "Manual"}, 7 * DAY, DAY),
        ({"policy": "Manual", "overlapLimit": "90000h"}, 90000 * HOUR, DAY),
    ],
)
def test_overlap_and_grace_follow_from_what_was_written(spec: dict[str, object], overlap_limit: timedelta, grace_period: timedelta) -> None:
    timing = effective(**spec)
    assert (timing.overlap_limit, timing.grace_period) == (overlap_limit, grace_period)


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"interval": "59m"}, "IntervalTooShort", "rotation.interval is 59m: write one of at least 1h"),
        ({"schedule": "*/30 * * * *"}, "IntervalTooShort", "has runs only 30m apart"),
        ({"schedule": "0 0 30 2 *"}, "InvalidSchedule", "never runs"),
        ({"schedule": "0 24 * * *"}, "InvalidSchedule", 'hour "24" is out of range'),
        ({"schedule": "0 3 * * *", "timeZone": "Europe/Zuerich"}, "UnknownTimeZone", "rotation.timeZone: there is no time zone"),
        ({"gracePeriod": "4m"}, "GracePeriodTooShort", "rotation.gracePeriod is 4m: write at least 5m"),
        ({"overlapLimit": "4m"}, "GracePeriodTooShort", "rotation.overlapLimit is 4m: write at least 5m"),
        ({"gracePeriod": "2160h"}, "GracePeriodTooLong", "write less than the 2160h between two rotations"),
        ({"schedule": "0 3 * * *", "gracePeriod": "24h"}, "GracePeriodTooLong", "write less than the 24h"),
        ({"schedule": "0 3 * * *", "overlapLimit": "30h"}, "GracePeriodTooLong", "rotation.overlapLimit is 30h"),
        ({"windows": [{"cron": "0 0 31 2 *", "windowDuration": "1h"}]}, "InvalidSchedule", "rotation.windows[0].cron"),
        ({"windows": [{"cron": "@every 20h", "windowDuration": "1h"}]}, "InvalidSchedule", "does not say at what times"),
        ({"windows": [{"cron": "0 0 * * *", "windowDuration": "0s"}]}, "InvalidSchedule", "windows[0].windowDuration"),
        (
            {"windows": [{"cron": "0 0 * * *", "windowDuration": "1h", "timeZone": "Mars/X"}]},
            "UnknownTimeZone",
            "rotation.windows[0].timeZone",
        ),
    ],
)
def test_a_mistake_is_refused_with_a_reason_and_what_to_write(spec: dict[str, object], reason: str, words: str) -> None:
    with pytest.raises(UserMustAct) as refused:
        effective(DEFAULTS, **spec)
    assert refused.value.reason == reason
    assert words in str(refused.value)


def test_a_shortest_grace_that_does_not_fit_between_two_rotations_is_a_mistake_of_the_interval() -> None:
    with pytest.raises(UserMustAct) as refused:
        effective(Settings(minimum_interval=MINUTE), interval="2m")
    assert refused.value.reason == "IntervalTooShort"
    assert "at least 5m" in str(refused.value)


@given(all_settings)
def test_nothing_written_is_never_refused_and_keeps_the_floors(settings: Settings) -> None:
    timing = effective_rotation(None, settings=settings)
    assert timing.interval is not None
    assert timing.interval >= settings.minimum_interval
    assert settings.minimum_grace_period <= timing.grace_period <= timing.overlap_limit < timing.interval


@given(st.none() | intervals, st.none() | crons, lengths, lengths, st.sampled_from([DEFAULTS, LOW_FLOORS]), st.sampled_from(RotationPolicy))
def test_grace_is_within_overlap_and_overlap_within_the_gap(
    interval: timedelta | None,
    cron: str | None,
    grace: timedelta | None,
    overlap: timedelta | None,
    settings: Settings,
    policy: RotationPolicy,
) -> None:
    # Unchecked: the operator must not rely on the API server having refused contradictions.
    spec = RotationSpec.model_construct(
        policy=policy,
        interval=interval,
        schedule=cron,
        grace_period=grace,
        overlap_limit=overlap,
    )
    try:
        timing = effective_rotation(spec, settings=settings)
    except UserMustAct as refused:
        assert refused.reason in {"IntervalTooShort", "GracePeriodTooShort", "GracePeriodTooLong"}  # noqa: PT017 - a refusal is one of two answers
        return
    assert settings.minimum_grace_period <= timing.grace_period <= timing.overlap_limit
    gap = timing.interval or (smallest_gap(timing.schedule) if timing.schedule else None)
    assert (gap is None) == (policy is RotationPolicy.MANUAL)
    if gap is not None:
        assert timing.overlap_limit < gap
        assert gap >= settings.minimum_interval
    assert (grace or timing.grace_period, overlap or timing.overlap_limit) == (timing.grace_period, timing.overlap_limit)


@given(intervals, instants, uids)
def test_an_interval_is_due_within_its_last_tenth(interval: timedelta, last: datetime, uid: str) -> None:
    due = next_rotation_time(effective(interval=interval), last_rotation_time=last, uid=uid)
    assert due is not None
    assert last < last + interval * 9 // 10 < due <= last + interval
    assert due == next_rotation_time(effective(interval=interval), last_rotation_time=last, uid=uid)


@given(crons, zones, instants, uids)
def test_a_schedule_is_due_after_the_last_rotation(cron: str, zone: str | None, last: datetime, uid: str) -> None:
    due = next_rotation_time(effective(schedule=cron, timeZone=zone), last_rotation_time=last, uid=uid)
    assert due is not None
    assert due > last


def test_jitter_spreads_keys_over_the_whole_tenth() -> None:
    found = [jitter(100 * DAY, uid=f"uid-{number}") for number in range(1000)]
    assert min(found) < DAY / 2
    assert max(found) > 9.5 * DAY
    assert abs(sum(found, timedelta(0)) / len(found) - 5 * DAY) < DAY / 2


def test_jitter_of_a_uid_never_changes() -> None:
    """Frozen: another jitter would move every key's date with an upgrade of the operator."""
    expected = timedelta(days=7, seconds=49953, milliseconds=22)
    assert jitter(2160 * HOUR, uid="6f2cf1b9-6f0e-4c5e-8d9f-7b1d3a0c9e11") == expected


def test_missed_runs_are_one() -> None:
    timing = effective(schedule="0 3 * * *")
    assert next_rotation_time(timing, last_rotation_time=NOW - 10 * DAY, uid="x") == datetime(2026, 11, 15, 3, tzinfo=UTC)
    assert next_rotation_time(timing, last_rotation_time=NOW, uid="x") == datetime(2026, 11, 25, 3, tzinfo=UTC)


def test_manual_is_never_due() -> None:
    assert next_rotation_time(effective(policy="Manual", interval="720h"), last_rotation_time=NOW, uid="x") is None


@given(st.lists(windows, max_size=3), instants, instants, instants, st.timedeltas(timedelta(0), DAY))
def test_a_start_is_the_first_instant_that_all_allow(
    spans: list[Window], now: datetime, due: datetime, last: datetime, spacing: timedelta
) -> None:
    timing = effective(windows=spans)
    found = start(timing, now=now, due=due, last=last, spacing=spacing)
    floor = max(now, due, last + spacing)
    assert found >= floor
    assert in_window(timing, instant=found)
    if found > floor:
        assert not in_window(timing, instant=found - timedelta(microseconds=1))
        assert not any(in_window(timing, instant=floor + (found - floor) * part / 16) for part in range(16))


NIGHT_IN_NEW_YORK = {"cron": "30 1 * * *", "windowDuration": "2h", "timeZone": "America/New_York"}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-24T06:00:00Z", "2026-11-24T06:30:00Z"),
        ("2026-11-24T07:10:00Z", "2026-11-24T07:10:00Z"),
        ("2026-11-24T08:30:00Z", "2026-11-25T06:30:00Z"),
        ("2026-03-08T06:00:00Z", "2026-03-08T06:30:00Z"),  # 01:30 EST; two hours later it is 04:30 EDT
        ("2026-03-08T08:29:59Z", "2026-03-08T08:29:59Z"),
        ("2026-03-08T08:30:00Z", "2026-03-09T05:30:00Z"),
        ("2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z"),  # 01:30 comes twice: the window opens at each of them
        ("2026-11-01T08:29:59Z", "2026-11-01T08:29:59Z"),
        ("2026-11-01T08:30:00Z", "2026-11-02T06:30:00Z"),
    ],
)
def test_windows_are_right_when_clocks_change(now: str, expected: str) -> None:
    timing = effective(windows=[NIGHT_IN_NEW_YORK])
    at = datetime.fromisoformat(now)
    assert start(timing, now=at, due=at, last=at) == datetime.fromisoformat(expected)


def test_several_windows_are_a_union() -> None:
    timing = effective(windows=[{"cron": "0 22 * * *", "windowDuration": "4h"}, {"cron": "0 8 * * *", "windowDuration": "1h"}])
    starts = [start(timing, now=NOW + hours * HOUR) - NOW for hours in range(0, 24, 4)]
    assert starts == [2 * HOUR, 16 * HOUR, 16 * HOUR, 16 * HOUR, 16 * HOUR, 26 * HOUR][: len(starts)]
