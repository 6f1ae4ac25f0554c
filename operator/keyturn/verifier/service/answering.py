"""Everything that answers gateways, from ready to the end of the drain. Part of `run.py`; before it: the sockets of `listeners.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from keyturn.base.log_output import get_logger
from keyturn.verifier.guard import Guard
from keyturn.verifier.service import metrics
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.grpc_front import GrpcFront
from keyturn.verifier.service.http_connection import Limits
from keyturn.verifier.service.http_front import HttpFront
from keyturn.verifier.service.http_server import HttpServer
from keyturn.verifier.service.listeners import address_of, allow_connections, listener_at
from keyturn.verifier.service.settings import VerifierSettings

log = get_logger(__name__)


class Answering:
    """The doors of one guard. Raises OSError where an address is taken."""

    def __init__(self, settings: VerifierSettings, guard: Guard, *, is_ready: Callable[[], bool]) -> None:
        self._settings = settings
        allow_connections(settings.max_connections)
        address = ClientAddress(settings.client_address_header.lower().encode(), settings.trusted_hops)
        self._listener = listener_at(settings.listen_address)
        limits = Limits(settings.max_connections, keep_alive=settings.keep_alive.total_seconds())
        self._http = HttpServer(HttpFront(guard, client_address=address), self._listener, limits=limits)
        self._grpc = GrpcFront(guard, is_ready=is_ready) if settings.grpc_address else None
        metrics.read_when_asked([(metrics.CONNECTIONS, lambda: float(self._http.connections))])

    async def start(self) -> None:
        """Answer from now on."""
        await self._http.start()
        log.info("Answering over HTTP", address=address_of(self._listener))
        if self._grpc is not None:
            log.info("Answering over gRPC", address=await self._grpc.start(self._settings.grpc_address))

    async def stop(self) -> None:
        """Go on answering while gateways learn of it, asking each to leave; then finish what has begun."""
        self._http.drain()
        await asyncio.sleep(self._settings.drain_delay.total_seconds())
        seconds = self._settings.drain_timeout.total_seconds()
        async with asyncio.TaskGroup() as ending:
            ending.create_task(self._http.stop(seconds=seconds), name="http")
            if self._grpc is not None:
                ending.create_task(self._grpc.drain(seconds=seconds), name="grpc")
