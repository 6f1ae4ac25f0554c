"""A ledger that went back in time, and those who know better: what they say only adds up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import lifecycle as gen
from keyturn.api.newer_records import LARGEST, NewerRecord, read_newer_records, write_newer_records
from keyturn.base.version_state import VersionState
from keyturn.keys.record import Record
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import Attestation, BadRecord, NoRecord, Observed
from keyturn.lifecycle.plan import Change, SaveRecord, Stage
from keyturn.lifecycle.restore import HIGHEST_BELIEVED, attestation_of, newest_knowledge_wins
from keyturn.lifecycle.versions import is_dead

OLD = gen.record(gen.active(1))
NEW = replace(gen.record(gen.active(7), dead=tuple(gen.tombstone(number) for number in range(1, 7))), serial=2000)


def saved(seen: Observed) -> Record:
    plan = newest_knowledge_wins(seen)
    assert plan is not None
    (step,) = plan.steps
    assert isinstance(step, SaveRecord)
    return step.record


def unsigned(record: Record) -> Attestation:
    return replace(attestation_of(record), record=None)


def test_the_newest_signed_record_is_put_back_as_it_was() -> None:
    seen = gen.observed(OLD, gen.ours(1), attestations=(attestation_of(NEW),))
    assert saved(seen) == replace(NEW, change=Change.RECOVERED, restored_time=gen.NOW)


def test_a_record_that_is_gone_is_written_again_whole() -> None:
    plan = decide(gen.observed(NoRecord(), gen.ours(1), attestations=(attestation_of(OLD), attestation_of(NEW))))
    assert plan.steps == (SaveRecord(replace(NEW, change=Change.RESTORED), create=True),)


def test_what_is_only_said_ends_keys_and_brings_back_none() -> None:
    record = saved(gen.observed(OLD, gen.ours(1), attestations=(unsigned(NEW),)))
    assert (record.versions, record.highest, record.serial) == ((), 7, 2000)
    assert [(entry.number, entry.state, entry.reason) for entry in record.dead] == [(1, VersionState.REVOKED, "OldRecordRestored")]


def test_a_version_that_had_a_successor_is_replaced_where_nobody_has_the_successor() -> None:
    newer = replace(gen.record(gen.retiring(1), gen.active(2)), serial=2000)
    seen = gen.observed(OLD, gen.ours(1), attestations=(unsigned(newer),))
    record = saved(seen)
    assert [entry.not_after for entry in record.versions] == [gen.NOW + seen.settings.replace_within]
    (step,) = decide(gen.observed(record, gen.ours(1), attestations=(unsigned(newer),))).steps
    assert isinstance(step, Stage)
    assert step.number == 3


def test_what_was_written_over_an_old_record_is_joined_with_the_newer_one() -> None:
    """An operator that knew only the backup has rotated: its version 2 bears a number that was given out before."""
    forked = replace(gen.record(gen.retiring(1), gen.active(2)), serial=3000)
    record = saved(gen.observed(forked, gen.ours(2), attestations=(attestation_of(NEW),)))
    assert [entry.key_id for entry in record.versions] == ["key7"]
    assert all(is_dead(record, number) for number in range(1, 7))
    assert (record.highest, record.serial) == (7, 3000)


@given(st.integers(0, 6), st.booleans())
def test_an_older_record_says_nothing_new(back: int, signed: bool) -> None:
    """Every record of a history is true of all that come after it."""
    history = [gen.record(gen.active(1))]
    for number in range(2, 8):
        dead = tuple(gen.tombstone(gone) for gone in range(1, number - 1))
        history.append(replace(gen.record(gen.retiring(number - 1), gen.active(number), dead=dead), serial=1000 + number))
    told = attestation_of(history[back]) if signed else unsigned(history[back])
    assert newest_knowledge_wins(gen.observed(history[-1], gen.ours(7), attestations=(told,))) is None


def test_a_number_that_nobody_signed_for_is_not_believed_beyond_reason() -> None:
    told = Attestation(serial=10**18, highest=HIGHEST_BELIEVED + 1, live=frozenset({"key1"}))
    assert newest_knowledge_wins(gen.observed(OLD, gen.ours(1), attestations=(told,))) is None


@pytest.mark.parametrize("replaceable", [True, False])
def test_a_record_that_must_be_looked_at_first_is_left_alone(replaceable: bool) -> None:
    bad = BadRecord("RecordTooNew", "written by a newer Keyturn", replaceable=replaceable)
    plan = newest_knowledge_wins(gen.observed(bad, gen.ours(1), attestations=(attestation_of(NEW),)))
    assert (plan is not None) == replaceable


def test_without_a_record_a_key_begins_above_every_number_that_was_told() -> None:
    (step,) = decide(gen.observed(NoRecord(), attestations=(unsigned(NEW),))).steps
    assert isinstance(step, Stage)
    assert (step.number, step.base.serial) == (8, 2000)


@pytest.mark.parametrize(("text", "number"), [("40", 41), ("1", 3), ("1000001", 3), ("-9", 3), ("4e1", 3), ("", 3)])
def test_an_annotation_can_skip_numbers_and_nothing_else(text: str, number: int) -> None:
    apikey = gen.apikey(annotations={"keyturn.dev/highest-version": text, "keyturn.dev/rotate-requested-at": "now"})
    record = gen.record(gen.active(2), of=apikey)
    if number > record.highest + 1:  # it is taken up at once, so that `keyturn recover` can see it is
        record = saved(gen.observed(record, gen.ours(2, of=apikey), of=apikey))
        assert record == replace(gen.record(gen.active(2), of=apikey), highest=number - 1, change=Change.RECOVERED)
    (step,) = decide(gen.observed(record, gen.ours(2, of=apikey), of=apikey)).steps
    assert isinstance(step, Stage)
    assert step.number == number


def test_a_report_is_read_as_it_was_written() -> None:
    told = [NewerRecord("shop.billing", 7, 3, frozenset({"b", "a"}), b'{"x":1}', b"ed25519:\xff"), NewerRecord("shop.x", 1, 0, frozenset())]
    assert list(read_newer_records(write_newer_records(told))) == told


def test_a_report_is_filled_up_to_its_limit() -> None:
    many = [NewerRecord(f"shop.key-{number}", number, 1, frozenset(), b"r" * 900, b"s" * 100) for number in range(1000)]
    text = write_newer_records(many)
    assert LARGEST - 2000 < len(text) <= LARGEST
    assert list(read_newer_records(text)) == many[: text.count("\n")]


@given(st.text() | st.sampled_from(['{"name":"a","serial":-1,"highest":1,"live":[]}', '{"name":"a"}', "[" * 10_000]))
def test_lines_that_cannot_be_read_count_as_not_written(line: str) -> None:
    assert list(read_newer_records(line)) == []


@pytest.mark.parametrize(
    "name", ["shop", "shop.", ".billing", "shop.billing?x", "shop.x/../billing", "shop.billing#", "shop..", "shop." + 64 * "x"]
)
def test_a_line_about_a_name_that_is_no_record_s_counts_as_not_written(name: str) -> None:
    of_that_name, good = NewerRecord(name, 7, 3, frozenset()), NewerRecord("shop.billing-v2.internal", 7, 3, frozenset())
    assert list(read_newer_records(write_newer_records([of_that_name, good]))) == [good]
