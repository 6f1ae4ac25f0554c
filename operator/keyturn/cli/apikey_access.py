"""Reading and changing ApiKeys for the commands: paths, chunked lists, the keys a selection means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from keyturn.cli.apikey_view import items_of
from keyturn.cli.place import Place
from keyturn.cli.selection import Selection
from keyturn.cluster.api_errors import Gone
from keyturn.cluster.client import Client, Json
from keyturn.cluster.raw import mapping_of, text_of

API_VERSION: Final = "keyturn.dev/v1alpha1"
_ROOT: Final = f"/apis/{API_VERSION}"
_CHUNK: Final = 500


def namespace_of(client: Client, place: Place) -> str:
    """The namespace that is meant; empty: all."""
    return "" if place.everywhere else place.namespace or client.namespace


def collection_path(namespace: str) -> str:
    """Path of the ApiKeys of a namespace, or of all."""
    return f"{_ROOT}/namespaces/{namespace}/apikeys" if namespace else f"{_ROOT}/apikeys"


def object_path(namespace: str, name: str) -> str:
    """Path of one ApiKey."""
    return f"{collection_path(namespace)}/{name}"


async def list_apikeys(
    client: Client, namespace: str, *, selector: str | None = None, field_selector: str | None = None, chunk: int = _CHUNK
) -> list[Json]:
    """All that match, asked for in chunks. A list that grew too old on the way is begun anew, once. Raises as `Client.get`."""
    query = {"limit": str(chunk)}
    if selector:
        query["labelSelector"] = selector
    if field_selector:
        query["fieldSelector"] = field_selector
    try:
        return [item async for item in _chunks(client, namespace, query)]
    except Gone:
        return [item async for item in _chunks(client, namespace, query)]


async def selected_keys(client: Client, place: Place, selection: Selection) -> list[tuple[str, str]]:
    """Namespace and name of each key that is meant. Names are taken as given: whether they exist shows when they are changed."""
    namespace = namespace_of(client, place)
    if selection.names:
        return [(namespace, name) for name in selection.names]
    found = [mapping_of(item, "metadata") for item in await list_apikeys(client, namespace, selector=selection.selector)]
    return [(text_of(metadata, "namespace"), text_of(metadata, "name")) for metadata in found]


async def _chunks(client: Client, namespace: str, query: dict[str, str]) -> AsyncIterator[Json]:
    proceed = ""
    while True:
        answer = await client.get(collection_path(namespace), query={**query, **({"continue": proceed} if proceed else {})})
        for item in items_of(answer, "items"):
            yield dict(item)
        proceed = text_of(mapping_of(answer, "metadata"), "continue")
        if not proceed:
            return
