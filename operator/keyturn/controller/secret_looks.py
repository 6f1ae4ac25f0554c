"""Finds what others did to credential Secrets where none is watched: looks at one after the other, and wakes its ApiKey if it is different.

Whose turn it is says `lifecycle/look_rounds.py`; what a difference means, the reconcile.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.api_errors import Forbidden
from keyturn.cluster.credential_secrets import NotOurs
from keyturn.controller.runtime import Runtime
from keyturn.controller.secret_answers import note_answer
from keyturn.lifecycle.look_rounds import LookRounds

LONGEST_PAUSE: Final = 0.5
"""Seconds: meanwhile one may have come that nobody has looked at yet."""

log = get_logger(__name__)


async def look_at_secrets(rt: Runtime, rounds: LookRounds) -> None:
    """For ever, one at a time; a look that fails waits for its next turn."""
    may_look = True
    while True:
        now = time.monotonic()
        where = rounds.take(now)
        if where is None:
            await asyncio.sleep(min(rounds.wait(now), LONGEST_PAUSE))
            continue
        try:
            await look(rt, where)
            may_look = True
        except Forbidden as refused:
            if may_look:
                log.warning("Credential Secrets may not be looked at", namespace=where.namespace, secret=where.name, error=str(refused))
            may_look = False
        except KeyturnError as error:
            log.debug("Look at a credential Secret failed", namespace=where.namespace, secret=where.name, error=str(error))


async def look(rt: Runtime, where: Key) -> None:
    """Ask for its metadata; where that is not what is known, wake whose it is."""
    keys = rt.apikeys_of_secret(where)
    if not keys:
        rt.secrets.forget(where)
        return
    held = rt.secrets.get(where)
    with suppress(NotOurs):
        found = await note_answer(rt, where, rt.credential_secrets.read_metadata(where), wanted_by=keys)
        if found is not None and held is not None and (held.uid, held.resource_version) == (found.uid, found.resource_version):
            return
    for key in keys:
        rt.queue.add(key)
