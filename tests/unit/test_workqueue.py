"""The queue under a clock of our own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.base.errors import Conflict, OutcomeUnknown, RetryLater, UserMustAct
from keyturn.base.metrics import RunResult
from keyturn.base.names import Key
from keyturn.controller.workqueue import WorkQueue, back_off_seconds

A, B = Key("team-a", "a"), Key("team-a", "b")
OTHER = Key("team-b", "a")


class HandClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class World:
    """A queue, its clock, and what happened."""

    def __init__(self, handle: Callable[[Key], Awaitable[datetime | None]] | None = None, *, workers: int = 4, share: int = 4) -> None:
        self.clock = HandClock()
        self.runs: list[Key] = []
        self.errors: list[Exception] = []
        self.results: list[RunResult] = []
        self._handle = handle
        hears = {"on_error": self._on_error, "on_run": self._on_run}
        self.queue = WorkQueue(self.handle, workers=workers, share=share, clock=self.clock, **hears)

    async def handle(self, key: Key) -> datetime | None:
        self.runs.append(key)
        return None if self._handle is None else await self._handle(key)

    def _on_error(self, _key: Key, error: Exception) -> None:
        self.errors.append(error)

    def _on_run(self, result: RunResult, _seconds: float) -> None:
        self.results.append(result)

    async def pass_time(self, seconds: float) -> None:
        self.clock.now += timedelta(seconds=seconds)
        self.queue.look_at_clock()
        await settle()


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    world.queue.start()
    await settle()
    try:
        yield world
    finally:
        await world.queue.stop(timedelta(0))


async def test_a_key_added_many_times_before_it_runs_runs_once() -> None:
    world = World()
    for _ in range(5):
        world.queue.add(A)
    async with running(world):
        assert world.runs == [A]


async def test_a_key_added_while_it_runs_runs_once_more_and_never_beside_itself() -> None:
    gate = asyncio.Event()
    at_once = 0

    async def handle(_key: Key) -> None:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        await gate.wait()
        at_once -= 1

    async with running(World(handle)) as world:
        world.queue.add(A)
        await settle()
        world.queue.add(A)
        world.queue.add(A)
        await settle()
        assert world.runs == [A]
        gate.set()
        await settle()
        assert world.runs == [A, A]


async def test_a_key_runs_when_its_time_has_come_and_not_before() -> None:
    async with running(World()) as world:
        world.queue.add(A, at=world.clock.now + timedelta(hours=1))
        await world.pass_time(3599)
        assert world.runs == []
        await world.pass_time(1)
        assert world.runs == [A]


async def test_of_several_times_the_earliest_counts() -> None:
    async with running(World()) as world:
        for hours in (2, 1, 3):
            world.queue.add(A, at=world.clock.now + timedelta(hours=hours))
        await world.pass_time(3600)
        assert world.runs == [A]
        await world.pass_time(24 * 3600)
        assert world.runs == [A]


async def test_what_the_handler_returns_is_when_the_key_runs_again() -> None:
    async def handle(_key: Key) -> datetime | None:
        return world.clock.now + timedelta(minutes=5) if len(world.runs) == 1 else None

    world = World(handle)
    async with running(world):
        world.queue.add(A)
        await settle()
        assert world.queue.stats.scheduled == 1
        await world.pass_time(300)
        assert world.runs == [A, A]
        assert world.queue.stats.scheduled == 0


async def test_namespaces_take_turns() -> None:
    world = World(workers=1)
    for number in range(3):
        world.queue.add(Key("large", str(number)))
    world.queue.add(OTHER)
    async with running(world):
        assert world.runs == [Key("large", "0"), OTHER, Key("large", "1"), Key("large", "2")]


async def test_what_is_urgent_goes_before_all_that_waits_and_runs_once() -> None:
    world = World(workers=1)
    keys = [Key("team-a", str(number)) for number in range(4)]
    for key in keys:
        world.queue.add(key)
    world.queue.add(OTHER, at=world.clock.now + timedelta(seconds=60))
    for key in (keys[3], OTHER, keys[2], keys[3]):
        world.queue.add_urgent(key)
    world.queue.add(keys[3])
    assert world.queue.stats.depth == 5
    world.queue.start()
    await settle()
    assert world.runs == [keys[3], OTHER, keys[2], keys[0], keys[1]]
    await world.pass_time(61)
    assert len(world.runs) == 5
    await world.queue.stop(timedelta(seconds=1))


async def test_what_becomes_urgent_while_it_runs_runs_again_before_all_that_waits() -> None:
    async def handle(_key: Key) -> datetime | None:
        if world.runs == [A]:
            world.queue.add(A)
            world.queue.add_urgent(A)
            world.queue.add(A)
        return None

    world = World(handle, workers=1)
    world.queue.add(A)
    world.queue.add(B)
    world.queue.start()
    await settle()
    assert world.runs == [A, A, B]
    await world.queue.stop(timedelta(seconds=1))


async def test_a_namespace_has_no_more_than_its_share_of_the_workers() -> None:
    """With all of them, every request of a neighbour's one key is one of sixty."""
    gate = asyncio.Event()

    async def handle(_key: Key) -> None:
        await gate.wait()

    async with running(World(handle, workers=5, share=2)) as world:
        for number in range(6):
            world.queue.add(Key("large", str(number)))
        await settle()
        assert world.queue.stats.running == 2
        world.queue.add(OTHER)
        world.queue.add_urgent(Key("large", "5"))
        await settle()
        assert world.runs == [Key("large", "0"), Key("large", "1"), Key("large", "5"), OTHER]
        gate.set()
        await settle()
        assert len(world.runs) == 7
        assert world.queue.stats.depth == 0


async def test_a_bug_in_one_key_backs_off_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def handle(key: Key) -> None:
        if key == A:
            raise ZeroDivisionError

    async with running(World(handle, workers=1)) as world:
        world.queue.add(A)
        world.queue.add(B)
        await settle()
        assert world.runs == [A, B]
        assert world.results == [RunResult.BUG, RunResult.DONE]
        await world.pass_time(1)
        await world.pass_time(1)
        assert world.runs == [A, B, A]
        await world.pass_time(1)
        assert world.runs == [A, B, A, A]
    assert caplog.records[0].exc_info is not None


async def test_a_success_forgets_the_failures_before_it() -> None:
    async def handle(_key: Key) -> None:
        if len(world.runs) != 2:
            raise RetryLater("again")

    world = World(handle)
    async with running(world):
        world.queue.add(A)
        await settle()
        await world.pass_time(1)
        assert world.queue.stats.failing == 0
        world.queue.add(A)
        await settle()
        await world.pass_time(1)
        assert world.runs == [A] * 4


async def test_a_conflict_is_looked_at_again_at_once() -> None:
    async def handle(_key: Key) -> None:
        if len(world.runs) == 1:
            raise Conflict("409")

    world = World(handle)
    async with running(world):
        world.queue.add(A)
        await settle()
        assert world.results == [RunResult.CONFLICT, RunResult.DONE]


async def test_what_a_user_must_do_is_not_retried() -> None:
    async def handle(_key: Key) -> None:
        raise UserMustAct("write less", reason="TooMuch")

    async with running(World(handle)) as world:
        world.queue.add(A)
        await settle()
        await world.pass_time(3600)
        assert world.results == [RunResult.USER_MUST_ACT]
        assert world.queue.stats.scheduled == 0


@pytest.mark.parametrize(
    ("error", "delays"),
    [
        (RetryLater("x"), [1, 2, 4, 8, 16, 32, 60, 60]),
        (ValueError(), [1, 2, 4, 8, 16, 32, 60, 60]),
        (Conflict("x"), [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10]),
        (OutcomeUnknown("x"), [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10]),
        (RetryLater("x", after_seconds=7), [7, 7, 7, 8]),
    ],
)
def test_back_off_grows_to_its_cap_and_heeds_the_server(error: Exception, delays: list[float]) -> None:
    assert [back_off_seconds(error, failures=n + 1) for n in range(len(delays))] == delays


async def test_stopping_lets_running_work_finish_and_starts_nothing_new() -> None:
    gate = asyncio.Event()
    done: list[Key] = []

    async def handle(key: Key) -> None:
        await gate.wait()
        done.append(key)

    world = World(handle, workers=1)
    world.queue.start()
    world.queue.add(A)
    await settle()
    world.queue.add(B)
    stopping = asyncio.create_task(world.queue.stop(timedelta(seconds=5)))
    await settle()
    gate.set()
    assert await stopping
    assert done == [A]


async def test_work_that_does_not_finish_in_time_is_cancelled() -> None:
    async def handle(_key: Key) -> None:
        await asyncio.Event().wait()

    world = World(handle)
    world.queue.start()
    world.queue.add(A)
    await settle()
    assert not await world.queue.stop(timedelta(milliseconds=10))


async def test_what_is_added_before_a_look_is_covered_by_it_and_what_comes_later_is_not() -> None:
    looks: list[str] = []

    async def handle(key: Key) -> None:
        looks.append("first")
        world.queue.add(key)
        world.queue.looks_now(key)
        looks.append("second")
        if len(looks) == 2:
            world.queue.add(key)

    async with running(World(handle)) as world:
        world.queue.add(A)
        await settle()
        assert looks == ["first", "second"] * 2


async def test_a_queue_without_work_is_never_stuck() -> None:
    async with running(World()) as world:
        world.queue.add(A)
        await settle()
        assert world.queue.stats.stuck_seconds == 0
        assert world.queue.stats.workers == 4


async def test_between_keys_that_ask_nothing_everybody_else_gets_a_turn() -> None:
    """Ten thousand ApiKeys that waited for a place were looked at in one go: no Lease was renewed meanwhile, and no answer read."""
    turn, turns_of_runs = 0, Counter[int]()

    async def handle(_key: Key) -> None:
        turns_of_runs[turn] += 1

    world = World(handle, workers=2)
    for number in range(10):
        world.queue.add(Key("crowd", str(number)))
    world.queue.start()
    for turn in range(20):  # noqa: B007 - what `handle` sees
        await asyncio.sleep(0)
    await world.queue.stop(timedelta(0))
    assert (max(turns_of_runs.values()), turns_of_runs.total()) == (2, 10)
