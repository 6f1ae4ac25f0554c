"""The least that speaks to an API server: aiohttp, bytes in and out. What a hand-written loop would use; nothing of the product.

The benchmark populates the cluster with it, and `bare_loop.py` is the yardstick made of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import aiohttp

IN_FLIGHT: Final = 64
MERGE_PATCH: Final = "application/merge-patch+json"
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is and who we are, by files or by a token, so that it can be handed to another process."""

    url: str
    authority: str
    certificate: str = ""
    key: str = ""
    token: str = ""


class BareClient:
    """One pool of connections. Use it as `async with BareClient(access) as client`."""

    def __init__(self, access: Access) -> None:
        tls = ssl.create_default_context(cafile=access.authority)
        if access.certificate:
            tls.load_cert_chain(access.certificate, access.key)
        bearer = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        self._url = access.url
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=tls), headers=bearer)

    async def send(
        self,
        method: str,
        path: str,
        payload: bytes | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        """One request; raise RuntimeError for an error answer."""
        headers = {"Content-Type": content_type, "Accept": accept}
        async with self._session.request(method, self._url + path, data=payload, headers=headers) as response:
            body = await response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {body[:300]!r}")
        return body

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


async def for_each(items: Iterable[T], do: Callable[[T], Awaitable[Any]], *, in_flight: int = IN_FLIGHT) -> None:
    """Do it for each item, so many at a time, from one shared iterator."""
    shared = iter(items)

    async def work() -> None:
        for item in shared:
            await do(item)

    await asyncio.gather(*(work() for _ in range(in_flight)))
