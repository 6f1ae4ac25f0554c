"""The status, written once at the end of a reconcile and only if it differs. Before it: `lifecycle/conclude.py`."""

from __future__ import annotations

from keyturn.api.v1alpha1.apikey import ApiKey, ApiKeyStatus, status_to_json
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base import metrics
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.merge_patch import merge_patch
from keyturn.controller.apikey.announce import post
from keyturn.controller.apikey.observe import see_apikey
from keyturn.controller.apikey.status_patch import patch_status
from keyturn.controller.runtime import Runtime
from keyturn.lifecycle.announcement import warnings_of
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.plan import Plan
from keyturn.lifecycle.standing import rotation_expected_time, standing_of


async def write_status(rt: Runtime, seen: Observed, plan: Plan, outcome: Outcome) -> None:
    """Patch the difference between the status that is and the one that should be; nothing if there is none."""
    apikey = seen.apikey
    if apikey is None:
        return
    status = conclude(seen, plan, outcome)
    _note(rt, seen, plan, status)
    before = await see_apikey(rt, seen.key)
    wanted = status_to_json(status)
    patch = merge_patch(before.status, wanted)
    if not patch:
        return
    # Events first: a crash in between repeats them under the same names, instead of losing them.
    held = rt.apikeys.get(seen.key)
    occasion = f"{apikey.metadata.uid}/{held.resource_version if held is not None else 0}"
    for text in warnings_of(apikey.status, status, occasion=occasion):
        if text.reason == Reason.SECRET_CONFLICT:
            metrics.SECRET_CONFLICTS.inc()
        await post(rt, seen.key, apikey.metadata.uid, text, now=seen.now)
    rt.memory.status_on_its_way[seen.key] = wanted
    try:
        await _patch(rt, apikey, patch)
    finally:
        del rt.memory.status_on_its_way[seen.key]


def _note(rt: Runtime, seen: Observed, plan: Plan, status: ApiKeyStatus) -> None:
    """Count the ApiKey as what its status says, written or not."""
    end = seen.apikey.spec.expiration_time if seen.apikey is not None else None
    rt.products.note(seen.key, status)
    rt.memory.census.note(seen.key, standing_of(status), rotation_expected=rotation_expected_time(seen, plan), end=end)


async def _patch(rt: Runtime, apikey: ApiKey, patch: dict[str, object]) -> None:
    try:
        is_edited = await patch_status(rt, apikey, patch)
    except NotFound:
        return  # it was deleted meanwhile; its deletion is on its way to us
    if is_edited:
        rt.secrets.doubt(apikey.key)
        rt.queue.add(apikey.key)
