"""What owners offer and tenants ask for, by chance. The same seed is the same story, as far as the cluster is concerned."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

from gen.granted_power import DEFAULT_AUDIENCE
from gen.market import AUDIENCES, PRIVATE, SCOPES, Market
from gen.tenancy import Owner, Tenant
from gen.tenant_tricks import TRICKS
from testbed.cluster import ApiFailed

Json = dict[str, Any]

PLANS: Final = ("basic", "full")
PACES: Final = (500, 700, 900)
"""Requests a second, or at once: more than are made here."""
NAMES: Final = ("a", "b", "a.b", "b-" + "c" * 61)
"""Some that could be taken for one another, and one of the greatest length."""
ADMITTED: Final = (
    {"from": "All"},
    {"from": "All"},
    {"from": "Same"},
    {"from": "Selector", "selector": {"matchLabels": {"tier": "gold"}}},
    {"from": "Selector", "selector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}},
)
LABELS: Final[tuple[dict[str, str], ...]] = ({}, {"tier": "gold"}, {"tier": "iron"})


def some(chance: Random, of: tuple[str, ...], *, least: int = 0) -> list[str]:
    """A part of these, in their order."""
    taken = set(chance.sample(of, chance.randint(least, len(of))))
    return [each for each in of if each in taken]


def product(chance: Random, market: Market, *, audience: str) -> Json:
    """An ApiProduct's spec: plans, scopes and grants at random."""
    declared = tuple(some(chance, SCOPES, least=2))
    plans: list[Json] = [
        {
            "name": plan,
            **_maybe(chance, "scopes", some(chance, declared)),
            **_maybe(chance, "approval", chance.choice(("Manual", "Automatic"))),
            **_maybe(chance, "limits", {"requestsPerSecond": chance.choice(PACES), **_maybe(chance, "burst", chance.choice(PACES))}),
        }
        for plan in some(chance, PLANS, least=1)
    ]
    access: Json = {
        "approval": chance.choice(("Manual", "Manual", "Automatic")),
        "namespaces": chance.choice(ADMITTED),
        "accessLostDelay": chance.choice(("0s", "1s")),
    }
    access["grants"] = [
        {"namespace": tenant.namespace, "apiKey": name, "plan": chance.choice(PLANS), **_maybe(chance, "scopes", some(chance, SCOPES))}
        for tenant in market.tenants
        for name in NAMES
        if chance.random() < 0.6
    ]
    if chance.random() < 0.2:
        access["onAccessLost"] = "Keep"
    if chance.random() < 0.2:
        access["maxKeysPerNamespace"] = chance.randint(1, 3)
    scopes = [{"name": scope} for scope in declared]
    return {"audience": audience, "scopes": scopes, "plans": plans, "defaultPlan": chance.choice(plans)["name"], "access": access}


def apikey(chance: Random, owner: Owner | None) -> Json:
    """What a tenant asks for: often more than there is."""
    spec: Json = {"rotation": {"gracePeriod": "1s"}, "rollout": {"policy": "Disabled"}}
    if owner is not None:
        spec["productRef"] = owner.reference
    if owner is not None or chance.random() < 0.1:
        spec |= _maybe(chance, "plan", chance.choice((*PLANS, "gold"))) | _maybe(chance, "scopes", some(chance, (*SCOPES, "admin")))
    return spec | (_maybe(chance, "disabled", value=True) if chance.random() < 0.2 else {})


def _maybe(chance: Random, name: str, value: object) -> Json:
    return {name: value} if chance.random() < 0.5 else {}


def owner_acts(chance: Random, market: Market) -> None:
    """He offers something else, or nothing, or his API to everybody by a slip."""
    number = chance.randrange(len(AUDIENCES))
    owner = market.owners[number]
    if owner.word and chance.random() < 0.1:
        owner.withdraws()
        with suppress(ApiFailed):  # nobody has an audience that every key without a product has
            owner.offers(product(chance, market, audience=DEFAULT_AUDIENCE))
    else:
        owner.offers(product(chance, market, audience=AUDIENCES[number]))


def platform_acts(chance: Random, market: Market) -> None:
    """Namespaces are labelled."""
    market.label(chance.choice(market.tenants), chance.choice(LABELS))


def tenant_acts(chance: Random, market: Market) -> None:
    """He asks for a key, asks for it in other words, has it rotated, or gives it up."""
    tenant, name = chance.choice(market.tenants), chance.choice(NAMES)
    there = tenant.apikeys().get(name)
    if there is None:
        tenant.asks_for(name, apikey(chance, chance.choice((*market.owners[:-1], *market.owners[:-1], None))))
        return
    chance.choice((_asks_anew, _asks_anew, _asks_anew, _rotates, _loses_its_secret, _starts_anew))(chance, tenant, there)


def _asks_anew(chance: Random, tenant: Tenant, there: Json) -> None:
    reference = there["spec"].get("productRef")
    wanted = apikey(chance, Owner(reference["namespace"], tenant.user) if reference else None)
    tenant.changes(there["metadata"]["name"], {"spec": {"plan": None, "scopes": None, "disabled": None, **wanted}})


def _rotates(chance: Random, tenant: Tenant, there: Json) -> None:
    tenant.changes(there["metadata"]["name"], {"metadata": {"annotations": {"keyturn.dev/rotate-requested-at": str(chance.random())}}})


def _loses_its_secret(_chance: Random, tenant: Tenant, there: Json) -> None:
    tenant.user.delete(f"{tenant.secrets_path}/{there['metadata']['name']}")


def _starts_anew(_chance: Random, tenant: Tenant, there: Json) -> None:
    """The same name, and nothing of the old key."""
    tenant.gives_up(there["metadata"]["name"])
    tenant.asks_for(there["metadata"]["name"], there["spec"])


def begin(chance: Random, market: Market) -> None:
    """Every product is there, also the one that nobody may consume."""
    for owner, audience in zip(market.owners, (*AUDIENCES, PRIVATE), strict=True):
        owner.offers(product(chance, market, audience=audience))


def trick(chance: Random, market: Market) -> None:
    """A tenant tries something that nobody refuses."""
    chance.choice(TRICKS)(chance, market, chance.choice(market.tenants), chance.choice(NAMES))


Act = Callable[[Random, Market], None]
ACTS: Final[tuple[Act, ...]] = (owner_acts, platform_acts, *(tenant_acts,) * 4, trick, trick)


def round_of(chance: Random, market: Market, *, acts: int) -> None:
    """A few people do something, one after another, and nobody waits for the operator."""
    for _ in range(acts):
        chance.choice(ACTS)(chance, market)
