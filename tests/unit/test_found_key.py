"""Whether a found key is one that was issued: what the records say of its key ID and its digest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gen import lifecycle as gen
from keyturn.base.names import Key
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.found_key import verdict_on
from keyturn.keys.digest import digest_token
from keyturn.keys.record import VersionEntry
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


def test_a_key_id_that_no_record_knows_is_nobodys() -> None:
    assert verdict_on(KEY_ID, digest=FOUND, records=[(SHOP, NOT_MEANT)]) is None
