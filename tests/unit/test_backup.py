"""A backup as bytes and as a file: read as it was written, believed on account of its signatures alone, open to nobody else."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import verifying as gen
from keyturn.base.errors import UserMustAct
from keyturn.base.plaintext import SecretBytes
from keyturn.cli.backups.backup_check import check_backup, contents_json
from keyturn.cli.backups.backup_command import _write
from keyturn.cli.main import run_cli
from keyturn.controller.installation import Installation
from keyturn.keys.age_envelope import encrypt_to
from keyturn.keys.backup import Backup, BackupDamaged, BackupRecord, decode_backup, encode_backup
from keyturn.keys.root_secret import RootSecret

ROOT = b"r" * 32
INSTALLATION = Installation.of(RootSecret(ROOT)).id


def backed_up(*names: str) -> Backup:
    written = [gen.offered(gen.record(name=name, installation=INSTALLATION, serial=1000 + place)) for place, name in enumerate(names)]
    return Backup(
        created=gen.NOW,
        root={"root": SecretBytes("root secret", ROOT)},
        records=tuple(BackupRecord(each.record_name, each.data, each.signature) for each in written),
        published=gen.RING.verification_keys.to_data(),
        revocations=({"kind": "ApiKeyRevocation", "metadata": {"name": "leak"}},),
    )


def opened(backup: Backup) -> SecretBytes:
    return SecretBytes("decrypted", encode_backup(backup))


def test_it_is_read_as_it_was_written() -> None:
    backup = backed_up("billing", "orders")
    read = decode_backup(opened(backup))
    assert (read.created, read.records, read.published, read.revocations) == (
        backup.created, backup.records, backup.published, backup.revocations,
    )  # fmt: skip
    assert read.root["root"].reveal() == ROOT


def test_it_says_what_is_inside() -> None:
    assert contents_json(check_backup(backed_up("billing", "orders"))) == {
        "created": "2026-11-24T12:00:00Z",
        "installation": INSTALLATION,
        "signingKeys": [gen.RING.first.key_id],
        "records": 2,
        "liveVersions": 2,
        "newestSerial": 1001,
        "newestRecordTime": "1970-01-01T00:00:01.001Z",
        "revocations": 1,
        "recordsNotBelieved": [],
    }


def test_a_serial_of_no_time_that_there_is_is_shown_without_one() -> None:
    written = gen.offered(gen.record(name="billing", installation=INSTALLATION, serial=10**18))
    backup = replace(backed_up(), records=(BackupRecord(written.record_name, written.data, written.signature),))
    assert contents_json(check_backup(backup))["newestRecordTime"] is None


def test_a_record_that_was_changed_or_moved_is_not_believed() -> None:
    backup = backed_up("billing", "orders")
    first, second = backup.records
    spoiled = replace(first, data=first.data.replace(b'"serial":1000', b'"serial":9999'))
    moved = replace(second, record_name="team-a.another")
    assert check_backup(replace(backup, records=(spoiled, moved))).refused == ("team-a.billing", "team-a.another")


@pytest.mark.parametrize("root", [{}, {"root": SecretBytes("root secret", b"short")}])
def test_a_backup_without_a_root_secret_is_worth_nothing(root: dict[str, SecretBytes]) -> None:
    with pytest.raises(UserMustAct, match="holds no root secret"):
        check_backup(replace(backed_up("billing"), root=root))


@given(st.binary() | st.sampled_from([b"{}", b"[]", b'{"keyturn-backup":1}', b'{"keyturn-backup":2}', b"[" * 10_000]))
def test_what_is_no_backup_is_refused_and_never_repeated(value: bytes) -> None:
    with pytest.raises(BackupDamaged):
        decode_backup(SecretBytes("decrypted", value))


def test_the_secret_half_opens_it_and_nobody_elses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    identity, file, safe = pyrage.x25519.Identity.generate(), tmp_path / "keyturn.age", tmp_path / "safe.txt"
    _write(file, encrypt_to([str(identity.to_public())], encode_backup(backed_up("billing"))))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"team-a.billing" not in file.read_bytes()
    safe.write_text(f"# created: today\n{identity}\n")
    assert run_cli(["backup", "--verify", str(file), "--identity", str(safe)]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 1
    safe.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    assert run_cli(["backup", "--verify", str(file), "--identity", str(safe)]) == 1
    assert "cannot be decrypted" in capsys.readouterr().err


def test_a_signature_that_does_not_hold_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    identity, file, safe = pyrage.x25519.Identity.generate(), tmp_path / "keyturn.age", tmp_path / "safe.txt"
    backup = backed_up("billing")
    spoiled = replace(backup, records=(replace(backup.records[0], signature=b"x"),))
    file.write_bytes(encrypt_to([str(identity.to_public())], encode_backup(spoiled)))
    safe.write_text(str(identity))
    assert run_cli(["backup", "--verify", str(file), "--identity", str(safe)]) == 1
    assert "1 record cannot be believed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backup"], "Say who may open it"),
        (["backup", "--recipient", "age1nobody"], "is not an age public key"),
        (["recover"], "Say from what to recover"),
        (["recover", "--backup", __file__], "--backup and --identity go together"),
        (["recover", "--audit", __file__, "--as-group", "g"], "--as-group goes with --as"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(arguments) == 2
    assert said in capsys.readouterr().err
