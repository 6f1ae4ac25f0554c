"""The audit log's lines."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyturn.base.errors import RetryLater
from keyturn.controller.audit import AuditLine, AuditLog, AuditVersion

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
LINE = AuditLine(
    time=NOW,
    change="Activated",
    installation="i",
    namespace="team-a",
    name="billing",
    uid="u-1",
    serial=7,
    version=2,
    key_id="Ab12",
    scopes=("read",),
    versions=(AuditVersion(number=2, key_id="Ab12", state="Active", cause="Scheduled", not_after=NOW),),
)


def test_a_line_says_what_changed_and_leaves_out_what_is_unset(tmp_path: Path) -> None:
    with AuditLog(str(tmp_path / "audit")) as log:
        log.write(LINE)
    assert json.loads((tmp_path / "audit").read_text()) == {
        "time": "2026-11-24T06:00:00Z",
        "change": "Activated",
        "installation": "i",
        "namespace": "team-a",
        "name": "billing",
        "uid": "u-1",
        "serial": 7,
        "version": 2,
        "keyID": "Ab12",
        "scopes": ["read"],
        "versions": [{"number": 2, "keyID": "Ab12", "state": "Active", "cause": "Scheduled", "notAfter": "2026-11-24T06:00:00Z"}],
    }


def test_lines_are_appended_to_what_earlier_processes_wrote(tmp_path: Path) -> None:
    for _ in range(2):
        with AuditLog(str(tmp_path / "audit")) as log:
            log.write(LINE)
    assert len((tmp_path / "audit").read_text().splitlines()) == 2
    assert (tmp_path / "audit").stat().st_mode & 0o007 == 0


def test_standard_output_is_a_file_like_any_other(capfd: pytest.CaptureFixture[str]) -> None:
    with AuditLog("-") as log:
        log.write(LINE)
    assert json.loads(capfd.readouterr().out)["serial"] == 7
    os.fstat(1)


def test_an_empty_path_writes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    with AuditLog("") as log:
        log.write(LINE)
    assert capfd.readouterr().out == ""


def test_a_line_that_cannot_be_written_is_told_again_later() -> None:
    with AuditLog("/dev/full") as log, pytest.raises(RetryLater, match="'/dev/full' cannot be written: No space left"):
        log.write(LINE)
