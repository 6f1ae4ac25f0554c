"""An ApiKey whose record went back in time, and was put right by `restore.py`: told apart from the others until all of it is over. Pure."""

from __future__ import annotations

from dataclasses import replace

from keyturn.lifecycle.issuing import is_in_place
from keyturn.lifecycle.plan import Change, Plan, SaveRecord
from keyturn.lifecycle.situation import Situation


def restore_is_settled(case: Situation) -> Plan | None:
    """One version is left, and its consumers have it; or none, since the key has expired. Behind the rules that bring that about."""
    if case.record.restored_time is None:
        return None
    expiration = case.record.expiration_time
    has_expired = not case.record.versions and expiration is not None and expiration <= case.now
    only = case.record.versions[0] if len(case.record.versions) == 1 else None
    if not has_expired and (only is None or only is not case.active or not is_in_place(case, only)):
        return None
    return Plan((SaveRecord(replace(case.record, restored_time=None, change=Change.SETTLED)),))
