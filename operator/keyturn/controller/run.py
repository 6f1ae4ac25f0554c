"""The operator's life: check, set up, lead or stand by, stop. `keyturn operator` calls `run`; a term of leading is in `leadership.py`.

Whatever passes by itself is waited for: an API server that is away, resources that are not there yet, another leader.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from keyturn.base import metrics
from keyturn.base.clock import utc_now
from keyturn.base.errors import KeyturnError, RetryLater, UserMustAct
from keyturn.base.log_output import configure_logging, get_logger
from keyturn.base.probe_server import ProbeServer
from keyturn.base.settings import Settings
from keyturn.base.stop_signals import stop_on_signals
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.apikeyrevocations import PLURAL as REVOCATIONS
from keyturn.cluster.apikeys import collection_path
from keyturn.cluster.apiproducts import PLURAL
from keyturn.cluster.client import Client
from keyturn.cluster.discovery import serves
from keyturn.cluster.lease import Elector
from keyturn.cluster.login import NoClusterAccess
from keyturn.cluster.permissions import missing_rights
from keyturn.cluster.resource_path import API_VERSION
from keyturn.cluster.workloads import serves_rollouts
from keyturn.controller.broken_terms import BrokenTerms
from keyturn.controller.fence import note_end_of_watch, prove_fence, watch_fence
from keyturn.controller.installation import Installation, set_up
from keyturn.controller.leadership import Found, TermEnd, first_notes, lead
from keyturn.controller.probes import queue_complaint
from keyturn.controller.rights import LEASE_NAME, argo_rights, needed_rights, revocation_rights, watched_namespaces
from keyturn.controller.term_tasks import TermBroken
from keyturn.controller.witnesses import EarlierTerm
from keyturn.controller.workqueue import WorkQueue

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
RIGHTS_EVERY: Final = 20
"""Lease durations between two times that a standby asks for its rights: five minutes, as delivered. It is some forty questions."""

LIVES_AFTER: Final = 4
"""Lease durations after which a term lives: a minute, as delivered."""

T = TypeVar("T")

log = get_logger(__name__)


async def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; answers the exit status: 0 stopped as asked, 1 failed, 4 not allowed."""
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    _collect_less_often()
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        async with await Client.connect(timeout=settings.request_timeout, limit=settings.workers * 2 + 16) as client:
            _refuse_to_act_as_another(client)
            return await _until_stopped(client, settings, stop)
    except UserMustAct as refused:
        log.error("Cannot start", reason=refused.reason, problem=str(refused))
        return 4
    except (KeyturnError, OSError) as error:  # an address that is taken is no bug
        log.error("Cannot go on", problem=str(error))
        return 1


def _refuse_to_act_as_another(client: Client) -> None:
    """Kopf watches by connections of its own, which know no impersonation: half of the operator would act with other rights."""
    if client.acts_as_another:
        raise NoClusterAccess("The kubeconfig's user acts as somebody else (as), which the operator cannot: give it a user of its own")


def _collect_less_often() -> None:
    """Modules are no garbage, and what is decoded by the thousand is long-lived or freed by count: a third of a start went into looking."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _until_stopped(client: Client, settings: Settings, stop: asyncio.Event) -> int:
    client.on_request = metrics.count_request
    metrics.CLOCK_SKEW.set_function(lambda: client.clock_skew.total_seconds() if client.clock_skew is not None else 0.0)
    health = Health(settings)
    probes = ProbeServer(
        settings.probe_address,
        is_unhealthy=health.is_unhealthy,
        is_unready=health.is_unready,
        registry=metrics.REGISTRY,
        lag=metrics.EVENT_LOOP_LAG,
    )
    await probes.start()
    try:
        work = asyncio.create_task(_work(client, settings, health, stop), name="operator")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not work.done() and health.queue is None:
            work.cancel()  # a standby, or not even that yet: nothing to finish
        return await _outcome(work)
    finally:
        await probes.stop()


class Health:
    """What the probes ask: filled in as the operator comes up."""

    def __init__(self, settings: Settings) -> None:
        self._workers = settings.workers
        self.complaint: str | None = "The API server was not asked yet"
        self.queue: WorkQueue | None = None
        self.broken = BrokenTerms(lives_after=LIVES_AFTER * settings.lease_duration)

    def is_unhealthy(self) -> str | None:
        """Only a queue that stands still is cured by a restart."""
        return queue_complaint(self.queue.stats, workers=self._workers) if self.queue is not None else None

    def is_unready(self) -> str | None:
        """None as soon as this replica works, or stands by to take over."""
        return self.complaint or self.broken.complaint()


async def _outcome(work: asyncio.Task[int]) -> int:
    try:
        return await work
    except asyncio.CancelledError:
        return 0


async def _work(client: Client, settings: Settings, health: Health, stop: asyncio.Event) -> int:
    missing = await _patiently(health, "Asking for permissions", lambda: missing_rights(client, needed_rights(settings)))
    if missing:
        for sentence in missing:
            log.error("Missing permission", problem=sentence)
        return 4
    await _patiently(health, "Trying the admission policies", lambda: prove_fence(client, settings))
    await _patiently(health, "Looking for the ApiKey resource", lambda: _wait_for_crds(client, settings))
    installation = await _patiently(health, "Setting up", lambda: set_up(client, settings))
    fence, earlier = asyncio.create_task(watch_fence(client, settings), name="fence"), EarlierTerm()
    fence.add_done_callback(note_end_of_watch)
    try:
        while True:
            health.complaint = None
            try:
                end = await _term(client, settings, installation, health, stop, earlier=earlier)
            except TermBroken as broken:
                await _bear(broken, health)
                end = TermEnd.AGAIN
            if end is not TermEnd.AGAIN:
                return int(end is TermEnd.STUCK)
            log.info("Stands by again")
            # What the term ended of may be that something was taken away. The lead is not for who cannot work.
            await _patiently(health, "Asking for permissions", lambda: _wait_for_rights(client, settings))
            await _patiently(health, "Looking for the ApiKey resource", lambda: _wait_for_crds(client, settings))
    finally:
        fence.cancel()
        await asyncio.gather(fence, return_exceptions=True)


async def _bear(broken: TermBroken, health: Health) -> None:
    """Wait before the next term, longer each time, and be unready until one lives: the other replica may be luckier meanwhile."""
    metrics.TERMS_BROKEN.inc()
    pause = health.broken.note_end(str(broken))
    log.error("A bug ended the term", problem=str(broken), seconds=pause)
    await asyncio.sleep(pause)


async def _find(client: Client, settings: Settings, health: Health) -> Found:
    products = await _patiently(health, "Looking for the ApiProduct resource", lambda: _has_products(client))
    argo = await _patiently(health, "Looking for Argo Rollouts", lambda: _may_restart_argo_rollouts(client, settings))
    revocations = await _patiently(health, "Asking for permissions", lambda: _may_follow_revocations(client))
    served = await _patiently(health, "Looking for the ApiKeyRevocation resource", lambda: serves(client, API_VERSION, REVOCATIONS))
    return Found(argo, products, follows_revocations=revocations, has_revocations=served)


async def _term(
    client: Client,
    settings: Settings,
    installation: Installation,
    health: Health,
    stop: asyncio.Event,
    *,
    earlier: EarlierTerm,
) -> TermEnd:
    elector = Elector(client, namespace=settings.namespace, name=LEASE_NAME, identity=_identity(), lease_duration=settings.lease_duration)
    elector.notes = lambda: first_notes(elector, settings)
    await _stand_by(client, settings, elector, health)
    try:
        async with elector.kept():
            end = await _lead(client, settings, installation, elector, health, stop, earlier=earlier)
    except TermBroken:
        await elector.release()
        raise
    if end is not TermEnd.STUCK:
        await elector.release()
    return end


async def _lead(
    client: Client,
    settings: Settings,
    installation: Installation,
    elector: Elector,
    health: Health,
    stop: asyncio.Event,
    *,
    earlier: EarlierTerm,
) -> TermEnd:
    try:  # it may have stood by for days
        await _wait_for_rights(client, settings)
        await _wait_for_crds(client, settings)
    except RetryLater as error:
        log.warning("Does not lead", problem=str(error))
        return TermEnd.AGAIN
    found = await _find(client, settings, health)
    health.complaint = None

    def at_work(queue: WorkQueue | None) -> None:
        health.queue = queue
        (health.broken.note_life if queue is not None else health.broken.note_idle)()
        metrics.LEADER.set(queue is not None)

    return await lead(client, settings, installation, elector, stop=stop, at_work=at_work, found=found, earlier=earlier)


async def _stand_by(client: Client, settings: Settings, elector: Elector, health: Health) -> None:
    """Wait for the lead, unready while it could not be taken: who looks at two ready pods must be able to believe in both."""
    health.broken.note_life()  # somebody else's: where nobody leads, the lead is ours within a lease duration
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_ask_for_rights(client, settings, health), name="rights")
        await elector.acquire()
        asking.cancel()
    health.broken.note_idle()


async def _ask_for_rights(client: Client, settings: Settings, health: Health) -> None:
    """Those of the start, again and again, for ever. An API server that is away says nothing about them."""
    while True:
        await asyncio.sleep(RIGHTS_EVERY * settings.lease_duration.total_seconds())
        try:
            await _wait_for_rights(client, settings)
        except MissingRights as error:
            if health.complaint is None:
                log.warning("Stands by without its rights", problem=str(error))
            health.complaint = f"Asking for permissions: {error}"
        except RetryLater as error:
            log.debug("Permissions could not be asked for", error=str(error))
        else:
            health.complaint = None


async def _patiently(health: Health, doing: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer, and be unready meanwhile; an API server that is away comes back."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await ask()
        except RetryLater as error:
            log.warning("Will be tried again", doing=doing, problem=str(error), seconds=pause)
            health.complaint = f"{doing}: {error}"
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class MissingRights(RetryLater):
    """Some of those that the start insisted on are gone. Keys are accepted without us, and whoever took a right may give it back."""


async def _wait_for_rights(client: Client, settings: Settings) -> None:
    """Raises MissingRights, RetryLater where the API server could not say."""
    missing = await missing_rights(client, needed_rights(settings))
    if missing:
        raise MissingRights("; ".join(missing))


async def _wait_for_crds(client: Client, settings: Settings) -> None:
    namespace = next(iter(watched_namespaces(settings)), "")
    try:
        await client.get(collection_path(namespace), query={"limit": "1"})
    except NotFound:
        raise RetryLater("the ApiKey resource is missing: kubectl apply --server-side -f crds/") from None


async def _has_products(client: Client) -> bool:
    """Whether ApiProducts are served: CRDs of an older release have none. Where they come later, their watch finds them."""
    if await serves(client, API_VERSION, PLURAL):
        return True
    log.warning("ApiKeys that refer to an ApiProduct wait: its resource is missing", do="kubectl apply --server-side -f crds/")
    return False


async def _may_restart_argo_rollouts(client: Client, settings: Settings) -> bool:
    """Whether Argo Rollouts are there, and may be looked at and restarted."""
    if not await serves_rollouts(client):
        return False
    missing = await missing_rights(client, argo_rights(settings))
    for sentence in missing:
        log.warning("Argo Rollouts are left alone", problem=sentence)
    return not missing


async def _may_follow_revocations(client: Client) -> bool:
    """Whether ApiKeyRevocations may be read. They are cluster-scoped: who manages only some namespaces may have no right to them."""
    missing = await missing_rights(client, revocation_rights())
    for sentence in missing:
        log.warning("ApiKeyRevocations are not followed", problem=sentence)
    return not missing


def _identity() -> str:
    return f"{socket.gethostname()}_{os.getpid()}_{utc_now().timestamp():.3f}"
