"""The wall clock, and instants as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keyturn.base.clock import format_time, parse_time, utc_now


def test_now_is_a_whole_millisecond_and_survives_being_written() -> None:
    """Records hold milliseconds: an instant with more would not be the one that is read back."""
    instants = [utc_now() for _ in range(10_000)]
    assert {instant.microsecond % 1000 for instant in instants} == {0}
    assert [parse_time(format_time(instant)) for instant in instants] == instants


def test_now_is_now() -> None:
    before = datetime.now(UTC)
    now = utc_now()
    assert before - timedelta(milliseconds=1) < now <= datetime.now(UTC)
