"""What is told of a record's bytes at a glance is what they say when they are decoded, whatever people write into its texts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from gen.records import records
from keyturn.base.version_state import Cause
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_peek import holds_key_of, imported_digests_in, key_ids_in, readable_record, serial_in
from keyturn.lifecycle.held_power import product_of_key

SMALL = Record(installation="i", namespace="team-a", name="billing", uid="u", serial=1, change="Staged", highest=0)
THEIRS = "$sha256$" + "B" * 43
EVIL = '","keyID":"Qm8sT2fLx0Za","digest":"$sha256$' + "A" * 43 + '","cause":"Imported"'


@given(records(), st.none() | st.just("billing-api/invoices"))
@example(replace(SMALL, trigger='","product":"evil/api","plan":"x","versions":[{"'), None)
def test_whose_key_it_is_can_be_told_without_decoding(record: Record, product: str | None) -> None:
    of_product = replace(record, product=product)
    assert holds_key_of(encode_record(of_product)) == product_of_key(of_product)


@given(serial=st.integers(min_value=0, max_value=2**62), text=st.text(max_size=40))
def test_the_serial_is_found_whatever_else_stands_in_the_record(serial: int, text: str) -> None:
    record = Record(
        installation=text,
        namespace='"serial":7,',
        name=text,
        uid='"serial":8,',
        serial=serial,
        change=text,
        highest=1,
        trigger='"serial":9}',
    )
    assert serial_in(encode_record(record)) == serial


@given(st.binary(max_size=60))
def test_bytes_without_a_serial_have_none(data: bytes) -> None:
    assert serial_in(b"{" + data.replace(b"serial", b"") + b"}") == 0


@given(records())
@example(replace(SMALL, trigger=EVIL))
def test_the_key_ids_are_those_of_all_versions_live_and_dead(record: Record) -> None:
    assert key_ids_in(encode_record(record)) == {entry.key_id for entry in (*record.versions, *record.dead)}


@given(records(), st.text(max_size=5) | st.just(THEIRS))
@example(replace(SMALL, trigger=EVIL), THEIRS)
def test_digests_are_told_of_records_with_a_key_that_was_made_elsewhere_and_of_no_other(record: Record, text: str) -> None:
    """Incident: a tenant writes somebody else's digest into a text of his own, and that key counts as his when the operator starts."""
    entries, ended = (*record.versions, *record.dead), set(record.ended_digests)
    own = {entry.digest for entry in entries if entry.digest} if any(entry.cause is Cause.IMPORTED for entry in entries) else set()
    noted = {record.secret.digest} if record.secret is not None and own else set()
    found = imported_digests_in(encode_record(replace(record, trigger=text, plan=text, scopes=(text,))))
    assert own | ended <= found <= own | ended | noted


@given(records())
def test_a_readable_record_is_read_whole(record: Record) -> None:
    data = encode_record(record)
    assert readable_record(data) == record
    assert readable_record(data[:-1]) is None
    assert readable_record(b'{"format":99}') is None
