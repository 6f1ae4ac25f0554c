"""A door of several processes: each has the same listening socket, and `door_board.py` says whose turn it is.

One socket for all, not one for each (SO_REUSEPORT): a connection that waits in its queue is taken by whoever is free, not lost with the
process that it was meant for, be that one slow, stuck or dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from keyturn.base.log_output import get_logger
from keyturn.verifier.service.doors import HANDSHAKE_TIMEOUT, Guests, Welcome
from keyturn.verifier.service.listeners import address_of
from keyturn.verifier.service.processes.door_board import AWAY, UNREADY, DoorBoard, Turn, holds_too_many, turn

FIRST_GO: Final = 0.005
"""Seconds in which one that holds fewer connections may take what has come."""
LOOK_AGAIN: Final = 0.05
"""After so many seconds one that is not ready looks whether anybody else is."""
NO_ROOM_PAUSE: Final = 1.0
AT_ONCE: Final = 64
SAY_AGAIN: Final = 0.25
"""Seconds between two notes on the board: connections end, and readiness comes, also while nobody comes."""
BORNE: Final = 12
"""So many notes in a row may say that this process holds too many, before it sends one away with each."""

log = get_logger(__name__)


class SharedDoor:
    """One process's share of it. `place`: which door, and which process."""

    def __init__(self, listener: socket.socket, board: DoorBoard, place: tuple[int, int], *, is_ready: Callable[[], bool]) -> None:
        self._listener, self._board, self._place, self._is_ready = listener, board, place, is_ready
        self._welcome: Welcome
        self._guests: Guests
        self._tls: ssl.SSLContext | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self._saying: asyncio.Task[None]
        self._is_open = False

    @property
    def address(self) -> str:
        """As host:port."""
        return address_of(self._listener)

    async def open(self, welcome: Welcome, guests: Guests, *, tls: ssl.SSLContext | None) -> None:
        """Let connections in, those whose turn it is to be ours."""
        self._welcome, self._tls, self._guests = welcome, tls, guests
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self._listen()
        self._saying = self._loop.create_task(self._keep_saying(), name="board")

    def close(self) -> None:
        """Take what has come already, and no more."""
        if not self._is_open:
            return
        self._is_open = False
        self._saying.cancel()
        self._loop.remove_reader(self._listener)
        if self._later is not None:
            self._later.cancel()
        self._take(AT_ONCE)
        self._board.write(*self._place, AWAY)
        self._listener.close()

    def _listen(self) -> None:
        self._write()
        self._loop.add_reader(self._listener, self._look)

    def _look(self) -> None:
        """Somebody has come: everyone is told of it, and one takes it."""
        match turn(self._write(), self._board.others(*self._place)):
            case Turn.NOW:
                self._take(1)
            case Turn.SOON:
                self._wait(FIRST_GO, self._take_the_rest)
            case Turn.NOT:
                self._wait(LOOK_AGAIN, self._listen)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener)
        self._later = self._loop.call_later(seconds, then)

    def _take_the_rest(self) -> None:
        """All of it: the others had their chance, and whoever came must not wait for one chance each."""
        if self._take(AT_ONCE):
            self._listen()

    def _take(self, most: int) -> bool:
        """Whether there is room for more."""
        for _ in range(most):
            try:
                connection, _peer = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            except OSError as error:  # no file descriptor left, for one
                log.warning("Could not take a connection", problem=error.strerror)
                if self._is_open:
                    self._wait(NO_ROOM_PAUSE, self._listen)
                return False
            connection.setblocking(False)  # noqa: FBT003  it has no other form
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            arriving = self._loop.create_task(self._let_in(connection), name="arriving")
            self._arriving.add(arriving)
            arriving.add_done_callback(self._arriving.discard)
        self._write()
        return True

    async def _let_in(self, connection: socket.socket) -> None:
        timeout = HANDSHAKE_TIMEOUT if self._tls is not None else None
        with contextlib.suppress(OSError):  # who does not get through the handshake is gone
            await self._loop.connect_accepted_socket(self._welcome, connection, ssl=self._tls, ssl_handshake_timeout=timeout)

    async def _keep_saying(self) -> None:
        too_many = 0
        while True:
            await asyncio.sleep(SAY_AGAIN)
            too_many = too_many + 1 if holds_too_many(self._write(), self._board.others(*self._place)) else 0
            if too_many > BORNE:
                self._guests.send_one_away()

    def _write(self) -> int:
        """Tell the others how many are ours."""
        number = self._guests.staying + len(self._arriving)
        if not self._is_ready():
            number += UNREADY
        self._board.write(*self._place, number)
        return number
