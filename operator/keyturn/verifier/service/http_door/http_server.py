"""Holds all HTTP connections: listens, ends what is slow, drains. Before it: `answering.py`. After it: `http_connection.py`."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from keyturn.verifier.service.doors import Door
from keyturn.verifier.service.http_door.http_connection import Hall, HttpConnection, Limits
from keyturn.verifier.service.http_door.http_front import HttpFront

_SWEEP_INTERVAL: Final = 1.0
_LAST_WORD: Final = 0.1


class HttpServer:
    """Answers at `door` from `start` to `stop`."""

    def __init__(self, front: HttpFront, door: Door, *, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self._door, self._tls = door, tls
        self._hall = Hall(front, limits)
        self._sweeping: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._hall.open)

    async def start(self) -> None:
        """Answer from now on."""
        await self._door.open(lambda: HttpConnection(self._hall), self._hall, tls=self._tls)
        self._sweeping = asyncio.create_task(self._sweep(), name="slow connections")

    def drain(self) -> None:
        """Go on answering, and ask every gateway with every answer to come no more."""
        self._hall.drain()

    async def stop(self, *, seconds: float) -> None:
        """Take no more connections, close the idle ones, wait for requests that have begun, at most so long."""
        if self._sweeping is None:
            return
        self.drain()
        self._door.close()
        await asyncio.sleep(_LAST_WORD)  # what was accepted just now may have a request under way
        try:
            async with asyncio.timeout(seconds):
                while any(connection.has_begun for connection in self._hall.open):  # noqa: ASYNC110  a flag a request costs each of them
                    await asyncio.sleep(_LAST_WORD)
        except TimeoutError:
            pass  # they had their time
        for connection in list(self._hall.open):
            connection.close()
        self._sweeping.cancel()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL)
            now = loop.time()
            # After a pause of the whole process its peers are not to blame: their bytes may be here, unread.
            self._hall.now += min(now - last, 2 * _SWEEP_INTERVAL)
            last = now
            for connection in list(self._hall.open):
                connection.end_if_slow()
