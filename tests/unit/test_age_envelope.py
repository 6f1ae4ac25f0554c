"""What is encrypted to a public key opens with its secret key alone, and shows neither on the way."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.plaintext import SecretBytes
from keyturn.keys.age_envelope import AgeIdentity, NotAnIdentity, NotARecipient, NotDecrypted, check_recipient, encrypt_to

# The pair of age's own examples, known to everybody.
SECRET_KEY = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLIC_KEY = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


@given(st.binary(max_size=300), st.booleans())
def test_every_recipient_opens_it_and_nobody_else(secret: bytes, armored: bool) -> None:
    first, second, stranger = (AgeIdentity.generate() for _ in range(3))
    sealed = encrypt_to([first.recipient, second.recipient], secret, armored=armored)
    assert first.decrypt(sealed).reveal() == second.decrypt(sealed).reveal() == secret
    with pytest.raises(NotDecrypted):
        stranger.decrypt(sealed)


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    identity = AgeIdentity.generate()
    sealed = bytearray(encrypt_to([identity.recipient], b"a key"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(NotDecrypted):
        identity.decrypt(bytes(sealed))


def test_a_key_pair_of_age_keygen_is_understood() -> None:
    identity = AgeIdentity.parse(SecretBytes("test", SECRET_KEY))
    assert identity.recipient == PUBLIC_KEY
    assert identity.decrypt(encrypt_to([PUBLIC_KEY], b"a key")).reveal() == b"a key"


@pytest.mark.parametrize("recipient", ["", "age1", PUBLIC_KEY[:-1] + "q", PUBLIC_KEY.replace("age1", "kt_1"), "ssh-ed25519 AAAA", "ä"])
def test_a_recipient_with_a_typo_is_refused_before_anything_is_encrypted(recipient: str) -> None:
    with pytest.raises(NotARecipient, match="not an age public key"):
        check_recipient(recipient)
    with pytest.raises(NotARecipient):
        encrypt_to([PUBLIC_KEY, recipient], b"a key")


def test_nothing_is_encrypted_to_nobody() -> None:
    with pytest.raises(NotARecipient, match="at least one"):
        encrypt_to([], b"a key")


def test_a_refused_secret_key_is_not_repeated() -> None:
    with pytest.raises(NotAnIdentity) as refused:
        AgeIdentity.parse(SecretBytes("test", SECRET_KEY[:-1]))
    assert "GFPYY" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_identity_shows_its_public_key_only() -> None:
    identity = AgeIdentity.generate()
    assert repr(identity) == f"AgeIdentity({identity.recipient})"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            leak(identity)
