from __future__ import annotations

import json
import pickle

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from keyturn.keys.base64url import encode_base64url
from keyturn.keys.root_secret import RootSecret, SigningRing, TagRing
from keyturn.keys.verification_keys import DATA_KEY, VerificationKeys, VerificationKeysDamaged, public_key_id

ROOTS = st.binary(min_size=32, max_size=32).map(RootSecret)
OLD = RootSecret(b"o" * 32)
NEW = RootSecret(b"n" * 32)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_root_of_another_length_is_refused_without_showing_it(length: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes") as refusal:
        RootSecret(b"x" * length)
    assert "xx" not in str(refusal.value)


@given(ROOTS)
def test_neither_a_root_nor_what_comes_from_it_is_shown_or_stored(root: RootSecret) -> None:
    for secret in (root, SigningRing.of(root), root.tag_key()):
        for spelling in (repr(root.reveal()), root.reveal().hex(), encode_base64url(root.reveal())):
            assert spelling not in repr(secret)
        for store in (pickle.dumps, json.dumps):
            with pytest.raises(TypeError):
                store(secret)


@given(ROOTS)
def test_one_root_always_gives_the_same_keys_and_one_id(root: RootSecret) -> None:
    again = RootSecret(root.reveal())
    assert root.signing_key().sign(b"m") == again.signing_key().sign(b"m")
    assert root.tag_key() == again.tag_key()
    assert root.tag_key().key_id == root.signing_key().key_id == public_key_id(root.signing_key().verification_key.public_key)


def test_different_roots_and_purposes_give_different_keys() -> None:
    assert OLD.signing_key().key_id != NEW.signing_key().key_id
    assert OLD.tag_key().mac(b"m") != NEW.tag_key().mac(b"m")
    assert OLD.tag_key().mac(b"m") != OLD.reveal()


def test_the_first_of_a_ring_makes_and_all_of_it_verify() -> None:
    ring = SigningRing.of(NEW, OLD)
    keys = ring.verification_keys
    assert ring.first.key_id == NEW.signing_key().key_id
    for root in (OLD, NEW):
        signer = root.signing_key()
        found = keys.find(signer.key_id)
        assert found == signer.verification_key
        found.public_key.verify(signer.sign(b"m"), b"m")
        with pytest.raises(InvalidSignature):
            found.public_key.verify(signer.sign(b"m"), b"n")
    tags = TagRing.of(NEW, OLD)
    assert (tags.first, tags.find(OLD.tag_key().key_id), tags.find("other")) == (NEW.tag_key(), OLD.tag_key(), None)


@pytest.mark.parametrize("ring", [SigningRing, TagRing])
def test_an_empty_ring_is_refused(ring: type[SigningRing | TagRing]) -> None:
    with pytest.raises(ValueError, match="at least one key"):
        ring(())


@given(st.lists(ROOTS, min_size=1, max_size=3))
def test_published_keys_are_read_back_and_hold_no_secret(roots: list[RootSecret]) -> None:
    keys = SigningRing.of(*roots).verification_keys
    data = keys.to_data()
    assert VerificationKeys.from_data(data) == keys
    assert all(encode_base64url(root.reveal()) not in data[DATA_KEY] for root in roots)


def test_keys_of_an_algorithm_to_come_are_skipped_and_fields_to_come_ignored() -> None:
    data = json.loads(SigningRing.of(OLD).verification_keys.to_data()[DATA_KEY])
    data["keys"][0]["comment"] = "appended"
    data["keys"].insert(0, {"keyID": "ff", "algorithm": "ml-dsa-65", "publicKey": "?"})
    data["more"] = 1
    assert VerificationKeys.from_data({DATA_KEY: json.dumps(data)}) == SigningRing.of(OLD).verification_keys


def test_a_key_under_an_id_that_is_not_its_own_is_refused() -> None:
    """Otherwise whoever can edit the ConfigMap's ids could make one key answer for another in logs and alarms."""
    text = SigningRing.of(OLD).verification_keys.to_data()[DATA_KEY]
    with pytest.raises(VerificationKeysDamaged):
        VerificationKeys.from_data({DATA_KEY: text.replace(OLD.signing_key().key_id, NEW.signing_key().key_id)})


@given(
    st.text(alphabet=st.characters(codec=None)) | JSON_VALUES.map(json.dumps) | JSON_VALUES.map(lambda value: json.dumps({"keys": [value]}))
)
def test_what_is_no_list_of_keys_is_damaged_and_nothing_else(text: str) -> None:
    try:
        found = VerificationKeys.from_data({DATA_KEY: text})
    except VerificationKeysDamaged:
        return
    assert found == VerificationKeys(())


def test_no_entry_and_endless_nesting_are_damaged() -> None:
    for data in ({}, {DATA_KEY: "[" * 100_000}):
        with pytest.raises(VerificationKeysDamaged):
            VerificationKeys.from_data(data)
