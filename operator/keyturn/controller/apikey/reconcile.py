"""The loop for one ApiKey, one screen: observe, decide, act, and again until the plan is empty; then the status.

Before it: `controller/workqueue.py`. It never raises for a user's mistake; what it raises the queue backs off from.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.errors import Conflict, RetryLater
from keyturn.base.names import Key
from keyturn.controller.apikey.act import act
from keyturn.controller.apikey.brake import pull_brake
from keyturn.controller.apikey.observe import observe
from keyturn.controller.apikey.refusals import StepRefused, explain_refused_step
from keyturn.controller.apikey.write_status import write_status
from keyturn.controller.runtime import Runtime
from keyturn.lifecycle.conclude import Outcome
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import REFUSAL_RECHECK, GoodRecord, Observed
from keyturn.lifecycle.plan import Plan

ROUNDS: Final = 12
"""A whole issue takes five; more than this means that two rules disagree for ever."""
LOOK_AT_THE_LEAD_AGAIN: Final = timedelta(seconds=1)


async def reconcile(rt: Runtime, key: Key) -> datetime | None:
    """Bring one ApiKey forward as far as it goes now; answers when to look again."""
    for _ in range(ROUNDS):
        await _let_others_pass(rt, key)
        if not rt.is_leading():
            return rt.clock() + LOOK_AT_THE_LEAD_AGAIN  # a renewal may be late; a term that is over ends the queue
        rt.queue.looks_now(key)  # the echoes of the writes of the last round, above all
        if rt.revocations.await_end(key) and await pull_brake(rt, key):
            return rt.clock()
        seen = await observe(rt, key, now=rt.clock())
        plan = decide(seen)
        if not plan.steps:
            return await _come_to_rest(rt, seen, plan)
        try:
            await act(rt, seen, plan.steps)
            if plan.is_brake:
                rt.revocations.note(key)
                return rt.clock()
        except Conflict:
            continue
        except StepRefused as refused:
            why = explain_refused_step(refused)
            rt.memory.note_refusal(key, refused.step, why)
            await write_status(rt, seen, plan, Outcome(failed=why, user_must_act=why.reason != Reason.NAMESPACE_TERMINATING))
            raise RetryLater(str(refused), after_seconds=REFUSAL_RECHECK.total_seconds()) from refused
    raise RetryLater(f"{key} did not come to rest in {ROUNDS} rounds")


async def _let_others_pass(rt: Runtime, key: Key) -> None:
    """But nobody before what leaked is dead, also where its end was tried and has to be tried again; what may take its time does."""
    if not rt.revocations.must_end_now(key):
        await rt.queue.give_way(key)


async def _come_to_rest(rt: Runtime, seen: Observed, plan: Plan) -> datetime | None:
    if not isinstance(seen.record, GoodRecord) or seen.record.record.serial <= seen.announced_serial:
        rt.memory.untold.pop(seen.key, None)  # also what was never written, or cannot be believed
    if seen.apikey is None:
        _bury(rt, seen.key, is_retained=isinstance(seen.record, GoodRecord) and seen.record.record.retained)
    else:
        await write_status(rt, seen, plan, Outcome())
    rt.verifiers.await_version(seen.key, plan.awaits_version, seen=seen.verifiers)
    if plan.deferred is not None and plan.deferred.reason == Reason.WAITING_FOR_PACER:
        return rt.pacer.turn(seen.key, now=seen.now)
    return plan.look_again_time


def _bury(rt: Runtime, key: Key, *, is_retained: bool) -> None:
    """The ApiKey is gone and everything about it is written: remember only that, and that it was told."""
    entry, told = rt.records.get(key), rt.memory.announced.get(key)
    rt.memory.forget(key)
    if not is_retained:  # what its product takes away reaches a retained key as well
        rt.products.forget(key)
    if entry is None:
        rt.memory.buried.pop(key, None)
        return
    rt.memory.buried[key] = entry.resource_version
    if told is not None:
        rt.memory.announced[key] = told
