"""Asked at the start: may we do what we are going to do? A missing right is a sentence in the log then, not a riddle later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keyturn.cluster.client import Client
from keyturn.cluster.raw import mapping_of

_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One right as RBAC says it.

    Empty `group`: core; empty `namespace`: in all namespaces, or of a cluster-scoped resource; empty `name`: on every object.
    """

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        resource = f"{resource}/{self.subresource}" if self.subresource else resource
        resource = f"{resource} {self.name}" if self.name else resource
        return f"{self.verb} {resource} " + (f"in namespace {self.namespace}" if self.namespace else "in all namespaces")


async def missing_rights(client: Client, rights: Iterable[Right]) -> tuple[str, ...]:
    """Of these rights, those we do not have, as sentences in the given order. Raises RetryLater if the server could not say."""
    wanted = tuple(rights)
    answers = await asyncio.gather(*(_may(client, right) for right in wanted))
    return tuple(f"May not {right}" for right, allowed in zip(wanted, answers, strict=True) if not allowed)


async def _may(client: Client, right: Right) -> bool:
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "namespace": right.namespace,
        "name": right.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
    }
    answer = await client.request("POST", _REVIEWS, body=review)
    return mapping_of(answer, "status").get("allowed") is True
