"""What an ApiKey may do at most and must be able to do at least, computed from the objects as people wrote them. A second opinion.

It reads plain JSON and docs/how-to/give-tenants-keys.md, and nothing of the product: what it shares with `lifecycle/consent.py` would
be wrong in both at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Mapping[str, Any]
Scopes = frozenset[str]

DEFAULT_AUDIENCE: Final = "default"
NOTHING: Final = None
"""The key opens no door at all."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The audience, and every set of scopes that the key may be found with once all is settled; None among them: no access at all."""

    audience: str
    allowed: frozenset[Scopes | None]

    def __str__(self) -> str:
        sets = sorted("no access" if each is None else ", ".join(sorted(each)) or "no scopes" for each in self.allowed)
        return f"{self.audience}: {' or '.join(sets)}"


def granted(namespace: str, name: str, spec: Json, *, products: Mapping[str, Json], labels: Mapping[str, str]) -> Granted:
    """What the ApiKey may do. `products`: the specs by namespace/name; `labels`: of the ApiKey's namespace."""
    reference = spec.get("productRef")
    if reference is None:
        may_wait = {NOTHING} if spec.get("scopes") or spec.get("plan") else set()
        return Granted(DEFAULT_AUDIENCE, frozenset({_disabled(spec, frozenset()), *may_wait}))
    home = reference.get("namespace") or namespace
    product = products.get(f"{home}/{reference['name']}")
    if product is None:
        return Granted("", frozenset([NOTHING]))
    audience = str(product["audience"])
    if audience == DEFAULT_AUDIENCE or not _admits(product, home, namespace, labels):
        return Granted(audience, frozenset([NOTHING]))
    open_plans = {each["name"]: each for each in product["plans"] if _is_open(product, each, namespace, name)}
    scopes = {plan: _scopes(product, each, spec, namespace, name) for plan, each in open_plans.items()}
    asked = spec.get("plan") or product.get("defaultPlan") or (product["plans"][0]["name"] if len(product["plans"]) == 1 else "")
    if asked in scopes:
        found: set[Scopes | None] = {_disabled(spec, scopes[asked])}
    else:  # the plan it had before, while that is granted still
        found = {NOTHING, *(_disabled(spec, each) for each in scopes.values())}
    may_wait = _is_limited(product) or _asks_for_what_is_not_on_offer(product, asked, spec)
    return Granted(audience, frozenset(found | ({NOTHING} if may_wait else set())))


def granted_at_most(namespace: str, name: str, spec: Json, *, products: Mapping[str, Json], labels: Mapping[str, str]) -> Granted:
    """What an ApiKey of that product may have had granted, whatever it asked for: while it is paused or gone nobody asks."""
    bare = {field: value for field, value in spec.items() if field not in {"plan", "scopes", "disabled"}}
    reference = spec.get("productRef") or {}
    product = products.get(f"{reference.get('namespace') or namespace}/{reference.get('name')}", {"plans": [{"name": None}]})
    each = [granted(namespace, name, {**bare, "plan": plan["name"]}, products=products, labels=labels) for plan in product["plans"]]
    return Granted(each[0].audience, frozenset(scopes for one in each for scopes in one.allowed))


def _disabled(spec: Json, scopes: Scopes | None) -> Scopes | None:
    return NOTHING if spec.get("disabled") else scopes


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
