"""A tenant who wants to keep what was taken from him: by pausing, by leaving the key without its ApiKey, by asking somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from gen.granted_power import Opening
from gen.market import AUDIENCES, PRIVATE, Market, Opened
from gen.tenancy import Tenant
from testbed.cluster import wait_until

Json = dict[str, Any]
NAME = "kept"


def offer(audience: str, *grants: Json, **access: object) -> Json:
    return {
        "audience": audience,
        "scopes": [{"name": scope} for scope in ("read", "write", "pay")],
        "plans": [{"name": "basic", "scopes": ["read"]}, {"name": "full"}],
        "defaultPlan": "basic",
        "access": {"namespaces": {"from": "All"}, "accessLostDelay": "0s", "grants": list(grants), **access},
    }


def grant(tenant: Tenant, name: str = NAME, **more: object) -> Json:
    return {"namespace": tenant.namespace, "apiKey": name, "plan": "full", **more}


def wants(market: Market, **spec: object) -> Json:
    return {"productRef": market.owners[0].reference, "plan": "full", "rollout": {"policy": "Disabled"}, **spec}


@pytest.fixture
def holder(market: Market) -> Tenant:
    """He was granted everything, and has it."""
    tenant = market.tenants[0]
    for owner, audience in zip(market.owners, (*AUDIENCES, PRIVATE), strict=True):
        owner.offers(offer(audience))
    market.owners[0].offers(offer(AUDIENCES[0], grant(tenant)))
    tenant.asks_for(NAME, wants(market, deletionPolicy="Retain"))
    market.settle()
    return tenant


@pytest.mark.parametrize("way", ["paused", "without its ApiKey", "paused as another ApiKey of the same name"])
def test_what_the_owner_takes_is_gone_whatever_the_tenant_does(market: Market, holder: Tenant, way: str) -> None:
    """Scopes at once, and all of it with the grant; what comes back is given only to one that asks."""
    if way != "paused":
        holder.gives_up(NAME)
    if way != "without its ApiKey":
        holder.asks_for(NAME, wants(market, deletionPolicy="Retain"), annotations={"keyturn.dev/paused": "true"})
    market.settle()
    market.owners[0].offers(offer(AUDIENCES[0], grant(holder, scopes=["read"])))
    market.settle()
    market.owners[0].offers(offer(AUDIENCES[0]))
    market.settle()
    market.owners[0].offers(offer(AUDIENCES[0], grant(holder)))
    holder.asks_for(NAME, wants(market, deletionPolicy="Retain"), annotations={})
    market.settle()


def test_a_key_that_was_left_behind_is_refused_with_its_product(market: Market, holder: Tenant) -> None:
    holder.gives_up(NAME)
    market.owners[0].withdraws()
    market.settle()


def test_what_a_key_keeps_is_no_more_than_its_plan_is_now(market: Market, holder: Tenant) -> None:
    """The grant goes as the plan is lowered: the key went on as fast as before, for as long as its owner let it keep what it had."""
    slow = {"name": "full", "scopes": ["read", "pay"], "limits": {"requestsPerSecond": 700, "burst": 500}}
    market.owners[0].offers({**offer(AUDIENCES[0], onAccessLost="Keep"), "plans": [slow], "defaultPlan": "full"})
    market.settle()
    (token,) = holder.tokens
    assert market.doors.try_all(token)[0] == Opened(AUDIENCES[0], Opening(frozenset({"read", "pay"}), 500))
    market.owners[0].offers({**offer(AUDIENCES[0], onAccessLost="Keep"), "plans": [{"name": "other"}], "defaultPlan": "other"})
    left = Opened(AUDIENCES[0], Opening(frozenset(), 500))
    wait_until(lambda: market.doors.try_all(token)[0] == left, patience=20.0, what="the scopes of a plan that is gone to be gone")


def test_a_key_does_not_stay_at_an_audience_that_its_product_has_no_longer(market: Market, holder: Tenant) -> None:
    """The product is made anew under its name, so what it named before may be somebody else's."""
    market.owners[0].withdraws()
    market.owners[0].offers(offer("elsewhere", onAccessLost="Keep"))
    market.settle()
    (token,) = holder.tokens
    assert market.doors.try_all(token)[0].opening is None


def test_a_key_of_one_product_is_not_carried_over_to_another(market: Market, holder: Tenant) -> None:
    """A retained key is taken over by an ApiKey of the same name, and what it had is not granted by the other owner."""
    holder.gives_up(NAME)
    holder.asks_for(NAME, {"productRef": {**market.owners[1].reference, "name": "no-such-product"}})
    market.settle()
    holder.gives_up(NAME)
    holder.asks_for(NAME, {"productRef": market.owners[1].reference})
    market.settle()


def test_no_more_keys_than_the_product_wants_however_fast_they_are_asked_for(market: Market, holder: Tenant) -> None:
    """Names fall, so that each comes before those that are there already, within the same second; and some are left behind."""
    market.owners[1].offers(offer(AUDIENCES[1], approval="Automatic", maxKeysPerNamespace=3))
    other = {"productRef": market.owners[1].reference, "plan": "full", "deletionPolicy": "Retain"}
    for number in range(20, 0, -1):
        holder.asks_for(f"many-{number:02}", other)
    wait_answered(holder)
    market.settle()
    for number in range(20, 10, -1):
        holder.gives_up(f"many-{number:02}")
    wait_answered(holder)
    market.settle()
    opening = [token for token, name in holder.tokens.items() if name != NAME and market.doors.try_all(token)[0].opening is not None]
    assert len(opening) == 3


def test_keys_that_were_kept_find_no_room_in_a_full_house(market: Market, holder: Tenant) -> None:
    """Made without a product, kept without their ApiKeys, and taken over by ApiKeys of one: so a tenant had as many as he wanted."""
    market.owners[1].offers(offer(AUDIENCES[1], approval="Automatic", maxKeysPerNamespace=1))
    names, kept = [f"kept-{number}" for number in range(4)], {"deletionPolicy": "Retain", "rollout": {"policy": "Disabled"}}
    for name in names:
        holder.asks_for(name, kept)
    market.settle()
    for name in names:
        holder.gives_up(name)
        holder.asks_for(name, {**kept, "productRef": market.owners[1].reference, "plan": "full"})
    for _ in range(2):  # a key that moves from one door to the other while it is tried seems to open none
        market.settle()
    (inside,) = let_in(market, holder, names)
    holder.changes(inside, {"spec": {"deletionPolicy": "Revoke"}})
    holder.gives_up(inside)
    others = [name for name in names if name != inside]
    wait_until(lambda: len(let_in(market, holder, others)) == 1, patience=20.0, what="the next in the line to be let in")
    market.settle()


def let_in(market: Market, tenant: Tenant, names: list[str]) -> list[str]:
    """Which of these have a key that opens the doors of the second product."""
    opened = {name: market.doors.try_all(token)[0] for token, name in tenant.tokens.items() if name in names}
    return [name for name, found in opened.items() if found.audience == AUDIENCES[1]]


def wait_answered(tenant: Tenant) -> None:
    """Until each ApiKey has its key or is told that others have them all: one that is still being issued opens nothing either."""
    wait_until(
        lambda: {why_ready(each) for each in tenant.apikeys().values()} <= {"Issued", "TooManyKeys"}, patience=60, what="an answer to each"
    )


def why_ready(apikey: Json) -> str:
    return next((str(each["reason"]) for each in apikey.get("status", {}).get("conditions", ()) if each["type"] == "Ready"), "")
