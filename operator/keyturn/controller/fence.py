"""Whether the admission policies stand between the operator's right to patch Secrets and other people's Secrets.

Guarded mode rests on them. So the operator tries what they must refuse it, an empty patch of a Secret that is not Keyturn's: before it
works, and every minute after. The Secret is a canary: nothing is in it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base import metrics
from keyturn.base.errors import KeyturnError, UserMustAct
from keyturn.base.log_output import get_logger
from keyturn.base.settings import SecretAccess, Settings
from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.credential_secrets import FENCE
from keyturn.controller.rights import CANARY_NAME

TRIES: Final = 5
PAUSE: Final = 1.0
"""Seconds. A policy is in force a moment after it was accepted, and both may be installed at once."""
TO_DO: Final = (
    "Install Keyturn with its admission policies, from deploy/ or the Helm chart, and run the operator as its ServiceAccount; or let it"
    " read all Secrets: --secret-access watch"
)

log = get_logger(__name__)


async def hole_in_fence(client: Client, settings: Settings) -> str | None:
    """What is wrong with the fence; None: it stands. Raises RetryLater where the API server could not say."""
    where = f"{settings.namespace}/{CANARY_NAME}"
    try:
        await client.patch_merge(f"/api/v1/namespaces/{settings.namespace}/secrets/{CANARY_NAME}", {}, accept=METADATA_ONLY)
    except NotFound:
        return f"Secret {where} is missing, on which the admission policies are tried"
    except Forbidden as refused:
        return None if refused.denied_by == FENCE else f"Secret {where} was refused by something else than Keyturn's policy: {refused}"
    return f"Secret {where} can be read by an empty patch: the admission policies are not in force, or not for this account"


async def prove_fence(client: Client, settings: Settings) -> None:
    """At the start, with some patience. Raises UserMustAct where the fence does not stand, RetryLater."""
    if settings.secret_access is not SecretAccess.GUARDED:
        return
    for left in reversed(range(TRIES)):
        hole = await hole_in_fence(client, settings)
        if hole is None:
            metrics.FENCE_INTACT.set(1)
            return
        if left == 0:
            raise UserMustAct(f"{hole}. {TO_DO}", reason=Reason.PERMISSION_MISSING)
        await asyncio.sleep(PAUSE)


def note_end_of_watch(task: asyncio.Task[None]) -> None:
    """Nobody looks any more: that the fence stands must not be said then."""
    if not task.cancelled() and (bug := task.exception()) is not None:
        metrics.FENCE_INTACT.set(0)
        log.error("A task died of a bug", task=task.get_name(), error=type(bug).__name__)


async def watch_fence(client: Client, settings: Settings) -> None:
    """Look again and again, for ever. Where the fence is gone keys go on working: whoever took it away is told of, not the teams."""
    if settings.secret_access is not SecretAccess.GUARDED:
        return
    stood = True
    while True:
        await asyncio.sleep(settings.fence_check_interval.total_seconds())
        try:
            hole = await hole_in_fence(client, settings)
        except KeyturnError as error:
            log.debug("Fence could not be looked at", error=str(error))
            continue
        metrics.FENCE_INTACT.set(hole is None)
        if hole is not None and stood:
            log.error("Fence is open: the operator's token can read all Secrets", problem=hole, do=TO_DO)
        elif hole is None and not stood:
            log.info("Fence stands again")
        stood = hole is None
