"""`keyturn verifier --processes N`: binds the sockets, keeps N workers (`worker.py`) alive, and answers the kubelet and Prometheus for all.

It decides nothing (`supervision.py` does), sees no request, and knows no key.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry

from keyturn.base.duration import format_duration
from keyturn.base.log_output import configure_logging, get_logger
from keyturn.base.probe_server import ProbeServer
from keyturn.base.stop_signals import stop_on_signals
from keyturn.verifier.service import metrics
from keyturn.verifier.service.doors import listeners_of
from keyturn.verifier.service.processes.door_board import DoorBoard
from keyturn.verifier.service.processes.gathered_metrics import Gathered, described
from keyturn.verifier.service.processes.supervision import (
    FAILED,
    STOPPED,
    GiveUp,
    Life,
    Restart,
    Standing,
    after_end,
    complaint_of_all,
    is_stuck,
)
from keyturn.verifier.service.processes.worker_process import Assignment, WorkerProcess, WorkerSilent
from keyturn.verifier.service.settings import VerifierSettings

LOOK_INTERVAL: Final = 0.5
LAST_WORDS: Final = 15.0
"""Seconds a worker may take over its end beyond the drain: its last reports, and its Lease."""

log = get_logger(__name__)


async def run(settings: VerifierSettings) -> int:
    """Run until SIGTERM or SIGINT; answers the exit status: 0 stopped as asked, 1 failed, 4 not allowed."""
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        supervisor = Supervisor(settings, stop)
        probes = supervisor.probes()
        await probes.start()
        try:
            return await supervisor.run()
        finally:
            await probes.stop()
    except OSError as error:
        log.error("Cannot go on", problem=str(error))
        return FAILED


class Supervisor:
    """Raises OSError if an address is taken."""

    def __init__(self, settings: VerifierSettings, stop: asyncio.Event) -> None:
        self._settings, self._stop = settings, stop
        self._listeners = [listener for listener in listeners_of(settings) if listener is not None]
        for listener in self._listeners:
            listener.setblocking(False)  # noqa: FBT003  it has no other form; holds in the workers too
        self._board = DoorBoard.create(doors=2, processes=settings.processes)
        self._workers: dict[int, WorkerProcess] = {}
        self._standings = [Standing()] * settings.processes
        self._gathered = Gathered()
        self._status = STOPPED

    def probes(self) -> ProbeServer:
        """Answers for all."""
        registry = CollectorRegistry()
        registry.register(self._gathered)
        return ProbeServer(
            self._settings.probe_address,
            is_unhealthy=lambda: None,
            is_unready=lambda: "It is about to stop" if self._stop.is_set() else complaint_of_all(self._standings),
            registry=registry,
            before_metrics=self._gather,
            lag=metrics.PARENT_EVENT_LOOP_LAG,
        )

    async def run(self) -> int:
        """Until asked to stop, or until there is no point in going on; answers the exit status."""
        keeping = {asyncio.create_task(self._keep(number), name=f"process {number}") for number in range(self._settings.processes)}
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait({stopping, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await self._end_all(keeping)
        return self._status

    async def _end_all(self, keeping: set[asyncio.Task[None]]) -> None:
        log.info("Stops", processes=len(self._workers), after=format_duration(self._settings.drain_delay))
        for listener in self._listeners:
            listener.close()  # the workers go on with theirs
        for worker in self._workers.values():
            worker.terminate()
        drained = (self._settings.drain_delay + self._settings.drain_timeout).total_seconds() + LAST_WORDS
        _, late = await asyncio.wait(keeping, timeout=drained)
        for number, worker in self._workers.items():
            log.error("A process did not end in time", process=number)
            worker.kill()
        if late:
            await asyncio.wait(late)
        for kept in keeping:
            kept.result()

    async def _keep(self, number: int) -> None:
        pause, is_first = 0.0, True
        while not self._stop.is_set():
            metrics.PROCESS_STARTS.labels(process=str(number)).inc()
            began = time.monotonic()
            status = await self._live(number)
            lived = time.monotonic() - began
            if self._stop.is_set():
                self._note_end(status)
                return
            life = Life(status, lived, is_first)
            match after_end(life, last_pause=pause, is_anyone_known_good=any(each.was_ready for each in self._standings)):
                case GiveUp(status):
                    log.error("A process ended, and so do the others", process=number, status=status)
                    self._status = status
                    self._stop.set()
                case Restart(pause):
                    log.error("A process ended and is started again", process=number, status=status, seconds=pause)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stop.wait(), pause)
            is_first = False

    async def _live(self, number: int) -> int:
        """One life of one process; answers how it ended."""
        worker = self._workers[number] = await WorkerProcess.start(self._assignment(number))
        log.info("Started a process", process=number, pid=worker.pid)
        ended = asyncio.create_task(worker.wait(), name=f"end of process {number}")
        heard = time.monotonic()
        while not ended.done():
            if self._stop.is_set():
                worker.terminate()  # it may have begun after the others were told
                break
            try:
                complaint = await worker.complaint()
                heard = time.monotonic()
            except WorkerSilent as silent:
                complaint = str(silent)
                self._board.clear(number)  # nobody need let it go first; it writes again when it can
                if is_stuck(silent=time.monotonic() - heard):
                    log.error("A process has not answered for too long and is ended", process=number)
                    worker.kill()
            self._note(number, complaint)
            await asyncio.wait({ended}, timeout=LOOK_INTERVAL)
        status = await ended
        del self._workers[number]
        self._board.clear(number)
        self._note(number, "It has ended")
        return status

    def _note(self, number: int, complaint: str | None) -> None:
        was_ready = self._standings[number].was_ready or complaint is None
        self._standings[number] = Standing(was_ready, complaint)

    def _note_end(self, status: int) -> None:
        if status not in {STOPPED, -signal.SIGTERM} and self._status == STOPPED:
            self._status = FAILED

    def _assignment(self, number: int) -> Assignment:
        http, *grpc = (listener.fileno() for listener in self._listeners)
        return Assignment(process=number, settings=self._settings, http=http, grpc=grpc[0] if grpc else None, board=self._board.descriptor)

    async def _gather(self) -> None:
        living = dict(self._workers)
        told = await asyncio.gather(*(worker.metrics() for worker in living.values()), return_exceptions=True)
        sources = {"parent": described(metrics.PARENT_REGISTRY)}
        for number, answer in zip(living, told, strict=True):
            if not isinstance(answer, BaseException):
                sources[str(number)] = answer
            elif not isinstance(answer, WorkerSilent):
                raise answer
        self._gathered.take(sources)
