"""Laws of the signed record: genuine as it was written, in its own place; never after a flip, a swap or a move."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.records import records
from keyturn.base.names import Key
from keyturn.keys.base64url import decode_base64url, encode_base64url
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_signing import Damaged, Forged, Genuine, TooNew, UnknownSigner, Verification, sign_record, verify_record
from keyturn.keys.root_secret import RootSecret, SigningRing

OLD = RootSecret(b"o" * 32)
NEW = RootSecret(b"n" * 32)
RING = SigningRing.of(NEW)
SMALL = Record(installation="i", namespace="team-a", name="billing", uid="u", serial=1, change="Staged", highest=0)


def check(data: bytes, signature: str | bytes, record: Record, ring: SigningRing = RING) -> Verification:
    return verify_record(
        data,
        signature=signature,
        keys=ring.verification_keys,
        expected=Key(record.namespace, record.name),
        installation=record.installation,
    )


@given(records())
def test_a_signed_record_is_genuine_in_its_place(record: Record) -> None:
    data = encode_record(record)
    signature = sign_record(data, ring=RING)
    assert check(data, signature, record) == Genuine(record)
    assert check(data, signature.encode(), record) == Genuine(record)
    assert sign_record(data, ring=RING) == signature


@given(records(), st.data())
def test_no_flipped_bit_of_the_record_is_genuine(record: Record, data: st.DataObject) -> None:
    encoded = encode_record(record)
    bit = data.draw(st.integers(min_value=0, max_value=len(encoded) * 8 - 1))
    assert isinstance(check(flipped(encoded, bit=bit), sign_record(encoded, ring=RING), record), Forged)


def test_no_flipped_bit_of_the_signature_is_genuine() -> None:
    """Also the four spare bits of its last base64 character, which a lenient decoder ignores."""
    data = encode_record(SMALL)
    signature = sign_record(data, ring=RING).encode()
    for bit in range(len(signature) * 8):
        assert isinstance(check(data, flipped(signature, bit=bit), SMALL), Forged | UnknownSigner)


@given(records(), st.data())
def test_a_record_cut_short_or_lengthened_is_forged(record: Record, data: st.DataObject) -> None:
    encoded = encode_record(record)
    signature = sign_record(encoded, ring=RING)
    end = data.draw(st.integers(min_value=0, max_value=len(encoded) - 1))
    assert isinstance(check(encoded[:end], signature, record), Forged)
    assert isinstance(check(encoded + data.draw(st.binary(min_size=1)), signature, record), Forged)


@given(records(), records())
def test_no_swap_of_records_signatures_or_names_is_genuine(one: Record, other: Record) -> None:
    other = replace(other, name=f"{one.name}x")
    data, other_data = encode_record(one), encode_record(other)
    signature, other_signature = sign_record(data, ring=RING), sign_record(other_data, ring=RING)
    assert isinstance(check(data, other_signature, one), Forged)
    assert isinstance(check(other_data, signature, one), Forged)
    assert isinstance(check(other_data, other_signature, one), Forged)
    assert isinstance(check(data, signature, replace(one, namespace=f"{one.namespace}x")), Forged)
    assert isinstance(check(data, signature, replace(one, installation="another")), Forged)


def test_a_place_is_compared_by_its_parts_and_not_joined() -> None:
    """`a/b.c` and `a.b/c` would both be the Secret `a.b.c`, if a namespace could have a dot."""
    data = encode_record(replace(SMALL, namespace="a", name="b.c"))
    assert isinstance(check(data, sign_record(data, ring=RING), replace(SMALL, namespace="a.b", name="c")), Forged)


def test_a_caller_that_cannot_know_its_installation_says_so() -> None:
    data = encode_record(SMALL)
    verdict = verify_record(
        data, signature=sign_record(data, ring=RING), keys=RING.verification_keys, expected=Key("team-a", "billing"), installation=None
    )
    assert verdict == Genuine(SMALL)


def test_during_a_change_of_roots_both_verify_and_the_first_signs() -> None:
    data = encode_record(SMALL)
    old, both = SigningRing.of(OLD), SigningRing.of(NEW, OLD)
    assert check(data, sign_record(data, ring=old), SMALL, both) == Genuine(SMALL)
    assert check(data, sign_record(data, ring=both), SMALL, both) == Genuine(SMALL)
    assert check(data, sign_record(data, ring=both), SMALL, SigningRing.of(NEW)) == Genuine(SMALL)
    assert check(data, sign_record(data, ring=both), SMALL, old) == UnknownSigner(NEW.signing_key().key_id)


def test_a_key_is_found_by_its_id_and_not_by_trial() -> None:
    data = encode_record(SMALL)
    both = SigningRing.of(NEW, OLD)
    mislabelled = sign_record(data, ring=both).replace(NEW.signing_key().key_id, OLD.signing_key().key_id)
    assert isinstance(check(data, mislabelled, SMALL, both), Forged)


def test_a_signature_made_for_another_purpose_does_not_count() -> None:
    data = encode_record(SMALL)
    _, key_id, _ = sign_record(data, ring=RING).split(":")
    bare = RING.first.sign(data)
    signed = RING.first.sign(b"keyturn.dev/verifier-record/v1\0" + data)
    assert decode_base64url(sign_record(data, ring=RING).split(":")[2]) == signed
    assert isinstance(check(data, f"ed25519:{key_id}:{encode_base64url(bare)}", SMALL), Forged)


def test_the_group_order_added_to_a_signature_makes_it_invalid() -> None:
    """RFC 8032 section 5.1.7: a verifier that accepts S + L lets anyone write a second valid signature."""
    order = 2**252 + 27742317777372353535851937790883648493
    data = encode_record(SMALL)
    head, key_id, text = sign_record(data, ring=RING).split(":")
    raw = decode_base64url(text)
    other = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    assert isinstance(check(data, f"{head}:{key_id}:{encode_base64url(other)}", SMALL), Forged)


def test_a_signed_record_of_a_newer_operator_is_too_new_and_not_forged() -> None:
    data = json.dumps({"format": 7}).encode()
    assert check(data, sign_record(data, ring=RING), SMALL) == TooNew(7)


@given(st.binary(max_size=50))
def test_signed_bytes_that_are_no_record_are_damaged(data: bytes) -> None:
    assert isinstance(check(data, sign_record(data, ring=RING), SMALL), Damaged)


@given(
    st.binary(max_size=200),
    st.text(alphabet=st.characters(codec=None)) | st.binary() | st.from_regex(r"ed25519:[0-9a-f]{16}:[A-Za-z0-9_-]{86}"),
)
def test_no_input_raises_or_is_genuine_by_chance(data: bytes, signature: str | bytes) -> None:
    assert isinstance(check(data, signature, SMALL), Forged | UnknownSigner)


@pytest.mark.parametrize(
    "verdict", [Genuine(SMALL), Forged("x"), UnknownSigner("x"), TooNew(2), Damaged("x")], ids=lambda verdict: type(verdict).__name__
)
def test_no_verdict_can_be_tested_for_truth(verdict: Verification) -> None:
    with pytest.raises(TypeError, match="do not test"):
        bool(verdict)


def flipped(data: bytes, *, bit: int) -> bytes:
    place, shift = divmod(bit, 8)
    return data[:place] + bytes([data[place] ^ 1 << shift]) + data[place + 1 :]
