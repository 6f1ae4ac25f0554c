"""Which ApiKey is looked at next: after `handlers.py` and the caches said that something changed, before `apikey/reconcile.py`.

One key never runs twice at once; repeats collapse; a key added while it runs is run once more. Namespaces take turns, and none has more
than its share of the workers (`turns.py`). Keys wait for their time in one heap under one timer: no task and no timer a key, about 120
bytes for each that is scheduled. A time is a wall-clock instant (a rotation due on a Tuesday must survive a suspended machine), read from
the injected clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keyturn.base.clock import Clock
from keyturn.base.due_times import DueTimes
from keyturn.base.errors import Conflict, OutcomeUnknown, RetryLater, UserMustAct
from keyturn.base.log_output import get_logger
from keyturn.base.metrics import RunResult, count_run
from keyturn.base.names import Key
from keyturn.controller.right_of_way import RightOfWay, longest_wait
from keyturn.controller.turns import Turns

Handle = Callable[[Key], Awaitable[datetime | None]]
OnError = Callable[[Key, Exception], None]
OnRun = Callable[[RunResult, float], None]

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 60.0
FIRST_SHORT_DELAY: Final = 0.1
LONGEST_SHORT_DELAY: Final = 10.0
_LOOK_AT_CLOCK_SECONDS: Final = 30.0
"""A clock may be set; the timer never trusts one reading for longer."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The queue at a glance, for metrics and probes."""

    depth: int
    """Ready to run and not running."""
    scheduled: int
    """Waiting for their time."""
    running: int
    failing: int
    """Keys whose last run failed."""
    workers: int
    """Alive; fewer than were asked for means that one died of a bug outside the handler."""
    stuck_seconds: float
    """Since a run last began or ended, while there is something to do; else 0."""


def back_off_seconds(error: Exception, *, failures: int) -> float:
    """How long a key waits after its `failures`-th failure in a row (from 1). The server's own Retry-After is a floor."""
    steps = min(failures - 1, 16)
    if isinstance(error, Conflict | OutcomeUnknown):
        delay = 0.0 if failures == 1 else min(FIRST_SHORT_DELAY * 2 ** (steps - 1), LONGEST_SHORT_DELAY)
    else:
        delay = min(FIRST_DELAY * 2**steps, LONGEST_DELAY)
    advice = error.after_seconds if isinstance(error, RetryLater) else None
    return max(delay, advice or 0.0)


class WorkQueue:
    """Runs `handle(key)` for every key added, `workers` at a time and `share` of one namespace; what it returns is when to look again.

    `on_error` is told of every failure, `on_run` of every run's result and length in seconds.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        workers: int,
        share: int,
        clock: Clock,
        on_error: OnError,
        on_run: OnRun = count_run,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handle = handle
        self._workers = workers
        self._clock = clock
        self._on_error = on_error
        self._on_run = on_run
        self._monotonic = monotonic
        self._turns = Turns(share=share)
        self._may_start = asyncio.Semaphore(0)
        self._running: set[Key] = set()
        self._again: dict[Key, bool] = {}
        """Keys to run once more after this run; True: before what is not urgent."""
        self._failures: dict[Key, int] = {}
        self._schedule = DueTimes[Key]()
        self._sooner = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._nothing_runs = asyncio.Event()
        self._nothing_runs.set()
        self._stopping = False
        self._way = RightOfWay()
        self._step_began: dict[Key, float] = {}
        self._way_changed = asyncio.Event()
        """A run ended, or one that waits became urgent. Never set for longer than a moment: it wakes those that give way now."""
        self._progress_at = self._monotonic()

    def start(self) -> None:
        """Start the workers and the timer, in the running event loop."""
        self._progress_at = self._monotonic()
        self._tasks = [asyncio.create_task(self._work(), name=f"worker-{number}") for number in range(self._workers)]
        self._tasks.append(asyncio.create_task(self._keep_time(), name="worker-timer"))

    async def stop(self, timeout: timedelta) -> bool:  # noqa: ASYNC109 - how long the running work may take to finish
        """Start nothing new, let running work finish, then cancel what is left; True if everything finished."""
        self._stopping = True
        finished = True
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._nothing_runs.wait()
        except TimeoutError:
            finished = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        return finished

    def add_urgent(self, key: Key) -> None:
        """Look at the key before every other that is not urgent."""
        if key in self._running:
            self._again[key] = True
            self._wake_who_gives_way()
            return
        self._schedule.drop(key)
        if self._turns.add_urgent(key):
            self._may_start.release()

    def add(self, key: Key, at: datetime | None = None) -> None:
        """Look at the key now, or at an instant; of several instants the earliest counts."""
        if at is not None and at > self._clock():
            if self._schedule.put_sooner(key, at.timestamp()):
                self._sooner.set()
            return
        self._schedule.drop(key)
        if key in self._running:
            self._again.setdefault(key, False)
        elif self._turns.add(key):
            self._may_start.release()

    def looks_now(self, key: Key) -> None:
        """The running work is about to look at everything anew: whatever was added until now is covered by that look."""
        self._again.pop(key, None)

    async def give_way(self, key: Key) -> None:
        """Before each step of the running work: let the keys of much quieter namespaces pass. What is urgent waits for nobody."""
        now = self._monotonic()
        self._way.note_step(key.namespace, now)
        end = now + longest_wait(now - self._step_began.get(key, now))
        while now < end and not self._is_urgent(key) and self._way.lets_pass(key.namespace, self._turns.running, now):
            with suppress(TimeoutError):
                async with asyncio.timeout(end - now):
                    await self._way_changed.wait()
            now = self._monotonic()
        self._step_began[key] = now

    def look_at_clock(self) -> None:
        """The clock was moved (a test's, a demo's): see at once what is due."""
        self._sooner.set()

    @property
    def stats(self) -> QueueStats:
        """The queue at this moment."""
        return QueueStats(
            depth=len(self._turns),
            scheduled=len(self._schedule),
            running=len(self._running),
            failing=len(self._failures),
            workers=sum(not task.done() for task in self._tasks[:-1]),
            stuck_seconds=self._monotonic() - self._progress_at if self._turns or self._running else 0.0,
        )

    async def _work(self) -> None:
        while True:
            await self._may_start.acquire()
            if self._stopping:
                return
            key = self._turns.take()
            self._running.add(key)
            self._nothing_runs.clear()
            self._schedule.drop(key)  # the run says anew when to look again
            self._progress_at = started = self._monotonic()
            try:
                result = await self._run(key)
            finally:
                self._ended(key)
            self._on_run(result, self._monotonic() - started)
            await asyncio.sleep(0)  # a run that asks nothing never waited: thousands of them would keep the Lease from being renewed

    async def _run(self, key: Key) -> RunResult:
        try:
            look_again = await self._handle(key)
        except UserMustAct as error:
            self._failures.pop(key, None)
            self._on_error(key, error)
            return RunResult.USER_MUST_ACT
        except RetryLater as error:
            self._back_off(key, error)
            return RunResult.CONFLICT if isinstance(error, Conflict | OutcomeUnknown) else RunResult.RETRY
        except Exception as error:  # the one of the project: a bug in one key's path must not end the others
            log.exception("Reconcile failed with a bug", namespace=key.namespace, name=key.name, error=type(error).__name__)
            self._back_off(key, error)
            return RunResult.BUG
        self._failures.pop(key, None)
        if look_again is not None:
            self.add(key, at=look_again)
        return RunResult.DONE

    def _back_off(self, key: Key, error: Exception) -> None:
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        self._on_error(key, error)
        delay = back_off_seconds(error, failures=failures)
        self.add(key, at=self._clock() + timedelta(seconds=delay) if delay else None)

    def _ended(self, key: Key) -> None:
        self._progress_at = self._monotonic()
        self._running.discard(key)
        self._step_began.pop(key, None)
        self._wake_who_gives_way()
        if self._turns.end(key):
            self._may_start.release()
        if not self._running:
            self._nothing_runs.set()
        if key in self._again:
            (self.add_urgent if self._again.pop(key) else self.add)(key)

    def _is_urgent(self, key: Key) -> bool:
        """Whether a running key was urgent when it began, or is by now: a revocation may come while it waits."""
        return self._turns.is_urgent(key) or self._again.get(key, False)

    def _wake_who_gives_way(self) -> None:
        self._way_changed.set()
        self._way_changed.clear()

    async def _keep_time(self) -> None:
        while True:
            self._sooner.clear()
            now = self._clock().timestamp()
            while (key := self._schedule.take(now)) is not None:
                self.add(key)
            due = self._schedule.first()[0] if self._schedule else None
            delay = _LOOK_AT_CLOCK_SECONDS if due is None else min(max(due - now, 0.001), _LOOK_AT_CLOCK_SECONDS)
            try:
                async with asyncio.timeout(delay):
                    await self._sooner.wait()
            except TimeoutError:
                continue
