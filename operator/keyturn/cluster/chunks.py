"""Reading a long list in chunks, so that neither side holds all of it as one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from keyturn.cluster.api_errors import Gone
from keyturn.cluster.client import Client, Json
from keyturn.cluster.raw import mapping_of, objects_of, text_of

CHUNK: Final = 500


async def list_in_chunks(
    client: Client, path: str, *, query: Mapping[str, str] | None = None, chunk: int = CHUNK, accept: str | None = None
) -> list[Json]:
    """All items of a collection, none older than now. A list that grew too old on the way is begun anew, once. Raises as `Client.get`."""
    asked = {"limit": str(chunk), **(query or {})}
    try:
        return [item async for item in each_in_chunks(client, path, query=asked, accept=accept)]
    except Gone:
        return [item async for item in each_in_chunks(client, path, query=asked, accept=accept)]


async def each_in_chunks(
    client: Client, path: str, *, query: Mapping[str, str] | None = None, accept: str | None = None
) -> AsyncIterator[Json]:
    """One item after another, and never more than a chunk of them at once; raises Gone where the list grew too old on the way."""
    asked = {"limit": str(CHUNK), **(query or {})}
    proceed = ""
    while True:
        more = {"continue": proceed} if proceed else {}
        answer = await client.get(path, query={**asked, **more}, accept=accept)
        for item in objects_of(answer, "items"):
            yield dict(item)
        proceed = text_of(mapping_of(answer, "metadata"), "continue")
        if not proceed:
            return
