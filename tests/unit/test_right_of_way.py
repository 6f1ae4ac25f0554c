"""Who lets whom pass: the busy one the quiet one, nobody an equal, nobody for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.names import Key
from keyturn.controller.right_of_way import HALF_LIFE, QUIETER, RightOfWay, longest_wait
from keyturn.controller.workqueue import WorkQueue

BUSY, QUIET = Key("busy", "one"), Key("quiet", "one")
STEPS = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(0.0, 20.0)), max_size=60)


def after(steps: list[tuple[str, float]]) -> tuple[RightOfWay, float]:
    way, now = RightOfWay(), 0.0
    for namespace, pause in steps:
        now += pause
        way.note_step(namespace, now)
    return way, now


@given(steps=STEPS)
def test_of_any_who_work_at_once_somebody_goes_on(steps: list[tuple[str, float]]) -> None:
    """Letting pass has a direction, so there is no ring of namespaces that wait for each other."""
    way, now = after(steps)
    everybody = ("a", "b", "c")
    assert any(not way.lets_pass(each, everybody, now) for each in everybody)


@given(steps=STEPS, one=st.sampled_from(["a", "b", "c"]), other=st.sampled_from(["a", "b", "c"]))
def test_nobody_is_let_pass_who_took_a_quarter_as_much_or_more(steps: list[tuple[str, float]], one: str, other: str) -> None:
    way, now = after(steps)
    assert way.lets_pass(one, [other], now) == (one != other and way.steps_lately(other, now) < way.steps_lately(one, now) / QUIETER)


@given(steps=STEPS)
def test_whoever_is_alone_waits_for_nobody(steps: list[tuple[str, float]]) -> None:
    way, now = after(steps)
    assert not way.lets_pass("a", ["a"], now)
    assert not way.lets_pass("a", [], now)


def test_what_was_done_long_ago_counts_no_more() -> None:
    way, _ = after([("busy", 0.0)] * 100)
    assert way.lets_pass("busy", ["quiet"], 0.0)
    way.note_step("quiet", 10 * HALF_LIFE)
    assert not way.lets_pass("busy", ["quiet"], 10 * HALF_LIFE)


def test_namespaces_that_rest_take_no_memory() -> None:
    way = RightOfWay()
    for number in range(10_000):
        way.note_step(f"tenant-{number}", float(number))
    assert len(way) < 200


@given(last_step=st.floats(0.01, 60.0))
def test_a_busy_namespace_keeps_a_quarter_of_its_speed(last_step: float) -> None:
    assert last_step / (last_step + longest_wait(last_step)) >= 0.25 - 1e-9


class Crossing:
    """A queue with a busy namespace and a quiet one; their keys do what the test says."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.queue = WorkQueue(
            self.handle,
            workers=4,
            share=4,
            clock=lambda: datetime(2026, 11, 30, tzinfo=UTC),
            on_error=lambda _key, _error: None,
            on_run=lambda _result, _seconds: None,
            monotonic=monotonic,
        )
        self.quiet_ran, self.quiet_may_end = asyncio.Event(), asyncio.Event()
        self.busy_took_a_step, self.busy_went_on = asyncio.Event(), asyncio.Event()

    async def handle(self, key: Key) -> None:
        if key == QUIET:
            self.quiet_ran.set()
            await self.quiet_may_end.wait()
            return
        for _ in range(5):
            await self.queue.give_way(key)
            self.busy_took_a_step.set()
        self.busy_went_on.set()
        await self.quiet_ran.wait()

    async def run(self, *keys: Key) -> None:
        self.queue.start()
        for key in keys:
            self.queue.add(key)

    async def rest(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)


def no_time_passes() -> float:
    return 0.0


async def within_a_while(event: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await event.wait()


async def test_between_two_steps_the_busy_one_waits_until_the_quiet_one_has_passed() -> None:
    crossing = Crossing(no_time_passes)
    await crossing.run(QUIET, BUSY)
    await crossing.quiet_ran.wait()
    await crossing.rest()
    assert not crossing.busy_went_on.is_set()
    crossing.quiet_may_end.set()
    await crossing.busy_went_on.wait()
    assert await crossing.queue.stop(timedelta(seconds=5))


async def test_a_quiet_one_that_does_not_end_is_not_waited_for_for_ever() -> None:
    crossing = Crossing(time.monotonic)
    await crossing.run(QUIET, BUSY)
    await crossing.busy_went_on.wait()
    crossing.quiet_may_end.set()
    assert await crossing.queue.stop(timedelta(seconds=5))


async def test_what_is_urgent_waits_for_nobody() -> None:
    crossing = Crossing(no_time_passes)
    await crossing.run(QUIET)
    await crossing.quiet_ran.wait()
    crossing.queue.add_urgent(BUSY)
    await within_a_while(crossing.busy_went_on)
    crossing.quiet_may_end.set()
    assert await crossing.queue.stop(timedelta(seconds=5))


async def test_what_becomes_urgent_while_it_waits_waits_no_longer() -> None:
    """A revocation of a busy namespace's key mostly finds it running: its keys always run. Its last step took ten seconds."""
    crossing = Crossing(count(0.0, 10.0).__next__)
    await crossing.run(QUIET, BUSY)
    await crossing.busy_took_a_step.wait()
    await crossing.rest()
    assert not crossing.busy_went_on.is_set()
    crossing.queue.add_urgent(BUSY)
    await within_a_while(crossing.busy_went_on)
    crossing.quiet_may_end.set()
    assert await crossing.queue.stop(timedelta(seconds=5))
