"""Names of ApiKeys and namespaces for the shell's Tab key, by a short deadline: a slow cluster completes nothing and breaks nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import click

_DEADLINE: Final = timedelta(milliseconds=1500)
_MOST: Final = "500"


def complete_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ApiKeys in the namespace that the command line names so far, without those it already has."""
    given = context.params.get("names") or ()
    return [name for name in _ask(context, "apikeys") if name.startswith(incomplete) and name not in given]


def complete_namespaces(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of namespaces."""
    return [name for name in _ask(context, "namespaces") if name.startswith(incomplete)]


def _ask(context: click.Context, what: str) -> list[str]:
    from keyturn.base.errors import KeyturnError

    try:
        return asyncio.run(asyncio.wait_for(_names(context, what), _DEADLINE.total_seconds()))
    except (KeyturnError, TimeoutError):
        return []


async def _names(context: click.Context, what: str) -> list[str]:
    from keyturn.cluster.apikeys import collection_path
    from keyturn.cluster.client import METADATA_LIST, Client
    from keyturn.cluster.raw import mapping_of, objects_of, text_of

    options = context.params
    async with await Client.connect(timeout=_DEADLINE, kubeconfig=options.get("kubeconfig"), context=options.get("context")) as client:
        namespace = options.get("namespace") or client.namespace
        path = "/api/v1/namespaces" if what == "namespaces" else collection_path(namespace)
        answer = await client.get(path, query={"limit": _MOST, "resourceVersion": "0"}, accept=METADATA_LIST)
    return [text_of(mapping_of(item, "metadata"), "name") for item in objects_of(answer, "items")]
