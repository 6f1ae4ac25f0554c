"""The shortest way from a revocation to a dead key: by the record alone, before anything else of the ApiKey is read.

Thousands may have leaked at once. Before it: `reconcile.py`, which goes on where this has nothing to do or could not do it. What is to end
decides `lifecycle/revocation.py`.
"""

from __future__ import annotations

from keyturn.base.errors import Conflict
from keyturn.base.names import Key
from keyturn.controller.apikey.act import act
from keyturn.controller.apikey.observe import see_record
from keyturn.controller.apikey.refusals import StepRefused
from keyturn.controller.runtime import Runtime
from keyturn.lifecycle.observed import GoodRecord, NoSecret, Observed, RecordMark
from keyturn.lifecycle.restore import newest_knowledge_wins
from keyturn.lifecycle.revocation import revocation_acts


async def pull_brake(rt: Runtime, key: Key) -> bool:
    """Whether something was ended: then other keys that leaked go before the rest."""
    stored = rt.records.get(key)
    record = see_record(rt, key, stored) if stored is not None else None
    ended = False
    if stored is not None and isinstance(record, GoodRecord):
        ended = await _end(rt, key, record, RecordMark(stored.uid, stored.resource_version))
    rt.revocations.note(key)
    return ended


async def _end(rt: Runtime, key: Key, record: GoodRecord, mark: RecordMark) -> bool:
    ledger = Observed(
        now=rt.clock(),
        key=key,
        apikey=None,
        record=record,
        secret=NoSecret(),
        attestations=rt.witnesses.of(key),
        settings=rt.settings,
        installation=rt.installation.id,
        record_mark=mark,
        revocations=rt.revocations.of(record.record),
        announced_serial=rt.memory.announced_serial(key),
        clock_is_off=rt.clock_is_off,
    )
    # No rule that asks for an ApiKey may see this. And nothing may be written on top of a ledger that forgot.
    plan = None if newest_knowledge_wins(ledger) is not None else revocation_acts(ledger)
    if plan is None or not plan.is_brake:
        return False
    try:
        await act(rt, ledger, plan.steps)
    except (Conflict, StepRefused):
        return False  # a whole look at the ApiKey follows, which tries again and says what is wrong
    return True
