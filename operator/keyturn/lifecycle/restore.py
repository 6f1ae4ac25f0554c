"""A ledger that went back in time: somebody restored a backup of the cluster, or put an old record back. Pure.

Every record that was ever signed proves something for good: all numbers up to its `highest` are dead but for its live versions. So what is
known can only be added up, in any order, and an old proof changes nothing. Who knows: verifiers, which keep in force the newest record
they were given, and this process, which saw the record before. The newest signed record is put back as it is. Where none is signed, or
something was written over the old one already, what is proven dead ends, and the next number is above all that are known.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base import names
from keyturn.base.clock import HOUR
from keyturn.base.version_state import VersionState
from keyturn.keys.record import Record, VersionEntry
from keyturn.lifecycle.observed import Attestation, BadRecord, GoodRecord, NoRecord, Observed
from keyturn.lifecycle.plan import Change, Plan, SaveRecord
from keyturn.lifecycle.versions import bury, with_tombstones

OLD_RECORD: Final = "OldRecordRestored"
"""Reason of a tombstone: the version had ended already, and an old record called it live."""
CLOCKS_DIFFER: Final = HOUR
HIGHEST_BELIEVED: Final = 1_000_000
"""Of a number that is not signed for: nobody must be able to use them all up."""


def newest_knowledge_wins(seen: Observed) -> Plan | None:
    """Before every other rule: nothing may be written on top of a ledger that forgot."""
    if isinstance(seen.record, BadRecord) and not seen.record.replaceable:
        return None
    stored = seen.record.record if isinstance(seen.record, GoodRecord) else None
    signed = [each.record for each in seen.attestations if each.record is not None]
    newest = max(signed, key=lambda record: record.serial, default=None)
    if newest is None or (stored is not None and newest.serial <= stored.serial):
        newest = stored
    if newest is None:
        return None  # nothing signed is known: `issuing.py` begins above the numbers that were told
    within, known = seen.settings.replace_within, newest
    for each in (*seen.attestations, *([attestation_of(stored)] if stored is not None else [])):
        known = _with(known, each, now=seen.now, within=within)
    if stored is not None and known != stored:
        known = replace(known, restored_time=seen.now)
    annotated = highest_annotated(seen.apikey) if seen.apikey is not None else 0
    known = replace(known, highest=max(known.highest, annotated))
    if known == stored:
        return None
    if stored is None:
        return Plan((SaveRecord(replace(known, change=Change.RESTORED), create=isinstance(seen.record, NoRecord)),))
    return Plan((SaveRecord(replace(known, change=Change.RECOVERED)),))


def attestation_of(record: Record) -> Attestation:
    """What a record proves."""
    return Attestation(record.serial, record.highest, frozenset(entry.key_id for entry in record.versions), record)


def highest_told(seen: Observed) -> int:
    """The highest version number that anybody but the record knows of."""
    annotated = highest_annotated(seen.apikey) if seen.apikey is not None else 0
    return max(annotated, *(_highest(each) for each in seen.attestations), 0)


def highest_annotated(apikey: ApiKey) -> int:
    """What `keyturn recover` found in the audit log, as an annotation: whoever may write it can skip numbers, and nothing else."""
    text = (apikey.metadata.annotations or {}).get(names.HIGHEST_ANNOTATION, "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(HIGHEST_BELIEVED)) else 0
    return number if number <= HIGHEST_BELIEVED else 0


def latest_serial_told(seen: Observed) -> int:
    """The serial that the next record must exceed, or whoever knows better would ignore it."""
    return max((_serial(each, now=seen.now) for each in seen.attestations), default=0)


def _with(record: Record, told: Attestation, *, now: datetime, within: timedelta) -> Record:
    """The record with what an attestation adds to it."""
    highest = _highest(told)
    dead = tuple(entry for entry in record.versions if entry.number <= told.highest and entry.key_id not in told.live)
    if dead:
        record = bury(record, *dead, state=VersionState.REVOKED, reason=OLD_RECORD, now=now)
    record = replace(record, serial=max(record.serial, _serial(told, now=now)))
    if highest <= record.highest:
        return record
    if told.record is not None:
        return _with_signed(record, told.record)
    # Later versions were given out, and nobody can have them back: what is left is replaced.
    return replace(record, highest=highest, versions=tuple(_with_end(entry, now + within) for entry in record.versions))


def _with_signed(record: Record, later: Record) -> Record:
    """With the versions that were given out after this record was written, and what became of the others."""
    theirs = {entry.key_id: entry for entry in later.versions}
    kept = tuple(_earlier_end(theirs[entry.key_id], entry) if entry.key_id in theirs else entry for entry in record.versions)
    added = tuple(entry for entry in later.versions if entry.number > record.highest)
    dead = {entry.key_id: entry for entry in (*later.dead, *record.dead)}
    joined = replace(
        record,
        highest=later.highest,
        versions=tuple(sorted((*kept, *added), key=lambda entry: entry.number)),
        dead_through=max(record.dead_through, later.dead_through),
        ended_digests=tuple(dict.fromkeys((*later.ended_digests, *record.ended_digests))),
    )
    return with_tombstones(joined, dead.values())


def _earlier_end(entry: VersionEntry, other: VersionEntry) -> VersionEntry:
    return _with_end(entry, other.not_after) if other.not_after is not None else entry


def _with_end(entry: VersionEntry, end: datetime) -> VersionEntry:
    return replace(entry, not_after=min(end, entry.not_after or end))


def _serial(told: Attestation, *, now: datetime) -> int:
    """Serials are instants: one that is not signed for is not believed from the future."""
    latest = int((now + CLOCKS_DIFFER).timestamp() * 1000)
    return told.serial if told.record is not None or told.serial <= latest else 0


def _highest(told: Attestation) -> int:
    return told.highest if told.record is not None or told.highest <= HIGHEST_BELIEVED else 0
