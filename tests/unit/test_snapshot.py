"""The snapshot: what a verifier knew, written and read again, whole or broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import verifying as gen
from keyturn.keys.verification_keys import VerificationKeys
from keyturn.verifier.service.feed import RecordFeed
from keyturn.verifier.service.snapshot_writer import LEAST_APPENDED, SnapshotWriter
from keyturn.verifier.service.start_from_files import keys_in_file, start_from_snapshot
from keyturn.verifier.snapshot import Heard, NoSnapshot, Vanished, entry_line, header_line, read_snapshot
from keyturn.verifier.store import OfferedRecord, Store

NOW = gen.NOW.timestamp()
NAMES = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.lists(
        st.builds(OfferedRecord, NAMES, st.binary(), st.binary())
        | st.builds(Heard, st.floats(0, 1e10))
        | st.builds(Vanished, NAMES, st.floats(0, 1e10))
    )
)
def test_what_is_written_is_read(entries: list[OfferedRecord | Heard | Vanished]) -> None:
    with gen.scratch_file() as file:
        file.write_bytes(header_line() + b"".join(map(entry_line, entries)))
        assert list(read_snapshot(file)) == entries


@given(st.binary(max_size=200))
def test_whatever_the_file_holds_reading_does_not_fail_in_any_other_way(garbage: bytes) -> None:
    with gen.scratch_file() as file:
        file.write_bytes(header_line() + garbage)
        for entry in read_snapshot(file):
            assert entry == "unreadable" or isinstance(entry, OfferedRecord | Heard | Vanished)
        file.write_bytes(garbage)
        with pytest.raises(NoSnapshot):
            list(read_snapshot(file))


@pytest.mark.parametrize("line", ['{"heard":%s}', '{"vanished":"a.b","at":%s}'])
def test_a_number_that_no_clock_shows_was_heard_at_no_later_than_now(line: str) -> None:
    with gen.scratch_file() as file:
        file.write_bytes(header_line() + (line % ("9" * 400)).encode() + b"\n")
        (entry,) = read_snapshot(file)
    assert entry in {Heard(float("inf")), Vanished("a.b", float("inf"))}


def item(offered: OfferedRecord) -> dict[str, object]:
    return gen.secret_of(offered)


class Verifier:
    """A feed with a snapshot, and no API server: a test says what it sends."""

    def __init__(self, file: Path) -> None:
        self.store = gen.store()
        self.writer = SnapshotWriter(file)
        self.now = gen.NOW
        self.feed = RecordFeed(self.store, clock=lambda: self.now, on_taken=lambda _name, _taken: None, snapshot=self.writer)

    def list(self, *records: OfferedRecord) -> None:
        self.feed.begin_list()
        for offered in records:
            self.feed.take_listed(item(offered))
        self.feed.end_list(10)
        self.feed.heard()


async def restarted(file: Path, *, now: float = NOW) -> Store:
    store = gen.store()
    await start_from_snapshot(file, store, now=now)
    return store


def same(first: Store, second: Store) -> bool:
    return (dict(first.live), first.names(), first.vanished, first.heard) == (
        dict(second.live),
        second.names(),
        second.vanished,
        second.heard,
    )


async def test_a_verifier_starts_with_what_it_knew(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "snapshot")
    verifier.list(*(gen.offered(gen.record(name=name, token=gen.token_of(name))) for name in "abc"))
    verifier.feed.take_change(item(gen.offered(gen.record(name="a", serial=2, versions=()))), is_deletion=False, resource_version=11)
    verifier.feed.take_change(item(gen.offered(gen.record(name="b", token=gen.token_of("b")))), is_deletion=True, resource_version=12)
    verifier.writer.close()
    assert same(await restarted(tmp_path / "snapshot"), verifier.store)
    assert verifier.store.vanished == {"team-a.b": NOW}


async def test_what_a_list_leaves_out_is_kept_in_the_next_snapshot_too(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "snapshot")
    tombstone = gen.offered(gen.record(name="dead", serial=9, versions=()))
    verifier.list(gen.offered(gen.record()), tombstone)
    verifier.list()
    verifier.writer.close()
    store = await restarted(tmp_path / "snapshot")
    assert same(store, verifier.store)
    assert (set(store.live), store.serial_of("team-a.dead")) == ({gen.KEY_ID}, 9)


async def test_a_replay_during_a_list_does_not_take_the_newer_record_out_of_the_snapshot(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "snapshot")
    verifier.list(gen.offered(gen.record(serial=9, versions=())))
    verifier.list(gen.offered(gen.record(serial=8)))
    verifier.writer.close()
    assert (await restarted(tmp_path / "snapshot")).serial_of("team-a.billing") == 9


async def test_many_changes_of_few_records_do_not_grow_the_file_for_ever(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "snapshot")
    verifier.list(gen.offered(gen.record()))
    record = item(gen.offered(gen.record()))
    for version in range(LEAST_APPENDED * 3):
        verifier.feed.take_change(record, is_deletion=False, resource_version=11 + version)
    verifier.writer.close()
    assert len(list(read_snapshot(tmp_path / "snapshot"))) <= LEAST_APPENDED + 2
    assert same(await restarted(tmp_path / "snapshot"), verifier.store)


async def test_a_snapshot_signed_by_somebody_else_is_worth_nothing(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "snapshot")
    verifier.list(gen.offered(gen.record()))
    verifier.writer.close()
    stranger = Store(VerificationKeys(()))
    assert await start_from_snapshot(tmp_path / "snapshot", stranger, now=NOW) == 0
    assert not stranger.live


async def test_a_snapshot_from_the_future_was_heard_no_later_than_now(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "snapshot")
    verifier.list(gen.offered(gen.record()))
    verifier.writer.close()
    assert (await restarted(tmp_path / "snapshot", now=NOW - 60)).heard == NOW - 60


async def test_a_disk_that_takes_nothing_does_not_stop_a_verifier(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path / "missing" / "snapshot")
    verifier.list(gen.offered(gen.record()))
    verifier.writer.close()
    assert set(verifier.store.live) == {gen.KEY_ID}
    assert await start_from_snapshot(tmp_path / "missing" / "snapshot", gen.store(), now=NOW) == 0


def test_public_keys_are_read_from_the_mounted_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    assert keys_in_file(file) is None
    file.write_text(gen.RING.verification_keys.to_data()["keys.json"])
    assert keys_in_file(file) == gen.RING.verification_keys
    file.write_bytes(b"\xff{")
    assert keys_in_file(file) is None
