"""Where the API server keeps ApiKeys, and reading them in chunks: for the commands, and for the operator's sweep."""

from __future__ import annotations

from typing import Final

from keyturn.cluster.chunks import CHUNK, list_in_chunks
from keyturn.cluster.client import METADATA_LIST, Client, Json
from keyturn.cluster.resource_path import resource_path

PLURAL: Final = "apikeys"


def collection_path(namespace: str) -> str:
    """Path of the ApiKeys of a namespace; empty: of all."""
    return resource_path(PLURAL, namespace=namespace)


def object_path(namespace: str, name: str) -> str:
    """Path of one ApiKey."""
    return resource_path(PLURAL, namespace=namespace, name=name)


async def list_apikeys(
    client: Client,
    namespace: str,
    *,
    selector: str | None = None,
    field_selector: str | None = None,
    chunk: int = CHUNK,
    metadata_only: bool = False,
) -> list[Json]:
    """All that match, none older than now. A list that grew too old on the way is begun anew, once. Raises as `Client.get`."""
    query = {}
    if selector:
        query["labelSelector"] = selector
    if field_selector:
        query["fieldSelector"] = field_selector
    accept = METADATA_LIST if metadata_only else None
    return await list_in_chunks(client, collection_path(namespace), query=query, chunk=chunk, accept=accept)
