"""Names of ApiKeys, ApiProducts and namespaces for the shell's Tab key. By a short deadline: a slow cluster completes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import click

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

T = TypeVar("T")
_DEADLINE: Final = timedelta(milliseconds=1500)
_MOST: Final = "500"


def complete_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ApiKeys in the namespace that the command line names so far, without those it already has."""
    given = context.params.get("names") or ()
    return [name for _, name in _ask(context, "apikeys") if name.startswith(incomplete) and name not in given]


def complete_namespaces(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of namespaces."""
    return [name for _, name in _ask(context, "namespaces") if name.startswith(incomplete)]


def complete_products(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ApiProducts in the namespace that the command line names so far."""
    return [name for _, name in _ask(context, "apiproducts") if name.startswith(incomplete)]


def complete_products_anywhere(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Namespace/name of every ApiProduct."""
    everywhere = [f"{namespace}/{name}" for namespace, name in _ask(context, "apiproducts", everywhere=True)]
    return [name for name in everywhere if name.startswith(incomplete)]


def _ask(context: click.Context, what: str, *, everywhere: bool = False) -> list[tuple[str, str]]:
    return ask_in_time(context, lambda client: _names(client, context, what, everywhere=everywhere), otherwise=[])


def ask_in_time(context: click.Context, ask: Callable[[Client], Awaitable[T]], *, otherwise: T) -> T:
    """What the cluster that the command line names so far answers; `otherwise` where it does not, or not soon enough."""
    from keyturn.base.errors import KeyturnError

    async def asked() -> T:
        from keyturn.cluster.client import Client

        options = context.params
        async with await Client.connect(timeout=_DEADLINE, kubeconfig=options.get("kubeconfig"), context=options.get("context")) as client:
            return await ask(client)

    try:
        return asyncio.run(asyncio.wait_for(asked(), _DEADLINE.total_seconds()))
    except (KeyturnError, TimeoutError, click.UsageError):  # what cannot be parsed yet completes nothing
        return otherwise


async def _names(client: Client, context: click.Context, what: str, *, everywhere: bool) -> list[tuple[str, str]]:
    from keyturn.cluster import apikeys, apiproducts
    from keyturn.cluster.client import METADATA_LIST
    from keyturn.cluster.raw import mapping_of, objects_of, text_of

    namespace = "" if everywhere else context.params.get("namespace") or client.namespace
    paths = {"apikeys": apikeys.collection_path(namespace), "apiproducts": apiproducts.collection_path(namespace)}
    path = paths.get(what, "/api/v1/namespaces")
    answer = await client.get(path, query={"limit": _MOST, "resourceVersion": "0"}, accept=METADATA_LIST)
    found = [mapping_of(item, "metadata") for item in objects_of(answer, "items")]
    return [(text_of(metadata, "namespace"), text_of(metadata, "name")) for metadata in found]
