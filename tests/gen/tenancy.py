"""API owners and tenants of one cluster: each is a real user with a token of his own and the role that Keyturn ships for him, no more.

`market.py` brings them together and asks a verifier what their keys open.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gen.granted_power import room_in
from gen.installed import RBAC
from gen.team import APIKEYS, Api, SecretView, Team
from keyturn.base import names
from testbed.cluster import Login
from testbed.plane import Plane

Json = dict[str, Any]

PRODUCT: Final = "api"
"""All products have the same name: what tells them apart is the namespace."""


def log_in(plane: Plane, api: Api, namespace: str, *, role: str) -> Api:
    """Somebody with a role in one namespace, by his own token."""
    api.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "somebody"}})
    binding = {
        "metadata": {"name": "somebody"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}],
    }
    api.ask("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", binding)
    made = api.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/somebody/token", {"spec": {}})
    return Api(Login(plane.url, ssl.create_default_context(cafile=str(plane.ca)), made["status"]["token"]))


@dataclass(slots=True)
class Owner:
    """Who offers an API, with the role keyturn-product-owner in his namespace."""

    namespace: str
    user: Api
    word: Json = field(default_factory=dict)
    """The ApiProduct's spec as he wrote it last; empty: there is none."""
    rooms: list[float] = field(default_factory=list)
    """How many keys of it a namespace could have, one after another; `market.py` forgets what is long ago."""

    @property
    def key(self) -> str:
        """namespace/name of his product."""
        return f"{self.namespace}/{PRODUCT}"

    @property
    def reference(self) -> Json:
        """For spec.productRef."""
        return {"name": PRODUCT, "namespace": self.namespace}

    @property
    def path(self) -> str:
        return f"{APIKEYS}/namespaces/{self.namespace}/apiproducts/{PRODUCT}"

    def offers(self, spec: Json) -> None:
        """Make the product so. An empty list that is not mentioned any more stays, as server-side apply has it: so the answer counts."""
        metadata = {"name": PRODUCT, "namespace": self.namespace}
        body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiProduct", "metadata": metadata, "spec": spec}
        self.word = self.user.apply(self.path, body)["spec"]
        self.rooms.append(room_in(self.word))

    def withdraws(self) -> None:
        """Delete the product."""
        self.user.delete(self.path)
        self.word = {}


@dataclass(slots=True)
class Tenant:
    """A team with Kubernetes' role `edit` in its own namespace. `team`: the same namespace as an administrator sees it."""

    user: Api
    team: Team
    labels: dict[str, str] = field(default_factory=dict)
    """That the platform team gave the namespace."""
    last_word: dict[str, Json] = field(default_factory=dict)
    """By ApiKey, the spec it was written or seen with last."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Every key ever seen in the namespace's Secrets, and whose it was."""
    ended: set[str] = field(default_factory=set)
    """Those whose ApiKey was deleted, and did not want them to be kept."""

    @property
    def namespace(self) -> str:
        return self.team.namespace

    @property
    def apikeys_path(self) -> str:
        return f"{APIKEYS}/namespaces/{self.namespace}/apikeys"

    @property
    def secrets_path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    def asks_for(self, name: str, spec: Mapping[str, object], **metadata: object) -> Json:
        """Apply an ApiKey."""
        body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name, **metadata}, "spec": dict(spec)}
        made = self.user.apply(f"{self.apikeys_path}/{name}", body)
        self.last_word[name] = made["spec"]  # the garbage collector may be faster than the next look
        return made

    def changes(self, name: str, patch: Json) -> Json:
        """A merge patch of an ApiKey."""
        return self.user.merge(f"{self.apikeys_path}/{name}", patch)

    def gives_up(self, name: str) -> None:
        """Delete an ApiKey."""
        there = self.look().get(name)
        if there is not None and there["spec"].get("deletionPolicy") != "Retain":
            self.ended |= {token for token, whose in self.tokens.items() if whose == name}
        self.user.delete(f"{self.apikeys_path}/{name}")

    def apikeys(self) -> dict[str, Json]:
        """All of the namespace's, by name."""
        return {each["metadata"]["name"]: each for each in self.user.ask("GET", self.apikeys_path)["items"]}

    def look(self) -> dict[str, Json]:
        """The ApiKeys there are now; remembers what they ask for, and every key in a Secret."""
        there = self.apikeys()
        self.last_word |= {name: each["spec"] for name, each in there.items()}
        for secret in map(SecretView, self.user.ask("GET", self.secrets_path)["items"]):
            if secret.raw["type"] == names.CREDENTIAL_TYPE:
                self.tokens[secret.token] = secret.labels[names.APIKEY_LABEL]
        return there

    def current_token(self, name: str, apikey: Json) -> str | None:
        """What stands in the ApiKey's Secret; None: nothing of its own."""
        secret = self.team.find_secret(apikey["spec"].get("secretName", name))
        if secret is None or secret.raw["type"] != names.CREDENTIAL_TYPE or secret.labels.get(names.APIKEY_LABEL) != name:
            return None
        return secret.token
