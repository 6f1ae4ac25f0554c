"""A key that was made elsewhere belongs to the first ApiKey whose record has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gen.lifecycle import NOW, record, tombstone
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.names import Key
from keyturn.base.version_state import Cause, VersionState
from keyturn.cluster.cache import Cache
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.controller.claims import Claims
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.record import DeadEntry, Record, VersionEntry
from keyturn.keys.record_encoding import encode_record
from keyturn.lifecycle.observed import Holder

FIRST, SECOND = Key("shop", "first"), Key("shop", "second")
DIGEST = digest_token("sk-0123456789")
KEY_ID = derived_key_id(DIGEST)


class World:
    """Records by name, and the claims to what they hold."""

    def __init__(self, records: dict[Key, Record] | None = None) -> None:
        self.records = dict(records or {})
        cache = Cache[StoredRecord]()
        for number, (key, each) in enumerate(self.records.items(), start=1):
            cache.put(key, StoredRecord(encode_record(each), b""), number, str(key))
        self.claims = Claims(records=cache, read=self.records.get)

    def elsewhere(self, key: Key, *, key_id: str | None = None, now: datetime = NOW) -> dict[str, Key]:
        return {digest: holder.key for digest, holder in self.holders(key, key_id=key_id, now=now).items()}

    def holders(self, key: Key, *, key_id: str | None = None, now: datetime = NOW) -> dict[str, Holder]:
        listed = {"digest": DIGEST, **({"keyID": key_id} if key_id else {})}
        body = {"metadata": {"name": key.name, "namespace": key.namespace, "uid": "u", "generation": 1}}
        return dict(self.claims.elsewhere(ApiKey.model_validate({**body, "spec": {"delivery": "None", "digests": [listed]}}), now=now))

    def save(self, key: Key, saved: Record) -> None:
        self.records[key] = saved
        self.claims.note(key, saved)


def holding(key_id: str = KEY_ID, digest: str = DIGEST, *, imported: bool = True) -> Record:
    cause = Cause.IMPORTED if imported else Cause.ISSUED
    return record(VersionEntry(1, key_id, digest, VersionState.ACTIVE, NOW, cause, imported=imported))


def buried(reason: str) -> Record:
    dead: DeadEntry = replace(tombstone(1, reason=reason), key_id=KEY_ID, digest=DIGEST, cause=Cause.IMPORTED)
    return record(dead=(dead,))


def test_a_key_that_no_record_has_is_free() -> None:
    assert World().elsewhere(FIRST) == {}


def test_the_record_that_has_it_says_whose_it_is_also_after_a_restart() -> None:
    world = World({FIRST: holding()})
    assert (world.elsewhere(SECOND), world.elsewhere(FIRST)) == ({DIGEST: FIRST}, {})


def test_of_two_that_ask_at_once_the_first_gets_it() -> None:
    world = World()
    assert (world.elsewhere(FIRST), world.elsewhere(SECOND)) == ({}, {DIGEST: FIRST})
    world.save(FIRST, holding())
    assert world.elsewhere(SECOND, now=NOW + timedelta(hours=1)) == {DIGEST: FIRST}


def test_who_asked_first_and_writes_no_record_does_not_keep_it() -> None:
    """Somebody who waits for an approval must not block a key for ever."""
    world = World()
    world.elsewhere(FIRST)
    assert world.elsewhere(SECOND, now=NOW + timedelta(minutes=2)) == {}
    world.save(SECOND, holding())
    assert world.elsewhere(FIRST, now=NOW + timedelta(minutes=2)) == {DIGEST: SECOND}


@pytest.mark.parametrize("reason", ["Leaked", "ApiKeyDeleted"])
def test_what_ended_in_one_apikey_does_not_begin_in_another(reason: str) -> None:
    assert World({FIRST: buried(reason)}).holders(SECOND) == {DIGEST: Holder(FIRST, has_ended=True)}


def test_a_key_of_an_apikey_that_was_deleted_is_never_free_again() -> None:
    world = World({FIRST: holding()})
    assert world.holders(SECOND) == {DIGEST: Holder(FIRST)}
    for left_behind in (buried("ApiKeyDeleted"), replace(record(highest=1), ended_digests=(DIGEST,))):
        world.save(FIRST, left_behind)
        for same in (world, World({FIRST: left_behind})):  # also after a restart
            assert same.holders(SECOND, now=NOW + timedelta(days=999)) == {DIGEST: Holder(FIRST, has_ended=True)}


def test_what_ended_anywhere_has_ended_whoever_has_it_alive() -> None:
    """An operator that slept while another one saw the key come and go writes what it had decided before."""
    late = {FIRST: holding(), SECOND: buried("ApiKeyDeleted")}
    for world in (World(late), World(dict(reversed(late.items())))):
        assert world.holders(FIRST) == {DIGEST: Holder(SECOND, has_ended=True)}
    woken = World({SECOND: buried("ApiKeyDeleted")})
    woken.holders(SECOND)
    woken.save(FIRST, holding())
    assert woken.holders(FIRST) == {DIGEST: Holder(SECOND, has_ended=True)}


def test_a_key_that_one_of_two_apikeys_lost_to_the_other_is_not_dead() -> None:
    for order in ((FIRST, SECOND), (SECOND, FIRST)):
        records = {FIRST: holding(), SECOND: buried("Elsewhere")}
        world = World({key: records[key] for key in order})
        assert (world.holders(FIRST), world.holders(SECOND)) == ({}, {DIGEST: Holder(FIRST)})


def test_the_id_of_a_minted_key_cannot_be_claimed_living_or_dead() -> None:
    living = holding("Ab3dEf6hIj9k", digest_token("theirs"), imported=False)
    assert World({FIRST: living}).elsewhere(SECOND, key_id="Ab3dEf6hIj9k") == {DIGEST: FIRST}
    dead = record(dead=(replace(tombstone(1, reason="ApiKeyDeleted"), key_id="Ab3dEf6hIj9k"),))
    assert World({FIRST: dead}).elsewhere(SECOND, key_id="Ab3dEf6hIj9k") == {DIGEST: FIRST}


def test_of_two_records_that_have_it_all_the_same_the_first_by_name_keeps_it() -> None:
    """Two operators wrote at the same moment."""
    for records in ({FIRST: holding(), SECOND: holding()}, {SECOND: holding(), FIRST: holding()}):
        world = World(records)
        assert (world.elsewhere(FIRST), world.elsewhere(SECOND)) == ({}, {DIGEST: FIRST})
