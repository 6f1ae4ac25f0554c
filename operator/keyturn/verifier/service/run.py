"""The verifier's life: learn the public keys, take every record, answer, stop. `keyturn verifier` calls `run`.

Nothing ends it but a signal: an API server that is away is waited for, and what is known goes on counting until it is stale.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from keyturn.base.clock import utc_now
from keyturn.base.errors import KeyturnError, UserMustAct
from keyturn.base.log_output import configure_logging, get_logger
from keyturn.base.probe_server import ProbeServer
from keyturn.base.stop_signals import stop_on_signals
from keyturn.cluster.client import Client
from keyturn.cluster.use_reports import UseReports
from keyturn.keys.verification_keys import VerificationKeys
from keyturn.verifier.guard import Guard
from keyturn.verifier.presented import Sources
from keyturn.verifier.service import metrics
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.grpc_front import GrpcFront
from keyturn.verifier.service.http_front import HttpFront
from keyturn.verifier.service.knowledge import Knowledge
from keyturn.verifier.service.permission_check import is_allowed
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.service.use_report import UseReporter
from keyturn.verifier.store import Store
from keyturn.verifier.usage import Usage

log = get_logger(__name__)


async def run(settings: VerifierSettings) -> int:
    """Run until SIGTERM or SIGINT; answers the exit status: 0 stopped as asked, 1 failed, 4 not allowed."""
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    gc.collect()
    gc.freeze()
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        async with await Client.connect(timeout=settings.request_timeout) as client:
            allowed = asyncio.create_task(is_allowed(client, settings, otherwise=stop.set), name="permissions")
            status = await _until_stopped(client, settings, stop)
            return status if allowed.cancel() or allowed.result() else 4
    except UserMustAct as refused:
        log.error("Cannot start", reason=refused.reason, problem=str(refused))
        return 4
    except (KeyturnError, OSError) as error:
        log.error("Cannot go on", problem=str(error))
        return 1


async def _until_stopped(client: Client, settings: VerifierSettings, stop: asyncio.Event) -> int:
    client.on_request = metrics.count_request
    store = Store(VerificationKeys(()))
    knowledge = Knowledge(client, settings, store)
    usage = Usage()
    reports = UseReports(client, namespace=settings.records_namespace)
    reporter = UseReporter(reports, settings, store, usage, identity=socket.gethostname(), clock=utc_now)
    _measure(store, client)
    probes = ProbeServer(
        settings.probe_address,
        is_unhealthy=lambda: None,
        is_unready=knowledge.complaint,
        registry=metrics.REGISTRY,
        lag=metrics.EVENT_LOOP_LAG,
    )
    await probes.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            learning = tasks.create_task(knowledge.run(), name="knowledge")
            guard = _guard(settings, store, usage)
            answering = tasks.create_task(_answer_over_http(guard, settings, stop), name="http")
            asked_by_envoy = tasks.create_task(_answer_over_grpc(guard, settings, stop, knowledge), name="grpc")
            reporting = tasks.create_task(reporter.run(), name="use reports")
            await stop.wait()
            log.info("Stops")
            await answering
            await asked_by_envoy
            learning.cancel()
            reporting.cancel()
        await reporter.finish()
    finally:
        await probes.stop()
    return 0


def _guard(settings: VerifierSettings, store: Store, usage: Usage) -> Guard:
    headers = tuple(name.strip() for name in settings.key_headers.split(",") if name.strip())
    return Guard(store, clock=utc_now, sources=Sources(headers=headers), on_verdict=metrics.VERDICTS.count, on_use=usage.note)


async def _answer_over_http(guard: Guard, settings: VerifierSettings, stop: asyncio.Event) -> None:
    host, _, port = settings.listen_address.rpartition(":")
    front = HttpFront(guard, client_address=ClientAddress(settings.client_address_header.lower().encode(), settings.trusted_hops))
    config = uvicorn.Config(
        front,
        host=host.strip("[]"),
        port=int(port),
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # whoever asks from 127.0.0.1 would be believed
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(), name="uvicorn")
    ending = asyncio.create_task(stop.wait())
    while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    if server.started:
        log.info("Answering over HTTP", address=server.address)
    await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    server.should_exit = True
    await serving


async def _answer_over_grpc(guard: Guard, settings: VerifierSettings, stop: asyncio.Event, knowledge: Knowledge) -> None:
    if not settings.grpc_address:
        return
    front = GrpcFront(guard, is_ready=lambda: knowledge.complaint() is None)
    log.info("Answering over gRPC", address=await front.start(settings.grpc_address))
    try:
        await stop.wait()
    finally:
        await front.drain(seconds=settings.drain_timeout.total_seconds())


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are ours: one signal ends everything in order."""
        yield

    @property
    def address(self) -> str:
        """Where it listens, as host:port."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _measure(store: Store, client: Client) -> None:
    metrics.read_when_asked(
        (
            (metrics.RECORDS, lambda: float(len(store))),
            (metrics.LIVE_KEYS, lambda: float(len(store.live))),
            (metrics.VANISHED, lambda: float(len(store.vanished))),
            (metrics.HEARD_AGE, lambda: utc_now().timestamp() - store.heard),
            (metrics.CAUGHT_UP, lambda: float(store.is_caught_up)),
            (metrics.CLOCK_SKEW, lambda: client.clock_skew.total_seconds() if client.clock_skew is not None else 0.0),
        )
    )
