"""Terms that a bug ends: the operator says so, waits longer each time, and is ready again once a term lives."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta

import pytest

from keyturn.base.log_output import JsonFormatter
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.cluster.cache import Cache
from keyturn.cluster.watch import CacheSink
from keyturn.controller.broken_terms import LONGEST_PAUSE, BrokenTerms
from keyturn.controller.run import Health
from keyturn.controller.term_tasks import TermTasks

LIVES_AFTER = timedelta(minutes=1)
ITEM = {"metadata": {"name": "verifier-use-x", "resourceVersion": "5", "uid": "uid"}}


class Passing:
    """Terms on a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.terms = BrokenTerms(lives_after=LIVES_AFTER, monotonic=lambda: self.now)

    def break_after(self, seconds: float) -> float:
        """A term works for so long."""
        self.terms.note_life()
        self.now += seconds
        return self.terms.note_end("the watch died")


def test_nothing_is_said_before_a_term_broke() -> None:
    terms = Passing().terms
    terms.note_life()
    terms.note_idle()
    assert terms.complaint() is None


def test_the_pause_grows_while_terms_break_and_begins_anew_after_one_that_lived() -> None:
    passing = Passing()
    assert [passing.break_after(5.0) for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE]
    assert passing.break_after(60.0) == 1.0


def test_a_broken_term_is_told_of_until_one_lives() -> None:
    passing = Passing()
    passing.break_after(5.0)
    told = passing.terms.complaint()
    assert told is not None
    assert told.startswith("The last term ended by a bug: the watch died.")
    passing.terms.note_life()
    passing.now += 59.0
    assert passing.terms.complaint() == told
    passing.now += 1.0
    assert passing.terms.complaint() is None


def test_a_standby_that_takes_over_goes_on_telling_unless_the_other_s_term_lived() -> None:
    passing = Passing()
    passing.break_after(5.0)
    for waited, tells in ((30.0, True), (90.0, False)):
        passing.terms.note_life()
        passing.now += waited
        passing.terms.note_idle()
        assert (passing.terms.complaint() is not None) == tells


def test_a_replica_whose_term_broke_is_not_ready_and_not_unhealthy() -> None:
    health = Health(Settings())
    health.complaint = None
    assert health.is_unready() is None
    health.broken.note_end("the watch died")
    assert "the watch died" in str(health.is_unready())
    assert health.is_unhealthy() is None


async def raise_a_bug() -> None:
    raise ZeroDivisionError


async def test_what_is_waited_for_is_not_waited_for_when_its_task_died() -> None:
    tasks = TermTasks()
    tasks.start(raise_a_bug(), "The watch of /api/v1/configmaps")
    async with asyncio.timeout(5):
        assert not await tasks.reach(asyncio.Event())
    assert tasks.broken == "The watch of /api/v1/configmaps died of ZeroDivisionError"


async def test_what_is_waited_for_is_reached_while_all_live() -> None:
    tasks, listed = TermTasks(), asyncio.Event()
    watch = tasks.start(asyncio.Event().wait(), "watch")
    asyncio.get_running_loop().call_soon(listed.set)
    async with asyncio.timeout(5):
        assert await tasks.reach(listed)
    watch.cancel()
    await asyncio.wait({watch})
    assert (tasks.over.is_set(), tasks.broken) == (True, None)


async def test_the_log_has_the_traceback_of_what_died(caplog: pytest.LogCaptureFixture) -> None:
    tasks = TermTasks()
    await asyncio.wait({tasks.start(raise_a_bug(), "watch")})
    async with asyncio.timeout(5):
        await tasks.over.wait()
    (line,) = [json.loads(JsonFormatter().format(record)) for record in caplog.records if record.levelno == logging.ERROR]
    assert line["message"] == "A task died of a bug"
    assert "in raise_a_bug" in line["exception"]


@pytest.mark.parametrize("dies_in", ["decode", "on_change"])
@pytest.mark.parametrize("comes_by", ["list", "watch"])
def test_what_a_sink_raises_names_the_object(dies_in: str, comes_by: str) -> None:
    where = Key("", "verifier-use-x")

    def decode(_item: object) -> tuple[Key, None]:
        if dies_in == "decode":
            raise ZeroDivisionError
        return where, None

    def on_change(_key: Key) -> None:
        raise ZeroDivisionError

    sink = CacheSink(Cache[None](), decode=decode, on_change=on_change)

    def come() -> None:
        if comes_by == "watch":
            sink.take_change(ITEM, is_deletion=False, resource_version=5)
        sink.take_listed(ITEM)
        sink.end_list(6)

    with pytest.raises(ZeroDivisionError) as bug:
        come()
    assert bug.value.__notes__ == ["about verifier-use-x"]
