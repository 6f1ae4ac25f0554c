"""What a tenant may do and nobody refuses, because it must help nothing and harm nobody but himself. For `market_chance.py`.

Every trick leaves something behind on purpose: the next round is played on top of it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from random import Random
from typing import Any, Final

from gen.market import Market
from gen.team import workload
from gen.tenancy import Tenant
from keyturn.base import names
from testbed.cluster import ApiFailed

Json = dict[str, Any]

LURE: Final = "lure"
"""Label of the Secrets that are put in Keyturn's way."""
BYSTANDER: Final = "bystander"
"""A Deployment whose owner never said that others may restart it."""
LEFT: Final = ("left", "left-too", "left-as-well")
"""ApiKeys whose keys stay without them."""
WORDS: Final = ("\u202e" * 40, "\U0001d573" * 60_000, "x" * 250_000, '","product":"evil/api","versions":[{"')

Trick = Callable[[Random, Market, Tenant, str], None]
"""By a tenant, about one of his ApiKeys' names."""


def squat(_chance: Random, _market: Market, tenant: Tenant, name: str) -> None:
    """A Secret that looks like a credential down to the tag lies where one is to be made."""
    own = next((each for each in tenant.user.ask("GET", tenant.secrets_path)["items"] if each["type"] == names.CREDENTIAL_TYPE), None)
    if own is None:
        return
    metadata = {"name": name, "labels": {**own["metadata"]["labels"], LURE: "yes"}, "annotations": own["metadata"]["annotations"]}
    _post_unless_there(tenant, tenant.secrets_path, {"metadata": metadata, "data": own["data"], "type": "Opaque"})


def swap(_chance: Random, _market: Market, tenant: Tenant, name: str) -> None:
    """His credential is gone, and a copy of another type, immutable, is in its place."""
    found = tenant.team.find_secret(name)
    if found is None or found.raw["type"] != names.CREDENTIAL_TYPE:
        return
    tenant.user.delete(f"{tenant.secrets_path}/{name}")
    metadata = {"name": name, "labels": {**found.labels, LURE: "yes"}, "annotations": found.annotations}
    _post_unless_there(tenant, tenant.secrets_path, {"metadata": metadata, "data": found.raw["data"], "type": "Opaque", "immutable": True})


def clear(_chance: Random, _market: Market, tenant: Tenant, _name: str) -> None:
    """All lures go."""
    tenant.user.ask("DELETE", f"{tenant.secrets_path}?labelSelector={LURE}")


def want_anothers_secret(_chance: Random, market: Market, tenant: Tenant, name: str) -> None:
    """Two ApiKeys for one Secret."""
    spec = {"secretName": name, "productRef": market.owners[0].reference, "scopes": ["read", "write", "pay"]}
    _ask(tenant, f"rival-{name[:1]}", spec)


def pause_or_go_on(chance: Random, _market: Market, tenant: Tenant, name: str) -> None:
    """Keyturn works on it, or not."""
    if name in tenant.apikeys():
        tenant.changes(name, {"metadata": {"annotations": {names.PAUSED_ANNOTATION: chance.choice(("true", None))}}})


def leave_behind(chance: Random, market: Market, tenant: Tenant, _name: str) -> None:
    """Keys that are to outlive their ApiKeys; or these are back, for the same product or another, or of none."""
    owner = chance.choice((*market.owners[:-1], None))
    for name in chance.sample(LEFT, chance.randint(1, len(LEFT))):
        if name in tenant.apikeys():
            tenant.gives_up(name)
        else:
            wanted = {"productRef": owner.reference, "plan": "full"} if owner is not None else {}
            _ask(tenant, name, {**wanted, "deletionPolicy": "Retain"})


def restart_a_bystander(_chance: Random, _market: Market, tenant: Tenant, name: str) -> None:
    """By naming him as a target."""
    _post_unless_there(tenant, f"/apis/apps/v1/namespaces/{tenant.namespace}/deployments", workload("Deployment", BYSTANDER, secret=None))
    if name in tenant.apikeys():
        targets = [{"kind": "Deployment", "name": BYSTANDER}]
        tenant.changes(name, {"spec": {"rollout": {"policy": "Automatic", "targets": targets}}})


def write_a_novel(chance: Random, _market: Market, tenant: Tenant, name: str) -> None:
    """As a request to rotate, in odd letters."""
    if name in tenant.apikeys():
        text = chance.choice(WORDS) + str(chance.random())
        tenant.changes(name, {"metadata": {"annotations": {names.ROTATE_ANNOTATION: text, names.RECEIVED_ANNOTATION: text[:20]}}})


def tell_of_a_past(_chance: Random, market: Market, tenant: Tenant, _name: str) -> None:
    """An ApiKey that comes with a status, as from a backup."""
    versions = [{"number": 9, "keyID": "A" * 12, "state": "Active"}]
    spec = {"productRef": market.owners[1].reference}
    metadata = {"name": "past", "labels": {names.APIKEY_LABEL: "x"}, "finalizers": ["example.com/stays"]}
    body = {"metadata": metadata, "spec": spec, "status": {"activeVersion": 9, "versions": versions}}
    _post_unless_there(tenant, tenant.apikeys_path, {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", **body})


def go_and_stay(_chance: Random, _market: Market, tenant: Tenant, _name: str) -> None:
    """Deleted, and held by a finalizer; or let go."""
    if "past" in tenant.apikeys():
        tenant.gives_up("past")
        tenant.changes("past", {"metadata": {"finalizers": None}})


def claim_a_neighbours_key(chance: Random, market: Market, tenant: Tenant, _name: str) -> None:
    """Its public ID stands in the logs of gateways. As a key of his own, made elsewhere."""
    victim = chance.choice([each for each in market.tenants if each is not tenant])
    token = next(iter(victim.tokens), None)
    if token is None:
        return
    mine = token[:-1] + ("a" if token[-1] != "a" else "b")
    digest = base64.urlsafe_b64encode(hashlib.sha256(mine.encode()).digest()).decode().rstrip("=")
    listed = [{"digest": f"$sha256${digest}", "keyID": token[-61:-49]}]
    if "claimed" in tenant.apikeys():
        tenant.gives_up("claimed")
    _ask(tenant, "claimed", {"delivery": "None", "digests": listed})


def many_at_once(chance: Random, market: Market, tenant: Tenant, _name: str) -> None:
    """More than he needs, and then none of them."""
    for number in range(8):
        _ask(tenant, f"many-{number}", {"productRef": chance.choice(market.owners[:-1]).reference})
    for number in range(chance.randint(0, 8)):
        tenant.gives_up(f"many-{number}")


TRICKS: Final[tuple[Trick, ...]] = (
    squat, swap, clear, clear, want_anothers_secret, pause_or_go_on, pause_or_go_on, leave_behind, restart_a_bystander, write_a_novel,
    tell_of_a_past, go_and_stay, claim_a_neighbours_key, many_at_once,
)  # fmt: skip


def _ask(tenant: Tenant, name: str, spec: Json) -> None:
    """Create it, if there is none."""
    body = {"metadata": {"name": name}, "spec": {"rollout": {"policy": "Disabled"}, **spec}}
    if spec.get("delivery") == "None":
        del body["spec"]["rollout"]
    _post_unless_there(tenant, tenant.apikeys_path, {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", **body})


def _post_unless_there(tenant: Tenant, path: str, body: Json) -> None:
    try:
        tenant.user.ask("POST", path, body)
    except ApiFailed as failure:
        if failure.status != 409:
            raise
