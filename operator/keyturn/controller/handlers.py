"""What Kopf calls: something changed, so its key goes on the queue. Nothing else happens here; the only importer of Kopf.

After it: `workqueue.py`, then `apikey/reconcile.py`. Kopf delivers wake-ups and process life; why not more of it is told in
docs/explanation/kopf.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import chain, repeat

import kopf

from keyturn.base.clock import MINUTE, utc_now
from keyturn.base.log_output import get_logger
from keyturn.base.names import GROUP, Key
from keyturn.base.stop_signals import stop_on_signals
from keyturn.controller.runtime import Runtime

LOGIN_LIFE = 5 * MINUTE
"""Projected tokens are renewed about every hour; Kopf asks again before it uses an old one."""


class _ForEver:
    """Pauses between tries, in seconds; Kopf would end the process after the last of a list, and an API server may be away for long."""

    def __iter__(self) -> Iterator[float]:
        return chain((0.2, 0.5, 1.0, 2.0, 5.0), repeat(10.0))


PATIENCE = _ForEver()


class _NothingToCompare(kopf.DiffBaseStorage):
    """Kopf copies each object whole, twice an event, to tell handlers of changes what changed; we have none of those."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """No copy."""
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> None:
        """Nothing is kept on the objects."""

    def store(self, **_: object) -> None:
        """Nothing is kept on the objects."""


log = get_logger(__name__)
registry = kopf.OperatorRegistry()


@kopf.on.event(GROUP, "v1alpha1", "apikeys", registry=registry)
async def apikey_changed(event: kopf.RawEvent, namespace: str | None, name: str, memo: Runtime, **_: object) -> None:
    """Keep the newest version of the ApiKey; where it is news, look at it."""
    key = Key(namespace or "", name)
    if take_apikey(memo, key, event):
        memo.queue.add(key)


def take_apikey(rt: Runtime, key: Key, event: Mapping[str, object]) -> bool:
    """Put one event into the cache; False for the echo of our own status write, and for what is old."""
    raw = event["object"]
    if not isinstance(raw, Mapping):
        return False
    if event["type"] == "DELETED":
        return rt.drop_apikey(key, raw)
    is_known, is_echo = key in rt.apikeys, rt.is_own_echo(key, raw)  # against what is held before this event
    if not rt.keep_apikey(key, raw) or is_echo:
        return False
    if is_known:
        rt.secrets.doubt(key)
    return True


async def run_kopf(rt: Runtime, *, ended: asyncio.Event, stop: asyncio.Event, namespaces: tuple[str, ...]) -> None:
    """Watch ApiKeys until `ended`, or until Kopf itself gives up. A signal sets `stop`.

    Kopf is ended by cancelling it: asked by its own stop flag or by a signal, it waits five seconds for tasks that are none of its.
    """
    ready = asyncio.Event()
    watching = asyncio.create_task(_operator(rt, ready=ready, namespaces=namespaces), name="kopf")
    over = asyncio.create_task(ended.wait(), name="kopf-over")
    came_up = asyncio.create_task(ready.wait(), name="kopf-ready")
    await asyncio.wait({watching, over, came_up}, return_when=asyncio.FIRST_COMPLETED)
    stop_on_signals(stop)  # Kopf has put its own handlers in their place
    await asyncio.wait({watching, over}, return_when=asyncio.FIRST_COMPLETED)
    for task in (watching, over, came_up):
        task.cancel()
    (outcome, *_) = await asyncio.gather(watching, over, came_up, return_exceptions=True)
    if not ended.is_set():
        log.error("Kopf gave up and will be started again", problem=str(outcome))


async def _operator(rt: Runtime, *, ready: asyncio.Event, namespaces: tuple[str, ...]) -> None:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NothingToCompare()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 1.0
    settings.watching.server_timeout = 290
    settings.watching.client_timeout = 310
    settings.networking.error_backoffs = PATIENCE
    await kopf.operator(
        registry=registry,
        settings=settings,
        memo=rt,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        ready_flag=ready,
    )


@kopf.on.login(registry=registry)
async def log_in(memo: Runtime, **_: object) -> kopf.ConnectionInfo:
    """Kopf speaks as who we are."""
    login = await memo.client.credentials()
    return kopf.ConnectionInfo(
        server=login.server,
        ca_path=login.ca_file,
        certificate_path=login.certificate_file,
        private_key_path=login.key_file,
        insecure=login.insecure,
        scheme=login.scheme,
        token=login.token,
        proxy_url=login.proxy,
        default_namespace=login.namespace,
        expiration=utc_now() + LOGIN_LIFE if login.token else None,
    )
