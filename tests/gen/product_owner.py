"""The owner of an API, who says in an ApiProduct what its keys may do."""

from __future__ import annotations

from typing import Any, Final

from gen.team import APIKEYS, Api

Json = dict[str, Any]
READ, WRITE = "invoices:read", "invoices:write"
PLANS: Final = ({"name": "basic", "scopes": [READ]}, {"name": "full"})


class Owner:
    """The API's owner, in a namespace of his own."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self.namespace = api, namespace
        self.path = f"{APIKEYS}/namespaces/{namespace}/apiproducts/invoices"

    def says(self, *, plans: list[Json] | None = None, scopes: tuple[str, ...] = (READ, WRITE), **spec: Any) -> None:  # noqa: ANN401
        """Make the product exactly so."""
        wanted = {
            "audience": "invoices",
            "scopes": [{"name": scope} for scope in scopes],
            "plans": plans or list(PLANS),
            "defaultPlan": "basic",
            **spec,
        }
        metadata = {"name": "invoices", "namespace": self.namespace}
        self._api.apply(self.path, {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiProduct", "metadata": metadata, "spec": wanted})

    def withdraws(self) -> None:
        self._api.delete(self.path)

    def counts(self) -> Json:
        found = self._api.get(self.path)
        return (found or {}).get("status", {}).get("keys", {})

    def says_of_itself(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition of the product; empty where it has none."""
        conditions = (self._api.get(self.path) or {}).get("status", {}).get("conditions", ())
        found: Json = next((each for each in conditions if each["type"] == kind), {})
        return found.get("status", ""), found.get("reason", "")

    def created(self) -> str:
        """Its creationTimestamp."""
        return str((self._api.get(self.path) or {})["metadata"]["creationTimestamp"])
