"""The wall clock, and instants as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from gen.instant_texts import INSTANT_TEXTS
from keyturn.base.clock import format_time, parse_time, utc_now
from keyturn.base.duration import parse_duration


def test_now_is_a_whole_millisecond_and_survives_being_written() -> None:
    """Records hold milliseconds: an instant with more would not be the one that is read back."""
    instants = [utc_now() for _ in range(10_000)]
    assert {instant.microsecond % 1000 for instant in instants} == {0}
    assert [parse_time(format_time(instant)) for instant in instants] == instants


def test_now_is_now() -> None:
    before = datetime.now(UTC)
    now = utc_now()
    assert before - timedelta(milliseconds=1) < now <= datetime.now(UTC)


@given(text=INSTANT_TEXTS)
def test_an_instant_is_read_or_is_a_value_error(text: str) -> None:
    try:
        assert parse_time(text).utcoffset() == timedelta(0)
    except ValueError as error:
        assert text in str(error)  # noqa: PT017 - most of them are read


@pytest.mark.parametrize("text", ["9" * 12 + "h", "9" * 400 + "h", "99999999999h99999999999h"])
def test_a_length_of_time_that_is_none_any_more_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration(text)
