"""Where connections come in, one door for each protocol. A process alone listens at its own; several share one (`shared_door.py`)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from keyturn.verifier.service.listeners import address_of, listener_at
from keyturn.verifier.service.settings import VerifierSettings

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for TLS."""

Welcome = Callable[[], asyncio.Protocol]
"""Makes the protocol of a connection that has come."""


class Guests(Protocol):
    """Who has been let in."""

    @property
    def staying(self) -> int:
        """Connections that are open and were not asked to go."""
        ...

    def send_one_away(self) -> None:
        """Ask one of them to connect anew, without failing a request."""
        ...


class Door(Protocol):
    """A place to listen at."""

    @property
    def address(self) -> str:
        """As host:port."""
        ...

    async def open(self, welcome: Welcome, guests: Guests, *, tls: ssl.SSLContext | None) -> None:
        """Let connections in."""
        ...

    def close(self) -> None:
        """Let no more in; those that are open stay so."""
        ...


class OwnDoor:
    """Of a process that nobody shares it with."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """As host:port."""
        return address_of(self._listener)

    async def open(self, welcome: Welcome, guests: Guests, *, tls: ssl.SSLContext | None) -> None:  # noqa: ARG002  they have nowhere to go
        """Let connections in."""
        timeout = HANDSHAKE_TIMEOUT if tls is not None else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(welcome, sock=self._listener, ssl=tls, ssl_handshake_timeout=timeout)

    def close(self) -> None:
        """Let no more in."""
        if self._server is not None:
            self._server.close()


@dataclass(frozen=True, slots=True)
class Doors:
    """Of one process."""

    http: Door
    grpc: Door | None
    """None: it does not answer over gRPC."""


def own_doors(settings: VerifierSettings) -> Doors:
    """Bound, not open. Raises OSError if an address is taken."""
    http, grpc = listeners_of(settings)
    return Doors(OwnDoor(http), OwnDoor(grpc) if grpc is not None else None)


def listeners_of(settings: VerifierSettings) -> tuple[socket.socket, socket.socket | None]:
    """Sockets for HTTP and gRPC, bound. Raises OSError if an address is taken."""
    return listener_at(settings.listen_address), listener_at(settings.grpc_address) if settings.grpc_address else None
