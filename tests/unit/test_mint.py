from __future__ import annotations

from collections import Counter

import pytest

from keyturn.base.verdict import Match
from keyturn.keys.digest import digest_matches, is_digest
from keyturn.keys.mint import mint, mint_root_secret
from keyturn.keys.token_format import ALPHABET, KEY_ID_LENGTH, Token, parse_token


def test_a_minted_key_is_a_token_that_its_digest_matches() -> None:
    minted = mint("acme_live")
    assert parse_token(minted.plaintext.reveal()) == Token("acme_live", minted.key_id, minted.plaintext)
    assert minted.plaintext.key_id == minted.key_id
    assert is_digest(minted.digest)
    assert digest_matches(minted.plaintext.reveal(), digest=minted.digest) == Match()


def test_a_minted_key_does_not_show_its_plaintext() -> None:
    minted = mint("kt")
    assert minted.plaintext.reveal() not in repr(minted)
    assert minted.plaintext.reveal()[3 + KEY_ID_LENGTH :] not in repr(minted)


def test_a_bad_prefix_mints_nothing() -> None:
    with pytest.raises(ValueError, match="prefix"):
        mint("Kt")


def test_no_two_keys_or_roots_are_alike() -> None:
    keys = [mint("kt") for _ in range(200)]
    assert len({key.key_id for key in keys}) == len({key.digest for key in keys}) == 200
    assert mint_root_secret().reveal() != mint_root_secret().reveal()


def test_every_digit_is_as_likely_as_any_other() -> None:
    """Bytes modulo 62 would favour the first 8 digits by a quarter: a chi-squared of about 240 here, where 61 is expected."""
    text = "".join(mint("kt").plaintext.reveal()[3:-6] for _ in range(500))
    counts = Counter(text)
    expected = len(text) / len(ALPHABET)
    assert sum((counts[digit] - expected) ** 2 / expected for digit in ALPHABET) < 140
