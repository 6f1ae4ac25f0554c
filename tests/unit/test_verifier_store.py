"""What a verifier holds: the newest genuine record of each ApiKey, also after it vanished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import verifying as gen
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.digest import digest_token
from keyturn.keys.record import Record, VersionEntry
from keyturn.keys.root_secret import RootSecret, SigningRing
from keyturn.keys.token_format import encode_base62, format_token
from keyturn.verifier.check import Asked, check
from keyturn.verifier.live_key import LiveKey
from keyturn.verifier.store import Held, Store, Taken
from keyturn.verifier.verdicts import Accepted, Refusal, Refused

STRANGER = SigningRing.of(RootSecret(b"x" * 32))
NAME = "team-a.billing"


def version(number: int, *, name: str = "a") -> VersionEntry:
    token = token_of(name, number)
    return VersionEntry(number, token[3:15], digest_token(token), VersionState.ACTIVE, gen.NOW, Cause.SCHEDULED)


def token_of(name: str, number: int) -> str:
    return format_token("kt", key_id=encode_base62(ord(name) * 1000 + number, length=12), secret="s" * 43)


def history(name: str, length: int) -> list[Record]:
    """A record through `length` rotations: at most two versions live, at last none."""
    states = [tuple(version(number, name=name) for number in range(max(1, top - 1), top + 1)) for top in range(1, length + 1)]
    return [
        gen.record(name=name, number=min(place + 1, length), serial=10 + place, versions=versions)
        for place, versions in enumerate([*states, ()])
    ]


@st.composite
def deliveries(draw: st.DrawFn) -> list[Record]:
    """Records of three ApiKeys in any order, with repeats and replays, some missing."""
    written = [record for name in "abc" for record in history(name, draw(st.integers(1, 4)))]
    return draw(st.lists(st.sampled_from(written), max_size=20))


@given(deliveries())
def test_whatever_the_order_the_newest_record_of_each_key_is_in_force(delivered: list[Record]) -> None:
    store = gen.store(*delivered)
    newest = {record.name: record for record in sorted(delivered, key=lambda record: record.serial)}
    assert set(store.live) == {entry.key_id for record in newest.values() for entry in record.versions}
    assert {name: store.serial_of(f"team-a.{name}") for name in newest} == {name: record.serial for name, record in newest.items()}
    assert len(store) == len(newest)


@given(deliveries(), st.sampled_from("abc"))
def test_a_dead_key_never_comes_back(delivered: list[Record], name: str) -> None:
    store = gen.store(history(name, 4)[-1], *delivered)
    store.heard, store.is_complete = gen.NOW.timestamp(), True
    for number in range(1, 5):
        assert check(token_of(name, number), Asked(), store, now=gen.NOW.timestamp()) == Refused(Refusal.UNKNOWN)


def test_a_record_is_put_in_force_once() -> None:
    store = gen.store()
    first, second = gen.record(serial=5), gen.record(serial=6, versions=())
    assert store.take(gen.offered(first)) is Taken.APPLIED
    assert store.take(gen.offered(first)) is Taken.SAME
    assert set(store.live) == {gen.KEY_ID}
    assert store.take(gen.offered(second)) is Taken.APPLIED
    assert store.take(gen.offered(first)) is Taken.OLDER
    assert (set(store.live), store.serial_of(NAME)) == (set(), 6)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (gen.offered(gen.record(serial=9), ring=STRANGER), Taken.UNKNOWN_SIGNER),
        (gen.offered(gen.record(serial=9), at="team-b.billing"), Taken.FORGED),
        (replace(gen.offered(gen.record(serial=9)), data=gen.offered(gen.record(serial=8)).data), Taken.FORGED),
        (replace(gen.offered(gen.record(serial=9)), signature=b""), Taken.FORGED),
        (replace(gen.offered(gen.record(serial=9)), data=b"\xff"), Taken.FORGED),
        (gen.offered(gen.record(serial=9, allowed_cidrs=("10.0.0.0/99",))), Taken.DAMAGED),
        (gen.offered(gen.record(serial=2**64)), Taken.DAMAGED),
    ],
)
def test_what_cannot_be_believed_changes_nothing(offered: object, taken: Taken) -> None:
    store = gen.store(gen.record(serial=5))
    assert store.take(offered) is taken
    assert (set(store.live), store.serial_of(NAME), len(store)) == ({gen.KEY_ID}, 5, 1)


def test_a_record_that_vanished_stays_in_force_and_is_told() -> None:
    store = gen.store(gen.record(serial=5))
    store.heard = gen.NOW.timestamp()
    now = gen.NOW.timestamp()
    assert store.note_vanished(NAME, at=now)
    assert not store.note_vanished(NAME, at=now + 1)
    assert store.vanished == {NAME: now}
    assert isinstance(check(gen.TOKEN, Asked(), store, now=now), Accepted)


def test_a_record_that_vanished_is_believed_no_longer_than_a_silent_cluster() -> None:
    store = gen.store(gen.record(serial=5, max_staleness_seconds=60))
    now = store.heard = gen.NOW.timestamp()
    store.note_vanished(NAME, at=now)
    store.heard = now + 60
    assert isinstance(check(gen.TOKEN, Asked(), store, now=now + 59), Accepted)
    assert check(gen.TOKEN, Asked(), store, now=now + 60) == Refused(Refusal.STALE, gen.KEY_ID)
    store.take(gen.offered(gen.record(serial=5, max_staleness_seconds=60)))
    assert isinstance(check(gen.TOKEN, Asked(), store, now=now + 60), Accepted)


def test_a_record_that_came_back_is_vanished_no_longer() -> None:
    store = gen.store(gen.record(serial=5))
    store.note_vanished(NAME, at=0.0)
    assert store.take(gen.offered(gen.record(serial=5))) is Taken.SAME
    assert store.vanished == {}


def test_an_old_record_that_comes_back_does_not_hide_that_its_newer_one_vanished() -> None:
    store = gen.store(gen.record(serial=5))
    store.note_vanished(NAME, at=0.0)
    assert store.take(gen.offered(gen.record(serial=4))) is Taken.OLDER
    assert store.vanished == {NAME: 0.0}


def test_a_tombstone_may_vanish_and_its_serial_is_kept() -> None:
    store = gen.store(gen.record(serial=5, versions=()))
    assert not store.note_vanished(NAME, at=0.0)
    assert not store.note_vanished("team-a.nobody", at=0.0)
    assert (store.vanished, store.serial_of(NAME)) == ({}, 5)


def test_what_a_list_leaves_out_has_vanished() -> None:
    store = gen.store(*(gen.record(name=name, serial=5, versions=(version(1, name=name),)) for name in "abc"))
    store.take(gen.offered(gen.record(name="d", serial=5, versions=())))
    store.note_listed({"team-a.a", "team-a.c"}, at=7.0)
    assert store.vanished == {"team-a.b": 7.0}
    assert store.names() == {"team-a.a", "team-a.b", "team-a.c", "team-a.d"}


@pytest.mark.parametrize(
    "forked",
    [
        pytest.param({"versions": (version(1),), "highest": 4}, id="calls a version live that had ended"),
        pytest.param({"versions": (version(4),), "highest": 2}, id="forgot numbers that were given out"),
        pytest.param({"versions": (replace(version(5), number=3),), "highest": 4}, id="gives a number out again"),
    ],
)
def test_what_was_written_over_an_older_record_is_refused_and_the_newer_one_stays(forked: Mapping[str, object]) -> None:
    """A restored backup, and an operator that went on from there: its serials are the newest."""
    store = gen.store(gen.record(name="a", serial=5, highest=4, versions=(version(4),)))
    assert store.take(gen.offered(gen.record(name="a", serial=6, **forked))) is Taken.FORKED
    assert set(store.live) == {version(4).key_id}
    assert store.held("team-a.a") == Held(5, 4, frozenset({version(4).key_id}))


def test_a_tombstone_remembers_numbers_too() -> None:
    store = gen.store(gen.record(name="a", serial=5, highest=4, versions=()))
    assert store.take(gen.offered(gen.record(name="a", serial=6, highest=4, versions=(version(4),)))) is Taken.FORKED
    assert store.take(gen.offered(gen.record(name="a", serial=7, highest=5, versions=(version(5),)))) is Taken.APPLIED


def test_new_public_keys_let_in_what_the_old_ones_did_not() -> None:
    store = Store(STRANGER.verification_keys)
    assert store.take(gen.offered(gen.record())) is Taken.UNKNOWN_SIGNER
    store.keys = gen.RING.verification_keys
    assert store.take(gen.offered(gen.record())) is Taken.APPLIED


def test_keys_with_the_same_power_share_it() -> None:
    """100,000 records fit into 40 MB only if what is the same is held once."""
    store = gen.store(*(gen.record(name=name, scopes=("read",), versions=(version(1, name=name),)) for name in "abc"))
    assert len({id(key.terms) for key in store.live.values()}) == 1


def test_a_key_id_that_two_records_name_is_the_later_ones_until_that_gives_it_up() -> None:
    """It cannot happen with minted keys; an import could do it."""
    store = gen.store(gen.record(name="a", versions=(version(1),)), gen.record(name="b", versions=(version(1),)))
    assert [key.record_name for key in store.live.values()] == ["team-a.b"]
    store.take(gen.offered(gen.record(name="a", serial=2, versions=())))
    assert [key.record_name for key in store.live.values()] == ["team-a.b"]


def test_an_imported_key_takes_nobodys_id() -> None:
    """A key ID is public, and whoever writes a spec can write one into it."""
    theirs, claiming = gen.record(name="theirs"), gen.foreign("whatever-0123456789", key_id=gen.KEY_ID)
    for order in ((theirs, claiming), (claiming, theirs)):
        store = gen.store(*order)
        assert isinstance(check(gen.TOKEN, Asked(), store_heard(store), now=gen.NOW.timestamp()), Accepted)
        store.take(gen.offered(replace(claiming, serial=2, versions=())))
        assert ([key.record_name for key in store.live.values()], dict(store.imported)) == (["team-a.theirs"], {})


def test_an_imported_key_is_found_by_its_digest_until_its_end() -> None:
    store = gen.store(gen.foreign("whatever-0123456789"))
    (key,) = store.imported.values()
    assert (key.record_name, set(store.live), set(store.imported)) == ("team-a.imported", {key.key_id}, {key.digest})
    store.note_vanished("team-a.imported", at=gen.NOW.timestamp())
    assert set(store.imported) == {key.digest}
    store.take(gen.offered(gen.record(name="imported", serial=2, versions=())))
    assert (dict(store.live), dict(store.imported)) == ({}, {})


def store_heard(store: Store) -> Store:
    store.heard = gen.NOW.timestamp()
    return store


class Watched(dict[str, LiveKey]):
    """What is deleted from it, if only for a moment."""

    def __init__(self, held: Mapping[str, LiveKey]) -> None:
        super().__init__(held)
        self.deleted: list[str] = []

    def __delitem__(self, key_id: str) -> None:
        self.deleted.append(key_id)
        super().__delitem__(key_id)


def test_a_key_that_goes_on_counting_is_never_unknown_not_even_between_two_instructions() -> None:
    """A request in another thread would be refused."""
    store = gen.store(history("a", 2)[0])
    store._live = watched = Watched(store.live)
    for record in history("a", 2)[1:]:
        store.take(gen.offered(record))
        store.note_vanished("team-a.a", at=gen.NOW.timestamp())
    assert watched.deleted == [version(1).key_id, version(2).key_id]  # at their end, each once
    assert watched == {}
