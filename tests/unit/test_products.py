"""Products: what the operator knows of products and namespaces, before and after the watches have shown it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from gen.lifecycle import KEY, active, record
from gen.products import OWNER, ledger, product
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.base.clock import utc_now
from keyturn.base.names import Key
from keyturn.cluster.apiproducts import decode_apiproduct
from keyturn.cluster.client import Client
from keyturn.controller.products import Products
from keyturn.keys.record import Record
from keyturn.lifecycle.admission import admits
from keyturn.lifecycle.consent import ProductFound, ProductMissing, ProductUnknown

WHERE = Key(OWNER, "invoices")
NOT_GOLD = {"from": "Selector", "selector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}}


Raw = dict[str, Any]


def raw(of: ApiProduct, *, namespace: str = OWNER, created: str = "2026-01-01T00:00:00Z", **spec: object) -> Raw:
    """As the API server sends it. `spec`: fields that are otherwise than in `of`."""
    body = of.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"metadata": {**body["metadata"], "namespace": namespace, "creationTimestamp": created}, "spec": {**body["spec"], **spec}}


class Known:
    """Products as the watches have shown them so far, and whom they woke."""

    def __init__(self, shown: ApiProduct | None = None) -> None:
        self.woken: list[Key] = []
        client = cast("Client", None)  # it writes the status of products, and nothing here does
        self.products = Products(client, namespaces=(), wake=self.woken.append, is_busy=lambda: False, clock=utc_now)
        if shown is not None:
            self.products._products.put(WHERE, shown, 1, "product-uid")
        self.synced = [each.synced for each in self.products.reflectors()]

    def show(self, item: Raw) -> None:
        """The watch delivers an ApiProduct."""
        where, value = decode_apiproduct(item)
        self.products._products.put(where, value, 1, "product-uid")
        self.products._product_changed(where)

    def has_listed_all(self) -> Known:
        for synced in self.synced:
            synced.set()
        return self

    def label(self, **labels: str) -> None:
        self.products._labels.put(Key("", KEY.namespace), labels, 2, "namespace-uid")
        self.products._namespace_changed(Key("", KEY.namespace))

    def see(self, key: Key = KEY, where: Key = WHERE, **more: Any) -> object:  # noqa: ANN401 - as Products.see
        return self.products.see(key, where, more.pop("ledger", None), is_gone=more.pop("is_gone", False))


def test_a_product_that_was_not_read_yet_is_not_missing() -> None:
    known = Known()
    assert isinstance(known.see(), ProductUnknown)
    assert known.has_listed_all().see() == ProductMissing()


def test_a_namespace_that_was_not_seen_yet_is_neither_admitted_nor_refused() -> None:
    """Without labels it would fit NotIn: a key was minted before the watch showed the label that forbids it."""
    by_label = product(admitted=NOT_GOLD, approval="Automatic")
    known = Known(by_label).has_listed_all()
    assert isinstance(known.see(), ProductUnknown)
    known.label(tier="gold")
    assert known.woken == [KEY]
    seen = known.see()
    assert seen == ProductFound(by_label, {"tier": "gold"}, older_siblings=0)
    assert admits(by_label, namespace=KEY.namespace, labels={"tier": "gold"}) is not None


def test_where_no_label_decides_none_is_waited_for() -> None:
    everywhere = product(approval="Automatic")
    known = Known(everywhere)
    *products, _ = known.synced
    for synced in products:
        synced.set()
    assert known.see() == ProductFound(everywhere, None, older_siblings=0)


async def test_no_product_is_believed_before_all_are_read_and_then_who_waited_is_woken() -> None:
    """One that was not read yet may be the older one of its audience."""
    known = Known(product(approval="Automatic"))
    assert isinstance(known.see(), ProductUnknown)
    keeping = asyncio.create_task(known.products.keep_status())
    await asyncio.sleep(0)
    assert known.woken == []
    known.has_listed_all()
    await asyncio.sleep(0)
    assert known.woken == [KEY]
    keeping.cancel()


UNREADABLE: Final[list[Raw]] = [{"defaultPlan": "gone"}, {"plans": []}, {"scopes": "all"}, {"keyPrefix": "A"}]


@pytest.mark.parametrize("broken", UNREADABLE, ids=str)
def test_a_product_that_cannot_be_read_keeps_its_audience(broken: Raw) -> None:
    """Else a rule that came after it would hand its audience to whoever named that next, and approves his own keys."""
    owners, rivals = product(), product(approval="Automatic")
    known, rival = Known().has_listed_all(), Key("mallory", WHERE.name)
    known.show(raw(rivals, namespace=rival.namespace, created="2026-02-02T00:00:00Z"))
    known.show(raw(owners, **broken))
    assert isinstance(known.see(), ProductUnknown)
    seen = known.see(where=rival)
    assert isinstance(seen, ProductFound)
    assert seen.audience_owner == WHERE


def test_one_that_does_not_even_name_an_audience_has_none() -> None:
    known = Known().has_listed_all()
    known.show(raw(product(), audience=7))
    known.show(raw(product(), namespace="other"))
    seen = known.see(where=Key("other", WHERE.name))
    assert isinstance(seen, ProductFound)
    assert seen.audience_owner == Key("other", WHERE.name)


def test_a_namespace_that_went_with_its_apikeys_has_no_labels() -> None:
    by_label = product(admitted={"from": "Selector", "selector": {"matchLabels": {"tier": "gold"}}})
    known = Known(by_label)
    known.synced[0].set()
    assert isinstance(known.see(is_gone=True), ProductUnknown), "the watch may not have shown it yet"
    assert Known(by_label).has_listed_all().see(is_gone=True) == ProductFound(by_label, {}, older_siblings=0)


@pytest.mark.parametrize("has_key", [True, False])
def test_who_goes_makes_room_for_who_has_waited_longest(*, has_key: bool) -> None:
    counted = product(approval="Automatic", access={"maxKeysPerNamespace": 1})
    known = Known(counted).has_listed_all()
    first, second, third = (Key(KEY.namespace, name) for name in ("first", "second", "third"))
    known.see(first, ledger=ledger() if has_key else None)
    assert [known.see(each) for each in (second, third)] == [ProductFound(counted, None, older_siblings=1)] * 2
    known.products.forget(third)
    assert known.woken == []
    known.products.forget(first)
    assert known.woken == [second]
    assert known.see(second) == ProductFound(counted, None, older_siblings=0)


@pytest.mark.parametrize(
    "held",
    [record(active(1)), replace(ledger(), product="elsewhere/other"), replace(ledger(), plan=None)],
    ids=["of no product", "of another product", "of nobody since it was refused here"],
)
def test_who_has_a_key_but_not_of_the_product_waits_in_line(held: Record) -> None:
    counted = product(approval="Automatic", access={"maxKeysPerNamespace": 1})
    known = Known(counted).has_listed_all()
    first, second = (Key(KEY.namespace, name) for name in ("first", "second"))
    known.see(first)
    assert known.see(second, ledger=held) == ProductFound(counted, None, older_siblings=1)


def test_keys_of_before_this_term_have_their_places() -> None:
    counted = product(approval="Automatic", access={"maxKeysPerNamespace": 1})
    known = Known(counted).has_listed_all()
    known.products.know_holder(Key(KEY.namespace, "retained"), str(WHERE))
    assert known.see() == ProductFound(counted, None, older_siblings=1)
