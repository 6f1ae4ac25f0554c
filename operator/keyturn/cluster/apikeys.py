"""Where the API server keeps ApiKeys, and reading them in chunks: for the commands, and for the operator's sweep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from keyturn.cluster.api_errors import Gone
from keyturn.cluster.client import METADATA_LIST, Client, Json
from keyturn.cluster.raw import mapping_of, objects_of, text_of

API_VERSION: Final = "keyturn.dev/v1alpha1"
CHUNK: Final = 500
_ROOT: Final = f"/apis/{API_VERSION}"


def collection_path(namespace: str) -> str:
    """Path of the ApiKeys of a namespace; empty: of all."""
    return f"{_ROOT}/namespaces/{namespace}/apikeys" if namespace else f"{_ROOT}/apikeys"


def object_path(namespace: str, name: str) -> str:
    """Path of one ApiKey."""
    return f"{collection_path(namespace)}/{name}"


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
    query = {"limit": str(chunk)}
    if selector:
        query["labelSelector"] = selector
    if field_selector:
        query["fieldSelector"] = field_selector
    accept = METADATA_LIST if metadata_only else None
    try:
        return [item async for item in _chunks(client, namespace, query, accept)]
    except Gone:
        return [item async for item in _chunks(client, namespace, query, accept)]


async def _chunks(client: Client, namespace: str, query: Mapping[str, str], accept: str | None) -> AsyncIterator[Json]:
    proceed = ""
    while True:
        more = {"continue": proceed} if proceed else {}
        answer = await client.get(collection_path(namespace), query={**query, **more}, accept=accept)
        for item in objects_of(answer, "items"):
            yield dict(item)
        proceed = text_of(mapping_of(answer, "metadata"), "continue")
        if not proceed:
            return
