"""ApiProducts for tests of consent: an API for invoices with two plans, unless said otherwise.

seen = found(product(grants=[grant("read")]))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gen.lifecycle import KEY, apikey
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.base.names import Key
from keyturn.lifecycle.consent import ProductFound

OWNER = "billing-api"
READ, WRITE, REFUND = "invoices:read", "invoices:write", "invoices:refund"
BASIC = {"name": "basic", "scopes": [READ], "limits": {"requestsPerSecond": 10, "burst": 20}}
FULL = {"name": "full"}

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
