"""Requests over HTTP/1.1 from an own process, whose CPU time is not counted: as a gateway asks, one at a time on each of its connections.

    python -m bench.http_load '{"port": 8080, "connections": 32, "requests": 100000, "keys": 10000}'

It prints what came back as JSON, an `Answers`; SIGTERM ends it early. With `rate` so many a second are sent whatever the answers take, and
a request that had to wait for an earlier one is counted from when it was due; without it, each connection sends as soon as it was answered.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop

from gen.many_keys import garbage, token

TESTS: Final = Path(__file__).parents[1]
VERIFY: Final = "/verify?audience=default&scope=orders:read"
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent. It ends after `requests`, or after `seconds`."""

    port: int
    connections: int = 32
    requests: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    keys: int = 10_000
    """Asked about in turn; 0: each request has garbage of its own."""
    path: str = VERIFY


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back: how many of each status, and milliseconds."""

    statuses: dict[str, int] = field(default_factory=dict)
    p50: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    seconds: float = 0.0

    @property
    def passed(self) -> int:
        return sum(number for status, number in self.statuses.items() if status.startswith("2"))

    @property
    def others(self) -> int:
        return sum(self.statuses.values()) - self.passed


def ask(load: Load) -> Answers:
    """Send it and wait for the end."""
    with asking(load) as process:
        return answers_of(process)


@contextmanager
def asking(load: Load) -> Iterator[subprocess.Popen[str]]:
    """Send it meanwhile, from the moment this is entered; `answers_of` waits for the end."""
    words = [sys.executable, "-m", "bench.http_load", json.dumps(asdict(load))]
    process = subprocess.Popen(words, cwd=TESTS, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def answers_of(process: subprocess.Popen[str]) -> Answers:
    """What came back, once it has ended by itself or was terminated."""
    told, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("the load ended before its time; it has said why")
    return Answers(**json.loads(told))


class _Sender:
    """All connections together."""

    def __init__(self, load: Load) -> None:
        self.load, self.loop = load, asyncio.get_running_loop()
        self.statuses: Counter[bytes] = Counter()
        self.took: list[float] = []
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.start = 0.0
        self._numbers = count()
        self._bodies = [_request(load.path, token(number)) for number in range(load.keys)]
        self._most = load.requests or float("inf")
        self._end = float("inf")
        self._busy = load.connections

    def begin(self, connections: Iterable[_Connection]) -> None:
        """Send from now on."""
        self.start = monotonic()
        if self.load.seconds:
            self._end = self.start + self.load.seconds
        for connection in connections:
            connection.go_on()

    def stop(self) -> None:
        """Send nothing more."""
        self._end = 0.0

    def next_request(self) -> tuple[bytes, float] | None:
        """What to send and when; None: nothing more."""
        number = next(self._numbers)
        now = monotonic()
        due = self.start + number / self.load.rate if self.load.rate else now
        if number >= self._most or max(due, now) >= self._end:
            return None
        return self._bodies[number % len(self._bodies)] if self._bodies else _request(self.load.path, garbage(number)), due

    def leave(self) -> None:
        """A connection has nothing more to do."""
        self._busy -= 1
        if not self._busy and not self.done.done():
            self.done.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._buffer = b""
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data
        head = buffer.find(_END_OF_HEAD)
        if head < 0 or len(buffer) < head + len(_END_OF_HEAD) + _length_in(buffer[:head]):
            return
        sender = self._sender
        sender.statuses[buffer[9:12]] += 1
        sender.took.append(monotonic() - self._since)
        self._buffer = b""
        self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._sender.done.done():
            self._sender.done.set_exception(exc or ConnectionError("the server closed a connection"))

    def go_on(self) -> None:
        request = self._sender.next_request()
        if request is None:
            self._sender.leave()
            return
        payload, due = request
        if due <= monotonic():
            self._send(payload, due)
        else:
            self._sender.loop.call_later(due - monotonic(), self._send_now, payload)

    def _send_now(self, payload: bytes) -> None:
        self._send(payload, monotonic())  # a timer's own delay is not the server's

    def _send(self, payload: bytes, since: float) -> None:
        self._since = since
        self._transport.write(payload)  # type: ignore[attr-defined]  # uvloop's derive from none of asyncio's


def _request(path: str, key: str) -> bytes:
    """About what gateways send: theirs have a few headers more."""
    headers = f"host: keyturn-verifier\r\nauthorization: Bearer {key}\r\nx-forwarded-for: 192.0.2.7\r\ncontent-length: 0\r\n"
    return f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode()


def _length_in(head: bytes) -> int:
    at = head.lower().find(_LENGTH)
    return int(head[at + len(_LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0


async def _ask(load: Load) -> Answers:
    sender = _Sender(load)
    sender.loop.add_signal_handler(signal.SIGTERM, sender.stop)
    connect = sender.loop.create_connection
    connections = [await connect(lambda: _Connection(sender), "127.0.0.1", load.port) for _ in range(load.connections)]
    print("sends", flush=True)
    sender.begin(protocol for _, protocol in connections)
    await sender.done
    seconds = monotonic() - sender.start
    for transport, _ in connections:
        transport.abort()
    took = sorted(sender.took)
    p50, p99, worst = (took[min(int(len(took) * part), len(took) - 1)] * 1000 for part in (0.5, 0.99, 1.0))
    return Answers({status.decode(): number for status, number in sender.statuses.items()}, p50, p99, worst, seconds)


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_ask(Load(**json.loads(sys.argv[1])))))))
