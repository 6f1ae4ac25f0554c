"""Instants and days as anybody may write them: the first and the last ones there are, with every offset."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import strategies as st

OFFSETS = st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.sampled_from([0, 1, -1, 14 * 60, -12 * 60, 1439, -1439]))
NAIVE = st.sampled_from([datetime.min, datetime.max]) | st.datetimes()  # noqa: DTZ901 - the zone comes after
INSTANTS = st.builds(lambda naive: naive.replace(tzinfo=UTC), NAIVE)
INSTANT_TEXTS = st.builds(lambda naive, zone: naive.replace(tzinfo=zone).isoformat(), NAIVE, OFFSETS)
DAYS = st.sampled_from([date.min, date.max]) | st.dates()
DAY_TEXTS = DAYS.map(date.isoformat)
