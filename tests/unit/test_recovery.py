"""What `keyturn recover` makes of an audit log and the records of a restored cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gen import lifecycle as gen
from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.base.errors import UserMustAct
from keyturn.base.names import Key
from keyturn.cli.backups.audit_history import AuditHistory
from keyturn.cli.backups.recovery import Correction, Ours, corrections, corrections_table, ours, revocations
from keyturn.cli.backups.revocation_folder import read_revocation_folder
from keyturn.controller.apikey.announce import audit_line
from keyturn.controller.audit import as_json
from keyturn.keys.record import Record

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
OURS = (gen.record().installation, gen.KEY)


def logged(*records: Record) -> AuditHistory:
    """The log of these writes, as the operator writes it."""
    history = AuditHistory()
    history.take(json.dumps(as_json(audit_line(each, now=NOW))).encode() for each in records)
    return history


def test_a_key_that_the_log_says_ended_is_dead_and_numbers_go_on_above() -> None:
    log = logged(gen.record(gen.active(1)), replace(gen.record(gen.active(2), dead=(gen.tombstone(1),)), serial=2000))
    assert corrections([gen.record(gen.active(1))], log.keys) == [Correction(gen.KEY, 2, dead=((1, "key1"),))]


def test_a_key_that_had_a_successor_is_replaced() -> None:
    log = logged(gen.record(gen.retiring(1), gen.active(2)))
    assert corrections([gen.record(gen.active(1))], log.keys) == [Correction(gen.KEY, 2, replaced=((1, "key1"),))]


def test_what_the_records_know_needs_no_correction() -> None:
    newest = replace(gen.record(gen.retiring(1), gen.active(2)), serial=2000)
    assert corrections([newest], logged(gen.record(gen.active(1)), newest).keys) == []
    assert corrections([newest], {}) == []


def test_a_log_that_ends_before_the_backup_ends_no_key() -> None:
    log = logged(gen.record(gen.active(1)))
    assert corrections([gen.record(gen.active(3), dead=(gen.tombstone(1), gen.tombstone(2)))], log.keys) == []


def test_the_log_of_another_installation_ends_no_key_and_raises_no_number() -> None:
    """Its ApiKeys may have the same names, and its versions higher numbers."""
    here = gen.record(gen.active(1))
    there = replace(gen.record(gen.active(7), dead=(gen.tombstone(1),)), installation="elsewhere")
    assert corrections([here], logged(there).keys) == []
    assert corrections([here], logged(there, gen.record(gen.active(2), dead=(gen.tombstone(1),))).keys) == [
        Correction(gen.KEY, 2, dead=((1, "key1"),))
    ]


def test_it_is_said_how_many_lines_are_about_keys_of_this_installation() -> None:
    here, there = gen.record(gen.active(1)), replace(gen.record(gen.active(1)), installation="elsewhere")
    assert ours(logged(here, here), [here]) == Ours(2, "")
    named = f"this installation ({here.installation})"
    assert ours(logged(here, there), [here]) == Ours(1, f"About keys of {named}: 1 of 2 lines. What is of elsewhere counts for nothing")
    assert ours(logged(there), [here]) == Ours(
        0, f"About keys of {named}: 0 of 1 line. What is of elsewhere counts for nothing", is_foreign=True
    )
    nothing = AuditHistory()
    nothing.take([b"not json"])
    assert ours(nothing, [here]) == Ours(0, f"About keys of {named}: 0 of 1 line", is_foreign=True)
    unknown = ours(logged(here), [])
    assert unknown.complaint.startswith("About keys of this installation, of which no record tells: 0 of 1 line")
    assert not unknown.is_foreign, "as in a dry run of a backup that would bring the records back"


def test_a_log_counts_before_the_records_of_its_backup_are_back() -> None:
    """A dry run of the page's restore said that it is the wrong log: nothing had been put back that could tell of the installation."""
    here = gen.record(gen.active(1))
    assert ours(logged(here), [], of_backup=here.installation) == Ours(1, "")
    assert ours(logged(here), [], of_backup="elsewhere").lines == 0


def test_lines_written_over_the_restored_records_hide_nothing() -> None:
    """The operator went on from the backup, before anybody looked."""
    before = gen.record(gen.active(7), dead=(gen.tombstone(6),))
    forked = replace(gen.record(gen.retiring(1), gen.active(2)), serial=9000)
    log = logged(gen.record(gen.active(1)), before, forked)
    assert corrections([forked], log.keys) == [Correction(gen.KEY, 7, dead=((1, "key1"), (2, "key2")))]


def test_an_imported_key_that_came_back_with_its_apikey_is_not_ended() -> None:
    """Its key ID is made of its digest: the same under the old number, which is dead, and the new one."""
    again = replace(gen.active(2), key_id="key1")
    log = logged(gen.record(gen.active(1)), replace(gen.record(again, dead=(gen.tombstone(1),)), serial=2000))
    assert log.keys[OURS].ended == frozenset()
    ended = gen.record(dead=(gen.tombstone(1), replace(gen.tombstone(2), key_id="key1")))
    log.take([json.dumps(as_json(audit_line(replace(ended, serial=3000), now=NOW))).encode()])
    assert log.keys[OURS].ended == {"key1"}


def test_the_highest_line_counts_in_whatever_order_they_come() -> None:
    lines = [
        {
            "installation": "here",
            "namespace": "a",
            "name": "b",
            "serial": 2,
            "versions": [{"number": 2, "keyID": "two", "state": "Active"}],
        },
        {
            "installation": "here",
            "namespace": "a",
            "name": "b",
            "serial": 1,
            "versions": [{"number": 1, "keyID": "one", "state": "Active"}],
        },
    ]
    history = AuditHistory()
    history.take([json.dumps(line).encode() for line in lines] + [b"not json", b"", b"[]", b'{"namespace": "a"}'])
    found = history.keys["here", Key("a", "b")]
    assert (found.highest, found.live, found.ended) == (2, {"two": "Active"}, {"one"})
    assert (history.lines, history.unreadable) == (5, 3)


def test_revocations_hold_no_more_key_ids_than_the_schema_allows_and_are_valid() -> None:
    many = [Correction(Key("a", f"b{number}"), 0, dead=((1, f"keyid{number:05}"),)) for number in range(2500)]
    replaced = Correction(gen.KEY, 2, replaced=((1, "replaced"),))
    found = [ApiKeyRevocation.model_validate(each) for each in revocations([*many, replaced], now=NOW)]
    assert [len(each.spec.key_ids or ()) for each in found] == [1000, 1000, 500, 1]
    assert [str(each.spec.mode) for each in found] == ["Immediate"] * 3 + ["Replace"]
    assert len({each.metadata.name for each in found}) == 4


def test_the_table_says_what_dies_what_is_replaced_and_who_restarts() -> None:
    found = [
        Correction(Key("a", "dead"), 5, dead=((1, "one"),), workloads=("deployment/web", "daemonset/log")),
        Correction(Key("a", "kept"), 3),
        Correction(Key("a", "replaced"), 0, replaced=((2, "two"),)),
    ]
    assert corrections_table(found, for_terminal=False).splitlines() == [
        "a\tdead\t1\tone\tdead\t5\tdeployment/web, daemonset/log",
        "a\tkept\t\t\tkept\t3\t",
        "a\treplaced\t2\ttwo\treplaced\t\t",
    ]


def test_a_folder_of_revocations_is_read_as_it_would_be_applied_anew(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    spec = {"keyIDs": ["abcdef"], "reason": "Leaked"}
    about = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "spec": spec}
    one = {
        **about,
        "metadata": {"name": "leak", "uid": "u", "resourceVersion": "7", "labels": {"team": "a"}},
        "status": {"revokedVersions": 1},
    }
    (tmp_path / "deep" / "list.json").write_text(json.dumps({"kind": "List", "items": [one]}))
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\n---\n- a list\n---\n")
    (tmp_path / "README.md").write_text("not read")
    assert read_revocation_folder(tmp_path) == [{**about, "metadata": {"name": "leak", "labels": {"team": "a"}}}]


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(UserMustAct, match=r"broken\.yaml cannot be read"):
        read_revocation_folder(tmp_path)
