"""Sees within a moment that the root secret was deleted, and has `installation.py` write it again. Part of a term.

A watch of the one Secret: RBAC counts a list or a watch by `metadata.name` as one of that name, so the right is no wider than to read it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base import metrics
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.cache import Cache
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.controller.installation import keep_root
from keyturn.controller.runtime import Runtime

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries to write it."""

log = get_logger(__name__)


async def watch_root(rt: Runtime) -> None:
    """For ever."""
    where = Key(rt.settings.namespace, rt.settings.root_secret)
    changed, there = asyncio.Event(), Cache[None]()
    reflector = Reflector(
        rt.client,
        Collection(f"/api/v1/namespaces/{where.namespace}/secrets", field_selector=f"metadata.name={where.name}", metadata_only=True),
        sink=CacheSink(there, decode=lambda _item: (where, None), on_change=lambda _key: changed.set()),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reflector.run())
        await reflector.synced.wait()
        while True:
            changed.clear()
            if where not in there:
                metrics.ROOT_SECRET_MISSING.inc()
                await _write_again(rt, where, changed)
            await changed.wait()


async def _write_again(rt: Runtime, where: Key, changed: asyncio.Event) -> None:
    """Try until it is there, or until the watch says that somebody else has done something."""
    pause = FIRST_PAUSE
    while not changed.is_set():
        try:
            await keep_root(rt.client, rt.settings, rt.installation)
        except KeyturnError as error:
            log.error(
                "The root secret is missing and could not be written again",
                namespace=where.namespace,
                name=where.name,
                reason=str(Reason.ROOT_SECRET_MISSING),
                problem=str(error),
                seconds=pause,
            )
        else:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), pause)
        pause = min(pause * 2, LONGEST_PAUSE)
