from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.verdict import Match, Mismatch
from keyturn.keys.base64url import decode_base64url, encode_base64url
from keyturn.keys.digest import DUMMY_DIGEST, digest_matches, digest_token, is_digest

ANY_TEXT = st.text(alphabet=st.characters(codec=None))


@given(ANY_TEXT)
def test_a_text_matches_its_own_digest_and_the_digest_is_well_formed(text: str) -> None:
    assert digest_matches(text, digest=digest_token(text)) == Match()
    assert is_digest(digest_token(text))


@given(ANY_TEXT, ANY_TEXT)
def test_different_texts_do_not_match(text: str, other: str) -> None:
    expected = Match() if text == other else Mismatch()
    assert digest_matches(text, digest=digest_token(other)) == expected


@given(ANY_TEXT, ANY_TEXT)
def test_a_digest_in_any_other_form_never_matches_and_never_raises(text: str, digest: str) -> None:
    assert digest_matches(text, digest=digest) == Mismatch()
    assert not is_digest(digest)


@given(ANY_TEXT, st.integers(min_value=0, max_value=50), st.characters(codec=None))
def test_an_edited_digest_does_not_match(text: str, place: int, other: str) -> None:
    digest = digest_token(text)
    edited = digest[:place] + other + digest[place + 1 :]
    assert digest_matches(text, digest=edited) == (Match() if edited == digest else Mismatch())


@given(ANY_TEXT)
def test_nothing_matches_the_dummy(text: str) -> None:
    assert digest_matches(text, digest=DUMMY_DIGEST) == Mismatch()
    assert is_digest(DUMMY_DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$sha256$",
        "$sha256$" + "A" * 42,
        "$sha256$" + "A" * 42 + "B",
        "$sha512$" + "A" * 43,
        "$sha256$" + "A" * 43 + "=",
        DUMMY_DIGEST + "\n",
    ],
)
def test_what_is_not_a_digest(text: str) -> None:
    assert not is_digest(text)


@given(st.binary(max_size=80))
def test_base64url_gives_back_what_was_put_in(raw: bytes) -> None:
    assert decode_base64url(encode_base64url(raw)) == raw


@given(st.text(alphabet=st.sampled_from("AQgwB-_+/=\n \u0661"), max_size=8))
def test_base64url_has_one_spelling_for_every_value(text: str) -> None:
    """A lenient decoder, such as Python's own, reads AA and AB as the same byte and skips characters it does not know."""
    try:
        raw = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(raw) == text
