"""The supervisor's end of a worker: started as a new interpreter, asked how it is. What it runs: `worker.py`."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from contextlib import suppress
from typing import Final, Self, cast

from pydantic import BaseModel, ConfigDict

from keyturn.base.errors import RetryLater
from keyturn.verifier.service.processes.gathered_metrics import Described
from keyturn.verifier.service.processes.parent_link import COMPLAINT, METRICS
from keyturn.verifier.service.settings import VerifierSettings

PATIENCE: Final = 3.0
"""Seconds for an answer."""
LONGEST_ANSWER: Final = 2**24


class WorkerSilent(RetryLater):
    """It does not answer, or not in time."""


class Assignment(BaseModel):
    """What a worker is told at its start. Descriptors are those it inherits; settings name files, and hold no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: int
    settings: VerifierSettings
    http: int
    """The listening socket."""
    grpc: int | None
    board: int
    """The memory of `door_board.py`."""


class WorkerProcess:
    """Made by `WorkerProcess.start`."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._asking = asyncio.Lock()
        self._asked = 0

    @classmethod
    async def start(cls, assignment: Assignment) -> Self:
        """A new interpreter, not a fork: locks, threads and event loops of this process are none of its business."""
        ours, theirs = socket.socketpair()
        inherited = [number for number in (assignment.http, assignment.grpc, assignment.board) if number is not None]
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "keyturn.verifier.service.processes.worker", assignment.model_dump_json()),
                stdin=theirs.fileno(),
                pass_fds=inherited,
            )
        return cls(process, *await asyncio.open_unix_connection(sock=ours, limit=LONGEST_ANSWER))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def complaint(self) -> str | None:
        """Why it is not ready; None: it is. Raises WorkerSilent."""
        return cast("str | None", await self._ask(COMPLAINT))

    async def metrics(self) -> list[Described]:
        """All of them. Raises WorkerSilent."""
        return cast("list[Described]", await self._ask(METRICS))

    async def wait(self) -> int:
        """Until it has ended; answers how."""
        status = await self._process.wait()
        self._writer.close()
        return status

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _ask(self, word: str) -> object:
        try:
            async with asyncio.timeout(PATIENCE), self._asking:
                self._asked += 1
                self._writer.write(b"%d %b\n" % (self._asked, word.encode()))
                while line := await self._reader.readline():
                    number, answer = json.loads(line)
                    if number == self._asked:  # an earlier one is late, and nobody waits for it any more
                        return cast("object", answer)
        except (OSError, TimeoutError):
            pass
        raise WorkerSilent("It does not answer")
