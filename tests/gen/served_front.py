r"""The HTTP front with its real server in this process, without a cluster: what peers may do to it is tried here.

with ServedFront(gen.guard(gen.record())) as front:
    front.say(b"GET /verify HTTP/1.1\r\n\r\n")
"""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType
from typing import Final, Self

import uvloop

from keyturn.verifier.guard import Guard
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.doors import OwnDoor
from keyturn.verifier.service.gatekeeper import ByCertificate
from keyturn.verifier.service.http_door.http_connection import Limits
from keyturn.verifier.service.http_door.http_front import HttpFront
from keyturn.verifier.service.http_door.http_server import HttpServer
from keyturn.verifier.service.listeners import listener_at
from keyturn.verifier.service.tls_files import Tls

PATIENCE: Final = 20.0


class ServedFront:
    """A server in a thread, on a free port of 127.0.0.1."""

    def __init__(
        self, guard: Guard, *, connections: int = 100, keep_alive: float = 60.0, patience: float = 10.0, tls: Tls | None = None
    ) -> None:
        gatekeeper = ByCertificate() if tls is not None else None
        front = HttpFront(guard, client_address=ClientAddress(b"x-forwarded-for"), gatekeeper=gatekeeper)
        listener = listener_at("127.0.0.1:0")
        self.port: int = listener.getsockname()[1]
        limits = Limits(connections, keep_alive, patience)
        self.server = HttpServer(front, OwnDoor(listener), limits=limits, tls=tls.listening if tls else None)
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def connect(self) -> socket.socket:
        """A new connection of a gateway."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def say(self, *parts: bytes) -> bytes:
        """Send these on one connection, and answer everything that comes until the server closes it."""
        with self.connect() as connection:
            try:
                for part in parts:
                    connection.sendall(part)
            except ConnectionError:
                pass  # it closed before it had all: what it said is what counts
            return read_all(connection)

    async def _serve(self) -> None:
        await self.server.start()
        self._started.set()
        await self._stop.wait()
        await self.server.stop(seconds=PATIENCE)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(PATIENCE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    """Until the other side closes, also by a reset."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)
