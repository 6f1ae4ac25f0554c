"""Owners who offer APIs and tenants who want keys of them, on an installation with all its policies; and what the keys really open.

with Market.open(installed, api, operator=operator, verifier=verifier) as market:
    market.owners[0].offers(spec)
    market.tenants[0].asks_for("billing", {"productRef": market.owners[0].reference})
    market.settle()     # waits until verifiers accept exactly what was granted; says what they accept else
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Final, Self

from gen.granted_power import Granted, Opening, granted, granted_at_most, is_one_too_many
from gen.installed import RBAC, Installed
from gen.operator_process import OperatorProcess, unique_name
from gen.team import Api
from gen.tenancy import Owner, Tenant, log_in
from gen.verifier_process import VerifierProcess
from testbed.cluster import ApiFailed, wait_until

Json = dict[str, Any]

SCOPES: Final = ("read", "write", "pay")
AUDIENCES: Final = ("alpha", "beta")
PRIVATE: Final = "private"
"""The audience of a product that nobody may consume."""
DOORS: Final = (*AUDIENCES, PRIVATE, "default")
PATIENCE: Final = 30.0
CONSUMERS: Final = {"apiGroups": ["keyturn.dev"], "resources": ["apiproducts"], "verbs": ["consume"]}


@dataclass(frozen=True, slots=True)
class Opened:
    """What a token was found to open: nothing, or the doors of one audience."""

    audience: str
    opening: Opening | None

    def is_within(self, most: Granted) -> bool:
        """Whether it is less than, or as much as, something that was granted."""
        found = self.opening
        if found is None:
            return True
        return self.audience == most.audience and any(each is not None and found.is_within(each) for each in (*most.allowed, *most.kept))

    def is_exactly(self, most: Granted) -> bool:
        """Whether it is what was granted."""
        found = self.opening
        if found is None:
            return None in most.allowed
        return self.audience == most.audience and (found in most.allowed or any(found.is_within(each) for each in most.kept))

    def __str__(self) -> str:
        return "nothing" if self.opening is None else f"{self.audience}: {self.opening}"


class Doors:
    """Every door there is, behind one verifier, over one connection."""

    def __init__(self, verifier: VerifierProcess) -> None:
        assert verifier.address is not None
        self._connection = HTTPConnection(verifier.address, timeout=10.0)

    def try_all(self, token: str) -> tuple[Opened, str]:
        """Go to each with this key: what opens, and whose key the verifier says it is."""
        opened = [door for door in DOORS if self._ask(token, door)[0]]
        if not opened:
            return Opened("", None), ""
        assert len(opened) == 1, f"one key opens {opened}"
        scopes = frozenset(scope for scope in SCOPES if self._ask(token, opened[0], scope)[0])
        _, whose, at_once = self._ask(token, opened[0])
        return Opened(opened[0], Opening(scopes, at_once)), whose

    def _ask(self, token: str, door: str, scope: str = "") -> tuple[bool, str, float]:
        """Whether it is let in, whose key that is, and how many requests it may make at once."""
        path = f"/verify?audience={door}" + (f"&scope={scope}" if scope else "")
        answers: list[HTTPResponse] = []
        # 503: on a machine too busy to renew the verifier's Lease in time it cannot know whether a key that it has not seen exists.
        wait_until(lambda: self._knows(path, token, answers), patience=60.0, what=f"the verifier to know: {path}")
        answer = answers[-1]
        assert answer.status in {200, 401, 403}, f"{path}: {answer.status}"
        limit = re.search(r";q=(\d+)", answer.getheader("ratelimit-policy", ""))
        return answer.status == 200, answer.getheader("x-keyturn-apikey", ""), float(limit[1]) if limit else math.inf

    def _knows(self, path: str, token: str, answers: list[HTTPResponse]) -> bool:
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answers.append(self._connection.getresponse())
        answers[-1].read()
        return answers[-1].status != 503

    def close(self) -> None:
        self._connection.close()


@dataclass(slots=True)
class Market:
    """Made by `Market.open`."""

    api: Api
    """The platform team's."""
    owners: list[Owner]
    tenants: list[Tenant]
    doors: Doors
    operator: OperatorProcess
    asked_before: dict[str, dict[str, str]] = field(default_factory=dict)
    """By namespace, which product each of its ApiKeys with a key asked for when all was settled last."""
    rooms_before: dict[str, list[float]] = field(default_factory=dict)
    """By product, how many keys it let a namespace have in the round before: who asked just then may have been let in later."""

    @classmethod
    @contextmanager
    def open(
        cls, installed: Installed, api: Api, *, operator: OperatorProcess, verifier: VerifierProcess, tenants: int = 3
    ) -> Iterator[Self]:
        """An owner for each audience and one more; every tenant may consume all products but that one's."""
        with ExitStack() as ends:
            owners = [
                Owner(name, log_in(installed.plane, api, name, role="keyturn-product-owner")) for name in _namespaces(installed, "owner", 3)
            ]
            there = [
                Tenant(log_in(installed.plane, api, name, role="edit"), installed.team(api, operator, name))
                for name in _namespaces(installed, "tenant", tenants)
            ]
            for someone in (*owners, *there):
                ends.callback(installed.plane.delete_namespace, someone.namespace)
                ends.callback(someone.user.close)
            doors = Doors(verifier)
            ends.callback(doors.close)
            market = cls(api, owners, there, doors, operator)
            for owner in owners[:-1]:
                market._let_everybody_consume(owner)
            for tenant in there:
                wait_until(lambda tenant=tenant: market._may_ask(tenant), patience=20.0, what="tenants to have their rights")
            yield market

    def _let_everybody_consume(self, owner: Owner) -> None:
        self.api.ask("POST", f"{RBAC}/namespaces/{owner.namespace}/roles", {"metadata": {"name": "consumer"}, "rules": [CONSUMERS]})
        binding = {
            "metadata": {"name": "consumer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "consumer"},
            "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": each.namespace} for each in self.tenants],
        }
        self.api.ask("POST", f"{RBAC}/namespaces/{owner.namespace}/rolebindings", binding)

    def _may_ask(self, tenant: Tenant) -> bool:
        """Kubernetes gathers roles and bindings a moment later."""
        body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": "trial"}}
        try:
            for owner in self.owners[:-1]:
                tenant.user.ask("POST", f"{tenant.apikeys_path}?dryRun=All", {**body, "spec": {"productRef": owner.reference}})
        except ApiFailed:
            return False
        return True

    def label(self, tenant: Tenant, labels: dict[str, str]) -> None:
        """As the platform team: these labels and no others of ours."""
        gone = dict.fromkeys(tenant.labels.keys() - labels.keys())
        self.api.merge(f"/api/v1/namespaces/{tenant.namespace}", {"metadata": {"labels": {**labels, **gone}}})
        tenant.labels = labels

    def granted_to(self, tenant: Tenant, name: str, *, is_asking: bool = True) -> Granted:
        """By what owners and tenant wrote. `is_asking`: the ApiKey is there, and not paused."""
        products = {owner.key: owner.word for owner in self.owners if owner.word}
        count = granted if is_asking else granted_at_most
        return count(tenant.namespace, name, tenant.last_word[name], products=products, labels=tenant.labels)

    def settle(self, *, patience: float = PATIENCE) -> None:
        """Wait until no tenant has more than was granted, and none less."""
        end = time.monotonic() + patience
        while found := self.complaints():
            if time.monotonic() > end:
                raise AssertionError("\n".join([*found, *(self._picture_of(complaint.split()[0]) for complaint in found)]))
            time.sleep(0.2)
        for tenant in self.tenants:
            self._assert_nobody_is_one_too_many(tenant)
        for owner in self.owners:
            self.rooms_before[owner.key], owner.rooms = owner.rooms, owner.rooms[-1:]

    def _assert_nobody_is_one_too_many(self, tenant: Tenant) -> None:
        """Where a product counts its keys. What one that waits was granted is nothing, so each by itself looks as it should."""
        with_key = {name for token, name in tenant.tokens.items() if token not in tenant.ended}
        asked = {name: _product_asked_for(tenant.last_word[name]) for name in with_key}
        before = self.asked_before.get(tenant.namespace, {})
        for owner in self.owners:
            rooms = [*self.rooms_before.get(owner.key, ()), *owner.rooms]
            if max(rooms, default=math.inf) == math.inf:
                continue
            mine = [token for token, name in tenant.tokens.items() if asked.get(name) == owner.key]
            inside = {tenant.tokens[token] for token in mine if self.doors.try_all(token)[0].opening is not None}
            had = {name for name, key in before.items() if key == owner.key}
            assert not is_one_too_many(inside, before=had, rooms=rooms), f"{tenant.namespace}: {inside} of {owner.key}, before: {had}"
        self.asked_before[tenant.namespace] = asked

    def _picture_of(self, about: str) -> str:
        namespace, _, name = about.partition("/")
        tenant = next(each for each in self.tenants if each.namespace == namespace)
        there, products = tenant.apikeys().get(name, {}), {owner.key: owner.word for owner in self.owners}
        asked = (there.get("metadata", {}).get("generation"), there.get("spec"), there.get("status"))
        secret = tenant.team.find_secret(there.get("spec", {}).get("secretName", name))
        stored = {"type": secret.raw["type"], **secret.raw["metadata"], "managedFields": None} if secret is not None else None
        return f"{asked}\n{stored}\n{tenant.team.find_record(name)}\n{products}\n{self.operator.tail(about=namespace, count=12)}"

    def complaints(self) -> list[str]:
        """What is not as it was granted: more than that, or less, or somebody else's."""
        return [complaint for tenant in self.tenants for complaint in self._complaints_of(tenant)]

    def _complaints_of(self, tenant: Tenant) -> Iterator[str]:
        there = tenant.look()
        current = {name: tenant.current_token(name, apikey) for name, apikey in there.items()}
        for token, name in tenant.tokens.items():
            opened, whose = self.doors.try_all(token)
            is_asking = name in there and not is_paused(there[name])
            most, about = self.granted_to(tenant, name, is_asking=is_asking), f"{tenant.namespace}/{name}"
            if opened.opening is not None and whose != about:
                yield f"{about} is taken for {whose}"
            if token in tenant.ended and opened.opening is not None:
                yield f"{about} opens {opened} with a key that ended with its ApiKey"
            if not opened.is_within(most):
                yield f"{about} opens {opened}, and was granted {most}"
            if token == current.get(name) and not opened.is_exactly(most) and is_worked_on(there[name]):
                yield f"{about} opens {opened} with its key, and was granted {most}"
        for name, token in current.items():
            if token is None and None not in self.granted_to(tenant, name).allowed and is_worked_on(there[name]):
                said = there[name].get("status", {}).get("conditions")
                yield f"{tenant.namespace}/{name} has no key, and was granted {self.granted_to(tenant, name)}; it says {said}"

    def restarted_bystanders(self) -> list[str]:
        """Workloads that were changed, though nobody said that they may be restarted."""
        listed = self.api.ask("GET", "/apis/apps/v1/deployments")["items"]
        return [str(each["metadata"]) for each in listed if each["metadata"]["name"] == "bystander" and each["metadata"]["generation"] != 1]

    def marks(self) -> dict[str, str]:
        """resourceVersion of everything that Keyturn writes: it stays where nothing is written. ApiKeys' are of their status.

        Without the day of the last use, which comes whenever a verifier reports what was asked of it here.
        """
        marks = {}
        for tenant in self.tenants:
            for name, apikey in tenant.apikeys().items():
                status = {field: value for field, value in apikey.get("status", {}).items() if field != "lastUsedTime"}
                marks[f"{tenant.namespace}/{name} status"] = str(status)
                _, secret, record = tenant.team.marks(name, secret=apikey["spec"].get("secretName"))
                marks |= {f"{tenant.namespace}/{name} secret": secret, f"{tenant.namespace}/{name} record": record}
        return marks


def is_worked_on(apikey: Json) -> bool:
    """Whether it has a Secret of its own, or is to have one: not paused, not going, no other's Secret in the way."""
    metadata, conditions = apikey["metadata"], apikey.get("status", {}).get("conditions", ())
    in_the_way = any((each["type"], each["reason"]) == ("Stalled", "SecretConflict") for each in conditions)
    is_left_alone = is_paused(apikey) or "deletionTimestamp" in metadata
    return not (in_the_way or is_left_alone or apikey["spec"].get("delivery", "Secret") != "Secret" or too_many_repairs(conditions))


def _product_asked_for(spec: Json) -> str:
    """namespace/name; empty: none. Owners' products are in other namespaces than tenants'."""
    reference = spec.get("productRef", {})
    return f"{reference.get('namespace')}/{reference['name']}" if reference else ""


def is_paused(apikey: Json) -> bool:
    """By its annotation."""
    return bool(apikey["metadata"].get("annotations", {}).get("keyturn.dev/paused") == "true")


def too_many_repairs(conditions: Any) -> bool:  # noqa: ANN401 - as in a status
    """Whoever deletes his Secret again and again waits for an hour."""
    return any((each["type"], each["reason"]) == ("Stalled", "TooManyRepairs") for each in conditions)


def _namespaces(installed: Installed, prefix: str, count: int) -> list[str]:
    made = [unique_name(prefix) for _ in range(count)]
    for name in made:
        installed.plane.create_namespace(name)
    return made
