"""Where the API server keeps ApiProducts, and reading them as a watch delivers them. After it: `controller/products.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from keyturn.api.rules import explain_invalid
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.base.names import Key
from keyturn.cluster.chunks import list_in_chunks
from keyturn.cluster.client import Client, Json
from keyturn.cluster.raw import instant_of, key_of, mapping_of, text_of, texts_of
from keyturn.cluster.resource_path import resource_path

PLURAL: Final = "apiproducts"


@dataclass(frozen=True, slots=True)
class UnreadableProduct:
    """An ApiProduct that was stored before a rule it breaks. The message says what to write."""

    message: str
    audience: str
    """What it names; empty where not even that can be read."""
    created: datetime | None


def collection_path(namespace: str) -> str:
    """Path of the ApiProducts of a namespace; empty: of all."""
    return resource_path(PLURAL, namespace=namespace)


def object_path(where: Key) -> str:
    """Path of one ApiProduct."""
    return resource_path(PLURAL, namespace=where.namespace, name=where.name)


async def list_apiproducts(client: Client, namespace: str) -> list[Json]:
    """Those of a namespace; empty: of all. Raises as `Client.get`."""
    return await list_in_chunks(client, collection_path(namespace))


def decode_apiproduct(item: Mapping[str, object]) -> tuple[Key, ApiProduct | UnreadableProduct]:
    """One object of a list or watch. Never raises."""
    where = key_of(item)
    try:
        return where, ApiProduct.model_validate(item)
    except ValidationError as error:
        audience, created = text_of(mapping_of(item, "spec"), "audience"), instant_of(mapping_of(item, "metadata"), "creationTimestamp")
        return where, UnreadableProduct("; ".join(explain_invalid(error)), audience, created)


def decode_namespace_labels(item: Mapping[str, object]) -> tuple[Key, Mapping[str, str]] | None:
    """A Namespace's labels, under its name."""
    metadata = mapping_of(item, "metadata")
    return Key("", text_of(metadata, "name")), dict(texts_of(metadata, "labels"))
