"""A product that counts its keys has never more of them, however a tenant comes by one: rules and memory together, look by look."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, cast

from hypothesis import example, given
from hypothesis import strategies as st

from gen.lifecycle import KEY, active, apikey, fingerprint, observed, ours
from gen.products import OWNER, product
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.clock import utc_now
from keyturn.base.names import Key
from keyturn.cluster.client import Client
from keyturn.controller.products import Products
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_peek import holds_key_of
from keyturn.lifecycle.consent import ProductSeen
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.plan import SaveRecord, Stage
from keyturn.lifecycle.withdrawal import product_in_question

COUNTED, FREE = "invoices", "orders"
NAMES: Final = ("a", "b", "c", "d")


@dataclass(slots=True)
class House:
    """One namespace, one product that has room for `most` keys of it, one that counts none, and the operator that looks at its ApiKeys."""

    most: int
    apikeys: dict[str, ApiKey] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    woken: list[Key] = field(default_factory=list)
    products: Products = field(init=False)
    uids: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.operator_starts()

    def operator_starts(self) -> None:
        """Nothing is remembered but what the records say."""
        client = cast("Client", None)  # it writes the status of products, and nothing here does
        self.products = Products(client, namespaces=(), wake=self.woken.append, is_busy=lambda: False, clock=utc_now)
        for name in (COUNTED, FREE):
            access = {"maxKeysPerNamespace": self.most} if name == COUNTED else {}
            self.products._products.put(Key(OWNER, name), _offer(name, access), 1, f"uid-of-{name}")
        for each in self.products.reflectors():
            each.synced.set()
        for name, record in self.records.items():
            held = holds_key_of(encode_record(record))
            if held is not None:
                self.products.know_holder(Key(KEY.namespace, name), held)
        for name in {**self.apikeys, **self.records}:
            self.look(name)

    def asks(self, name: str, of: str | None, *, retain: bool) -> None:
        """The ApiKey is created; one that is there stays as it is."""
        if name not in self.apikeys:
            spec = {"productRef": {"name": of, "namespace": OWNER}} if of else {}
            wanted = apikey({**spec, "deletionPolicy": "Retain" if retain else "Revoke"}, uid=f"uid-{next(self.uids)}")
            self.apikeys[name] = wanted
            self.look(name)

    def gives_up(self, name: str) -> None:
        """It is deleted."""
        if self.apikeys.pop(name, None) is not None:
            self.look(name)

    def look(self, name: str) -> None:
        """Until nothing more is to be written, and whoever was woken by it as well."""
        key = Key(KEY.namespace, name)
        for _ in range(9):
            before = self.records.get(name)
            where = product_in_question(self.apikeys.get(name), before, spec_is_readable=True)
            seen = self.products.see(key, where, before, is_gone=name not in self.apikeys)
            self._write(name, seen)
            if self.records.get(name) is before:
                break
        else:
            raise AssertionError("it does not come to rest")
        while self.woken:
            self.look(self.woken.pop().name)

    def _write(self, name: str, seen: ProductSeen | None) -> None:
        wanted, record = self.apikeys.get(name), self.records.get(name)
        current = record.versions[-1].number if record is not None and record.versions else None
        secret = ours(current, of=wanted) if current is not None else None
        facts = replace(observed(record, secret, of=wanted, product=seen), apikey=wanted)
        for step in decide(facts).steps:
            if isinstance(step, Stage):
                delivered = fingerprint(step.number, of=wanted)
                self.records[name] = replace(step.base, versions=(active(step.number),), highest=step.number, secret=delivered)
            elif isinstance(step, SaveRecord):
                self.records[name] = step.record

    def let_in(self) -> set[str]:
        """Whose keys the gateways of the product that counts let in."""
        return {name for name, record in self.records.items() if record.versions and record.audience == COUNTED and not record.disabled}

    def turned_away(self) -> set[str]:
        """Who asks for a key of it and has none."""
        return {name for name, each in self.apikeys.items() if _asks_for_counted(each)} - self.let_in()


def _asks_for_counted(wanted: ApiKey) -> bool:
    return wanted.spec.product_ref is not None and wanted.spec.product_ref.name == COUNTED


def _offer(name: str, access: dict[str, int]) -> Any:  # noqa: ANN401 - as in a cache
    made = product(approval="Automatic", audience=name, access=access)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"name": name})})


NAME, RESTART = st.sampled_from(NAMES), ("operator starts",)
STEPS = st.one_of(
    st.tuples(st.just("asks"), NAME, st.sampled_from([None, COUNTED, COUNTED, FREE]), st.sampled_from([True, True, False])),
    st.tuples(st.just("gives up"), NAME),
    st.just(RESTART),
)


@example(1, [("asks", "a", COUNTED, True), ("asks", "b", None, True), ("gives up", "b"), ("asks", "b", COUNTED, True)])
@example(1, [("asks", "a", COUNTED, True), ("asks", "b", FREE, True), ("gives up", "b"), ("asks", "b", COUNTED, True), RESTART])
@given(most=st.integers(1, 2), steps=st.lists(STEPS, max_size=12))
def test_nobody_gets_in_beyond_what_the_product_wants_and_no_room_stays_empty(most: int, steps: list[tuple[Any, ...]]) -> None:
    """A retained key of another product, or of none, was taken over into a full house; a hundred of them by one tenant."""
    house = House(most)
    for what, *about in steps:
        match what:
            case "asks":
                name, of, retain = about
                house.asks(name, of, retain=retain)
            case "gives up":
                house.gives_up(*about)
            case _:
                house.operator_starts()
        assert len(house.let_in()) <= most
        assert not house.turned_away() or len(house.let_in()) == most
