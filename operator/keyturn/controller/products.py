"""ApiProducts and namespaces as their watches show them, who refers to which, and the products' status. For `apikey/observe.py`.

Belongs to one term and one event loop. What the product of an ApiKey is decides `lifecycle/consent.py`; here nothing is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKeyStatus
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.clock import Clock
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster import apiproducts
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.apiproducts import UnreadableProduct, decode_apiproduct, decode_namespace_labels
from keyturn.cluster.cache import Cache, Caches
from keyturn.cluster.client import Client
from keyturn.cluster.merge_patch import model_patch
from keyturn.cluster.watch import CacheSink, Collection, Reflector
from keyturn.controller.audiences import Audiences
from keyturn.controller.places import Places
from keyturn.keys.record import Record
from keyturn.lifecycle.admission import needs_labels
from keyturn.lifecycle.audience import AudienceClaim
from keyturn.lifecycle.consent import ProductFound, ProductMissing, ProductSeen, ProductUnknown
from keyturn.lifecycle.held_power import product_of_key
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
        self._places = Places()
        self._audiences = Audiences()
        self._changed: set[Key] = set()
        self._synced: list[asyncio.Event] = []
        self._labels_synced = asyncio.Event()
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
        sink = CacheSink(self._labels, decode=decode_namespace_labels, on_change=self._namespace_changed)
        labels = Reflector(self._client, Collection("/api/v1/namespaces", metadata_only=True), sink=sink)
        self._labels_synced = labels.synced
        return [*products, labels]

    def know_holder(self, key: Key, product: str) -> None:
        """A record of before this term: the ApiKey, gone or not, has a key of that product."""
        namespace, _, name = product.partition("/")
        self._places.know(Key(namespace, name), key)

    def see(self, key: Key, where: Key | None, record: Record | None, *, is_gone: bool) -> ProductSeen | None:
        """What is known of the product that an ApiKey's power comes from, or that of a key whose ApiKey is gone; None: from none."""
        if where is None:
            self.forget(key)
            return None
        self._note_reference(key, where)
        if self._namespaces and where.namespace not in self._namespaces:
            message = f"ApiProduct {where} is in a namespace that this operator does not watch: name it in --watch-namespaces"
            return ProductUnknown(Waiting(Reason.PRODUCT_UNAVAILABLE, message))
        if not self._has_read_all:  # one that was not read may be there, or have the audience of one that was
            return ProductUnknown(_UNREAD)
        entry = self._products.get(where)
        if entry is None:
            return ProductMissing()
        if isinstance(entry.value, UnreadableProduct):
            message = f"ApiProduct {where} cannot be used: {entry.value.message}. Ask its owner to correct it"
            return ProductUnknown(Waiting(Reason.PRODUCT_UNAVAILABLE, message))
        labels = self._labels_of(key.namespace, is_gone=is_gone)
        if labels is None and needs_labels(entry.value) and not self._namespaces:
            return ProductUnknown(Waiting(Reason.PRODUCT_UNAVAILABLE, f"The labels of namespace {key.namespace} were not read yet"))
        owner = self._audiences.owner(entry.value.spec.audience)
        return ProductFound(entry.value, labels, owner, self._older_siblings(key, where, entry.value, record=record))

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
        """An ApiKey is gone, and its key: one that waits for its place may have it."""
        where = self._product_of.pop(key, None)
        if where is None:
            return
        self._referring[where].pop(key, None)
        self._changed.add(where)
        next_one = self._places.leave(where, key)
        if next_one is not None:
            self._wake(next_one)

    async def keep_status(self) -> None:
        """Write what changed, again and again, until cancelled. What cannot be written is tried again with the next round."""
        await self._read_all()
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

    async def _read_all(self) -> None:
        """Nearly always that is so at the start; where the resource comes later, ApiKeys have waited for it."""
        for synced in self._synced:
            await synced.wait()
        for key in self._product_of:
            self._wake(key)

    async def _write_status(self, where: Key) -> None:
        entry = self._products.get(where)
        if entry is None or isinstance(entry.value, UnreadableProduct):
            return
        standings = [standing for standing in self._referring.get(where, {}).values() if standing is not None]
        owner = self._audiences.owner(entry.value.spec.audience)
        status = product_status(entry.value, standings, owner=owner, now=self._clock())
        patch = model_patch(entry.value.status, status)
        if not patch:
            return
        try:
            await self._client.patch_merge(f"{apiproducts.object_path(where)}/status", {"metadata": {"uid": entry.uid}, "status": patch})
        except NotFound:
            return  # it was deleted meanwhile

    def _labels_of(self, namespace: str, *, is_gone: bool) -> Mapping[str, str] | None:
        """None: they may not be read, or the watch has not shown the namespace yet, which may have any. With its ApiKey it may be gone."""
        entry = self._labels.get(Key("", namespace))
        if entry is not None:
            return entry.value
        return {} if is_gone and self._labels_synced.is_set() else None

    def _older_siblings(self, key: Key, where: Key, product: ApiProduct, *, record: Record | None) -> int:
        most = product.spec.access.max_keys_per_namespace
        if product_of_key(record) == str(where):
            self._places.know(where, key)
            return 0
        return self._places.ask(where, key, most=most) if most is not None else 0

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
        for each in {where, *self._audiences.note(where, _claim(where, entry.value if entry is not None else None))}:
            self._changed.add(each)
            for key in self._referring.get(each, {}):
                self._wake(key)

    def _namespace_changed(self, name: Key) -> None:
        for key in self._product_of:
            if key.namespace == name.name:
                self._wake(key)


def _claim(where: Key, product: ApiProduct | UnreadableProduct | None) -> AudienceClaim | None:
    match product:
        case None:
            return None
        case UnreadableProduct():
            return AudienceClaim(where, product.audience, product.created) if product.audience else None
        case ApiProduct():
            return AudienceClaim(where, product.spec.audience, product.metadata.creation_timestamp)
