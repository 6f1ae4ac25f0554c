"""Which resources the API server serves."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.client import Client


async def serves(client: Client, group_version: str, resource: str) -> bool:
    """Whether there is this resource, say `rollouts` of `argoproj.io/v1alpha1`: Argo CD alone has the same group. Raises RetryLater."""
    try:
        answer = await client.get(f"/apis/{group_version}")
    except NotFound:
        return False
    found = answer.get("resources")
    return any(isinstance(each, Mapping) and each.get("name") == resource for each in (found if isinstance(found, list) else ()))
