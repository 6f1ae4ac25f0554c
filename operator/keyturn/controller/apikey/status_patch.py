"""Writes into an ApiKey's status and keeps the answer: for `write_status.py`, and for `seal.py`, whose write is no projection."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.cluster.apikeys import object_path
from keyturn.controller.apikey.manifest import differs_beyond_status
from keyturn.controller.runtime import Runtime


async def patch_status(rt: Runtime, apikey: ApiKey, patch: Mapping[str, object]) -> bool:
    """Write into the status of this very ApiKey. True: somebody had edited more of it just before, and no watch will tell of that.

    When the watch shows the edit, it is older than the answer that is kept then. Raises as `Client.patch_merge`.
    """
    key = apikey.key
    body = {"metadata": {"uid": apikey.metadata.uid}, "status": patch}
    answer = await rt.client.patch_merge(f"{object_path(key.namespace, key.name)}/status", body)
    held = rt.apikeys.get(key)
    is_edited = held is not None and differs_beyond_status(held.value, answer)
    rt.keep_apikey(key, answer)
    return is_edited
