"""Laws of the token: what was formatted is parsed, every edit fails, scanners find it, and nothing raises."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gen.records import key_ids
from keyturn.base.plaintext import Plaintext
from keyturn.base.settings import Settings
from keyturn.keys.token_format import (
    ALPHABET,
    MAXIMUM_LENGTH,
    SCANNER_PATTERN,
    SECRET_LENGTH,
    Fault,
    Malformed,
    Token,
    encode_base62,
    find_tokens,
    format_token,
    is_prefix,
    parse_token,
)

PREFIXES = st.from_regex(r"[a-z0-9]{2,16}|[a-z0-9]{1,7}_[a-z0-9]{1,8}", fullmatch=True)
SECRETS = st.text(alphabet=ALPHABET, min_size=SECRET_LENGTH, max_size=SECRET_LENGTH)
TOKENS = st.builds(format_token, PREFIXES, key_id=key_ids(), secret=SECRETS)
ANY_CHARACTER = st.characters(codec=None) | st.sampled_from(ALPHABET + "_")


@given(PREFIXES, key_ids(), SECRETS)
def test_what_was_formatted_is_parsed(prefix: str, key_id: str, secret: str) -> None:
    text = format_token(prefix, key_id=key_id, secret=secret)
    assert parse_token(text) == Token(prefix, key_id, Plaintext(key_id, text))
    assert parse_token(text.encode()) == parse_token(text)


@given(TOKENS, st.data())
def test_any_one_character_replaced_fails(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    other = data.draw(ANY_CHARACTER.filter(lambda character: character != text[place]))
    assert isinstance(parse_token(text[:place] + other + text[place + 1 :]), Malformed)


@given(TOKENS, st.data())
def test_any_one_character_left_out_added_or_swapped_with_the_next_fails(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    swapped = text[:place] + text[place : place + 2][::-1] + text[place + 2 :]
    assert isinstance(parse_token(text[:place] + text[place + 1 :]), Malformed)
    assert isinstance(parse_token(text[:place] + data.draw(ANY_CHARACTER) + text[place:]), Malformed)
    assert swapped == text or isinstance(parse_token(swapped), Malformed)


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "\n{}", "Bearer {}", "{}\0", '"{}"', "{}{}", "\ufeff{}"])
def test_a_token_with_anything_around_it_is_no_token(around: str) -> None:
    text = format_token("kt", key_id="a" * 12, secret="b" * 43)
    assert isinstance(parse_token(around.format(text, text)), Malformed)


@given(st.binary(max_size=2 * MAXIMUM_LENGTH) | st.text(alphabet=st.characters(codec=None), max_size=2 * MAXIMUM_LENGTH))
@example("kt_" + "\u0661" * 61)
@example("kt_" + "\ud800" * 61)
@example("")
@example(b"\xff" * 64)
@example("\u00b2t_" + "0" * 61)
def test_no_input_raises_or_is_a_token_by_chance(text: str | bytes) -> None:
    assert isinstance(parse_token(text), Malformed)
    if isinstance(text, str):
        assert find_tokens(text) == ()


def test_a_huge_input_is_refused_for_its_length_alone() -> None:
    assert parse_token("kt_" + "0" * 10_000_000) == Malformed(Fault.SHAPE)


def test_a_typo_is_told_from_a_wrong_shape() -> None:
    text = format_token("kt", key_id="a" * 12, secret="b" * 43)
    assert parse_token(text.replace("b", "c", 1)) == Malformed(Fault.CHECKSUM)
    assert parse_token(text[:-1]) == Malformed(Fault.SHAPE)


@given(TOKENS)
def test_neither_verdict_shows_the_token_or_can_be_tested_for_truth(text: str) -> None:
    for verdict in (parse_token(text), parse_token(text.swapcase())):
        assert text[-49:] not in repr(verdict)
        assert text[-49:].swapcase() not in repr(verdict)
        with pytest.raises(TypeError, match="do not test"):
            bool(verdict)


@given(
    TOKENS,
    st.text(alphabet=st.characters(codec="utf-8"), max_size=10),
    st.sampled_from(["", "=", "api_", "X_", "_", "KEY"]),
    st.text(max_size=10),
)
def test_every_token_is_found_in_any_text(token: str, before: str, glue: str, after: str) -> None:
    found = find_tokens(before + glue + token + after)
    assert token in [each.plaintext.reveal() for each in found]
    assert any(token in match[0] for match in re.finditer(SCANNER_PATTERN, before + glue + token + after))


def test_all_tokens_of_a_text_are_found_in_order() -> None:
    tokens = [
        format_token(prefix, key_id=letter * 12, secret=letter * 43) for prefix, letter in (("kt", "a"), ("acme_live", "b"), ("zz", "c"))
    ]
    text = f"{tokens[0]},{tokens[1]}{tokens[2]}; kt_{'x' * 61}"
    assert [each.plaintext.reveal() for each in find_tokens(text)] == tokens


@pytest.mark.parametrize("prefix", ["kt", "0a", "a_b", "abcdefgh_1234567", "a" * 16])
def test_allowed_prefixes(prefix: str) -> None:
    assert is_prefix(prefix)
    assert Settings.model_validate({"key_prefix": prefix}).key_prefix == prefix


@pytest.mark.parametrize("prefix", ["", "k", "a" * 17, "Kt", "k-t", "_kt", "kt_", "a__b", "a_b_c", "kt\n", "k\u0661", "\ud800k"])
def test_refused_prefixes(prefix: str) -> None:
    assert not is_prefix(prefix)
    with pytest.raises(ValueError, match="prefix"):
        format_token(prefix, key_id="a" * 12, secret="b" * 43)


@pytest.mark.parametrize(
    ("key_id", "secret"), [("a" * 11, "b" * 43), ("a" * 12, "b" * 44), ("a" * 11 + "_", "b" * 43), ("a" * 12, "b" * 42 + "\u00b2")]
)
def test_a_part_of_the_wrong_form_is_refused_without_showing_it(key_id: str, secret: str) -> None:
    with pytest.raises(ValueError, match="0-9, A-Z and a-z") as refusal:
        format_token("kt", key_id=key_id, secret=secret)
    assert secret not in str(refusal.value)


@given(st.integers(min_value=0, max_value=62**6 - 1))
def test_base62_has_fixed_length_and_keeps_order(number: int) -> None:
    digits = encode_base62(number, length=6)
    assert len(digits) == 6
    assert sum(ALPHABET.index(digit) * 62**power for power, digit in enumerate(reversed(digits))) == number


@pytest.mark.parametrize("number", [-1, 62**6])
def test_a_number_that_does_not_fit_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_base62(number, length=6)
