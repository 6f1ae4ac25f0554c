"""ApiProducts for tests of consent: an API for invoices with two plans, unless said otherwise.

seen = found(product(grants=[grant("read")]))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gen.lifecycle import KEY, NOW, active, apikey, observed, ours, record
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.base.names import Key
from keyturn.keys.record import Limits, Record
from keyturn.lifecycle.consent import ProductFound, ProductSeen
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.plan import SaveRecord

OWNER = "billing-api"
READ, WRITE, REFUND = "invoices:read", "invoices:write", "invoices:refund"
BASIC = {"name": "basic", "scopes": [READ], "limits": {"requestsPerSecond": 10, "burst": 20}}
FULL = {"name": "full"}

BASIC_LIMITS = Limits(10, 20)
OF_PRODUCT = {"audience": "invoices", "product": f"{OWNER}/invoices"}

Json = Mapping[str, object]


def product(
    *,
    approval: str = "Manual",
    admitted: Json | None = None,
    grants: Sequence[Json] = (),
    plans: Sequence[Json] = (BASIC, FULL),
    scopes: Sequence[str] = (READ, WRITE, REFUND),
    access: Json | None = None,
    **spec: object,
) -> ApiProduct:
    """One that admits every namespace. `spec`: fields as on the wire."""
    wanted = {
        "audience": "invoices",
        "scopes": [{"name": scope} for scope in scopes],
        "plans": list(plans),
        "defaultPlan": "basic",
        "access": {"approval": approval, "namespaces": admitted or {"from": "All"}, "grants": list(grants), **(access or {})},
        **spec,
    }
    metadata = {"name": "invoices", "namespace": OWNER, "uid": "product-uid", "generation": 1}
    return ApiProduct.model_validate({"metadata": metadata, "spec": wanted})


def grant(plan: str = "basic", *, scopes: Sequence[str] | None = None) -> Json:
    """The owner's consent for the ApiKey that `gen.lifecycle` builds."""
    return {
        "namespace": KEY.namespace,
        "apiKey": KEY.name,
        "plan": plan,
        **({"scopes": list(scopes)} if scopes is not None else {}),
    }


def found(of: ApiProduct, *, labels: Mapping[str, str] | None = None, older: int = 0, audience_owner: Key | None = None) -> ProductFound:
    """What the operator knows of a product."""
    return ProductFound(of, labels or {}, audience_owner, older)


def consumer(**spec: object) -> ApiKey:
    """An ApiKey that refers to it."""
    return apikey({"productRef": {"name": "invoices", "namespace": OWNER}, **spec})


def ledger(*, plan: str = "basic", scopes: tuple[str, ...] = (READ,), limits: Limits | None = BASIC_LIMITS) -> Record:
    """Of a key that was issued by its plan."""
    return replace(record(active(1)), plan=plan, scopes=scopes, limits=limits, **OF_PRODUCT)


def settled(before: Record, living: ApiKey, seen: ProductSeen | None, *, now: datetime = NOW, off: bool = False) -> Record:
    """The record after everything that is due now was written."""
    for _ in range(4):
        facts = observed(before, ours(1), of=living, product=seen, now=now, clock_is_off=off)
        writes = [step.record for step in decide(facts).steps if isinstance(step, SaveRecord)]
        if not writes:
            return before
        before = writes[0]
    raise AssertionError("it does not come to rest")
