"""What an API's owner takes away reaches keys that nobody works on; and nothing is ever given to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.lifecycle import MINUTE, NOW, SECOND, SETTINGS, active, apikey, observed, ours, record, retiring
from gen.products import OWNER, READ, REFUND, WRITE, consumer, found, grant, product
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.names import Key
from keyturn.keys.record import Record
from keyturn.lifecycle.consent import ProductMissing, ProductSeen, ProductUnknown
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.held_power import power_in
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.plan import Plan, SaveRecord
from keyturn.lifecycle.withdrawal import product_in_question

DELAY = SETTINGS.access_lost_delay
PAUSED = consumer().model_copy(update={"metadata": apikey(annotations={"keyturn.dev/paused": "true"}).metadata})
WAYS = ["paused", "unreadable", "retained"]


def ledger(**fields: object) -> Record:
    of_product = {"audience": "invoices", "product": f"{OWNER}/invoices", "plan": "full", "scopes": (READ, WRITE)}
    return replace(record(active(2), retiring(1)), **{**of_product, **fields})


def looked_at(way: str, before: Record, seen: ProductSeen, *, now: timedelta = timedelta(0)) -> Observed:
    """The one look at a key that nobody works on, in each of the ways that there are."""
    base = observed(before, ours(2), of=PAUSED if way == "paused" else consumer(), product=seen, now=NOW + now)
    match way:
        case "unreadable":
            return replace(base, spec_problem="spec: cannot be read")
        case "retained":
            return replace(base, apikey=None, record=replace(base.record, record=replace(before, retained=True, retain_on_delete=True)))
        case _:
            return base


def written(plan: Plan) -> Record | None:
    saved = [step.record for step in plan.steps if isinstance(step, SaveRecord)]
    assert len(saved) == len(plan.steps)
    return saved[0] if saved else None


@pytest.mark.parametrize("way", WAYS)
def test_scopes_that_the_owner_takes_are_gone_at_once(way: str) -> None:
    after = written(decide(looked_at(way, ledger(), found(product(grants=[grant("full", scopes=[READ])])))))
    assert after is not None
    assert (after.scopes, after.plan, after.disabled) == ((READ,), "full", False)
    assert after.retained is (way == "retained")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seen", [found(product()), ProductMissing()], ids=["no grant", "no product"])
def test_access_that_is_lost_is_refused_after_the_delay_and_not_before(way: str, seen: ProductSeen) -> None:
    lost = written(decide(looked_at(way, ledger(), seen)))
    assert lost is not None
    assert (lost.access_lost_time, lost.disabled) == (NOW, False)
    waits = decide(looked_at(way, lost, seen, now=SECOND))
    assert (waits.steps, waits.look_again_time) == ((), NOW + DELAY)
    refused = written(decide(looked_at(way, lost, seen, now=DELAY)))
    assert refused is not None
    assert refused.disabled
    assert decide(looked_at(way, refused, seen, now=DELAY + MINUTE)).steps == ()


@pytest.mark.parametrize("way", WAYS)
def test_what_nobody_can_tell_stands(way: str) -> None:
    unknown = ProductUnknown(decide(looked_at("unreadable", ledger(), ProductMissing())).stalled)  # type: ignore[arg-type]  # any Waiting
    assert decide(looked_at(way, ledger(), unknown)).steps == ()


def test_a_refused_key_stays_refused_until_somebody_works_on_it_again() -> None:
    """Whether its ApiKey wanted it disabled besides nobody knows any more."""
    refused = ledger(disabled=True, access_lost_time=NOW - DELAY)
    seen = found(product(grants=[grant("full")]))
    after = written(decide(looked_at("retained", refused, seen)))
    assert after is not None
    assert (after.disabled, after.access_lost_time) == (True, None)
    assert decide(looked_at("retained", after, seen)).steps == ()


plans = st.sampled_from(["basic", "full"])
some_scopes = st.lists(st.sampled_from([READ, WRITE, REFUND]), unique=True).map(tuple)


@given(
    way=st.sampled_from(WAYS),
    held=some_scopes,
    plan=plans,
    granted=st.none() | st.tuples(plans, st.none() | some_scopes),
    approval=st.sampled_from(["Manual", "Automatic"]),
    disabled=st.booleans(),
)
def test_nothing_is_ever_given(
    *, way: str, held: tuple[str, ...], plan: str, granted: tuple[str, tuple[str, ...] | None] | None, approval: str, disabled: bool
) -> None:
    grants = [grant(granted[0], scopes=granted[1])] if granted else []
    before = ledger(scopes=held, plan=plan, disabled=disabled)
    after = written(decide(looked_at(way, before, found(product(grants=grants, approval=approval)))))
    if after is None:
        return
    assert set(after.scopes) <= set(held)
    assert (after.plan, after.audience, after.product) == (plan, "invoices", f"{OWNER}/invoices")
    assert after.disabled >= disabled
    assert (after.versions, after.allowed_cidrs, after.expiration_time) == (before.versions, (), None)
    assert power_in(after) != power_in(before) or after.access_lost_time is not None


def test_a_key_of_no_product_has_nothing_that_could_be_taken() -> None:
    assert decide(looked_at("paused", record(active(2)), ProductMissing())).steps == ()


@pytest.mark.parametrize(
    ("living", "held", "readable", "whose"),
    [
        (consumer(), None, True, Key(OWNER, "invoices")),
        (consumer(), "elsewhere/cards", True, Key(OWNER, "invoices")),
        (apikey(), "elsewhere/cards", True, None),
        (apikey(), "elsewhere/cards", False, Key("elsewhere", "cards")),
        (PAUSED, "elsewhere/cards", True, Key("elsewhere", "cards")),
        (PAUSED, None, True, Key(OWNER, "invoices")),
        (None, "elsewhere/cards", True, Key("elsewhere", "cards")),
        (None, None, True, None),
    ],
    ids=["asks", "asks another", "asks none", "unreadable", "paused", "paused and new", "gone", "gone without a product"],
)
def test_whose_word_counts(*, living: ApiKey | None, held: str | None, readable: bool, whose: Key | None) -> None:
    assert product_in_question(living, ledger(product=held), spec_is_readable=readable) == whose


@pytest.mark.parametrize("way", WAYS)
def test_a_key_that_its_product_only_refuses_waits_for_nothing_while_nobody_works_on_it(way: str) -> None:
    """It stood in the line for a place, and in the way of one that asks."""
    refused = ledger(plan=None, scopes=(), disabled=True, access_lost_time=NOW - MINUTE)
    assert product_in_question(None, refused, spec_is_readable=True) is None
    assert decide(looked_at(way, refused, found(product(approval="Automatic")))).steps == ()


def test_a_record_of_dead_keys_is_no_product_s() -> None:
    assert product_in_question(None, replace(record(), product=f"{OWNER}/invoices"), spec_is_readable=True) is None
