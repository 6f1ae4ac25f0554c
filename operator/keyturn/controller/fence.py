"""Whether the admission policies of the fence are in force: before the operator works, and every minute after.

Guarded mode rests on one of them. So the operator tries what that one must refuse it, an empty patch of a Secret that is not Keyturn's: a
canary with nothing in it. What it writes besides is tried too, by a dry run. The others are about workloads and about everybody else,
where it has nothing to try with: it reads whether they are there, and bound to deny.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base import metrics, names
from keyturn.base.errors import Conflict, KeyturnError, UserMustAct
from keyturn.base.log_output import get_logger
from keyturn.base.settings import AdmissionPolicies, SecretAccess, Settings
from keyturn.cluster.admission_policies import why_not_in_force
from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.caller import own_name
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
PUT_BACK: Final = "Apply Keyturn's manifests or chart again; where there shall be no policies: --admission-policies none"
_THIEF: Final = "whoever has the operator's token can"
OPENS: Final = {
    names.SECRETS_POLICY: f"{_THIEF} read and change all Secrets",
    names.WORKLOADS_POLICY: f"{_THIEF} run code in every workload",
    names.OBJECTS_POLICY: f"{_THIEF} write ConfigMaps, Leases and Events in others' names",
    names.TYPES_POLICY: "whoever may write Secrets can make and change those of Keyturn's types",
    names.RECORDS_POLICY: "whoever may write in the records' namespace can delete verifier records and put older ones back",
    names.CONSUME_POLICY: "nobody needs the verb consume for a key of another namespace's ApiProduct: its spec.access decides alone",
    names.REQUESTED_BY_POLICY: "whoever creates an ApiKeyRevocation can say that somebody else asked for it",
}
"""What is possible without each of the policies."""

log = get_logger(__name__)


async def hole_in_fence(client: Client, settings: Settings) -> str | None:
    """What is wrong with the policy that guarded mode rests on; None: it stands. Raises RetryLater where the API server could not say."""
    where = f"{settings.namespace}/{CANARY_NAME}"
    try:
        await client.patch_merge(f"/api/v1/namespaces/{settings.namespace}/secrets/{CANARY_NAME}", {}, accept=METADATA_ONLY)
    except NotFound:
        return f"Secret {where} is missing, on which the admission policies are tried"
    except Forbidden as refused:
        return None if refused.denied_by == FENCE else f"Secret {where} was refused by something else than Keyturn's policy: {refused}"
    return f"Secret {where} can be read by an empty patch: the admission policies are not in force, or not for this account"


async def hole_at_home(client: Client, settings: Settings) -> str | None:
    """The same of the policy on what else the operator writes. Nothing is made: it is a dry run."""
    canary = f"ConfigMap {settings.namespace}/{CANARY_NAME}"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CANARY_NAME}}
    try:
        await client.post(f"/api/v1/namespaces/{settings.namespace}/configmaps", body, query={"dryRun": "All"}, accept=METADATA_ONLY)
    except Forbidden as refused:
        by = f"ValidatingAdmissionPolicy {names.OBJECTS_POLICY}"
        return None if refused.denied_by == by else f"{canary} was refused by something else than Keyturn's policy: {refused}"
    except Conflict:
        pass  # it is there, so nothing else was against it
    return f"{canary} could be made: the policy is not in force, or not for this account"


async def prove_fence(client: Client, settings: Settings) -> None:
    """At the start, with some patience. Raises UserMustAct where what guarded mode rests on does not stand, RetryLater."""
    if settings.secret_access is not SecretAccess.GUARDED:
        return
    for left in reversed(range(TRIES)):
        hole = await hole_in_fence(client, settings)
        if hole is None:
            _show(names.SECRETS_POLICY, stands=True)
            return
        if left == 0:
            raise UserMustAct(f"{hole}. {TO_DO}", reason=Reason.PERMISSION_MISSING)
        await asyncio.sleep(PAUSE)


def note_end_of_watch(task: asyncio.Task[None]) -> None:
    """Nobody looks any more: that the fence stands must not be said then."""
    if not task.cancelled() and (bug := task.exception()) is not None:
        for policy in names.POLICIES:
            _show(policy, stands=False)
        log.bug("A task died of a bug", of=bug, task=task.get_name(), error=type(bug).__name__)


async def watch_fence(client: Client, settings: Settings) -> None:
    """Look again and again, for ever. Where a policy is gone keys go on working: whoever took it away is told of, not the teams."""
    policies = policies_to_watch(settings)
    stood = dict.fromkeys(policies, True)
    await _let_come_into_force(policies, client, settings)
    while policies:
        for policy in policies:
            try:
                hole = await _hole_in(policy, client, settings)
            except KeyturnError as error:
                log.debug("Fence could not be looked at", policy=policy, error=str(error))
                continue
            _tell(policy, hole, stood=stood[policy])
            stood[policy] = hole is None
        await asyncio.sleep(settings.fence_check_interval.total_seconds())


async def _let_come_into_force(policies: tuple[str, ...], client: Client, settings: Settings) -> None:
    """With some patience, as at the start for the one: a first installation is no hole that anybody has made."""
    missing = policies
    for _ in range(TRIES - 1):
        with suppress(KeyturnError):
            missing = tuple([policy for policy in missing if await _hole_in(policy, client, settings) is not None])
        if not missing:
            return
        await asyncio.sleep(PAUSE)


def policies_to_watch(settings: Settings) -> tuple[str, ...]:
    """The policies that shall be in force."""
    if settings.admission_policies is AdmissionPolicies.INSTALLED:
        return names.POLICIES
    return (names.SECRETS_POLICY,) if settings.secret_access is SecretAccess.GUARDED else ()


async def _hole_in(policy: str, client: Client, settings: Settings) -> str | None:
    if policy == names.SECRETS_POLICY:
        return await hole_in_fence(client, settings)
    if policy == names.OBJECTS_POLICY:
        return await hole_at_home(client, settings)
    account = await own_name(client) if policy == names.WORKLOADS_POLICY else ""
    try:
        return await why_not_in_force(client, policy, account=account)
    except Forbidden as refused:
        return f"Whether {policy} is in force cannot be seen: {refused}"


def _tell(policy: str, hole: str | None, *, stood: bool) -> None:
    _show(policy, stands=hole is None)
    if hole is not None and stood:
        log.error("Fence is open: an admission policy is not in force", policy=policy, problem=hole, opens=OPENS[policy], do=PUT_BACK)
    elif hole is None and not stood:
        log.info("Fence stands again", policy=policy)


def _show(policy: str, *, stands: bool) -> None:
    metrics.FENCE_INTACT.labels(policy=policy).set(stands)
