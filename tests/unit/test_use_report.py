"""The lines in which a verifier tells of use: what is written is read back, and what anybody else writes breaks nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.instant_texts import DAY_TEXTS, INSTANT_TEXTS
from keyturn.api.use_report import read_days, read_retiring, shard_of, write_days, write_retiring
from keyturn.base import names
from keyturn.base.clock import DAY
from keyturn.base.names import Key
from keyturn.cluster.replica_reports import UseReport, decode_use_report

LATER = datetime(2200, 1, 1, tzinfo=UTC)
SECONDS = st.integers(0, 4_000_000_000)
DAYS = st.integers(date(1970, 1, 1).toordinal(), date(2100, 1, 1).toordinal())
RECORD_NAMES = st.from_regex(r"[a-z0-9]{1,9}[.][a-z]([-a-z0-9]{0,20}[a-z0-9])?([.][a-z]{1,9})?", fullmatch=True)
WORDS = st.from_regex(r"[A-Za-z0-9.-]{1,40}", fullmatch=True)


def configmap(data: dict[str, str], *, replica: str = "v-0") -> dict[str, object]:
    annotations = {names.REPLICA_ANNOTATION: replica}
    metadata = {"name": "verifier-use-v-0-days-0", "annotations": annotations, "creationTimestamp": "2026-11-24T12:00:00Z"}
    return {"metadata": metadata, "data": data}


def test_a_person_can_read_a_report() -> None:
    assert write_retiring({"Ab3dEf6hIj9k": 1_795_528_800, "9k3dEf6hIj9k": None}) == "9k3dEf6hIj9k -\nAb3dEf6hIj9k 2026-11-24T14:00:00Z\n"
    assert write_days({"team-a.billing": date(2026, 11, 24).toordinal()}) == "team-a.billing 2026-11-24\n"


@given(uses=st.dictionaries(WORDS, st.none() | SECONDS))
def test_last_uses_are_read_as_they_were_written(uses: dict[str, int | None]) -> None:
    wanted = {key_id: None if at is None else datetime.fromtimestamp(at, UTC) for key_id, at in uses.items()}
    assert read_retiring(write_retiring(uses), now=LATER) == wanted


@given(days=st.dictionaries(RECORD_NAMES, DAYS))
def test_days_are_read_as_they_were_written(days: dict[str, int]) -> None:
    assert dict(read_days(write_days(days), now=LATER)) == days


LINES = st.builds("{} {}\n".format, WORDS, INSTANT_TEXTS | DAY_TEXTS)


@given(text=st.text() | st.text(alphabet="ab -2026T:Z\n.1") | st.lists(LINES).map("".join))
def test_no_text_raises_and_none_says_more_than_a_clock_can_be_ahead(text: str) -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert all(at is None or at <= now + DAY for at in read_retiring(text, now=now).values())
    assert all(1 <= day <= date(2026, 12, 1).toordinal() for _, day in read_days(text, now=now))


def test_a_use_in_the_year_9999_was_tomorrow_at_the_latest() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert read_retiring("a 9999-12-31T23:59:59Z\n", now=now) == {"a": now + DAY}
    assert list(read_days("a.b 9999-12-31\n", now=now)) == [("a.b", date(2026, 12, 1).toordinal())]


@pytest.mark.parametrize(
    "name", ["shop", "shop.", ".billing", "shop.billing?x", "shop.x/../billing", "shop.billing#", "Shop.billing", "shop.é", "shop.-"]
)
def test_a_day_of_a_name_that_is_no_record_s_counts_as_not_written(name: str) -> None:
    assert list(read_days(f"{name} 2026-11-24\nshop.billing-v2.internal 2026-11-24\n", now=LATER)) == [
        ("shop.billing-v2.internal", date(2026, 11, 24).toordinal())
    ]


def test_an_instant_before_the_first_year_or_after_the_last_one_is_none() -> None:
    assert read_retiring("a 9999-12-31T23:59:59-12:00\nb 0001-01-01T00:00:00+14:00\n", now=LATER) == {}


def test_a_line_that_cannot_be_read_counts_as_not_written() -> None:
    assert read_retiring("a 2026-11-24T14:00:00\nb yesterday\nc\n d\ne -\n", now=LATER) == {"e": None}
    assert list(read_days("a.b 2026-13-01\nc.d 2026-11-24\n", now=LATER)) == [("c.d", date(2026, 11, 24).toordinal())]


@given(names_=st.lists(WORDS, unique=True), count=st.integers(1, 64))
def test_every_name_has_one_shard(names_: list[str], count: int) -> None:
    shards = [shard_of(name, count) for name in names_]
    assert all(0 <= shard < count for shard in shards)
    assert shards == [shard_of(name, count) for name in names_]


def test_a_report_of_a_format_to_come_says_nothing() -> None:
    days = "a.b 2026-11-24\n"
    made = datetime(2026, 11, 24, 12, tzinfo=UTC)
    where = Key("", "verifier-use-v-0-days-0")
    assert decode_use_report(configmap({"format": "1", "days": days})) == (where, UseReport("v-0", days=days, made_time=made))
    assert decode_use_report(configmap({"format": "2", "days": days})) is None
    assert decode_use_report(configmap({"format": "1"}, replica="")) is None
