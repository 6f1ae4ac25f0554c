"""What each refusal of the API server becomes."""

from __future__ import annotations

import json

import pytest

from keyturn.base.errors import Conflict, OutcomeUnknown, RetryLater
from keyturn.cluster.api_errors import (
    AlreadyExists,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
    no_answer_error,
    read_refusal,
    refusal_error,
)
from keyturn.cluster.request_target import Target, parse_path

APIKEY = Target("apikeys", "team-a", "billing")
SECRET = Target("secrets", "team-a", "billing")


def error(code: int, *, target: Target = APIKEY, verb: str = "patch", after: float | None = None, **status: object) -> Exception:
    refusal = read_refusal(code, json.dumps({"kind": "Status", "code": code, **status}).encode(), target=target)
    return refusal_error(refusal, verb=verb, target=target, after_seconds=after)


@pytest.mark.parametrize(
    ("code", "reason", "verb", "kind"),
    [
        (400, "BadRequest", "patch", Invalid),
        (401, "Unauthorized", "get", Unauthorized),
        (403, "Forbidden", "get", Forbidden),
        (404, "NotFound", "get", NotFound),
        (409, "AlreadyExists", "create", AlreadyExists),
        (409, "Conflict", "patch", Conflict),
        (410, "Expired", "list", Gone),
        (422, "Invalid", "patch", Invalid),
        (429, "TooManyRequests", "patch", RetryLater),
        (500, "InternalError", "get", RetryLater),
        (500, "InternalError", "patch", OutcomeUnknown),
        (503, "ServiceUnavailable", "patch", RetryLater),
        (504, "Timeout", "create", OutcomeUnknown),
    ],
)
def test_each_code_has_its_error(code: int, reason: str, verb: str, kind: type[Exception]) -> None:
    assert type(error(code, verb=verb, reason=reason)) is kind


def test_an_object_that_is_gone_is_told_apart_from_a_kind_that_is_not_served() -> None:
    """A key ends for good with its ApiKey: a resource that is not served for a moment, or a proxy's page, must not look like that."""
    gone = error(404, verb="get", reason="NotFound", details={"name": "billing", "group": "keyturn.dev", "kind": "apikeys"})
    assert isinstance(gone, NotFound)
    assert gone.object_is_gone
    for body in (b"404 page not found", b"<html>", json.dumps({"kind": "Status", "reason": "NotFound", "details": {}}).encode()):
        unserved = refusal_error(read_refusal(404, body, target=APIKEY), verb="get", target=APIKEY)
        assert isinstance(unserved, NotFound)
        assert not unserved.object_is_gone


def test_a_namespace_that_is_going_away_is_told_apart() -> None:
    refused = error(403, reason="Forbidden", details={"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]})
    assert isinstance(refused, Forbidden)
    assert refused.namespace_terminating


def test_the_policy_that_denied_is_named() -> None:
    message = "secrets \"x\" is forbidden: ValidatingAdmissionPolicy 'keyturn-fence' with binding 'b' denied request: no"
    denied = error(422, target=SECRET, reason="Invalid", message=message)
    assert isinstance(denied, Invalid)
    assert denied.denied_by == "ValidatingAdmissionPolicy keyturn-fence"


@pytest.mark.parametrize("code", [400, 403, 422])
def test_the_webhook_that_denied_is_named_and_its_words_are_not_kept(code: int) -> None:
    denied = error(code, target=SECRET, message='admission webhook "guard.example.com" denied the request: aGVsbG8= is weak')
    assert isinstance(denied, Forbidden | Invalid)
    assert denied.denied_by == "admission webhook guard.example.com"
    assert str(denied).endswith(": denied by admission webhook guard.example.com")


def test_the_words_of_a_refusal_are_for_people() -> None:
    refused = error(
        422, reason="Invalid", message="spec.plan: too long", details={"causes": [{"field": "spec.plan", "message": "too long"}]}
    )
    assert isinstance(refused, Invalid)
    assert str(refused) == "patch apikeys team-a/billing: 422 Invalid: spec.plan: too long"
    assert refused.fields == ("spec.plan",)


def test_a_refusal_about_a_secret_says_no_value() -> None:
    quoted = "aGVsbG8="
    causes = [{"reason": "FieldValueInvalid", "field": "data[api-key]", "message": f"Invalid value: {quoted}"}]
    refused = error(422, target=SECRET, reason="Invalid", message=f"bad {quoted}", details={"causes": causes})
    assert str(refused) == "patch secrets team-a/billing: 422 Invalid: data[api-key]"
    assert quoted not in repr(vars(refused))


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"[1]", b'{"details": 3, "message": []}', b"\xff\xfe"])
def test_an_answer_that_is_no_status_is_an_error_all_the_same(body: bytes) -> None:
    refused = refusal_error(read_refusal(503, body, target=APIKEY), verb="get", target=APIKEY, after_seconds=3)
    assert isinstance(refused, RetryLater)
    assert refused.after_seconds == 3


def test_a_write_without_an_answer_may_have_happened_and_a_read_may_be_repeated() -> None:
    assert type(no_answer_error("patch", target=APIKEY, what="x", sent=True)) is OutcomeUnknown
    assert type(no_answer_error("patch", target=APIKEY, what="x", sent=False)) is RetryLater
    assert type(no_answer_error("get", target=APIKEY, what="x", sent=True)) is RetryLater


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/namespaces/team-a/secrets/billing", Target("secrets", "team-a", "billing")),
        ("/api/v1/secrets", Target("secrets", "", "")),
        ("/api/v1/namespaces/team-a", Target("namespaces", "", "team-a")),
        ("/api/v1/namespaces", Target("namespaces", "", "")),
        ("/apis/keyturn.dev/v1alpha1/namespaces/team-a/apikeys/billing/status", Target("apikeys/status", "team-a", "billing")),
        ("/apis/keyturn.dev/v1alpha1/apikeyrevocations/leak", Target("apikeyrevocations", "", "leak")),
        ("/apis/apps/v1/namespaces/team-a/deployments", Target("deployments", "team-a", "")),
        ("/api/v1/namespaces/team-a/serviceaccounts/x/token", Target("serviceaccounts/token", "team-a", "x")),
        ("/version", Target("version", "", "")),
        ("/apis/apps/v1", Target("apis", "", "")),
    ],
)
def test_a_path_says_what_it_is_about(path: str, target: Target) -> None:
    assert parse_path(path) == target


def test_verbs_are_those_of_rbac() -> None:
    assert [APIKEY.verb(method) for method in ("GET", "PUT", "PATCH", "DELETE")] == ["get", "update", "patch", "delete"]
    assert Target("apikeys", "team-a", "").verb("GET") == "list"
    assert Target("apikeys", "team-a", "").verb("GET", watch=True) == "watch"
    assert Target("apikeys", "team-a", "").verb("POST") == "create"
