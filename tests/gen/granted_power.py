"""What an ApiKey may do at most and must be able to do at least, computed from the objects as people wrote them. A second opinion.

It reads plain JSON and docs/how-to/give-tenants-keys.md, and nothing of the product: what it shares with `lifecycle/consent.py` would
be wrong in both at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Mapping[str, Any]
Scopes = frozenset[str]

DEFAULT_AUDIENCE: Final = "default"
NOTHING: Final = None
"""The key opens no door at all."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a key does at its doors."""

    scopes: Scopes
    at_once: float
    """Requests after a while without any; infinitely many without a limit."""

    def is_within(self, most: Opening) -> bool:
        """Whether it is as much, or less."""
        return self.scopes <= most.scopes and self.at_once <= most.at_once

    def __str__(self) -> str:
        return f"{', '.join(sorted(self.scopes)) or 'no scopes'} ({self.at_once} at once)"


@dataclass(frozen=True, slots=True)
class Granted:
    """The audience, and everything that the key may be found with once all is settled; None among it: no access at all."""

    audience: str
    allowed: frozenset[Opening | None]
    kept: frozenset[Opening] = frozenset()
    """What it may have left within one of these, since its owner lets it keep what it had."""

    def __str__(self) -> str:
        exactly, at_most = sorted(str(each or "no access") for each in self.allowed), sorted(map(str, self.kept))
        return f"{self.audience}: {' or '.join(exactly)}" + (f", or left of {' or '.join(at_most)}" if at_most else "")


def granted(namespace: str, name: str, spec: Json, *, products: Mapping[str, Json], labels: Mapping[str, str]) -> Granted:
    """What the ApiKey may do. `products`: the specs by namespace/name; `labels`: of the ApiKey's namespace."""
    reference = spec.get("productRef")
    if reference is None:
        may_wait = {NOTHING} if spec.get("scopes") or spec.get("plan") else set()
        return Granted(DEFAULT_AUDIENCE, frozenset({_disabled(spec, Opening(frozenset(), math.inf)), *may_wait}))
    home = reference.get("namespace") or namespace
    product = products.get(f"{home}/{reference['name']}")
    if product is None:
        return Granted("", frozenset([NOTHING]))
    audience = str(product["audience"])
    if audience == DEFAULT_AUDIENCE:
        return Granted(audience, frozenset([NOTHING]))
    kept = _kept(product, spec, namespace, name)
    if not _admits(product, home, namespace, labels):
        return Granted(audience, frozenset([NOTHING]), kept)
    open_plans = {each["name"]: each for each in product["plans"] if _is_open(product, each, namespace, name)}
    openings = {plan: Opening(_scopes(product, each, spec, namespace, name), _at_once(each)) for plan, each in open_plans.items()}
    asked = spec.get("plan") or product.get("defaultPlan") or (product["plans"][0]["name"] if len(product["plans"]) == 1 else "")
    if asked in openings:
        found: set[Opening | None] = {_disabled(spec, openings[asked])}
    else:  # the plan it had before, while that is granted still
        found = {NOTHING, *(_disabled(spec, each) for each in openings.values())}
    may_wait = _is_limited(product) or _asks_for_what_is_not_on_offer(product, asked, spec)
    return Granted(audience, frozenset(found | ({NOTHING} if may_wait else set())), frozenset() if asked in openings else kept)


def granted_at_most(namespace: str, name: str, spec: Json, *, products: Mapping[str, Json], labels: Mapping[str, str]) -> Granted:
    """What an ApiKey of that product may have had granted, whatever it asked for: while it is paused or gone nobody asks."""
    bare = {field: value for field, value in spec.items() if field not in {"plan", "scopes", "disabled"}}
    reference = spec.get("productRef") or {}
    product = products.get(f"{reference.get('namespace') or namespace}/{reference.get('name')}", {"plans": [{"name": None}]})
    each = [granted(namespace, name, {**bare, "plan": plan["name"]}, products=products, labels=labels) for plan in product["plans"]]
    allowed = frozenset(opening for one in each for opening in one.allowed)
    return Granted(each[0].audience, allowed, frozenset(opening for one in each for opening in one.kept))


def room_in(product: Json) -> float:
    """How many keys of it one namespace may have."""
    return float(product.get("access", {}).get("maxKeysPerNamespace", math.inf))


def is_one_too_many(inside: set[str], *, before: set[str], rooms: Iterable[float]) -> bool:
    """Whether a namespace's ApiKey got in where there was no room. `inside`: those with a key that opens the product's doors now.

    `before`: those that had a key, and asked for this product, the last time that anybody looked; `rooms`: how many the product let in at
    any moment since. Who lowers it takes nobody's key away: so where nobody came, any number is right.
    """
    return bool(inside - before) and len(inside) > max(rooms)


def _disabled(spec: Json, opening: Opening) -> Opening | None:
    return NOTHING if spec.get("disabled") else opening


def _kept(product: Json, spec: Json, namespace: str, name: str) -> frozenset[Opening]:
    """The most that is left of any plan; of one that is gone no scope, at the pace of the slowest."""
    if product.get("access", {}).get("onAccessLost") != "Keep" or spec.get("disabled"):
        return frozenset()
    each = [Opening(_scopes(product, plan, spec, namespace, name), _at_once(plan)) for plan in product["plans"]]
    return frozenset([*each, Opening(frozenset(), min(one.at_once for one in each))])


def _at_once(plan: Json) -> float:
    limits = plan.get("limits", {})
    return float(limits.get("burst") or limits.get("requestsPerSecond") or math.inf)


def _is_limited(product: Json) -> bool:
    """Then others may have been first."""
    return "maxKeysPerNamespace" in product.get("access", {})


def _asks_for_what_is_not_on_offer(product: Json, asked: str, spec: Json) -> bool:
    """Then there is no first key until it is put right; a key that is there goes on."""
    declared = {each["name"] for each in product["scopes"]}
    offered = next((declared & set(each.get("scopes", declared)) for each in product["plans"] if each["name"] == asked), set())
    return not set(spec.get("scopes") or ()) <= offered


def _admits(product: Json, home: str, namespace: str, labels: Mapping[str, str]) -> bool:
    access = product.get("access", {}).get("namespaces", {})
    kind = access.get("from", "Same")
    if kind == "Selector":
        selector = access["selector"]
        excluded = [each for each in selector.get("matchExpressions", ()) if labels.get(each["key"]) in each["values"]]
        return not excluded and all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return kind == "All" or home == namespace


def _is_open(product: Json, plan: Json, namespace: str, name: str) -> bool:
    access = product.get("access", {})
    return (plan.get("approval") or access.get("approval", "Manual")) == "Automatic" or _grant(product, plan, namespace, name) is not None


def _grant(product: Json, plan: Json, namespace: str, name: str) -> Json | None:
    wanted = (namespace, name, plan["name"])
    grants = product.get("access", {}).get("grants", ())
    return next((each for each in grants if (each["namespace"], each["apiKey"], each["plan"]) == wanted), None)


def _scopes(product: Json, plan: Json, spec: Json, namespace: str, name: str) -> Scopes:
    declared = {each["name"] for each in product["scopes"]}
    scopes = declared & set(plan.get("scopes", declared))
    by_itself = (plan.get("approval") or product.get("access", {}).get("approval", "Manual")) == "Automatic"
    grant = None if by_itself else _grant(product, plan, namespace, name)
    if grant is not None and grant.get("scopes") is not None:
        scopes &= set(grant["scopes"])
    return frozenset(scopes if spec.get("scopes") is None else scopes & set(spec["scopes"]))
