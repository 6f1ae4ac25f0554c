"""What is left to do when the ApiKey is gone. No finalizer: an absent operator must never hang a namespace's deletion."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from keyturn.base.version_state import VersionState
from keyturn.lifecycle.observed import GoodRecord, Observed
from keyturn.lifecycle.plan import Announce, Change, Plan, SaveRecord
from keyturn.lifecycle.versions import bury, with_tombstones

TOMBSTONES_KEPT: Final = timedelta(days=90)


def decide_for_gone_apikey(seen: Observed) -> Plan:
    """Revoke everything, or note that the key stays by wish; tombstones go after 90 days, numbers and digests never."""
    if not isinstance(seen.record, GoodRecord):
        return Plan()
    record = seen.record.record
    if record.serial > seen.announced_serial and (record.retained or not record.versions):
        return Plan((Announce(record),))  # an end waits for no Event: what lives is ended first
    if record.retained:
        return Plan()
    if record.versions and record.retain_on_delete:
        return Plan((SaveRecord(replace(record, retained=True, change=Change.RETAINED)),))
    if record.versions or record.ended_time is None:
        ended = bury(record, *record.versions, state=VersionState.REVOKED, reason="ApiKeyDeleted", now=seen.now)
        return Plan((SaveRecord(replace(ended, ended_time=seen.now, change=Change.ENDED)),))
    forget_time = record.ended_time + TOMBSTONES_KEPT
    if not record.dead:
        return Plan()
    if seen.now < forget_time or seen.clock_is_off:
        return Plan(look_again_time=forget_time)
    stub = with_tombstones(record, record.dead, limit=0)
    return Plan((SaveRecord(replace(stub, dead_through=record.highest, secret=None, change=Change.FORGOTTEN)),))
