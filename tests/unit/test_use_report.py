"""The lines in which a verifier tells of use: what is written is read back, and what anybody else writes breaks nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from keyturn.api.use_report import read_days, read_retiring, shard_of, write_days, write_retiring
from keyturn.base import names
from keyturn.base.names import Key
from keyturn.cluster.replica_reports import UseReport, decode_use_report

SECONDS = st.integers(0, 4_000_000_000)
DAYS = st.integers(date(1970, 1, 1).toordinal(), date(2100, 1, 1).toordinal())
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
    assert read_retiring(write_retiring(uses)) == wanted


@given(days=st.dictionaries(WORDS, DAYS))
def test_days_are_read_as_they_were_written(days: dict[str, int]) -> None:
    assert dict(read_days(write_days(days))) == days


@given(text=st.text() | st.text(alphabet="ab -2026T:Z\n.1"))
def test_no_text_raises(text: str) -> None:
    read_retiring(text)
    assert all(isinstance(day, int) for _, day in read_days(text))


def test_a_line_that_cannot_be_read_counts_as_not_written() -> None:
    assert read_retiring("a 2026-11-24T14:00:00\nb yesterday\nc\n d\ne -\n") == {"e": None}
    assert list(read_days("a.b 2026-13-01\nc.d 2026-11-24\n")) == [("c.d", date(2026, 11, 24).toordinal())]


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
