"""Removes what verifiers left behind that are no more: their Leases, then their reports of use. Called by `sweep.py`.

Each pod has a name of its own, so every restart of a Deployment would leave a few ConfigMaps for good.
"""

from __future__ import annotations

from keyturn.base.errors import Conflict
from keyturn.base.log_output import get_logger
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.replica_reports import reports_path
from keyturn.cluster.verifier_leases import leases_path
from keyturn.controller.runtime import Runtime

log = get_logger(__name__)


async def remove_leftovers(rt: Runtime) -> int:
    """Remove them, each only as it was seen; answers how many. Raises KeyturnError."""
    now, home = rt.clock(), rt.settings.records_namespace
    leases = [(leases_path(home), where.name, entry.uid, entry.resource_version) for where, entry in rt.verifiers.left_behind(now)]
    reports = [(reports_path(home), where.name, entry.uid, entry.resource_version) for where, entry in rt.uses.left_behind(now)]
    replicas = frozenset(life.replica for life in rt.verifiers.lives(now))
    told = rt.witnesses.left_behind(now, replicas=replicas)
    reports += [(reports_path(home), where.name, entry.uid, entry.resource_version) for where, entry in told]
    removed = 0
    for path, name, uid, resource_version in leases + reports:
        try:
            await rt.client.request("DELETE", f"{path}/{name}", body=_as_seen(uid, resource_version))
        except (Conflict, NotFound):
            continue  # its replica is back, or it is gone already
        removed += 1
    if removed:
        log.info("Removed what verifiers left behind", objects=removed)
    return removed


def _as_seen(uid: str, resource_version: int) -> dict[str, object]:
    preconditions = {"uid": uid, "resourceVersion": str(resource_version)}
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
