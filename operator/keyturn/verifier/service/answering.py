"""Everything that answers gateways, from ready to the end of the drain. Part of `run.py`; before it: `doors.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from keyturn.base.clock import utc_now
from keyturn.base.log_output import get_logger
from keyturn.cluster.client import Client
from keyturn.verifier.guard import Guard
from keyturn.verifier.service import metrics
from keyturn.verifier.service.account_keys import AccountTokens
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.doors import Doors
from keyturn.verifier.service.gatekeeper import ByAccount, ByCertificate, Gatekeeper
from keyturn.verifier.service.grpc_door.grpc_front import ALPN as HTTP2
from keyturn.verifier.service.grpc_door.grpc_front import GrpcFront
from keyturn.verifier.service.http_door.http_connection import Limits
from keyturn.verifier.service.http_door.http_front import HttpFront
from keyturn.verifier.service.http_door.http_server import HttpServer
from keyturn.verifier.service.listeners import allow_connections
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.service.tls_files import Tls, TlsFiles, TlsUnusable

HTTP1: Final = "http/1.1"

log = get_logger(__name__)


class Answering:
    """Both protocols of one guard. Raises TlsUnusable where files or settings make no TLS."""

    def __init__(self, settings: VerifierSettings, guard: Guard, client: Client, doors: Doors, *, is_ready: Callable[[], bool]) -> None:
        self._settings, self._doors = settings, doors
        allow_connections(settings.max_connections)
        files = _tls_files(settings)
        self._tls = {protocol: Tls(files, protocol=protocol) for protocol in (HTTP1, HTTP2)} if files is not None else {}
        self._account_tokens = AccountTokens(client) if settings.gateway_accounts else None
        gatekeeper = _gatekeeper(settings, self._account_tokens)
        address = ClientAddress(settings.client_address_header.lower().encode(), settings.trusted_hops)
        self._http = HttpServer(
            HttpFront(guard, client_address=address, gatekeeper=gatekeeper),
            doors.http,
            limits=Limits(settings.max_connections, keep_alive=settings.keep_alive.total_seconds()),
            tls=self._tls[HTTP1].listening if self._tls else None,
        )
        self._grpc = GrpcFront(guard, is_ready=is_ready, gatekeeper=gatekeeper)
        metrics.read_when_asked([(metrics.CONNECTIONS, lambda: float(self._http.connections))])

    async def start(self) -> None:
        """Answer from now on."""
        await self._http.start()
        log.info("Answering over HTTP", address=self._doors.http.address)
        if self._doors.grpc is not None:
            await self._grpc.start(self._doors.grpc, tls=self._tls[HTTP2].listening if self._tls else None)
            log.info("Answering over gRPC", address=self._doors.grpc.address)

    async def keep_up(self) -> None:
        """Follow certificates and keys as they change, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for protocol, tls in self._tls.items():
                tasks.create_task(tls.keep_renewing(), name=f"certificate for {protocol}")
            if self._account_tokens is not None:
                tasks.create_task(self._account_tokens.keep_learning(), name="keys of accounts")

    async def stop(self) -> None:
        """Go on answering while gateways learn of it, asking each to leave; then finish what has begun."""
        self._http.drain()
        await asyncio.sleep(self._settings.drain_delay.total_seconds())
        seconds = self._settings.drain_timeout.total_seconds()
        async with asyncio.TaskGroup() as ending:
            ending.create_task(self._http.stop(seconds=seconds), name="http")
            ending.create_task(self._grpc.drain(seconds=seconds), name="grpc")


def _tls_files(settings: VerifierSettings) -> TlsFiles | None:
    if bool(settings.tls_certificate) != bool(settings.tls_key) or (settings.gateway_ca and not settings.tls_certificate):
        raise TlsUnusable("--tls-certificate and --tls-key belong together, and --gateway-ca needs both")
    if not settings.tls_certificate:
        return None
    return TlsFiles(Path(settings.tls_certificate), Path(settings.tls_key), Path(settings.gateway_ca) if settings.gateway_ca else None)


def _gatekeeper(settings: VerifierSettings, tokens: AccountTokens | None) -> Gatekeeper | None:
    if tokens is not None:
        return ByAccount(settings.gateway_accounts.split(","), tokens, clock=utc_now)
    return ByCertificate() if settings.gateway_ca else None
