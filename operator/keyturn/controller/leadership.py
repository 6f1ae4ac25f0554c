"""One term of leading: watches, workers, Lease renewal, sweep, and Kopf inside them all. Called by `run.py`, again after a lost lead.

What must outlive Kopf starts before it and ends after it: Kopf cancels what is born while it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from keyturn.base import metrics
from keyturn.base.clock import MILLISECOND, utc_now
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.base.settings import SecretAccess, Settings
from keyturn.cluster.cache import Cache, Caches
from keyturn.cluster.client import Client
from keyturn.cluster.credential_secrets import CREDENTIAL_SELECTOR, CredentialMetadata, CredentialSecrets, decode_credential_metadata
from keyturn.cluster.lease import Elector
from keyturn.cluster.record_secrets import RECORD_SELECTOR, RecordSecrets, StoredRecord, decode_stored_record
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.controller.apikey.observe import read_record
from keyturn.controller.apikey.reconcile import reconcile
from keyturn.controller.audit import AuditLog
from keyturn.controller.claims import Claims
from keyturn.controller.first_look import take_all
from keyturn.controller.handlers import run_kopf
from keyturn.controller.installation import Installation
from keyturn.controller.key_use import KeyUses
from keyturn.controller.known_secrets import KnownSecrets
from keyturn.controller.probes import measure_no_term, measure_queue, measure_verifiers
from keyturn.controller.products import Products
from keyturn.controller.revocations import Revocations
from keyturn.controller.rights import watched_namespaces
from keyturn.controller.root_watch import watch_root
from keyturn.controller.runtime import Memory, Runtime
from keyturn.controller.secret_looks import look_at_secrets
from keyturn.controller.sweep import sweep_forever
from keyturn.controller.term_tasks import TermBroken, TermTasks
from keyturn.controller.verifiers import Verifiers
from keyturn.controller.witnesses import EarlierTerm, Witnesses
from keyturn.controller.workqueue import WorkQueue
from keyturn.keys.record_peek import holds_key_of, serial_in
from keyturn.lifecycle.look_rounds import LookRounds
from keyturn.lifecycle.pacing import RotationPacer

STOP_TIMEOUT: Final = timedelta(seconds=8)
NO_LEASE_YET: Final = timedelta(minutes=10)
TOLD_THROUGH_NOTE: Final = "keyturn.dev/told-through"
SERIAL_DIGITS: Final = 19

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What the start found in the cluster."""

    has_argo_rollouts: bool
    """They are there, and may be restarted."""
    has_products: bool
    """ApiProducts are served."""
    follows_revocations: bool
    """ApiKeyRevocations may be read."""
    has_revocations: bool
    """They are served."""


class TermEnd(Enum):
    """Why a term ended."""

    STOPPED = "stopped"
    """As asked."""
    AGAIN = "again"
    """The lead was lost, or the cluster went back in time: begin anew with an empty memory."""
    STUCK = "stuck"
    """The work did not end in time: the process must."""


async def lead(
    client: Client,
    settings: Settings,
    installation: Installation,
    elector: Elector,
    *,
    stop: asyncio.Event,
    at_work: Callable[[WorkQueue | None], None],
    found: Found,
    earlier: EarlierTerm,
) -> TermEnd:
    """Work until `stop`, or until the lead is lost; the caller keeps it and gives it up. Raises TermBroken where a bug ended it."""
    rt, tasks = _runtime(client, settings, installation, elector), TermTasks()
    rt.has_argo_rollouts, rt.follows_revocations = found.has_argo_rollouts, found.follows_revocations
    async with _watching(rt, found, tasks) as reflectors:
        if not tasks.over.is_set():
            rt.witnesses.compare(earlier, rt.records.entries())
            _take_up_telling(rt, elector)
            _take_up_places(rt)
            await take_all(rt, namespaces=watched_namespaces(settings))
            rt.queue.start()
            at_work(rt.queue)
            try:
                await _work(rt, elector, reflectors, tasks, stop)
            finally:
                at_work(None)
                finished = await rt.queue.stop(STOP_TIMEOUT)
                rt.witnesses.hand_over(earlier, rt.records.entries())
                measure_no_term()
                metrics.KEYS.forget()
            if not finished:
                log.error("Work did not end in time")
                return TermEnd.STUCK
            elector.notes = lambda: _note(rt.memory.told_through(_milliseconds(rt.clock())))  # nothing runs any more: up to this moment
    log.info("Operator stopped")
    if stop.is_set():
        return TermEnd.STOPPED
    if tasks.broken is not None:
        raise TermBroken(tasks.broken)
    return TermEnd.AGAIN


async def _work(rt: Runtime, elector: Elector, reflectors: list[Reflector], tasks: TermTasks, stop: asyncio.Event) -> None:
    """Kopf inside everything else; the first of stop, lost lead, a store that went back and a bug in a watch or the sweep ends it."""
    namespaces = watched_namespaces(rt.settings)
    started = [
        tasks.start(elector.until_lost(), "lease"),
        tasks.start(stop.wait(), "stop"),
        *(tasks.start(reflector.went_back.wait(), "went-back") for reflector in reflectors),
        tasks.start(rt.verifiers.run(), "verifiers"),
        tasks.start(rt.products.keep_status(), "products"),
        tasks.start(rt.revocations.keep(), "revocations"),
        tasks.start(sweep_forever(rt, namespaces=namespaces), "sweep"),
        tasks.start(watch_root(rt), "root"),
        *([tasks.start(look_at_secrets(rt, rt.secrets.rounds), "looks")] if rt.secrets.rounds is not None else []),
    ]
    log.info("Operator started", namespaces=",".join(namespaces) or "all")
    try:
        await run_kopf(rt, ended=tasks.over, stop=stop, namespaces=namespaces)
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)


@asynccontextmanager
async def _watching(rt: Runtime, found: Found, tasks: TermTasks) -> AsyncIterator[list[Reflector]]:
    """The watches, in step with the cluster unless the term is over: nothing is decided before records, Secrets and revocations are known.

    What is not served yet, as at an upgrade, is not waited for: it is acted on whenever it comes.
    """
    needed, of_products = _reflectors(rt), rt.products.reflectors()
    of_revocations = [rt.revocations.reflector()] if rt.follows_revocations else []
    reflectors = [*needed, *of_products, *of_revocations]
    watching = [tasks.start(reflector.run(), f"The watch of {reflector.path}") for reflector in reflectors]
    served = [*(of_products if found.has_products else ()), *(of_revocations if found.has_revocations else ())]
    try:
        for reflector in [*needed, *served]:
            if not await tasks.reach(reflector.synced):
                break
        yield reflectors
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        rt.audit.close()


def _runtime(client: Client, settings: Settings, installation: Installation, elector: Elector) -> Runtime:
    witnesses = Witnesses(installation)
    rt = Runtime(
        settings=settings,
        clock=utc_now,
        client=client,
        installation=installation,
        apikeys=Cache[bytes](),
        records=Cache[StoredRecord](on_replaced=witnesses.note_replaced),
        secrets=_known_secrets(settings),
        record_secrets=RecordSecrets(client, namespace=settings.records_namespace),
        credential_secrets=CredentialSecrets(client, by_patch=settings.secret_access is SecretAccess.GUARDED),
        pacer=RotationPacer.of(settings),
        audit=AuditLog(settings.audit_log),
        is_leading=elector.is_leading,
        memory=Memory(announced_before=_announced_before(elector, settings)),
    )
    rt.queue = WorkQueue(
        lambda key: reconcile(rt, key),
        workers=settings.workers,
        share=settings.namespace_workers,
        clock=rt.clock,
        on_error=_note_error,
        on_run=metrics.count_run,
    )
    rt.secrets.tell = lambda where: _wake(rt, *rt.apikeys_of_secret(where))
    rt.verifiers = Verifiers(client, namespace=settings.records_namespace, wake=rt.queue.add)
    rt.products = _products(rt)
    rt.revocations = _revocations(rt)
    rt.witnesses, witnesses.wake = witnesses, rt.queue.add
    rt.claims = Claims(records=rt.records, read=lambda key: read_record(rt, key))
    rt.verifiers.on_change = rt.revocations.verifiers_changed
    rt.uses = KeyUses(wake=lambda key, at: _wake(rt, key, at=at), lives=lambda: rt.verifiers.lives(rt.clock()), clock=rt.clock)
    _measure(rt)
    return rt


def _products(rt: Runtime) -> Products:
    return Products(
        rt.client,
        namespaces=watched_namespaces(rt.settings),
        wake=rt.queue.add,  # it knows those that were looked at, and retained keys have no ApiKey
        is_busy=lambda: rt.queue.stats.depth > 0,
        clock=rt.clock,
    )


def _revocations(rt: Runtime) -> Revocations:
    return Revocations(
        rt.client,
        records=rt.records,
        read=lambda key: read_record(rt, key),
        wake=rt.queue.add_urgent,
        live=lambda: rt.verifiers.live,
        clock=rt.clock,
    )


def _measure(rt: Runtime) -> None:
    measure_queue(rt.queue)
    measure_verifiers(rt.verifiers, newest_record=lambda: rt.records.newest)
    metrics.KEYS.count_with(lambda: rt.memory.census.numbers(rt.clock()))


def _known_secrets(settings: Settings) -> KnownSecrets:
    guarded = settings.secret_access is SecretAccess.GUARDED
    rounds = LookRounds(rate=settings.secret_look_rate, interval=settings.secret_look_interval.total_seconds()) if guarded else None
    return KnownSecrets(Caches[CredentialMetadata](watched_namespaces(settings)), rounds)


def first_notes(elector: Elector, settings: Settings) -> dict[str, str]:
    """What the Lease says from the moment it is taken.

    A leader may die before its first renewal. Its follower would count from that leader's start, and what an earlier one left untold
    would never be told.
    """
    return _note(_announced_before(elector, settings))


def _announced_before(elector: Elector, settings: Settings) -> int:
    """Up to which serial (unix milliseconds) records were surely told of. A leader that died may have left its last ones untold."""
    noted = elector.inherited_notes.get(TOLD_THROUGH_NOTE, "")
    if noted.isascii() and noted.isdigit() and len(noted) <= SERIAL_DIGITS:
        return int(noted)
    return _milliseconds(elector.previous_renew_time or utc_now() - NO_LEASE_YET) - 2 * settings.lease_duration // MILLISECOND


def _take_up_telling(rt: Runtime, elector: Elector) -> None:
    """What nobody may have told of is ours to tell; until that is done, the Lease says so with every renewal.

    A record's serial is the time of the look it was decided by: what is not yet known of may be a little older than now.
    """
    for key, entry in rt.records.entries().items():
        serial = serial_in(entry.value.data)
        if serial > rt.memory.announced_before:
            rt.memory.will_tell(key, serial)
    lag = 2 * rt.settings.lease_duration
    elector.notes = lambda: _note(rt.memory.told_through(_milliseconds(rt.clock() - lag)))


def _take_up_places(rt: Runtime) -> None:
    """Who has a key already, so that products which count their keys give out no more than they want to."""
    for key, entry in rt.records.entries().items():
        product = holds_key_of(entry.value.data)
        if product is not None:
            rt.products.know_holder(key, product)


def _note(serial: int) -> dict[str, str]:
    return {TOLD_THROUGH_NOTE: str(serial)}


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _reflectors(rt: Runtime) -> list[Reflector]:
    records = Reflector(
        rt.client,
        Collection(_secrets_path(rt.settings.records_namespace), label_selector=RECORD_SELECTOR),
        sink=CacheSink(rt.records, decode=decode_stored_record, on_change=lambda key: _note_record(rt, key)),
    )
    uses = rt.uses.reflector(rt.client, namespace=rt.settings.records_namespace)
    newer = rt.witnesses.reflector(rt.client, namespace=rt.settings.records_namespace)
    return [records, *_credential_reflectors(rt), rt.verifiers.reflector(), uses, newer]


def _credential_reflectors(rt: Runtime) -> list[Reflector]:
    if rt.secrets.rounds is not None:
        return []
    return [
        Reflector(
            rt.client,
            Collection(_secrets_path(namespace), label_selector=CREDENTIAL_SELECTOR, metadata_only=True),
            sink=CacheSink(
                rt.secrets.cache.part(namespace),
                decode=decode_credential_metadata,
                on_change=lambda where: _wake(rt, *rt.apikeys_of_secret(where)),
            ),
        )
        for namespace in watched_namespaces(rt.settings) or ("",)
    ]


def _secrets_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"


def _wake(rt: Runtime, *keys: Key, at: datetime | None = None) -> None:
    """Their record, Secret or use is different now; `at`: it has time until then.

    Where its ApiKey is not known, Kopf is about to list it, or the sweep finds it gone: looking before that would read every ApiKey
    one by one at each start.
    """
    for key in keys:
        if key in rt.apikeys:
            rt.queue.add(key, at)


def _note_record(rt: Runtime, key: Key) -> None:
    rt.revocations.record_changed(key)
    _wake(rt, key)


def _note_error(key: Key, error: Exception) -> None:
    log.warning("Reconcile will be tried again", namespace=key.namespace, name=key.name, error=str(error))
