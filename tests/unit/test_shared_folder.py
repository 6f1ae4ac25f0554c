"""An application that checks keys by the folder that a verifier in its pod keeps."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from gen import verifying as gen
from gen.app_folder import VerifierBeside
from keyturn.base.clock import MINUTE, SECOND
from keyturn.keys.record import Limits, Record
from keyturn.keys.root_secret import RootSecret, SigningRing
from keyturn.verifier.guard import Guard
from keyturn.verifier.service.app_folder import AppFolderUnusable
from keyturn.verifier.service.snapshot_writer import LEAST_APPENDED
from keyturn.verifier.shared_folder import LARGEST_USES, SharedFolder, guard_from
from keyturn.verifier.snapshot import header_line
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

STRANGER = SigningRing.of(RootSecret(b"x" * 32))
REVOKED = gen.record(serial=2, versions=())


class App:
    """An application beside a verifier, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.now = gen.NOW
        self.folder = folder
        self.guard: Guard = guard_from(folder, clock=lambda: self.now)

    def ask(self, token: str = gen.TOKEN) -> CheckVerdict:
        return self.guard.ask([(b"authorization", b"Bearer " + token.encode())])

    def sees(self, token: str = gen.TOKEN) -> str:
        match self.ask(token):
            case Accepted():
                return "accepted"
            case Refused(refusal):
                return refusal.value

    def complaint(self) -> str | None:
        assert isinstance(self.guard.view, SharedFolder)
        return self.guard.view.complaint()


@pytest.fixture
def beside(tmp_path: Path) -> VerifierBeside:
    return VerifierBeside(tmp_path)


def app(folder: Path) -> App:
    return App(folder)


def test_an_application_knows_what_the_verifier_beside_it_knows(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    assert (app(tmp_path).sees(), app(tmp_path).sees(gen.OTHER_TOKEN)) == ("accepted", "unknown")


def test_what_changes_is_in_force_with_the_next_request(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list()
    client = app(tmp_path)
    assert client.sees() == "unknown"
    beside.change(gen.record())
    assert client.sees() == "accepted"
    beside.change(REVOKED)
    assert client.sees() == "unknown"


def test_an_application_that_starts_first_refuses_with_503_and_then_finds_the_keys(tmp_path: Path, beside: VerifierBeside) -> None:
    client = app(tmp_path)
    assert client.sees() == "not_caught_up"
    assert "cannot be read" in str(client.complaint())
    beside.list(gen.record())
    assert (client.sees(), client.complaint()) == ("accepted", None)


def test_a_folder_that_goes_away_takes_no_key_with_it_until_it_is_stale(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    beside.folder.snapshot.unlink()
    assert (client.sees(), client.complaint()) == ("accepted", None)
    client.now += timedelta(minutes=16)
    assert client.sees() == "stale"


def test_news_from_the_cluster_keep_keys_from_being_stale(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    client.now = beside.now = gen.NOW + timedelta(minutes=16)
    assert client.sees() == "stale"
    beside.hear()
    assert client.sees() == "accepted"


def test_an_unknown_key_is_401_only_while_the_verifier_hears_from_the_cluster(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list()
    client = app(tmp_path)
    client.now = gen.NOW + 2 * MINUTE
    assert client.sees() == "unknown"
    client.now += SECOND
    assert client.sees() == "not_caught_up"


def test_an_instant_from_the_future_was_heard_no_later_than_now(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.now = gen.NOW + timedelta(days=365)
    beside.list(gen.record())
    client = app(tmp_path)
    client.now += timedelta(minutes=16)
    assert client.sees() == "stale"


def test_a_record_that_vanished_is_believed_for_its_time_and_can_come_back(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    beside.change(gen.record(), is_deletion=True)
    assert client.sees() == "accepted"
    client.now = beside.now = gen.NOW + timedelta(minutes=16)
    beside.hear()
    assert client.sees() == "stale"
    beside.list(gen.record())
    assert client.sees() == "accepted"


def test_a_file_that_is_written_anew_again_and_again_is_followed(tmp_path: Path, beside: VerifierBeside) -> None:
    """By its name: who kept the file open would stay with the one that was replaced."""
    client = app(tmp_path)
    for number in range(5):
        beside.list(gen.record(serial=1 + number, disabled=number % 2 == 1))
        assert client.sees() == ("disabled" if number % 2 else "accepted")


def test_thousands_of_changes_later_the_newest_is_in_force(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    for number in range(LEAST_APPENDED + 10):
        beside._feed.take_change(beside._secret(gen.record(serial=2 + number)), is_deletion=False, resource_version=number)
        if number % 100 == 0:
            assert client.sees() == "accepted"
    beside.change(gen.record(serial=5000, disabled=True))
    assert client.sees() == "disabled"


def test_another_file_under_the_number_of_the_old_one_is_read_from_its_beginning(tmp_path: Path, beside: VerifierBeside) -> None:
    """File systems use an inode's number again."""
    beside.list(gen.record(name="other", token=gen.OTHER_TOKEN))
    client = app(tmp_path)
    assert client.sees(gen.OTHER_TOKEN) == "accepted"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    VerifierBeside(elsewhere).list(gen.record(), gen.record(name="third", token=gen.token_of("third")))
    with beside.folder.snapshot.open("r+b") as same_inode:
        same_inode.write((elsewhere / "snapshot").read_bytes())
    assert client.sees() == "accepted"


def test_half_a_line_waits_for_its_other_half(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list()
    client = app(tmp_path)
    whole = beside.folder.snapshot.read_bytes()
    beside.change(gen.record())
    line = beside.folder.snapshot.read_bytes()[len(whole) :]
    with beside.folder.snapshot.open("r+b") as file:
        file.truncate(len(whole))
        file.seek(len(whole))
        file.write(line[:50])
    assert client.sees() == "unknown"
    with beside.folder.snapshot.open("ab") as file:
        file.write(line[50:])
    assert client.sees() == "accepted"


@pytest.mark.parametrize("garbage", [b"", b"garbage\n", b'{"keyturn-snapshot": 2}\n', b"\xff\x00\n"])
def test_a_file_of_another_kind_is_named_and_lets_nobody_in(tmp_path: Path, beside: VerifierBeside, garbage: bytes) -> None:
    beside.list(gen.record())
    beside.folder.snapshot.write_bytes(garbage)
    client = app(tmp_path)
    assert client.sees() == "not_caught_up"
    assert "is no snapshot of a format that is known here" in str(client.complaint())


def test_garbage_between_good_lines_harms_none_of_them(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    good = beside.folder.snapshot.read_bytes().splitlines(keepends=True)
    beside.folder.snapshot.write_bytes(good[0] + b'["a", 1]\n\xff\n[[[[\n' + b"".join(good[1:]))
    assert app(tmp_path).sees() == "accepted"


@pytest.mark.parametrize("keys", [None, b"", b"{", b"\xff", b'{"keys":[]}'])
def test_without_the_public_keys_nothing_is_believed(tmp_path: Path, beside: VerifierBeside, keys: bytes | None) -> None:
    beside.list(gen.record())
    beside.folder.keys_file.unlink()
    if keys is not None:
        beside.folder.keys_file.write_bytes(keys)
    assert app(tmp_path).sees() in {"not_caught_up", "unknown"}


def test_records_that_somebody_else_signed_are_not_believed(tmp_path: Path, beside: VerifierBeside) -> None:
    VerifierBeside(tmp_path, ring=STRANGER).list(gen.record())
    beside.folder.write_keys(gen.RING.verification_keys)
    assert app(tmp_path).sees() == "unknown"


def test_new_public_keys_are_learned_with_the_records_they_signed(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    VerifierBeside(tmp_path, ring=STRANGER).list(gen.record(serial=2, disabled=True))
    assert client.sees() == "disabled"


def test_a_request_in_another_thread_never_finds_a_key_gone_while_its_record_is_replaced(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    seen: set[str] = set()
    asking = True

    def ask() -> None:
        while asking:
            seen.add(client.sees())

    threads = [Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for serial in range(2, 200):
        beside.change(gen.record(serial=serial))
    asking = False
    for thread in threads:
        thread.join()
    assert seen == {"accepted"}


def uses(beside: VerifierBeside) -> list[str]:
    found: list[str] = []
    for _ in range(2):  # put aside, then read
        beside.folder.take_uses(found.append)
    return found


def retiring() -> Record:
    return gen.record(serial=2, not_after=gen.NOW + timedelta(days=1))


def test_the_verifier_learns_which_keys_the_application_accepted(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    assert uses(beside) == []
    client.ask()
    client.ask(gen.OTHER_TOKEN)
    assert (uses(beside), uses(beside)) == ([gen.KEY_ID], [])


def test_the_use_of_an_old_key_is_told_every_second_and_of_others_once_a_minute(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    client = app(tmp_path)
    for _ in range(120):
        client.ask()
        client.now += SECOND
    assert len(uses(beside)) == 2
    beside.change(retiring())
    for _ in range(120):
        client.ask()
        client.now += SECOND / 2
    assert len(uses(beside)) == 60


def test_a_use_that_is_written_while_the_file_is_taken_away_is_not_lost(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    found: list[str] = []
    app(tmp_path).ask()
    writing = (tmp_path / "uses").open("a")
    beside.folder.take_uses(found.append)
    writing.write("late\n")
    writing.close()
    beside.folder.take_uses(found.append)
    assert found == [gen.KEY_ID, "late"]


def test_a_verifier_that_takes_nothing_away_does_not_fill_the_volume(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record())
    (tmp_path / "uses").write_bytes(b"x" * LARGEST_USES)
    assert app(tmp_path).sees() == "accepted"
    assert (tmp_path / "uses").stat().st_size == LARGEST_USES


def test_use_that_cannot_be_told_is_said_once_and_refuses_nobody(
    tmp_path: Path, beside: VerifierBeside, caplog: pytest.LogCaptureFixture
) -> None:
    beside.list(gen.record())
    (tmp_path / "uses").mkdir()
    client = app(tmp_path)
    for _ in range(3):
        assert client.sees() == "accepted"
        client.now += 2 * MINUTE
        beside.now = client.now
        beside.hear()
    assert [record.getMessage() for record in caplog.records] == ["Use cannot be told, so that an old key may end early"]


def test_the_limits_of_a_plan_count_without_another_word(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record(limits=Limits(1, 2)))
    client = app(tmp_path)
    assert [client.sees() for _ in range(3)] == ["accepted", "accepted", Refusal.LIMITED.value]


def test_what_is_kept_can_be_read_by_the_group_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        beside = VerifierBeside(tmp_path)
        beside.list()
    finally:
        os.umask(before)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"snapshot": "0o640", "keys.json": "0o640"}
    assert beside.folder.snapshot.read_bytes().startswith(header_line())


def test_a_verifier_without_the_folder_says_so_instead_of_keeping_it_to_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(AppFolderUnusable, match=r"--app-folder: .* is no folder that this process may write into"):
            VerifierBeside(wrong)


def test_the_time_is_asked_of_the_clock_that_was_given(tmp_path: Path, beside: VerifierBeside) -> None:
    beside.list(gen.record(not_after=gen.NOW + MINUTE))
    times: list[datetime] = [gen.NOW, gen.NOW + 2 * MINUTE]
    for at, seen in zip(times, (Accepted, Refused), strict=True):
        guard = guard_from(tmp_path, clock=lambda at=at: at)
        assert isinstance(guard.ask([(b"x-api-key", gen.TOKEN.encode())]), seen)
