"""Puts every ApiKey in line before the work begins: those that may want something first. Called by `leadership.py`, before Kopf starts.

Kopf lists them as well, and hands on one after another by their names; each was looked at before the next one came, a millisecond or two
apiece. A rotation that somebody waited for stood behind ten thousand ApiKeys that wanted nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.conditions import ConditionType
from keyturn.base import names
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.apikeys import collection_path
from keyturn.cluster.chunks import each_in_chunks
from keyturn.cluster.raw import instant_of, key_of, mapping_of, objects_of
from keyturn.controller.runtime import Runtime

UNFINISHED: Final = frozenset({ConditionType.RECONCILING, ConditionType.PREVIOUS_VERSION_ACTIVE})
ASKING: Final = frozenset({names.ROTATE_ANNOTATION, names.RECEIVED_ANNOTATION})

log = get_logger(__name__)


async def take_all(rt: Runtime, *, namespaces: tuple[str, ...]) -> None:
    """Keep and queue every ApiKey. Those that cannot be listed now come by Kopf, in its order."""
    settled: list[Key] = []
    try:
        for namespace in namespaces or ("",):
            async for raw in each_in_chunks(rt.client, collection_path(namespace)):
                key = key_of(raw)
                rt.keep_apikey(key, raw)
                if looks_settled(raw, now=rt.clock()):
                    settled.append(key)
                else:
                    rt.queue.add(key)
    except KeyturnError as error:
        log.warning("ApiKeys were not read before the work began", error=str(error))
    for key in settled:
        rt.queue.add(key)


def looks_settled(raw: Mapping[str, object], *, now: datetime) -> bool:
    """Whether an ApiKey's own words give no reason to look at it before others. It is looked at all the same: they prove nothing."""
    metadata, status = mapping_of(raw, "metadata"), mapping_of(raw, "status")
    if "deletionTimestamp" in metadata or ASKING & mapping_of(metadata, "annotations").keys():
        return False
    if status.get("observedGeneration") != metadata.get("generation"):
        return False
    if any(each.get("type") in UNFINISHED and each.get("status") == "True" for each in objects_of(status, "conditions")):
        return False
    due = instant_of(status, "nextRotationTime")
    return due is None or due > now
