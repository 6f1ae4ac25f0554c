"""Whether a found key is one that was issued: what the records say of its key ID and its digest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gen import lifecycle as gen
from keyturn.base.names import Key
from keyturn.base.version_state import Cause, VersionState
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.revocations.found_key import verdict_on
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.record import DeadEntry, Record, VersionEntry
from keyturn.keys.record_encoding import encode_record

SHOP, BAKERY = Key("shop", "billing"), Key("bakery", "billing")
FOUND, OTHER = digest_token("the key that was found"), digest_token("another key")


def entry(digest: str) -> VersionEntry:
    return replace(gen.active(2), digest=digest)


KEY_ID = entry(FOUND).key_id
ISSUED, ISSUED_OTHER = (encode_record(gen.record(entry(digest))) for digest in (FOUND, OTHER))
ENDED = encode_record(gen.record(gen.active(3), dead=(gen.tombstone(2),)))
NOT_MEANT = encode_record(gen.record(gen.active(7)))
BROKEN = ISSUED[:-1]


@pytest.mark.parametrize(
    ("records", "ends_with", "sentence"),
    [
        ([(SHOP, ISSUED)], None, "that of ApiKey shop/billing"),
        ([(SHOP, ISSUED_OTHER)], ExitCode.FAILED, "this is not the key it was issued: nothing was revoked"),
        ([(SHOP, ENDED)], ExitCode.FINE, "was that of ApiKey shop/billing and has ended"),
        ([(SHOP, BROKEN)], ExitCode.FAILED, "cannot be read by this version of keyturn: nothing was revoked"),
        ([(BAKERY, ISSUED_OTHER), (BAKERY, BROKEN), (BAKERY, ENDED), (SHOP, ISSUED)], None, "that of ApiKey shop/billing"),
    ],
    ids=["issued", "made up", "dead already", "a record of a newer operator", "where it is one of several"],
)
def test_only_the_key_that_was_issued_is_revoked(records: list[tuple[Key, bytes]], ends_with: ExitCode | None, sentence: str) -> None:
    verdict = verdict_on(KEY_ID, digest=FOUND, records=records)
    assert verdict is not None
    assert (verdict.ends_with, sentence in verdict.sentence) == (ends_with, True)


LISTED = replace(entry(FOUND), key_id="abcdefghijkl", cause=Cause.IMPORTED, imported=True)
GIVEN_UP = DeadEntry(2, LISTED.key_id, gen.NOW, VersionState.REVOKED, "Unlisted", Cause.IMPORTED, digest=FOUND)


def said_of(record: Record) -> tuple[ExitCode | None, str, str]:
    """Of a key of another form, which is listed with a key ID that nobody could tell from its digest."""
    verdict = verdict_on(derived_key_id(FOUND), digest=FOUND, records=[(BAKERY, ISSUED_OTHER), (SHOP, encode_record(record))])
    assert verdict is not None
    return verdict.ends_with, verdict.key_id, verdict.sentence


def test_a_key_that_was_made_elsewhere_is_found_under_whatever_key_id_it_was_listed_with() -> None:
    """Verifiers accepted it, and the command that ends a leaked key called it nobody's."""
    assert said_of(gen.record(LISTED)) == (None, "abcdefghijkl", "Key ID abcdefghijkl is that of ApiKey shop/billing")


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (gen.record(replace(LISTED, number=3, digest=OTHER), dead=(GIVEN_UP,)), "Key ID abcdefghijkl was that of ApiKey shop/billing"),
        (replace(gen.record(), ended_digests=(FOUND,)), "It was a key of ApiKey shop/billing"),
    ],
    ids=["lately", "long ago"],
)
def test_one_of_those_that_has_ended_is_no_news(record: Record, what: str) -> None:
    assert said_of(record) == (ExitCode.FINE, "", f"{what} and has ended: there is nothing to revoke")


def test_a_digest_that_is_not_a_keys_finds_nothing() -> None:
    noted = replace(gen.record(replace(LISTED, digest=OTHER)), secret=replace(gen.fingerprint(2), digest=FOUND))
    assert verdict_on(derived_key_id(FOUND), digest=FOUND, records=[(SHOP, encode_record(noted))]) is None


def test_a_key_id_that_no_record_knows_is_nobodys() -> None:
    assert verdict_on(KEY_ID, digest=FOUND, records=[(SHOP, NOT_MEANT)]) is None
