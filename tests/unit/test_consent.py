"""What an ApiProduct lets an ApiKey have: what is asked for, within what is approved, within the plan, within the product."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.lifecycle import HOUR, MINUTE, NOW, SECOND, SETTINGS, active, apikey, observed, ours, record
from gen.products import BASIC, FULL, READ, REFUND, WRITE, consumer, found, grant, ledger, product, settled
from keyturn.api.v1alpha1.apikey import ApiKey, EffectiveLimits, EffectiveQuota
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.apiproduct_spec import NamespaceSelector
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.names import Key
from keyturn.keys.digest import digest_token
from keyturn.keys.record import Limits, PeriodQuota, Record
from keyturn.lifecycle.admission import selects
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.consent import AUTOMATIC, Consent, ProductFound, ProductMissing, ProductSeen, ProductUnknown, consent_for, prefix_for
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.plan import Plan, SaveRecord, Stage, Waiting
from keyturn.lifecycle.plan_rotation import inherited_rotation
from keyturn.lifecycle.power import with_power
from keyturn.verifier.live_key import live_keys

RIVAL = Key("mallory", "invoices")
DELAY = SETTINGS.access_lost_delay


def consent(seen: ProductSeen | None, *, ledger: Record | None = None, **spec: object) -> Consent:
    return consent_for(consumer(**spec), seen, record=ledger, settings=SETTINGS)


def conditions(before: Record | None, living: ApiKey, seen: ProductSeen | None, *, now: datetime = NOW) -> dict[str, tuple[str, str]]:
    ledger = settled(before, living, seen, now=now) if before is not None else None
    facts = observed(ledger, ours(1) if before is not None else None, of=living, product=seen, now=now)
    status = conclude(facts, decide(facts), Outcome())
    return {condition.type: (condition.status.value, condition.reason) for condition in status.conditions}


# --------------------------------------------------------------------------------------------------------- what is approved


def test_without_a_grant_there_is_no_key() -> None:
    waits = consent(found(product()))
    assert (waits.may_mint, waits.power.scopes) == (False, ())
    assert waits.pending is not None
    assert waits.pending.reason == Reason.PENDING_APPROVAL
    assert "keyturn approve billing -n shop" in waits.pending.message
    facts = observed(of=consumer(), product=found(product()))
    assert decide(facts).steps == ()


@pytest.mark.parametrize(("spec", "asked"), [({}, "basic, its default plan"), ({"plan": "basic"}, "basic")])
def test_whose_grant_is_for_another_plan_is_told_which(spec: dict[str, str], asked: str) -> None:
    """The owner had approved the key, and was asked to approve it again."""
    waits = consent(found(product(grants=[grant("full")])), **spec).pending
    assert waits is not None
    assert waits.reason == Reason.PENDING_APPROVAL
    assert f"is for plan full, and the ApiKey asks for {asked}: write spec.plan: full, or have basic granted" in waits.message
    gone = consent(found(product(grants=[grant("gold")])), **spec).pending
    assert gone is not None
    assert "gold" not in gone.message


def test_a_key_that_waits_for_its_approval_has_not_failed() -> None:
    said = conditions(None, consumer(), found(product()))
    assert said["Ready"] == ("False", "PendingApproval")
    assert said["Reconciling"] == ("True", "PendingApproval")
    assert said["Approved"] == ("False", "PendingApproval")
    assert "Stalled" not in said


def test_a_grant_gives_the_plan() -> None:
    given_ = consent(found(product(grants=[grant()])))
    assert (given_.power.audience, given_.power.product, given_.power.plan) == ("invoices", "billing-api/invoices", "basic")
    assert (given_.power.scopes, given_.power.limits) == ((READ,), Limits(10, 20))
    assert (given_.approved_by, given_.pending, given_.problem) == ("billing-api/invoices", None, None)
    facts = observed(of=consumer(), product=found(product(grants=[grant()])))
    (step,) = decide(facts).steps
    assert isinstance(step, Stage)
    assert (step.base.scopes, step.base.audience) == ((READ,), "invoices")


def test_a_product_may_approve_by_itself_and_a_plan_otherwise() -> None:
    assert consent(found(product(approval="Automatic"))).approved_by == AUTOMATIC
    strict = product(approval="Automatic", plans=[BASIC, {**FULL, "approval": "Manual"}])
    assert consent(found(strict), plan="full").may_mint is False
    lenient = product(plans=[{**BASIC, "approval": "Automatic"}, FULL])
    assert consent(found(lenient)).power.scopes == (READ,)


@pytest.mark.parametrize(
    ("asked", "granted", "scopes"),
    [
        (None, None, (READ, WRITE, REFUND)),
        (None, [READ], (READ,)),
        ([WRITE], None, (WRITE,)),
        ([], None, ()),
        ([READ, WRITE], [READ], (READ,)),
    ],
)
def test_a_key_has_what_it_asks_for_as_far_as_it_was_granted(
    asked: list[str] | None, granted: list[str] | None, scopes: tuple[str, ...]
) -> None:
    spec = {"plan": "full", **({"scopes": asked} if asked is not None else {})}
    assert consent(found(product(grants=[grant("full", scopes=granted)])), **spec).power.scopes == scopes


def test_what_is_asked_for_beyond_the_grant_waits_beside_the_rest() -> None:
    seen = found(product(grants=[grant("full", scopes=[READ])]))
    beyond = consent(seen, plan="full", scopes=[READ, REFUND])
    assert beyond.may_mint
    assert beyond.pending is not None
    assert beyond.pending.reason == Reason.PENDING_WIDENING
    assert REFUND in beyond.pending.message
    said = conditions(ledger(plan="full"), consumer(plan="full", scopes=[READ, REFUND]), seen)
    assert said["Approved"] == ("Unknown", "PendingWidening")
    assert said["Ready"][0] == "True"


def test_a_plan_that_was_not_granted_waits_while_the_old_one_works() -> None:
    seen = found(product(grants=[grant("basic")]))
    waits = consent(seen, ledger=ledger(), plan="full")
    assert (waits.power.plan, waits.power.scopes) == ("basic", (READ,))
    assert waits.pending is not None
    assert waits.pending.reason == Reason.PENDING_WIDENING


def test_a_scope_that_the_plan_does_not_offer_stalls_and_keeps_the_rest() -> None:
    seen = found(product(grants=[grant()]))
    assert decide(observed(of=consumer(scopes=[READ, "nonsense"]), product=seen)).steps == ()
    said = conditions(ledger(), consumer(scopes=[READ, "nonsense"]), seen)
    assert said["Stalled"] == ("True", "ScopeNotInPlan")
    assert said["Ready"][0] == "True"
    assert settled(ledger(), consumer(scopes=[READ, "nonsense"]), seen).scopes == (READ,)


def test_a_plan_that_there_is_not_is_named() -> None:
    problem = consent(found(product(grants=[grant()])), plan="gold").problem
    assert problem is not None
    assert problem.reason == Reason.PLAN_UNKNOWN
    assert problem.message == "spec.plan is gold, and ApiProduct billing-api/invoices has no such plan: write one of basic, full"
    several = consent(found(product(grants=[grant()], defaultPlan=None))).problem
    assert several is not None
    assert several.reason == Reason.PLAN_UNKNOWN
    assert several.message == "spec.plan is not set, and ApiProduct billing-api/invoices has no default plan: write one of basic, full"


def test_scopes_without_a_product_are_nobodys_to_give() -> None:
    problem = consent_for(apikey({"scopes": [READ]}), None, record=None, settings=SETTINGS).problem
    assert problem is not None
    assert problem.reason == Reason.PRODUCT_UNAVAILABLE


# -------------------------------------------------------------------------------------------------------------- who is admitted


def test_by_default_only_the_products_own_namespace_is_admitted() -> None:
    outside = consent(found(product(admitted={"from": "Same"}, grants=[grant()])))
    assert outside.problem is not None
    assert "its own namespace only" in outside.problem.message


@pytest.mark.parametrize(
    ("selector", "labels", "fits"),
    [
        ({}, {}, True),
        ({"matchLabels": {"tier": "gold"}}, {"tier": "gold", "other": "x"}, True),
        ({"matchLabels": {"tier": "gold"}}, {"tier": "silver"}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "silver"]}]}, {"tier": "silver"}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]}, {}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}, {}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}, {"tier": "gold"}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, {"tier": ""}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, {"tier": ""}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, {"a": "1"}, False),
    ],
)
def test_a_selector_reads_labels_as_kubernetes_does(selector: dict[str, Any], labels: dict[str, str], fits: bool) -> None:
    assert selects(NamespaceSelector.model_validate(selector), labels) is fits


def test_labels_that_may_not_be_read_neither_admit_nor_end_anything() -> None:
    by_label = product(admitted={"from": "Selector", "selector": {"matchLabels": {"tier": "gold"}}}, grants=[grant()])
    hidden = replace(found(by_label), namespace_labels=None)
    assert consent(hidden).may_mint is False
    assert settled(ledger(), consumer(), hidden, now=NOW + 9 * HOUR) == ledger()


def test_who_comes_first_has_a_key_where_they_are_counted() -> None:
    narrow = product(grants=[grant()], access={"maxKeysPerNamespace": 2})
    assert consent(found(narrow, older=1)).may_mint
    third = consent(found(narrow, older=2))
    assert third.problem is not None
    assert third.problem.reason == Reason.TOO_MANY_KEYS
    assert "to 2, and others came first" in third.problem.message, "an older ApiKey that asked later has none"
    assert consent(found(narrow, older=2), ledger=ledger()).may_mint, "what has a key keeps it"


@pytest.mark.parametrize(
    "kept",
    [
        replace(record(active(1)), audience="default"),
        replace(ledger(), product="elsewhere/other", audience="other"),
        replace(ledger(), plan=None, scopes=(), disabled=True, access_lost_time=NOW),
    ],
    ids=["of no product", "of another product", "of nobody since it was refused here"],
)
def test_a_retained_key_that_is_taken_over_has_no_place_by_that(kept: Record) -> None:
    """It was let in wherever it came from: a tenant had as many keys as he had retained before."""
    narrow = product(approval="Automatic", access={"maxKeysPerNamespace": 1})
    refused = settled(kept, consumer(), found(narrow, older=1))
    assert (refused.disabled, refused.plan, refused.scopes) == (True, None, ())
    assert conditions(kept, consumer(), found(narrow, older=1))["Disabled"] == ("True", "AccessLost")
    assert settled(refused, consumer(), ProductMissing()).disabled, "it never had what could be lost after a delay"
    let_in = settled(refused, consumer(), found(narrow, older=0))
    assert (let_in.disabled, let_in.plan, let_in.scopes) == (False, "basic", (READ,))


# ------------------------------------------------------------------------------------------------------------- what is lost


@pytest.mark.parametrize(
    "seen",
    [
        ProductMissing(),
        found(product()),
        found(product(admitted={"from": "Same"}, grants=[grant()])),
        found(product(plans=[FULL], defaultPlan="full")),
    ],
    ids=["product deleted", "grant withdrawn", "namespace not admitted", "plan gone"],
)
def test_a_key_without_access_is_refused_after_the_delay_and_works_again_when_it_is_back(seen: ProductSeen) -> None:
    lost = settled(ledger(), consumer(), seen)
    assert (lost.disabled, lost.access_lost_time) == (False, NOW)
    assert decide(observed(lost, ours(1), of=consumer(), product=seen)).look_again_time == NOW + DELAY
    assert settled(lost, consumer(), seen, now=NOW + DELAY - SECOND) == lost
    refused = settled(lost, consumer(), seen, now=NOW + DELAY)
    assert refused.disabled
    assert conditions(refused, consumer(), seen, now=NOW + DELAY)["Disabled"] == ("True", "AccessLost")
    back = settled(refused, consumer(), found(product(grants=[grant()])), now=NOW + HOUR)
    assert (back.disabled, back.access_lost_time, back.scopes) == (False, None, (READ,))


def test_access_that_comes_back_within_the_delay_was_never_gone() -> None:
    lost = settled(ledger(), consumer(), ProductMissing())
    again = settled(lost, consumer(), found(product(grants=[grant()])), now=NOW + MINUTE)
    assert (again.disabled, again.access_lost_time) == (False, None)
    later = settled(again, consumer(), ProductMissing(), now=NOW + DELAY)
    assert (later.disabled, later.access_lost_time) == (False, NOW + DELAY)


def test_the_product_says_how_long_and_whether() -> None:
    quick = found(product(access={"accessLostDelay": "1m"}))
    lost = settled(ledger(), consumer(), quick)
    assert settled(lost, consumer(), quick, now=NOW + MINUTE).disabled
    kept = found(product(access={"onAccessLost": "Keep"}))
    lost = settled(ledger(), consumer(), kept)
    assert not settled(lost, consumer(), kept, now=NOW + 99 * DELAY).disabled


def test_a_wrong_clock_refuses_no_key() -> None:
    lost = settled(ledger(), consumer(), ProductMissing())
    assert not settled(lost, consumer(), ProductMissing(), now=NOW + 9 * HOUR, off=True).disabled


def test_what_nobody_can_tell_changes_nothing() -> None:
    unknown = ProductUnknown(Waiting(Reason.PRODUCT_UNAVAILABLE, "not valid"))
    for held in (ledger(), replace(ledger(), disabled=True, access_lost_time=NOW - HOUR)):
        assert settled(held, consumer(), unknown, now=NOW + 9 * HOUR) == held
    assert decide(observed(of=consumer(), product=unknown)).steps == ()
    assert decide(observed(of=consumer(), product=None)).steps == ()


def test_a_key_taken_over_from_another_product_is_refused_at_once() -> None:
    other = replace(ledger(), product="elsewhere/other", audience="other", scopes=("admin",))
    taken = settled(other, consumer(), found(product()))
    assert (taken.disabled, taken.scopes, taken.audience) == (True, (), "invoices")


HIDDEN = replace(found(product(admitted={"from": "Selector", "selector": {"matchLabels": {"a": "b"}}})), namespace_labels=None)


@pytest.mark.parametrize("seen", [ProductMissing(), ProductUnknown(Waiting(Reason.PRODUCT_UNAVAILABLE, "not valid")), HIDDEN, None])
def test_nor_does_it_live_on_where_nobody_can_tell_what_the_new_product_is(seen: ProductSeen | None) -> None:
    """Else a product that is not there, or that the operator may not read, would keep what another one's owner takes."""
    other = replace(ledger(), product="elsewhere/other", audience="other", scopes=("admin",))
    assert settled(other, consumer(), seen).disabled


def test_the_lost_record_of_a_key_without_consent_is_not_restored() -> None:
    status = {"activeVersion": 1, "versions": [{"number": 1, "keyID": "key1", "state": "Active"}]}
    told = ApiKey.model_validate({**consumer().model_dump(by_alias=True, exclude_none=True), "status": status})
    assert decide(observed(None, ours(1), of=told, product=found(product()))).steps == ()
    restored = decide(observed(None, ours(1), of=told, product=found(product(grants=[grant()])))).steps
    assert isinstance(restored[0], SaveRecord)
    assert restored[0].record.scopes == (READ,)


# --------------------------------------------------------------------------------------------------------------- inheritance


@pytest.mark.parametrize(
    ("asked", "offered", "wanted"),
    [
        ({}, {"interval": "720h"}, ("720h0m0s", None, None)),
        ({"interval": "48h"}, {"interval": "720h", "overlapLimit": "24h"}, ("48h0m0s", None, "24h0m0s")),
        ({"interval": "12h"}, {"interval": "720h", "overlapLimit": "24h", "gracePeriod": "1h"}, ("12h0m0s", "1h0m0s", None)),
        ({"schedule": "0 3 1 * *"}, {"interval": "720h"}, (None, None, None)),
        ({"gracePeriod": "5h"}, {"overlapLimit": "2h"}, (None, "5h0m0s", None)),
        ({"overlapLimit": "1h"}, {"gracePeriod": "2h"}, (None, None, "1h0m0s")),
    ],
)
def test_a_plans_rotation_holds_where_the_apikey_says_nothing_and_where_it_fits(
    asked: dict[str, str], offered: dict[str, str], wanted: tuple[str | None, ...]
) -> None:
    own = consumer(rotation=asked).spec.rotation
    plan = product(plans=[{**BASIC, "rotation": offered}]).spec.plans[0]
    got = inherited_rotation(own, plan)
    assert got is not None
    told = tuple(
        f"{length // HOUR}h0m0s" if isinstance(length, timedelta) else None
        for length in (got.interval, got.grace_period, got.overlap_limit)
    )
    assert told == wanted


def test_keys_of_a_product_begin_as_it_says() -> None:
    assert prefix_for(found(product(keyPrefix="acme")), settings=SETTINGS) == "acme"
    assert prefix_for(found(product()), settings=SETTINGS) == prefix_for(None, settings=SETTINGS) == "kt"


# ------------------------------------------------------------------------------------------------------------------- the law

SCOPES = st.lists(st.sampled_from([READ, WRITE, REFUND, "stray"]), unique=True, max_size=4)
RATES = st.sampled_from([1, 5, 10, 50])
QUOTAS = st.fixed_dictionaries({"requests": st.sampled_from([1, 30, 900]), "period": st.sampled_from(["Hour", "Day", "Month"])})
LIMITS = st.fixed_dictionaries({"requestsPerSecond": RATES}, optional={"burst": RATES})
DECLARED = st.lists(st.sampled_from([READ, WRITE, REFUND]), unique=True, min_size=1, max_size=3)


@st.composite
def products(draw: st.DrawFn) -> ApiProduct:
    declared = draw(DECLARED)
    within = st.lists(st.sampled_from(declared), unique=True, max_size=3)
    of_a_plan = {"scopes": within, "approval": st.sampled_from(["Manual", "Automatic"]), "limits": LIMITS, "quota": QUOTAS}
    plans = [
        {
            "name": name,
            **draw(st.fixed_dictionaries({}, optional=of_a_plan)),
        }
        for name in draw(st.sampled_from([["basic"], ["full"], ["basic", "full"]]))
    ]
    grants = draw(st.sampled_from([[], [grant("basic")], [grant("full")], [grant("full", scopes=draw(SCOPES))]]))
    admitted = draw(st.sampled_from([{"from": "All"}, {"from": "Same"}]))
    return product(
        approval=draw(st.sampled_from(["Manual", "Automatic"])),
        scopes=declared,
        plans=plans,
        grants=grants,
        admitted=admitted,
        defaultPlan=draw(st.sampled_from([None, plans[0]["name"]])),
        audience=draw(st.sampled_from(["invoices", "invoices", "orders"])),
        access={"onAccessLost": draw(st.sampled_from(["Disable", "Keep"]))},
        verification=draw(st.sampled_from([None, {"maxStaleness": "1m"}])),
    )


SPECS = st.fixed_dictionaries({}, optional={"plan": st.sampled_from(["basic", "full", "gold"]), "scopes": SCOPES})


def approved_scopes(of: ApiProduct, plan: str | None) -> set[str]:
    """What the owner has said yes to, in the plainest words."""
    offered = next((each for each in of.spec.plans if each.name == plan), None)
    if offered is None or of.spec.access.namespaces.from_.value == "Same":
        return set()
    declared = {scope.name for scope in of.spec.scopes}
    whole = declared if offered.scopes is None else set(offered.scopes) & declared
    if (offered.approval or of.spec.access.approval).value == "Automatic":
        return whole
    own = [each for each in of.spec.access.grants or () if each.plan == plan]
    return whole & (set(own[0].scopes) if own and own[0].scopes is not None else whole) if own else set()


def speed(allowed: Any) -> tuple[float, float, float]:  # noqa: ANN401 - a plan or a record
    """Requests a second, at once, and by the quota in an hour; no limit is infinitely many."""
    limits, quota = allowed.limits, allowed.quota
    rate = getattr(limits, "requests_per_second", None) or math.inf
    burst = getattr(limits, "burst", None) or rate
    return rate, burst, quota.requests / {"Hour": 1, "Day": 24, "Month": 744}[str(quota.period)] if quota else math.inf


def is_within(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine <= most for mine, most in zip(one, other, strict=True))


Life = tuple[dict[str, Any], ProductFound | None, int]
OWNERS = st.builds(found, products(), audience_owner=st.sampled_from([None, None, RIVAL]))


@given(lives=st.lists(st.tuples(SPECS, st.none() | OWNERS, st.integers(0, 20)), min_size=1, max_size=6))
def test_power_never_exceeds_what_is_approved_now(lives: list[Life]) -> None:
    """Any life: specs and products that come, change and go.

    Only a key that lost its access keeps some of its power: for the delay, or as long as its product lets it.
    """
    held, now = ledger(scopes=(READ, WRITE, REFUND), plan="full", limits=None), NOW
    for spec, owner, minutes in lives:
        now += minutes * MINUTE
        seen = ProductMissing() if owner is None else owner
        before, held = held, settled(held, consumer(**spec), seen, now=now)
        asked = spec.get("scopes")
        if held.access_lost_time is None:
            assert owner is not None
            assert set(held.scopes) <= approved_scopes(owner.product, held.plan)
            assert speed(held) == speed(next(each for each in owner.product.spec.plans if each.name == held.plan))
            assert not held.disabled
        else:
            keeps = owner is not None and owner.product.spec.access.on_access_lost.value == "Keep"
            assert held.disabled or keeps or now < held.access_lost_time + DELAY
            assert set(held.scopes) <= set(before.scopes), "nothing is gained by losing access"
            assert held.disabled or is_within(speed(held), speed(before))
        if owner is not None:
            of, plans = owner.product.spec, {each.name: each for each in owner.product.spec.plans}
            assert asked is None or set(held.scopes) <= set(asked)
            assert set(held.scopes) <= {scope.name for scope in of.scopes} if held.plan in plans else not held.scopes
            allowed = [plans[held.plan]] if held.plan in plans else of.plans
            assert held.disabled or all(is_within(speed(held), speed(each)) for each in allowed)
            assert held.disabled or (held.audience == of.audience and owner.audience_owner is None)
            assert held.disabled or held.max_staleness_seconds == (60 if of.verification else None)
        assert settled(held, consumer(**spec), seen, now=now) is held


def test_limits_and_quota_of_the_plan_are_part_of_the_power_and_stand_in_the_status() -> None:
    plans = [{**BASIC, "limits": {"requestsPerSecond": 10, "burst": 20}, "quota": {"requests": 5000, "period": "Month"}}, FULL]
    of, asks = product(grants=[grant()], plans=plans), consumer()
    given_ = consent_for(asks, found(of), record=None, settings=SETTINGS)
    assert given_.power.quota == PeriodQuota(5000, "Month")
    written = with_power(record(active(1)), asks, given_, now=NOW)
    assert written.quota == PeriodQuota(5000, "Month")
    seen = observed(written, ours(1), of=asks, product=found(of))
    told = conclude(seen, Plan(), Outcome()).effective
    assert told is not None
    assert told.limits == EffectiveLimits(requests_per_second=10, burst=20)
    assert told.quota == EffectiveQuota(requests=5000, period="Month")
    (key,) = live_keys(replace(written, versions=(replace(active(1), digest=digest_token("x")),)), record_name="shop.billing")
    assert key.terms.power.quota == PeriodQuota(5000, "Month")
    without = consent_for(asks, found(product(grants=[grant()])), record=written, settings=SETTINGS)
    assert with_power(written, asks, without, now=NOW).quota is None
