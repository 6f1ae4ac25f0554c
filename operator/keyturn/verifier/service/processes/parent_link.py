"""A worker's end of the line to its supervisor, which asks it how it is. When that is gone, so is the worker.

A question is a line `<number> <word>`, an answer a line of JSON: `[number, …]`. Nothing of a request, a record or a key is ever said.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from keyturn.base.log_output import get_logger
from keyturn.base.probe_server import Complaint, measure_lag
from keyturn.verifier.service.processes.gathered_metrics import described

COMPLAINT: Final = "complaint"
METRICS: Final = "metrics"

log = get_logger(__name__)


class ParentLink:
    """In the place of the probe server that a verifier has alone."""

    def __init__(self, channel: socket.socket, *, is_unready: Complaint, registry: CollectorRegistry, lag: Gauge) -> None:
        self._channel, self._lag = channel, lag
        self._answers: dict[str, Callable[[], object]] = {COMPLAINT: is_unready, METRICS: lambda: described(registry)}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Answer from now on."""
        reader, writer = await asyncio.open_unix_connection(sock=self._channel)
        self._tasks = [
            asyncio.create_task(self._answer(reader, writer), name="supervisor"),
            asyncio.create_task(measure_lag(self._lag), name="event-loop-lag"),
        ]

    async def stop(self) -> None:
        """Say nothing more."""
        for task in self._tasks:
            task.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                number, word = line.decode().split()
                writer.write(json.dumps([int(number), self._answers[word]()]).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        log.error("The supervisor is gone, and so is this process")
        signal.raise_signal(signal.SIGKILL)  # as it was: who is killed gives nothing back, and its port is needed by the next one
