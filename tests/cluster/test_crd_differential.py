"""The models and the API server agree: what one takes the other takes, what one refuses the other refuses.

If the model took less, an ApiKey that was stored could not be read. If it took more, the CLI would promise what the
API server then refuses, and a spec's mistake would show late.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from itertools import product
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given, settings
from pydantic import ValidationError

from gen.schema_edges import edges
from gen.spec_values import SPECS, TEMPLATES
from keyturn.api.crd_generation import crd, generate_crds, structural_schema
from keyturn.api.resource_kind import ResourceKind
from keyturn.api.rules import ApiModel, broken_transitions, explain_invalid
from keyturn.api.v1alpha1.apikey import APIKEY, ApiKey, ApiKeyStatus, check_update
from keyturn.api.v1alpha1.apikeyrevocation import APIKEYREVOCATION, ApiKeyRevocationSpec, ApiKeyRevocationStatus
from keyturn.api.v1alpha1.apiproduct import APIPRODUCT, ApiProductStatus
from keyturn.api.v1alpha1.apiproduct_spec import ApiProductSpec
from keyturn.base.names import CREDENTIAL_TYPE
from testbed.cluster import Cluster, wait_until

Json = dict[str, Any]
NAME: Final = "differential"
REVOCATION: Final = {"keyIDs": ["Qm8sT2fLx0Za"], "reason": "Leaked"}
PRODUCT: Final = {"audience": "invoices", "scopes": [{"name": "invoices:read"}], "plans": [{"name": "basic"}]}


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind, and the least that an object of it says."""

    kind: ResourceKind
    status: type[ApiModel]
    least: Json

    @property
    def schema(self) -> Json:
        return cast("Json", structural_schema(self.kind))["properties"]

    def body(self, spec: object, *, name: str = NAME) -> Json:
        return {"apiVersion": "keyturn.dev/v1alpha1", "kind": self.kind.kind, "metadata": {"name": name}, "spec": spec}


LENGTHS: Final = (None, "1h", "2h")
OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
SUBJECTS: Final = (
    Subject(APIKEY, ApiKeyStatus, {}),
    Subject(APIPRODUCT, ApiProductStatus, PRODUCT),
    Subject(APIKEYREVOCATION, ApiKeyRevocationStatus, REVOCATION),
)
OF_KIND: Final = {subject.kind.kind: subject for subject in SUBJECTS}
of_every_kind: Final = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.kind.kind)


class Server:
    """The API server's side: one kept connection, dry runs, HTTP status and answer."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        login = cluster.login
        self._connection = HTTPSConnection(urlsplit(login.url).netloc, timeout=10, context=login.tls)
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {login.token}"} if login.token else {})}
        self.namespace = namespace

    def create(self, body: Json, *, dry: bool = True) -> tuple[int, Json]:
        return self._ask("POST", self._folder(body), body, dry=dry)

    def create_secret(self, body: Json) -> tuple[int, Json]:
        return self._ask("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body, dry=True)

    def update(self, body: Json, *, name: str, part: str = "") -> tuple[int, Json]:
        return self._ask("PUT", f"{self._folder(body)}/{name}{part}", body, dry=True)

    def _folder(self, body: Json) -> str:
        kind = OF_KIND[body["kind"]].kind
        place = f"/namespaces/{self.namespace}" if kind.scope == "Namespaced" else ""
        return f"/apis/keyturn.dev/v1alpha1{place}/{kind.plural}"

    def is_ready(self) -> bool:
        return all(self.create(subject.body(subject.least))[0] == 201 for subject in SUBJECTS)

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: Json, *, dry: bool) -> tuple[int, Json]:
        self._connection.request(method, f"{path}{'?dryRun=All' if dry else ''}", json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else {"message": text.decode()}


@pytest.fixture(scope="module")
def server(quiet_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("crds")
    generate_crds(folder)
    quiet_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(folder))
    namespace = f"differential-{time.time_ns()}"
    quiet_plane.kubectl("create", "namespace", namespace)
    server = Server(quiet_plane, namespace)
    wait_until(server.is_ready, patience=20, what="the CRD to be served")
    yield server
    server.close()
    quiet_plane.delete_namespace(namespace)


def apikey(spec: object, *, name: str = NAME) -> Json:
    return OF_KIND["ApiKey"].body(spec, name=name)


def read(body: Json) -> tuple[ApiModel | None, list[str]]:
    try:
        return OF_KIND[body["kind"]].kind.model.model_validate(body), []
    except ValidationError as error:
        return None, explain_invalid(error)


def disagreement(body: Json, answer: tuple[int, Json], *, part: str) -> str | None:
    """What differs between model and server about one object, if anything; on success also what they understood."""
    status, stored = answer
    model, complaints = read(body)
    if status == 422 and model is None:
        return None
    if status not in {200, 201} or model is None:
        return f"{json.dumps(body[part])[:1000]}\n  server {status}: {stored.get('message')}\n  model: {complaints or 'accepts'}"
    understood, _ = read(stored)
    if understood is None or getattr(understood, part) != getattr(model, part):
        return f"{json.dumps(body[part])[:1000]}\n  was stored as {json.dumps(stored.get(part))[:1000]}"
    return None


@of_every_kind
def test_every_word_of_a_crd_is_stored(server: Server, quiet_plane: Cluster, subject: Subject) -> None:
    """What the API server drops or rewrites Argo CD takes for a change, and writes again without end."""
    assert server.is_ready()
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{subject.kind.plural}.keyturn.dev"
    stored = json.loads(quiet_plane.login.ask("GET", path))["spec"]
    assert stored == {**cast("Json", crd(subject.kind)["spec"]), "conversion": {"strategy": "None"}}


@of_every_kind
def test_every_limit_of_every_field_of_the_spec_is_the_same(server: Server, subject: Subject) -> None:
    bodies = [subject.body(value) for value in edges(subject.schema["spec"])]
    found = [text for body in bodies if (text := disagreement(body, server.create(body), part="spec"))]
    assert found == []
    assert len(bodies) > 400


@of_every_kind
def test_every_limit_of_every_field_of_the_status_is_the_same(server: Server, subject: Subject) -> None:
    status, stored = server.create(subject.body(subject.least, name="status"), dry=False)
    assert status == 201
    found, values = [], [value for value in edges(subject.schema["status"]) if isinstance(value, dict)]
    for value in values:
        code, answer = server.update({**stored, "status": value}, name="status", part="/status")
        assert code in {200, 422}, answer
        try:
            model = subject.status.model_validate(value)
        except ValidationError as error:
            # Where there is a format, the API server takes a list for a string. Such a status is read as none at all.
            if code == 200 and not has_a_list_for_a_time(value):
                found.append((value, answer["status"], explain_invalid(error)))
        else:
            understood, _ = read(answer)
            if code != 200 or getattr(understood, "status", None) != model:
                found.append((value, answer, model))
    assert found == []
    assert len(values) > 250


def has_a_list_for_a_time(value: object, key: str = "") -> bool:
    if isinstance(value, dict):
        return any(has_a_list_for_a_time(entry, name) for name, entry in value.items())
    if isinstance(value, list):
        return key == "notAfter" or key.lower().endswith("time") or any(has_a_list_for_a_time(entry) for entry in value)
    return False


def test_a_status_that_the_server_takes_and_the_model_does_not_is_read_as_none(server: Server) -> None:
    """Somebody who may write status must not be able to stop the work on a key."""
    status, stored = server.create(apikey({}, name="damaged"), dry=False)
    assert status == 201
    for value in (
        {"lastUsedTime": []},
        {"nextRotationTime": "2027-01-31t18:00:00zt and more"},
        {"lastUsedTime": "2027-01-31T18:00:00+99:00"},
    ):
        code, answer = server.update({**stored, "status": value}, name="damaged", part="/status")
        assert (code, ApiKey.model_validate(answer).status) == (200, None)


@settings(max_examples=200, deadline=None)
@given(spec=SPECS)
def test_any_spec_is_taken_by_both_or_refused_by_both(server: Server, spec: Json) -> None:
    body = apikey(spec)
    assert disagreement(body, server.create(body), part="spec") is None


@settings(max_examples=60, deadline=None)
@given(spec=TEMPLATES)
def test_a_template_that_is_taken_makes_a_secret_that_is_taken(server: Server, spec: Json) -> None:
    """Otherwise the mistake would show only when a key is issued, far from whoever made it."""
    model, _ = read(apikey(spec))
    assume(model is not None and spec)
    template = spec.get("secretTemplate", {})
    metadata = {"name": spec.get("secretName", NAME), "labels": template.get("labels"), "annotations": template.get("annotations")}
    secret = {"metadata": metadata, "type": CREDENTIAL_TYPE, "stringData": template.get("data")}
    status, answer = server.create_secret(secret)
    assert status == 201, answer


def test_annotations_that_are_too_large_together_are_refused_by_both(server: Server) -> None:
    for letter, size, count in product("aä𐍈", (1600, 2133, 3200, 4096), (15, 24, 32)):
        body = apikey({"secretTemplate": {"annotations": {f"note-{number}": letter * size for number in range(count)}}})
        assert disagreement(body, server.create(body), part="spec") is None


def corners_of_a_product() -> Iterator[Json]:
    """Fields that a rule holds together, in combinations on both sides of it."""
    scopes = ({"name": "invoices:read"}, {"name": "invoices:write"})
    plans: tuple[Json, ...] = (
        {},
        *({"scopes": list(names)} for names in ((), ("invoices:read",), ("nonsense",), ("invoices:read", "invoices:write"))),
        *({"limits": limits} for limits in ({}, {"burst": 3}, {"requestsPerSecond": 3}, {"requestsPerSecond": 3, "burst": 1})),
        *({"rotation": dict(zip(("interval", "gracePeriod", "overlapLimit"), each, strict=True))} for each in product(LENGTHS, repeat=3)),
    )
    for plan, default, declared in product(plans, (None, "basic", "gold"), (scopes[:1], scopes)):
        yield {**PRODUCT, "scopes": list(declared), "plans": [{"name": "basic", **plan}], "defaultPlan": default}
    expressions = [{"key": "tier", "operator": operator, "values": values} for operator in OPERATORS for values in (None, [], ["gold"])]
    selectors = [
        None,
        {},
        {"matchLabels": {"a": "b"}},
        {"matchLabels": {"a": "b "}},
        *({"matchExpressions": [each]} for each in expressions),
    ]
    for source, selector in product((None, "Same", "All", "Selector"), selectors):
        yield {**PRODUCT, "access": {"namespaces": {"from": source, "selector": selector}}}
    for audience in ("default", "defaults", "Default", ""):
        yield {**PRODUCT, "audience": audience}


def test_every_rule_of_a_product_is_the_same(server: Server) -> None:
    bodies = [OF_KIND["ApiProduct"].body(spec) for spec in corners_of_a_product()]
    assert [text for body in bodies if (text := disagreement(body, server.create(body), part="spec"))] == []
    taken = [read(body)[0] is not None for body in bodies]
    assert 50 < taken.count(True) < len(bodies) - 50


def test_an_audience_may_not_change_for_either(server: Server) -> None:
    body = OF_KIND["ApiProduct"].body(PRODUCT, name="audience")
    status, old = server.create(body, dry=False)
    assert status == 201
    before = ApiProductSpec.model_validate(old["spec"])
    for audience, code in (("invoices", 200), ("elsewhere", 422)):
        spec = {**old["spec"], "audience": audience, "description": "changed"}
        status, answer = server.update({**old, "spec": spec}, name="audience")
        refused = broken_transitions(ApiProductSpec.TRANSITION_RULES, before, ApiProductSpec.model_validate(spec), path="spec")
        assert (status, len(refused)) == (code, code == 422)
        assert all(text.partition(": ")[2] in answer["message"] for text in refused)


def corners_of_a_revocation() -> Iterator[Json]:
    """Who is meant, in every combination, in each mode."""
    matches = (None, {}, {"namespace": "shop"}, {"mintedBefore": "2026-01-01T00:00:00Z"}, {"productRef": {"namespace": "a", "name": "b"}})
    which = product((None, ["Qm8sT2fLx0Za"]), (None, {"namespace": "shop", "name": "billing"}), matches)
    for (key_ids, ref, match), mode, within in product(which, (None, "Immediate", "Replace"), (None, "1h")):
        spec = {"keyIDs": key_ids, "apiKeyRef": ref, "match": match, "mode": mode, "replaceWithin": within, "reason": "Leaked"}
        yield {field: value for field, value in spec.items() if value is not None}


def test_every_rule_of_a_revocation_is_the_same(server: Server) -> None:
    bodies = [OF_KIND["ApiKeyRevocation"].body(spec) for spec in corners_of_a_revocation()]
    assert [text for body in bodies if (text := disagreement(body, server.create(body), part="spec"))] == []
    taken = [read(body)[0] is not None for body in bodies]
    assert 20 <= taken.count(True) < len(bodies) - 20


@pytest.mark.parametrize("change", [{}, {"note": "another"}, {"mode": "Replace"}, {"keyIDs": ["upAfAXkTfej4"]}], ids=str)
def test_no_word_of_a_revocation_may_change_for_either(server: Server, change: Json) -> None:
    name = f"frozen{''.join(change).lower()}"
    status, old = server.create(OF_KIND["ApiKeyRevocation"].body(REVOCATION, name=name), dry=False)
    assert status == 201
    spec = {**old["spec"], **change}
    status, answer = server.update({**old, "spec": spec}, name=name)
    before, after = ApiKeyRevocationSpec.model_validate(old["spec"]), ApiKeyRevocationSpec.model_validate(spec)
    refused = broken_transitions(ApiKeyRevocationSpec.TRANSITION_RULES, before, after, path="spec")
    assert (status, len(refused)) == ((422, 1) if change else (200, 0))
    assert all(text.partition(": ")[2] in answer["message"] for text in refused)


@of_every_kind
def test_length_of_a_name_has_the_same_limit(server: Server, subject: Subject) -> None:
    for size in (62, 63, 64):
        body = subject.body(subject.least, name="a" * size)
        assert disagreement(body, server.create(body), part="spec") is None


def test_a_broken_rule_is_told_in_the_same_words(server: Server) -> None:
    body = apikey({"rotation": {"interval": "1h", "schedule": "0 3 1 * *"}})
    _, complaints = read(body)
    assert [text.partition(": ")[2] for text in complaints] != []
    assert all(text.partition(": ")[2] in server.create(body)[1]["message"] for text in complaints)


VARIANTS: Final = tuple(
    {key: value for key, value in zip(("productRef", "secretName", "minVersion"), values, strict=True) if value is not None}
    for values in product((None, {"name": "p"}, {"name": "p", "namespace": "other"}), (None, "s", "t"), (None, 1, 2))
)


def test_every_change_is_allowed_by_both_or_refused_by_both(server: Server) -> None:
    """Update of every combination of the immutable fields to every other one."""
    found = []
    for number, before in enumerate(VARIANTS):
        name = f"change-{number}"
        status, old = server.create(apikey(before, name=name), dry=False)
        assert status == 201
        for after in VARIANTS:
            new = {**old, "spec": {**after, "displayName": "changed"}}
            status, answer = server.update(new, name=name)
            refused = check_update(ApiKey.model_validate(old), ApiKey.model_validate(new))
            told = answer["message"] if status == 422 else ""
            if (status == 200) != (refused == []) or not all(text.partition(": ")[2] in told for text in refused):
                found.append((before, after, status, answer, refused))
    assert found == []


def test_the_columns_are_the_ones_people_were_promised(server: Server, quiet_plane: Cluster) -> None:
    assert server.is_ready()
    server.create(apikey({}, name="columns"), dry=False)
    table = quiet_plane.kubectl("-n", server.namespace, "get", "akey", "columns", "-o", "wide").splitlines()[0]
    assert table.split("  ")[0].strip() == "NAME"
    assert [word.strip() for word in table.split("  ") if word.strip()] == [
        "NAME", "READY", "PRODUCT", "VERSION", "KEY ID", "NEXT ROTATION", "AGE", "SECRET", "PLAN", "LAST USED", "REASON", "MESSAGE",
    ]  # fmt: skip


def test_the_secret_of_a_key_that_names_none_is_shown(server: Server, quiet_plane: Cluster) -> None:
    """The commonest ApiKey, spec: {}, showed nothing there."""
    server.create(apikey({}, name="delivered"), dry=False)
    patch = json.dumps({"status": {"secretRef": {"name": "delivered-to"}}})
    quiet_plane.kubectl("-n", server.namespace, "patch", "apikey", "delivered", "--subresource=status", "--type=merge", "-p", patch)
    assert "delivered-to" in quiet_plane.kubectl("-n", server.namespace, "get", "apikey", "delivered", "-o", "wide")


def test_keys_are_found_by_their_id(server: Server, quiet_plane: Cluster) -> None:
    """Whose key is this? The question of every incident, answered without listing the cluster."""
    status, stored = server.create(apikey({}, name="leaked"), dry=False)
    assert status == 201
    key_id = server.namespace.rpartition("-")[2]
    patch = json.dumps({"status": {"keyID": key_id}})
    quiet_plane.kubectl("-n", server.namespace, "patch", "apikey", "leaked", "--subresource=status", "--type=merge", "-p", patch)
    found = quiet_plane.kubectl("get", "apikeys", "-A", f"--field-selector=status.keyID={key_id}", "-o", "name")
    assert found.split() == ["apikey.keyturn.dev/leaked"]
    assert stored["spec"] == {"deletionPolicy": "Revoke", "delivery": "Secret"}
