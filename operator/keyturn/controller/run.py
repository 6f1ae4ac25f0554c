"""The operator's life: check, set up, take the lead, watch, work, stop. `keyturn operator` calls `run`.

Queue workers, watches, Lease and probes start before Kopf and end after it: Kopf cancels what is born inside it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from keyturn.base import metrics
from keyturn.base.clock import utc_now
from keyturn.base.errors import KeyturnError, UserMustAct
from keyturn.base.log_output import configure_logging, get_logger
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.cache import Cache
from keyturn.cluster.client import Client
from keyturn.cluster.credential_secrets import CREDENTIAL_SELECTOR, CredentialMetadata, CredentialSecrets, decode_credential_metadata
from keyturn.cluster.lease import Elector
from keyturn.cluster.permissions import missing_rights
from keyturn.cluster.record_secrets import RECORD_SELECTOR, RecordSecrets, StoredRecord, decode_stored_record
from keyturn.cluster.watch import Collection, Reflector
from keyturn.controller.apikey.reconcile import reconcile
from keyturn.controller.audit import AuditLog
from keyturn.controller.handlers import run_kopf, stop_on_signals
from keyturn.controller.installation import Installation, set_up
from keyturn.controller.probes import ProbeServer, measure_queue, queue_complaint
from keyturn.controller.rights import needed_rights
from keyturn.controller.runtime import Memory, Runtime
from keyturn.controller.sweep import sweep_forever
from keyturn.controller.workqueue import WorkQueue
from keyturn.lifecycle.pacing import RotationPacer

LEASE_NAME: Final = "keyturn-operator"
STOP_TIMEOUT: Final = timedelta(seconds=8)
CRD_POLL_SECONDS: Final = 1.0
NO_LEASE_YET: Final = timedelta(minutes=10)

log = get_logger(__name__)


async def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; answers the exit status: 0 stopped as asked, 1 failed or lost the lead, 4 not allowed."""
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        async with await Client.connect(timeout=settings.request_timeout, limit=settings.workers * 2 + 16) as client:
            return await _until_stopped(client, settings, stop)
    except UserMustAct as refused:
        log.error("Cannot start", reason=refused.reason, problem=str(refused))
        return 4
    except KeyturnError as error:
        log.error("Cannot go on", problem=str(error))
        return 1


async def _until_stopped(client: Client, settings: Settings, stop: asyncio.Event) -> int:
    client.on_request = metrics.count_request
    elector = Elector(client, namespace=settings.namespace, name=LEASE_NAME, identity=_identity(), lease_duration=settings.lease_duration)
    health = _Health(settings)
    probes = ProbeServer(settings.probe_address, is_unhealthy=health.is_unhealthy, is_unready=health.is_unready, registry=metrics.REGISTRY)
    await probes.start()
    try:
        work = asyncio.create_task(_work(client, settings, elector, health, stop), name="operator")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and not elector.is_leading():
            work.cancel()  # a standby, or not even that yet: nothing to finish
        stopped.cancel()
        return await _outcome(work)
    finally:
        await probes.stop()


class _Health:
    """What the probes ask: filled in as the operator comes up."""

    def __init__(self, settings: Settings) -> None:
        self._workers = settings.workers
        self.complaint: str | None = "The API server was not asked yet"
        self.queue: WorkQueue | None = None

    def is_unhealthy(self) -> str | None:
        """Only a queue that stands still is cured by a restart."""
        return queue_complaint(self.queue.stats, workers=self._workers) if self.queue is not None else None

    def is_unready(self) -> str | None:
        """None as soon as this replica works, or stands by to take over."""
        return self.complaint


async def _outcome(work: asyncio.Task[int]) -> int:
    try:
        return await work
    except asyncio.CancelledError:
        return 0


async def _work(client: Client, settings: Settings, elector: Elector, health: _Health, stop: asyncio.Event) -> int:
    await _wait_for_crds(client)
    missing = await missing_rights(client, needed_rights(settings))
    if missing:
        for sentence in missing:
            log.error("Missing permission", problem=sentence)
        return 4
    installation = await set_up(client, settings)
    health.complaint = None
    await elector.acquire()
    metrics.LEADER.set(1)
    async with _running(client, settings, installation, elector) as rt:
        measure_queue(rt.queue)
        health.queue = rt.queue
        try:
            return await _lead(rt, elector, stop)
        finally:
            health.queue = None


async def _lead(rt: Runtime, elector: Elector, stop: asyncio.Event) -> int:
    namespaces = watched_namespaces(rt.settings)
    renewing = asyncio.create_task(elector.run(), name="lease")
    renewing.add_done_callback(lambda _: stop.set())
    sweeping = asyncio.create_task(sweep_forever(rt, namespaces=namespaces), name="sweep")
    log.info("Operator started", namespaces=",".join(namespaces) or "all")
    try:
        await run_kopf(rt, stop=stop, namespaces=namespaces)
    finally:
        sweeping.cancel()
        finished = await rt.queue.stop(STOP_TIMEOUT)
        renewing.cancel()
    if elector.lost.is_set():
        return 1
    if finished:
        await elector.release()
    metrics.LEADER.set(0)
    log.info("Operator stopped", finished=finished)
    return 0


@asynccontextmanager
async def _running(client: Client, settings: Settings, installation: Installation, elector: Elector) -> AsyncIterator[Runtime]:
    """The runtime with its watches in step with the cluster and its workers at work."""
    rt = _runtime(client, settings, installation, elector)
    rt.queue = WorkQueue(
        lambda key: reconcile(rt, key), workers=settings.workers, clock=rt.clock, on_error=_note_error, on_run=metrics.count_run
    )
    reflectors = _reflectors(rt)
    watching = [asyncio.create_task(reflector.run(), name="watch") for reflector in reflectors]
    try:
        for reflector in reflectors:
            await reflector.synced.wait()
        rt.queue.start()
        yield rt
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        rt.audit.close()


def _runtime(client: Client, settings: Settings, installation: Installation, elector: Elector) -> Runtime:
    # Records written while nobody may have told of them are told of again; before the first lead there was nobody.
    since = elector.previous_renew_time or utc_now() - NO_LEASE_YET
    announced_before = int((since - 2 * settings.lease_duration).timestamp() * 1000)
    return Runtime(
        settings=settings,
        clock=utc_now,
        client=client,
        installation=installation,
        apikeys=Cache[bytes](),
        records=Cache[StoredRecord](),
        credentials=Cache[CredentialMetadata](),
        record_secrets=RecordSecrets(client, namespace=settings.records_namespace),
        credential_secrets=CredentialSecrets(client),
        pacer=RotationPacer.of(settings),
        audit=AuditLog(settings.audit_log),
        is_leading=elector.is_leading,
        memory=Memory(announced_before=announced_before),
    )


def _reflectors(rt: Runtime) -> list[Reflector[StoredRecord] | Reflector[CredentialMetadata]]:
    namespace = rt.settings.records_namespace
    records = Reflector(
        rt.client,
        Collection(f"/api/v1/namespaces/{namespace}/secrets", label_selector=RECORD_SELECTOR),
        cache=rt.records,
        decode=decode_stored_record,
        on_change=rt.queue.add,
    )
    paths = [f"/api/v1/namespaces/{each}/secrets" for each in watched_namespaces(rt.settings)] or ["/api/v1/secrets"]
    credentials = [
        Reflector(
            rt.client,
            Collection(path, label_selector=CREDENTIAL_SELECTOR, metadata_only=True),
            cache=rt.credentials,
            decode=decode_credential_metadata,
            on_change=lambda where: rt.queue.add(rt.apikey_of_secret(where)),
        )
        for path in paths
    ]
    return [records, *credentials]


async def _wait_for_crds(client: Client) -> None:
    told = False
    while True:
        try:
            await client.get("/apis/keyturn.dev/v1alpha1/apikeys", query={"limit": "1"})
        except NotFound:
            if not told:
                log.warning("The ApiKey resource is missing; waiting for it", fix="kubectl apply --server-side -f crds/")
            told = True
        else:
            return
        await asyncio.sleep(CRD_POLL_SECONDS)


def watched_namespaces(settings: Settings) -> tuple[str, ...]:
    """The namespaces whose ApiKeys are managed; empty: all."""
    return tuple(name.strip() for name in settings.watch_namespaces.split(",") if name.strip())


def _note_error(key: Key, error: Exception) -> None:
    log.warning("Reconcile will be tried again", namespace=key.namespace, name=key.name, error=str(error))


def _identity() -> str:
    return f"{socket.gethostname()}_{os.getpid()}_{utc_now().timestamp():.3f}"
