"""ApiProducts and namespaces as their watches show them, who refers to which, and the products' status. For `apikey/observe.py`.

Belongs to one term and one event loop. What the product of an ApiKey is decides `lifecycle/consent.py`; here nothing is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey, ApiKeyStatus
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import Clock
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster import apikeys, apiproducts
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.apiproducts import UnreadableProduct, decode_apiproduct, decode_namespace_labels
from keyturn.cluster.cache import Cache, Caches
from keyturn.cluster.client import Client
from keyturn.cluster.merge_patch import merge_patch
from keyturn.cluster.raw import mapping_of, text_of
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.keys.record import Record
from keyturn.lifecycle.consent import ProductFound, ProductMissing, ProductSeen, ProductUnknown, has_key
from keyturn.lifecycle.plan import Waiting
from keyturn.lifecycle.product_status import KeyStanding, product_status, standing_for_product

STATUS_PAUSE: Final = 1.0
"""Seconds between two rounds of status writes: a thousand keys that turn ready are few writes."""
PATIENCE_ROUNDS: Final = 30
"""Rounds after which counts are written even while ApiKeys still wait to be looked at."""

_UNREAD: Final = Waiting(
    Reason.PRODUCT_UNAVAILABLE, "ApiProducts could not be read yet: is the resource there? kubectl apply --server-side -f crds/"
)

log = get_logger(__name__)


class Products:
    """`wake`: look at this ApiKey again. `is_busy`: ApiKeys wait to be looked at, so that counts are not whole yet."""

    def __init__(
        self,
        client: Client,
        *,
        namespaces: tuple[str, ...],
        wake: Callable[[Key], None],
        is_busy: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._client, self._namespaces = client, namespaces
        self._wake, self._is_busy, self._clock = wake, is_busy, clock
        self._products = Caches[ApiProduct | UnreadableProduct](namespaces)
        self._labels = Cache[Mapping[str, str]]()
        self._referring: dict[Key, dict[Key, KeyStanding | None]] = {}
        """By product, the ApiKeys that refer to it and how they stand; None: that was not looked at yet."""
        self._product_of: dict[Key, Key] = {}
        self._changed: set[Key] = set()
        self._synced: list[asyncio.Event] = []
        self._acted_on: dict[Key, tuple[str, int] | None] = {}

    def reflectors(self) -> list[Reflector]:
        """The watches that feed this. Namespaces are cluster-scoped: who manages only some may not read them."""
        products = [
            Reflector(
                self._client,
                Collection(apiproducts.collection_path(namespace)),
                sink=CacheSink(self._products.part(namespace), decode=decode_apiproduct, on_change=self._product_changed),
            )
            for namespace in self._namespaces or ("",)
        ]
        self._synced = [reflector.synced for reflector in products]
        if self._namespaces:
            return products
        labels = CacheSink(self._labels, decode=decode_namespace_labels, on_change=self._namespace_changed)
        return [*products, Reflector(self._client, Collection("/api/v1/namespaces", metadata_only=True), sink=labels)]

    async def see(self, apikey: ApiKey, record: Record | None) -> ProductSeen | None:
        """What is known of the ApiKey's product; None: it refers to none. Raises as `Client.get`."""
        ref = apikey.spec.product_ref
        if ref is None:
            self.forget(apikey.key)
            return None
        where = Key(ref.namespace or apikey.metadata.namespace, ref.name)
        self._note_reference(apikey.key, where)
        if self._namespaces and where.namespace not in self._namespaces:
            message = f"ApiProduct {where} is in a namespace that this operator does not watch: name it in --watch-namespaces"
            return ProductUnknown(Waiting(Reason.PRODUCT_UNAVAILABLE, message))
        entry = self._products.get(where)
        if entry is None:
            return ProductMissing() if self._has_read_all else ProductUnknown(_UNREAD)
        if isinstance(entry.value, UnreadableProduct):
            message = f"ApiProduct {where} cannot be used: {entry.value.message}. Ask its owner to correct it"
            return ProductUnknown(Waiting(Reason.PRODUCT_UNAVAILABLE, message))
        older = await self._older_siblings(apikey, where, entry.value, record=record)
        return ProductFound(entry.value, self._labels_of(apikey.metadata.namespace), older)

    @property
    def _has_read_all(self) -> bool:
        return bool(self._synced) and all(synced.is_set() for synced in self._synced)

    def note(self, key: Key, status: ApiKeyStatus) -> None:
        """An ApiKey's status says this now."""
        where = self._product_of.get(key)
        if where is None:
            return
        standing, referring = standing_for_product(status), self._referring[where]
        if referring.get(key) is not standing:
            referring[key] = standing
            self._changed.add(where)

    def forget(self, key: Key) -> None:
        """An ApiKey is gone: one that waits for its place may have it."""
        where = self._product_of.pop(key, None)
        if where is None:
            return
        self._referring[where].pop(key, None)
        self._changed.add(where)
        for sibling in self._referring[where]:
            if sibling.namespace == key.namespace:
                self._wake(sibling)

    async def keep_status(self) -> None:
        """Write what changed, again and again, until cancelled. What cannot be written is tried again with the next round."""
        waited = 0
        while True:
            await asyncio.sleep(STATUS_PAUSE)
            waited += 1
            if not self._changed or (self._is_busy() and waited < PATIENCE_ROUNDS):
                continue
            waited = 0
            changed, self._changed = self._changed, set()
            for where in changed:
                try:
                    await self._write_status(where)
                except KeyturnError as error:
                    log.warning("The status of an ApiProduct was not written", product=str(where), problem=str(error))
                    self._changed.add(where)

    async def _write_status(self, where: Key) -> None:
        entry = self._products.get(where)
        if entry is None or isinstance(entry.value, UnreadableProduct):
            return
        standings = [standing for standing in self._referring.get(where, {}).values() if standing is not None]
        wanted = product_status(entry.value, standings, now=self._clock()).model_dump(mode="json", by_alias=True, exclude_none=True)
        held = entry.value.status
        patch = merge_patch(held.model_dump(mode="json", by_alias=True, exclude_none=True) if held is not None else {}, wanted)
        if not patch:
            return
        try:
            await self._client.patch_merge(f"{apiproducts.object_path(where)}/status", {"metadata": {"uid": entry.uid}, "status": patch})
        except NotFound:
            return  # it was deleted meanwhile

    def _labels_of(self, namespace: str) -> Mapping[str, str] | None:
        """None: they may not be read. A namespace that was not seen yet has none."""
        if self._namespaces:
            return None
        entry = self._labels.get(Key("", namespace))
        return entry.value if entry is not None else {}

    async def _older_siblings(self, apikey: ApiKey, where: Key, product: ApiProduct, *, record: Record | None) -> int:
        """Asked of the API server, and only before a first key of a product that counts them: a watch may not have shown all yet."""
        if product.spec.access.max_keys_per_namespace is None or has_key(record):
            return 0
        ages: dict[str, str] = {}
        for raw in await apikeys.list_apikeys(self._client, apikey.metadata.namespace):
            metadata, ref = mapping_of(raw, "metadata"), mapping_of(mapping_of(raw, "spec"), "productRef")
            if Key(text_of(ref, "namespace") or apikey.metadata.namespace, text_of(ref, "name")) == where:
                ages[text_of(metadata, "name")] = text_of(metadata, "creationTimestamp")
        name = apikey.metadata.name
        own = (ages.get(name, ""), name)
        return sum((age, other) < own for other, age in ages.items())

    def _note_reference(self, key: Key, where: Key) -> None:
        before = self._product_of.get(key)
        if before == where:
            return
        if before is not None:
            self.forget(key)
        self._product_of[key] = where
        self._referring.setdefault(where, {})[key] = None

    def _product_changed(self, where: Key) -> None:
        """Its status is ours: an echo of that is no news for a thousand ApiKeys."""
        entry = self._products.get(where)
        metadata = entry.value.metadata if entry is not None and isinstance(entry.value, ApiProduct) else None
        seen = (metadata.uid, metadata.generation) if metadata is not None else None
        if seen is not None and seen == self._acted_on.get(where):
            return
        self._acted_on[where] = seen
        self._changed.add(where)
        for key in self._referring.get(where, {}):
            self._wake(key)

    def _namespace_changed(self, name: Key) -> None:
        for key in self._product_of:
            if key.namespace == name.name:
                self._wake(key)
