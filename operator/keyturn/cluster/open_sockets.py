"""The sockets of a client, so that closing it leaves none open."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from aiohttp import AddrInfoType

_MOST_TURNS: Final = 20
"""Of the event loop, from a broken connection to its closed socket: two to four are needed."""


class OpenSockets:
    """Makes the sockets of a connection pool and closes those that the pool has forgotten.

    A connection that is given up in the middle of an answer (a watch, a call that was cancelled) leaves the pool at once, but asyncio
    holds its socket for up to half a minute, until the server's TLS says goodbye too (RFC 8446, section 6.1). Nobody waits for that.
    """

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def create(self, address: AddrInfoType) -> socket.socket:
        """A new socket for an address, as `socket.getaddrinfo` gives it."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made

    async def close(self) -> None:
        """Break off what is still open, without asking the server."""
        left = [each for each in self._sockets if each.fileno() >= 0]
        for each in left:
            with suppress(OSError):  # never connected, or broken off by the server
                each.shutdown(socket.SHUT_RDWR)
        for _ in range(_MOST_TURNS):  # asyncio reads the end of each connection and closes it
            if all(each.fileno() < 0 for each in left):
                return
            await asyncio.sleep(0)
