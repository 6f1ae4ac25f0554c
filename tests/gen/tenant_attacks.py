"""What a tenant may try to get more than was granted, each with who refuses it; or nobody, where it must help nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gen.fence import RECORDS
from gen.market import Market
from gen.team import APIKEYS, SecretView
from gen.tenancy import PRODUCT, Tenant

Json = dict[str, Any]

BY_RIGHTS: Final = "cannot"
BY_TYPE: Final = "keyturn-reserved-types"
BY_CONSUME: Final = "keyturn-consume"


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing to try, after the tenant got a key of his own by honest means."""

    does: str
    refused_by: str
    """What the API server's answer contains."""
    run: Callable[[Tenant, Market], object]

    def __str__(self) -> str:
        return self.does


HONEST: Final = "honest"
"""The ApiKey that every tenant has by grant."""


def credential_of(tenant: Tenant) -> SecretView:
    """The tenant's own, which he may read."""
    return SecretView(tenant.user.ask("GET", f"{tenant.secrets_path}/{HONEST}"))


def copied(tenant: Tenant, name: str, **changes: object) -> Json:
    """His own credential under another name, with all that is on it."""
    own = credential_of(tenant).raw
    metadata = {"name": name, "labels": own["metadata"]["labels"], "annotations": own["metadata"]["annotations"]}
    return {"metadata": metadata, "type": own["type"], "data": own["data"], **changes}


def neighbour_of(tenant: Tenant, market: Market) -> Tenant:
    """Somebody else."""
    return next(each for each in market.tenants if each is not tenant)


def _names_the_audience(tenant: Tenant, market: Market) -> object:
    metadata = {"name": PRODUCT, "namespace": tenant.namespace}
    spec = {**market.owners[0].word, "access": {"approval": "Automatic"}}
    body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiProduct", "metadata": metadata, "spec": spec}
    return tenant.user.ask("POST", f"{APIKEYS}/namespaces/{tenant.namespace}/apiproducts", body)


def _forges_a_credential(tenant: Tenant, _market: Market) -> object:
    return tenant.user.ask("POST", tenant.secrets_path, copied(tenant, "forged"))


def _writes_a_grant(tenant: Tenant, market: Market) -> object:
    grant = {"namespace": tenant.namespace, "apiKey": HONEST, "plan": "full"}
    return tenant.user.merge(market.owners[0].path, {"spec": {"access": {"grants": [grant]}}})


def _asks_for_the_private_product(tenant: Tenant, market: Market) -> object:
    return tenant.asks_for("evil", {"productRef": market.owners[-1].reference})


def _reads_a_record(tenant: Tenant, _market: Market) -> object:
    return tenant.user.ask("GET", f"/api/v1/namespaces/{RECORDS}/secrets/{tenant.namespace}.{HONEST}")


REFUSED: Final = (
    Attack("offers a product of the same audience in his own namespace", BY_RIGHTS, _names_the_audience),
    Attack("writes a grant for himself", BY_RIGHTS, _writes_a_grant),
    Attack("copies a credential with its type and tag", BY_TYPE, _forges_a_credential),
    Attack("asks for a product that he may not consume", BY_CONSUME, _asks_for_the_private_product),
    Attack("reads his own verifier record", BY_RIGHTS, _reads_a_record),
)
