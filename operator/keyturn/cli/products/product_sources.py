"""Reads what `keyturn whocan` tells of: the ApiProduct, ApiKeys of every namespace, namespaces it admits.

After it: `product_access.py`. What may not be read is named. Where not all ApiKeys may be listed, those with a grant are tried.
"""

from __future__ import annotations

from keyturn.base.names import Key
from keyturn.cli.apikeys.apikey_view import decode_apikey
from keyturn.cli.products.apiproduct_view import ApiProductView, decode_product_view, selector_text
from keyturn.cli.products.product_access import ProductAccess, holders_of
from keyturn.cluster.api_errors import Forbidden
from keyturn.cluster.apikeys import list_apikeys
from keyturn.cluster.apiproducts import list_apiproducts, object_path
from keyturn.cluster.chunks import list_in_chunks
from keyturn.cluster.client import METADATA_LIST, Client, Json
from keyturn.cluster.raw import mapping_of, text_of


async def read_product_access(client: Client, where: Key) -> ProductAccess:
    """Everything about one ApiProduct. Raises as `Client.get` for the product itself."""
    raw = await client.get(object_path(where))
    product, not_seen = decode_product_view(raw), list[str]()
    apikeys = await _referring(client, product, not_seen)
    admitted = await _admitted(client, where, raw, not_seen)
    rivals = await _same_audience(client, product, not_seen)
    return ProductAccess(product, holders_of(product, map(decode_apikey, apikeys)), admitted, rivals, tuple(not_seen))


async def _referring(client: Client, product: ApiProductView, not_seen: list[str]) -> list[Json]:
    selector = f"spec.productRef.name={product.name}"
    try:
        return await list_apikeys(client, "", field_selector=selector)
    except Forbidden:
        not_seen.append("ApiKeys of all namespaces: your role does not allow it; those with a grant, and of the product's own, are tried")
    found: list[Json] = []
    for namespace in dict.fromkeys((product.namespace, *(grant.namespace for grant in product.grants))):
        try:
            found += await list_apikeys(client, namespace, field_selector=selector)
        except Forbidden:
            not_seen.append(f"ApiKeys of namespace {namespace}: your role does not allow it")
    return found


async def _same_audience(client: Client, product: ApiProductView, not_seen: list[str]) -> tuple[Key, ...] | None:
    try:
        every = map(decode_product_view, await list_apiproducts(client, ""))
    except Forbidden:
        not_seen.append("ApiProducts of all namespaces, which may name the same audience: your role does not allow it")
        return None
    return tuple(other.key for other in every if other.audience == product.audience and other.key != product.key)


async def _admitted(client: Client, where: Key, raw: Json, not_seen: list[str]) -> tuple[str, ...] | None:
    namespaces = mapping_of(mapping_of(mapping_of(raw, "spec"), "access"), "namespaces")
    source = text_of(namespaces, "from") or "Same"
    if source != "Selector":
        return (where.namespace,) if source == "Same" else None
    query = {"labelSelector": selector_text(mapping_of(namespaces, "selector"))}
    try:
        items = await list_in_chunks(client, "/api/v1/namespaces", query=query, accept=METADATA_LIST)
    except Forbidden:
        not_seen.append("names of the namespaces that are admitted: your role does not allow it")
        return None
    return tuple(sorted(text_of(mapping_of(item, "metadata"), "name") for item in items))
