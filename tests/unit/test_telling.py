"""Who follows a dead leader must know what it may not have told of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.names import Key
from keyturn.controller.runtime import Memory
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import encode_record, serial_in

KEY, OTHER = Key("shop", "billing"), Key("shop", "orders")


def test_what_is_not_told_yet_holds_the_mark_back() -> None:
    memory = Memory()
    assert memory.told_through(1000) == 1000
    memory.will_tell(KEY, 700)
    memory.will_tell(OTHER, 800)
    memory.will_tell(KEY, 900)
    assert memory.told_through(1000) == 699
    memory.told(KEY, 900)
    assert memory.told_through(1000) == 799
    memory.told(OTHER, 800)
    assert memory.told_through(1000) == 1000


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
