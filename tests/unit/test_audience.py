"""Whose an audience is, and what the others give: nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gen.lifecycle import NOW, SETTINGS, apikey
from gen.products import consumer, found, grant, product
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.names import Key
from keyturn.controller.audiences import Audiences
from keyturn.lifecycle.audience import AudienceClaim, owner_among
from keyturn.lifecycle.consent import consent_for
from keyturn.lifecycle.product_status import product_status

RIVAL = Key("mallory", "invoices")


def made(where: Key, *, age: int, audience: str = "invoices") -> AudienceClaim:
    return AudienceClaim(where, audience, NOW - timedelta(seconds=age))


def test_the_oldest_has_it_and_of_equally_old_ones_the_first_by_name() -> None:
    old, young = made(Key("b", "x"), age=9), made(Key("a", "x"), age=1)
    assert owner_among([young, old]) == old.product
    assert owner_among([made(Key("b", "a"), age=1), made(Key("a", "z"), age=1), made(Key("a", "y"), age=1)]) == Key("a", "y")
    assert owner_among([]) is None


def test_no_product_has_the_audience_of_keys_without_a_product() -> None:
    """Any tenant's empty ApiKey opened what the product's owner approves key by key."""
    anybodys = consent_for(apikey(), None, record=None, settings=SETTINGS).power.audience
    with pytest.raises(ValidationError, match=f"audience {anybodys} is that of every key without a product"):
        product(audience=anybodys)


def test_a_key_of_a_product_whose_audience_is_anothers_gets_nothing_and_is_told_whose_it_is() -> None:
    of = product(grants=[grant()])
    denied = consent_for(consumer(), found(of, audience_owner=RIVAL), record=None, settings=SETTINGS)
    assert (denied.may_mint, denied.power.plan, denied.power.scopes) == (False, None, ())
    assert denied.problem is not None
    assert denied.problem.reason == Reason.AUDIENCE_TAKEN
    assert str(RIVAL) in denied.problem.message
    assert consent_for(consumer(), found(of, audience_owner=of.key), record=None, settings=SETTINGS).may_mint


def test_the_product_says_so_itself_and_is_ready_when_it_has_it() -> None:
    of = product()
    told = {each.type: (str(each.status), each.reason) for each in product_status(of, (), owner=RIVAL, now=NOW).conditions}
    assert told == {ConditionType.READY: ("False", "AudienceTaken"), ConditionType.STALLED: ("True", "AudienceTaken")}
    has_it = product_status(of, (), owner=of.key, now=NOW).conditions
    assert [(each.type, str(each.status)) for each in has_it] == [(ConditionType.READY, "True")]


Step = tuple[str, int, str]
PLACES = st.sampled_from([f"{namespace}/{name}" for namespace in "abc" for name in "xy"])
STEPS = st.lists(st.tuples(PLACES, st.integers(0, 3), st.sampled_from("pq-")), max_size=20)


@given(STEPS)
def test_however_products_come_and_go_each_audience_has_one_owner_and_who_is_concerned_is_told(steps: list[Step]) -> None:
    """A product of audience `-` is deleted."""
    audiences, there = Audiences(), dict[Key, AudienceClaim]()
    for name, age, audience in steps:
        where, before = Key(*name.split("/")), _owners(there.values())
        there.pop(where, None)
        if audience != "-":
            there[where] = made(where, age=age, audience=audience)
        told, after = audiences.note(where, there.get(where)), _owners(there.values())
        assert {each: owner for each in "pq" if (owner := audiences.owner(each)) is not None} == after
        moved = {each for each in "pq" if before.get(each) != after.get(each)}
        assert told == {key for key, each in there.items() if each.audience in moved}


def _owners(claims: Iterable[AudienceClaim]) -> dict[str, Key]:
    """By a plain sort, the oldest last."""
    youngest_first = sorted(claims, key=lambda each: (each.created or NOW, each.product), reverse=True)
    return {each.audience: each.product for each in youngest_first}
