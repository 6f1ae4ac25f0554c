"""What a tenant may try to get more than was granted, each with who refuses it.

He has the honest key that everybody has (`HONEST`), Kubernetes' role `edit` in his namespace, and nothing else. What nobody refuses,
because it must help nothing, is in `tenant_tricks.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gen.fence import OPERATOR, RECORDS, SYSTEM
from gen.market import Market
from gen.team import APIKEYS, Api, SecretView
from gen.tenancy import PRODUCT, Tenant

Json = dict[str, Any]

BY_RIGHTS: Final = "cannot"
BY_TYPE: Final = "keyturn-reserved-types"
BY_CONSUME: Final = "keyturn-consume"
HONEST: Final = "honest"
"""The ApiKey that every tenant has by grant."""
V1: Final = "keyturn.dev/v1alpha1"


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing to try."""

    does: str
    refused_by: str
    """What the API server's answer contains."""
    run: Callable[[Tenant, Market], object]

    def __str__(self) -> str:
        return self.does


def credential_of(tenant: Tenant, name: str = HONEST) -> SecretView:
    """The tenant's own, which he may read."""
    return SecretView(tenant.user.ask("GET", f"{tenant.secrets_path}/{name}"))


def copied(tenant: Tenant, name: str, **changes: object) -> Json:
    """His own credential under another name, with all that is on it."""
    own = credential_of(tenant).raw
    metadata = {"name": name, "labels": own["metadata"]["labels"], "annotations": own["metadata"]["annotations"]}
    return {"metadata": metadata, "type": own["type"], "data": own["data"], **changes}


def neighbour_of(tenant: Tenant, market: Market) -> Tenant:
    """Somebody else."""
    return next(each for each in market.tenants if each is not tenant)


def by_request(method: str, path: Callable[[Tenant, Market], str], body: Callable[[Tenant, Market], object] | None = None) -> Any:  # noqa: ANN401
    """An attack that is one request of the tenant's."""

    def run(tenant: Tenant, market: Market) -> object:
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return tenant.user.ask(method, path(tenant, market), body(tenant, market) if body else None, content_type=content_type)

    return run


def by_change(change: Json, *, of: str = "apikey") -> Any:  # noqa: ANN401 - what by_request answers
    """An attack that is a merge patch of his own ApiKey or credential."""
    return by_request("PATCH", lambda t, _: f"{t.apikeys_path if of == 'apikey' else t.secrets_path}/{HONEST}", lambda *_: change)


def an_apikey(name: str, spec: Json, **metadata: object) -> Json:
    """As it is created."""
    return {"apiVersion": V1, "kind": "ApiKey", "metadata": {"name": name, **metadata}, "spec": spec}


def by_creation(name: str, spec: Json | Callable[[Market], Json], **metadata: object) -> Any:  # noqa: ANN401 - what by_request answers
    """An attack that is a new ApiKey."""
    return by_request("POST", lambda t, _: t.apikeys_path, lambda _, m: an_apikey(name, spec(m) if callable(spec) else spec, **metadata))


def _own_product(tenant: Tenant, market: Market) -> Json:
    spec = {**market.owners[0].word, "access": {"approval": "Automatic"}}
    return {"apiVersion": V1, "kind": "ApiProduct", "metadata": {"name": PRODUCT, "namespace": tenant.namespace}, "spec": spec}


def _as_the_operator(tenant: Tenant, _market: Market) -> object:
    tenant_as_operator = Api(tenant.user.login, user=OPERATOR, group="system:serviceaccounts")
    try:
        return tenant_as_operator.ask("GET", f"/api/v1/namespaces/{tenant.namespace}/secrets")
    finally:
        tenant_as_operator.close()


def _grant(tenant: Tenant, _market: Market) -> Json:
    return {"spec": {"access": {"grants": [{"namespace": tenant.namespace, "apiKey": HONEST, "plan": "full"}]}}}


def _records(what: str) -> Callable[[Tenant, Market], str]:
    return lambda tenant, _: f"/api/v1/namespaces/{RECORDS}/{what}".format(tenant.namespace)


RECORD: Final = f"secrets/{{}}.{HONEST}"
LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{RECORDS}/leases"
OF_OTHERS: Final = (
    Attack(
        "offers a product of the same audience in his own namespace", BY_RIGHTS,
        by_request("POST", lambda t, _: f"{APIKEYS}/namespaces/{t.namespace}/apiproducts", _own_product),
    ),
    Attack("writes a grant for himself", BY_RIGHTS, by_request("PATCH", lambda _, m: m.owners[0].path, _grant)),
    Attack("admits himself in the product's status", BY_RIGHTS, by_request("PATCH", lambda _, m: f"{m.owners[0].path}/status", _grant)),
    Attack("labels his namespace", BY_RIGHTS, by_request(
        "PATCH", lambda t, _: f"/api/v1/namespaces/{t.namespace}", lambda *_: {"metadata": {"labels": {"tier": "gold"}}})),
    Attack("makes a namespace", BY_RIGHTS, by_request("POST", lambda *_: "/api/v1/namespaces", lambda *_: {"metadata": {"name": "mine"}})),
    Attack("reads a neighbour's Secret", BY_RIGHTS, by_request(
        "GET", lambda t, m: f"{neighbour_of(t, m).secrets_path}/{HONEST}")),
    Attack("reads a neighbour's ApiKey", BY_RIGHTS, by_request("GET", lambda t, m: f"{neighbour_of(t, m).apikeys_path}/{HONEST}")),
    Attack("asks for a key in a neighbour's namespace", BY_RIGHTS, by_request(
        "POST", lambda t, m: neighbour_of(t, m).apikeys_path, lambda *_: an_apikey("evil", {}))),
    Attack("rotates a neighbour's key", BY_RIGHTS, by_request(
        "PATCH", lambda t, m: f"{neighbour_of(t, m).apikeys_path}/{HONEST}",
        lambda *_: {"metadata": {"annotations": {"keyturn.dev/rotate-requested-at": "now"}}})),
    Attack("revokes a neighbour's key", BY_RIGHTS, by_request(
        "POST", lambda *_: f"{APIKEYS}/apikeyrevocations",
        lambda t, m: {"apiVersion": V1, "kind": "ApiKeyRevocation", "metadata": {"name": "evil"}, "spec": {
            "reason": "Leaked", "mode": "Immediate", "apiKeyRef": {"namespace": neighbour_of(t, m).namespace, "name": HONEST}}})),
    Attack("reads his own verifier record", BY_RIGHTS, by_request("GET", _records(RECORD))),
    Attack("writes a verifier record", BY_RIGHTS, by_request(
        "POST", _records("secrets"), lambda t, _: copied(t, f"{t.namespace}.evil", type="keyturn.dev/verifier-record"))),
    Attack("deletes his own verifier record", BY_RIGHTS, by_request("DELETE", _records(RECORD))),
    Attack("pretends to be a verifier that never acknowledges", BY_RIGHTS, by_request(
        "POST", lambda *_: LEASE, lambda *_: {"metadata": {"name": "verifier-evil"}, "spec": {"holderIdentity": "evil"}})),
    Attack("reports use of a key", BY_RIGHTS, by_request(
        "POST", _records("configmaps"), lambda *_: {"metadata": {"name": "verifier-use-evil"}, "data": {}})),
    Attack("reads the root secret", BY_RIGHTS, by_request("GET", lambda *_: f"/api/v1/namespaces/{SYSTEM}/secrets/keyturn-root")),
    Attack("publishes public keys of his own", BY_RIGHTS, by_request(
        "PATCH", lambda *_: f"/api/v1/namespaces/{SYSTEM}/configmaps/keyturn-verification-keys", lambda *_: {"data": {"mine": "x"}})),
    Attack("asks for the operator's token", BY_RIGHTS, by_request(
        "POST", lambda *_: f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/keyturn-operator/token", lambda *_: {"spec": {}})),
    Attack("acts as the operator", BY_RIGHTS, _as_the_operator),
    Attack("says who he is in his ApiKey's status", BY_RIGHTS, by_request(
        "PATCH", lambda t, _: f"{t.apikeys_path}/{HONEST}/status", lambda *_: {"status": {"activeVersion": 7}})),
)  # fmt: skip
OF_HIS_OWN: Final = (
    Attack("copies a credential with its type and tag", BY_TYPE, by_request(
        "POST", lambda t, _: t.secrets_path, lambda t, _: copied(t, "forged"))),
    Attack("makes an empty Secret of the type", BY_TYPE, by_request(
        "POST", lambda t, _: t.secrets_path, lambda *_: {"metadata": {"name": "forged"}, "type": "keyturn.dev/api-key"})),
    Attack("makes a root secret of his own", BY_TYPE, by_request(
        "POST", lambda t, _: t.secrets_path, lambda t, _: copied(t, "keyturn-root", type="keyturn.dev/root"))),
    Attack("changes the key in his Secret", BY_TYPE, by_change({"stringData": {"api-key": "mine"}}, of="secret")),
    Attack("makes his Secret immutable", BY_TYPE, by_change({"immutable": True}, of="secret")),
    Attack("writes a higher version on his Secret", BY_TYPE, by_change(
        {"metadata": {"annotations": {"keyturn.dev/version": "9"}}}, of="secret")),
    Attack("gives his Secret to another ApiKey", BY_TYPE, by_change({"metadata": {"labels": {"keyturn.dev/apikey": "x"}}}, of="secret")),
    Attack("hides his Secret", BY_TYPE, by_change({"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}, of="secret")),
    Attack("asks for a product that he may not consume", BY_CONSUME, by_creation(
        "evil", lambda m: {"productRef": m.owners[-1].reference})),
    Attack("asks for another product by the ApiKey he has", "immutable", by_request(
        "PATCH", lambda t, _: f"{t.apikeys_path}/{HONEST}", lambda _, m: {"spec": {"productRef": m.owners[1].reference}})),
    Attack("moves his key into another Secret", "immutable", by_change({"spec": {"secretName": "other"}})),
    Attack("has a name of 64 characters", "63", by_creation("x" * 64, {})),
    Attack("names a namespace with a dot", "Invalid", by_creation("evil", {"productRef": {"name": "api", "namespace": "x" * 64}})),
    Attack("writes the key's entry by a template", "api-key", by_creation("evil", {"secretTemplate": {"data": {"api-key": "mine"}}})),
    Attack("writes Keyturn's labels by a template", "reserved", by_creation(
        "evil", {"secretTemplate": {"labels": {"keyturn.dev/apikey": HONEST}}})),
    Attack("makes a cluster of Argo CD's by a template", "reserved", by_creation(
        "evil", {"secretTemplate": {"labels": {"argocd.argoproj.io/secret-type": "cluster"}}})),
    Attack("asks for a megabyte of annotations", "annotations", by_creation(
        "evil", {}, annotations={"keyturn.dev/rotate-requested-at": "x" * 1_000_000})),
    Attack("asks for a version beyond all numbers", "minVersion", by_creation("evil", {"minVersion": 2**53})),
)  # fmt: skip
REFUSED: Final = (*OF_OTHERS, *OF_HIS_OWN)
