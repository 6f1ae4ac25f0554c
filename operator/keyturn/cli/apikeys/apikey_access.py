"""Which namespace and which ApiKeys a command means."""

from __future__ import annotations

from keyturn.cli.apikeys.selection import Selection
from keyturn.cli.place import Place
from keyturn.cluster.apikeys import list_apikeys
from keyturn.cluster.client import Client
from keyturn.cluster.raw import mapping_of, text_of


def namespace_of(client: Client, place: Place) -> str:
    """The namespace that is meant; empty: all."""
    return "" if place.everywhere else place.namespace or client.namespace


async def selected_keys(client: Client, place: Place, selection: Selection) -> list[tuple[str, str]]:
    """Namespace and name of each key that is meant. Names are taken as given: whether they exist shows when they are changed."""
    namespace = namespace_of(client, place)
    if selection.names:
        return [(namespace, name) for name in selection.names]
    found = [mapping_of(item, "metadata") for item in await list_apikeys(client, namespace, selector=selection.selector)]
    return [(text_of(metadata, "namespace"), text_of(metadata, "name")) for metadata in found]
