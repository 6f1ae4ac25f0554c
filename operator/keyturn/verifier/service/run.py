"""The verifier's life: learn the public keys, take every record, answer, stop. `keyturn verifier` calls `run`.

Nothing ends it but a signal: an API server that is away is waited for, and what is known goes on counting until it is stale.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from keyturn.base.clock import utc_now
from keyturn.base.duration import format_duration
from keyturn.base.errors import KeyturnError, UserMustAct
from keyturn.base.log_output import configure_logging, get_logger
from keyturn.base.stop_signals import stop_on_signals
from keyturn.cluster.client import Client
from keyturn.cluster.record_secrets import newest_record_version
from keyturn.cluster.replica_reports import ReplicaReports
from keyturn.cluster.verifier_leases import OwnLease
from keyturn.keys.verification_keys import VerificationKeys
from keyturn.verifier.guard import Guard, Tokens
from keyturn.verifier.limits import Limit, LocalLimiter
from keyturn.verifier.presented import Sources
from keyturn.verifier.service import metrics
from keyturn.verifier.service.acknowledgement import Acknowledgement
from keyturn.verifier.service.answering import Answering
from keyturn.verifier.service.app_folder import AppFolder
from keyturn.verifier.service.issuers_file import read_issuers
from keyturn.verifier.service.jwks_feed import JwksFeed
from keyturn.verifier.service.knowledge import Knowledge
from keyturn.verifier.service.newer_records import NewerRecordsReporter
from keyturn.verifier.service.permission_check import is_allowed
from keyturn.verifier.service.processes.place import Place
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.service.use_report import UseReporter
from keyturn.verifier.store import Store
from keyturn.verifier.usage import Usage

log = get_logger(__name__)


async def run(settings: VerifierSettings, place: Place) -> int:
    """Run until SIGTERM or SIGINT; answers the exit status: 0 stopped as asked, 1 failed, 4 not allowed."""
    configure_logging(log_format=settings.log_format, level=settings.log_level, always=place.log_fields)
    gc.collect()
    gc.freeze()
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        async with await Client.connect(timeout=settings.request_timeout) as client:
            allowed = asyncio.create_task(is_allowed(client, settings, otherwise=stop.set), name="permissions")
            status = await _until_stopped(client, settings, place, stop)
            return status if allowed.cancel() or allowed.result() else 4
    except UserMustAct as refused:
        log.error("Cannot start", reason=refused.reason, problem=str(refused))
        return 4
    except (KeyturnError, OSError) as error:
        log.error("Cannot go on", problem=str(error))
        return 1


async def _until_stopped(client: Client, settings: VerifierSettings, place: Place, stop: asyncio.Event) -> int:
    client.on_request = metrics.count_request
    store = Store(VerificationKeys(()))
    app = AppFolder(Path(settings.app_folder)) if settings.app_folder else None
    knowledge = Knowledge(client, settings, store, app=app)
    usage = Usage()
    reports = ReplicaReports(client, namespace=settings.records_namespace, replica=_identity(settings))
    reporter = UseReporter(reports, settings, store, usage, clock=utc_now, app=app)
    newer = NewerRecordsReporter(reports, knowledge.records, store, snapshot=knowledge.snapshot_file)
    issuers = JwksFeed(read_issuers(settings.issuers), settings, clock=utc_now)
    guard = _guard(settings, store, usage, issuers.tokens)
    acknowledgement = _acknowledgement(client, settings, knowledge, notes=reporter.notes)
    store.is_waited_for = acknowledgement.is_waited_for
    _measure(store, client)
    probes = place.probes(is_unready=lambda: "It is about to stop" if stop.is_set() else knowledge.complaint())
    await probes.start()
    try:
        # Before the group, which would wrap what they raise: an address that is taken is one sentence, and no bug.
        doors = place.doors(is_ready=lambda: knowledge.is_ready() and not stop.is_set())
        answering = Answering(settings, guard, client, doors, is_ready=knowledge.is_ready)
        await answering.start()
        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(reporter.run(), name="use reports")
            acknowledging = tasks.create_task(acknowledgement.run(), name="acknowledgement")
            others = [tasks.create_task(work) for work in (knowledge.run(), newer.run(), answering.keep_up(), issuers.run())]
            await stop.wait()
            log.info("Stops", after=format_duration(settings.drain_delay))
            await answering.stop()
            await _end(reporting)
            await reporter.finish()  # the last word before the Lease goes: without one, uses would be unknown
            await _end(acknowledging)
            await acknowledgement.end()
            for other in others:
                other.cancel()
    finally:
        await probes.stop()
    return 0


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _identity(settings: VerifierSettings) -> str:
    return settings.identity or socket.gethostname().lower()


def _acknowledgement(
    client: Client, settings: VerifierSettings, knowledge: Knowledge, *, notes: Callable[[], Mapping[str, str]]
) -> Acknowledgement:
    identity, namespace = _identity(settings), settings.records_namespace
    holder = f"{identity}_{os.getpid()}_{utc_now().timestamp():.3f}"
    lease = OwnLease(client, namespace=namespace, identity=identity, holder=holder, duration=settings.lease_duration)
    return Acknowledgement(
        lease,
        knowledge.records,
        notes=notes,
        newest_record=lambda: newest_record_version(client, namespace=namespace),
        list_again=knowledge.list_again,
    )


def _guard(settings: VerifierSettings, store: Store, usage: Usage, tokens: Tokens | None) -> Guard:
    headers = tuple(name.strip() for name in settings.key_headers.split(",") if name.strip())
    default = Limit(settings.default_rate, settings.default_burst, name="default") if settings.default_rate else None
    return Guard(
        store,
        clock=utc_now,
        sources=Sources(headers=headers),
        on_verdict=metrics.VERDICTS.count,
        on_use=usage.note,
        limiter=LocalLimiter(default=default),
        tokens=tokens,
    )


def _measure(store: Store, client: Client) -> None:
    metrics.read_when_asked(
        (
            (metrics.RECORDS, lambda: float(len(store))),
            (metrics.LIVE_KEYS, lambda: float(len(store.live))),
            (metrics.VANISHED, lambda: float(len(store.vanished))),
            (metrics.HEARD_AGE, lambda: utc_now().timestamp() - store.heard),
            (metrics.WAITED_FOR, lambda: float(store.is_waited_for())),
            (metrics.CAUGHT_UP, lambda: float(store.is_caught_up)),
            (metrics.CLOCK_SKEW, lambda: client.clock_skew.total_seconds() if client.clock_skew is not None else 0.0),
        )
    )
