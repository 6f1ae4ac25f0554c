from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields, replace
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as st

from gen.lifecycle import active, record
from gen.records import records
from keyturn.base.version_state import Cause
from keyturn.keys.record import FORMAT, Record
from keyturn.keys.record_encoding import RecordDamaged, RecordTooNew, decode_record, encode_record

SMALL = Record(installation="i", namespace="team-a", name="billing", uid="u", serial=1, change="Staged", highest=0)
VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers(max_value=-1) | st.floats() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([1])
)


@given(records())
def test_what_was_encoded_is_decoded(record: Record) -> None:
    data = encode_record(record)
    assert decode_record(data) == record
    assert encode_record(decode_record(data)) == data


@pytest.mark.parametrize("field", [field for field in fields(Record) if field.default is not MISSING], ids=lambda field: field.name)
def test_every_field_is_there_in_some_of_these_records(field: Field[Any]) -> None:
    """One that a new field was not taken into proves nothing about it."""
    quick = settings(max_examples=2000, phases=[Phase.generate], database=None)
    assert find(records(), lambda drawn: getattr(drawn, field.name) != field.default, settings=quick)


@given(records())
def test_what_is_absent_takes_no_room_and_order_is_stable(record: Record) -> None:
    fields = json.loads(encode_record(record))
    assert next(iter(fields)) == "format"
    assert all(value not in (None, [], {}) and value is not False for value in fields.values())
    least = json.loads(encode_record(SMALL))
    assert [name for name in fields if name in least] == [*least]


def test_the_audience_is_always_written() -> None:
    """What a signed record means must not change with the default of whoever reads it."""
    assert json.loads(encode_record(SMALL))["audience"] == "default"


@given(records(), st.integers(min_value=-12, max_value=14))
def test_times_are_written_in_utc(record: Record, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    moved = replace(record, versions=tuple(replace(entry, staged_time=entry.staged_time.astimezone(zone)) for entry in record.versions))
    assert encode_record(moved) == encode_record(record)


@given(records(), st.dictionaries(st.text(min_size=1, max_size=5).map("x-".__add__), st.integers() | st.text(max_size=5), max_size=3))
def test_fields_to_come_are_ignored_everywhere(record: Record, more: dict[str, object]) -> None:
    fields = json.loads(encode_record(record)) | more
    for inner in [*fields.get("versions", []), *fields.get("dead", []), fields.get("secret", {})]:
        inner.update(more)
    if fields.get("secret") == more:
        del fields["secret"]
    assert decode_record(json.dumps(fields).encode()) == record


@pytest.mark.parametrize("found", [FORMAT + 1, 1000])
def test_a_newer_format_is_not_guessed_at(found: int) -> None:
    with pytest.raises(RecordTooNew) as refusal:
        decode_record(json.dumps({"format": found, "anything": "else"}).encode())
    assert refusal.value.format == found


@given(records(), st.data())
def test_a_field_of_the_wrong_kind_or_absent_is_damaged_or_has_a_default(record: Record, data: st.DataObject) -> None:
    fields = json.loads(encode_record(record))
    places = [fields, *fields.get("versions", []), *fields.get("dead", []), *([fields["secret"]] if "secret" in fields else [])]
    place = data.draw(st.sampled_from(places))
    name = data.draw(st.sampled_from(sorted(place)))
    place[name] = data.draw(VALUES)
    try:
        decode_record(json.dumps(fields).encode())
    except (RecordDamaged, RecordTooNew):
        return


@pytest.mark.parametrize("name", ["format", "installation", "namespace", "name", "uid", "serial", "change", "highest", "audience"])
@pytest.mark.parametrize("value", [None, True, -1, 1.0, [], {}])
def test_what_a_record_cannot_do_without_is_missed_by_name(name: str, value: object) -> None:
    fields = json.loads(encode_record(SMALL))
    fields[name] = value
    with pytest.raises(RecordDamaged, match=name):
        decode_record(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expirationTime", "tomorrow"),
        ("expirationTime", "2026-11-24T06:00:00"),
        ("expirationTime", "0001-01-01T00:00:00+14:00"),
        ("disabled", 0),
        ("disabled", None),
        ("scopes", "read"),
        ("scopes", [1]),
        ("versions", [[]]),
        ("secret", "x"),
        ("limits", "x"),
        ("limits", {"requestsPerSecond": 10}),
        ("limits", {"requestsPerSecond": 0, "burst": 1}),
        (
            "versions",
            [{"number": 1, "keyID": "k", "digest": "d", "state": "Revoked", "stagedTime": "2026-11-24T06:00:00Z", "cause": "Issued"}],
        ),
        (
            "versions",
            [{"number": 1, "keyID": "k", "digest": "d", "state": "Active", "stagedTime": "2026-11-24T06:00:00Z", "cause": 7}],
        ),
        ("dead", [{"number": 1, "keyID": "k", "endTime": "2026-11-24T06:00:00Z", "state": "Active", "reason": "", "cause": "Issued"}]),
    ],
)
def test_an_impossible_value_is_damaged(name: str, value: object) -> None:
    with pytest.raises(RecordDamaged):
        decode_record(json.dumps(json.loads(encode_record(SMALL)) | {name: value}).encode())


@given(st.binary())
@example(b"[" * 100_000)
@example(b"1" * 5_000)
@example(b'{"format":' + b"9" * 5_000 + b"}")
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"format":NaN}')
def test_bytes_that_are_no_record_are_damaged_and_nothing_else(data: bytes) -> None:
    with pytest.raises(RecordDamaged):
        decode_record(data)


def test_a_cause_that_only_a_newer_operator_knows_is_no_damage() -> None:
    """An old verifier beside a new operator must go on: nobody decides by the cause."""
    data = encode_record(record(active(1, cause=Cause.TRIGGER))).replace(b'"Trigger"', b'"FromTheFuture"')
    assert [entry.cause for entry in decode_record(data).versions] == [Cause.OTHER]
