"""Keys that were made elsewhere: what is surely too weak for a plain digest."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyturn.keys.mint import mint
from keyturn.keys.strength import LEAST_BITS, strength_of


@pytest.mark.parametrize(
    ("key", "bits"),
    [
        ("sk_live_51HxQzLkdIwHu7ixiNq2Vn8f", 142),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", 214),
        ("0f3a9c1e7b2d48650f1e2d3c4b5a6978", 128),
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", 122),
        ("eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", 282),
    ],
)
def test_keys_of_known_systems_are_strong_enough(key: str, bits: int) -> None:
    strength = strength_of(key)
    assert (strength.bits, strength.is_enough) == (bits, True)


@pytest.mark.parametrize(
    "key",
    [
        "secret",
        "hunter2hunter2hunter2hunter2hunter2",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "abcabcabcabcabcabcabcabcabcabcabcabcabcabc",
        "12345678901234567890123456789012345",
        "0f3a9c1e7b2d4865",
        "sk_live_tooshort",
        "prefix_prefix_short1",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "",
    ],
)
def test_what_people_think_up_is_too_weak(key: str) -> None:
    assert not strength_of(key).is_enough


def test_a_key_of_our_own_is_known_to_be_strong() -> None:
    assert strength_of(mint("kt").plaintext.reveal()).bits == 256


@given(st.integers(20, 64))
def test_random_bytes_are_worth_what_they_are(size: int) -> None:
    """In hex and in base64url, within the few characters that look like a run by chance."""
    for text in (secrets.token_hex(size), secrets.token_urlsafe(size)):
        assert strength_of(f"key_{text}").bits >= min(LEAST_BITS, 8 * size * 0.8)


@given(st.text(max_size=80))
@example("key_5820385710")
def test_no_text_raises_and_a_repetition_is_worth_no_more_than_once(text: str) -> None:
    """With all that stands in front of it, too."""
    assert 0 <= strength_of(text + text).bits <= strength_of(text).bits
