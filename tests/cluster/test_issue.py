"""From `kubectl apply` to a key that works: what the team gets, and what whoever checks keys gets."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gen.team import SecretView, Team

NAME = "billing"


@pytest.fixture(scope="module")
def issued(module_team: Team) -> Team:
    module_team.issue(NAME, {"deletionPolicy": "Revoke"})
    return module_team


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def record_json(team: Team) -> dict[str, Any]:
    stored = team.raw_record(NAME)
    assert stored is not None
    return json.loads(base64.b64decode(stored.raw["data"]["record"]))


def test_the_team_gets_a_secret_of_the_documented_shape(issued: Team) -> None:
    secret = issued.secret(NAME)
    assert secret.raw["type"] == "keyturn.dev/api-key"
    assert set(secret.data) == {"api-key"}
    assert secret.labels == {"app.kubernetes.io/managed-by": "keyturn", "keyturn.dev/apikey": NAME}
    tag = secret.annotations["keyturn.dev/adoption-tag"]
    assert secret.annotations == {
        "keyturn.dev/key-id": issued.status(NAME)["keyID"],
        "keyturn.dev/version": "1",
        "keyturn.dev/adoption-tag": tag,
        "reloader.stakater.com/ignore": "true",
    }
    assert tag


def test_the_token_has_the_documented_shape(issued: Team) -> None:
    secret = issued.secret(NAME)
    prefix, _, body = secret.token.partition("_")
    assert (prefix, len(body), body[:12]) == ("kt", 12 + 43 + 6, secret.key_id)
    assert body.isascii()
    assert body.isalnum()


def test_the_secret_goes_with_its_apikey(issued: Team) -> None:
    (owner,) = issued.secret(NAME).raw["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("ApiKey", NAME, issued.apikey(NAME)["metadata"]["uid"])


def test_whoever_checks_gets_a_record_of_the_documented_shape(issued: Team) -> None:
    stored = issued.raw_record(NAME)
    assert stored is not None
    assert stored.raw["type"] == "keyturn.dev/verifier-record"
    assert set(stored.raw["data"]) == {"record", "signature"}
    assert stored.labels == {
        "app.kubernetes.io/managed-by": "keyturn",
        "keyturn.dev/apikey": NAME,
        "keyturn.dev/namespace": issued.namespace,
    }
    assert "ownerReferences" not in stored.raw["metadata"]


def test_the_record_holds_the_sha256_of_the_token_and_not_the_token(issued: Team) -> None:
    token, (version,) = issued.secret(NAME).token, record_json(issued)["versions"]
    digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")
    assert version["digest"] == f"$sha256${digest}"
    assert (version["number"], version["keyID"], version["state"]) == (1, issued.secret(NAME).key_id, "Active")
    assert token not in json.dumps(record_json(issued))


def test_the_signature_verifies_with_the_published_key_and_nothing_of_ours(issued: Team) -> None:
    stored = issued.raw_record(NAME)
    published = issued.api.ask("GET", f"/api/v1/namespaces/{issued.system_namespace}/configmaps/keyturn-verification-keys")
    keys = {each["keyID"]: unpadded(each["publicKey"]) for each in json.loads(published["data"]["keys.json"])["keys"]}
    assert stored is not None
    data, signature = (base64.b64decode(stored.raw["data"][part]) for part in ("record", "signature"))
    algorithm, key_id, value = signature.decode().split(":")
    assert algorithm == "ed25519"
    Ed25519PublicKey.from_public_bytes(keys[key_id]).verify(unpadded(value), b"keyturn.dev/verifier-record/v1\0" + data)


def test_the_status_says_what_there_is(issued: Team) -> None:
    status, secret = issued.status(NAME), issued.secret(NAME)
    assert (status["activeVersion"], status["keyID"], status["secretRef"]) == (1, secret.key_id, {"name": NAME})
    assert status["observedGeneration"] == issued.apikey(NAME)["metadata"]["generation"]
    assert [(each["number"], each["keyID"], each["state"]) for each in status["versions"]] == [(1, secret.key_id, "Active")]
    assert status["effective"] == {"rotationInterval": "2160h", "gracePeriod": "24h", "overlapLimit": "168h", "quietPeriod": "500ms"}


def test_the_conditions_of_a_settled_key(issued: Team) -> None:
    found = {each["type"]: (each["status"], each["reason"]) for each in issued.status(NAME)["conditions"]}
    assert found == {
        "Ready": ("True", "Issued"),
        "Approved": ("True", "NotRequired"),
        "Disabled": ("False", "Enabled"),
        "PreviousVersionActive": ("False", "NoPreviousVersion"),
        "RolloutComplete": ("True", "NoPreviousVersion"),
    }


def test_kubectl_get_shows_the_documented_columns(issued: Team) -> None:
    heads, row = issued.cluster.kubectl("-n", issued.namespace, "get", "apikey", NAME, "-o", "wide").splitlines()
    names = ["READY", "PRODUCT", "VERSION", "KEY ID", "NEXT ROTATION", "AGE", "SECRET", "PLAN", "LAST USED", "REASON", "MESSAGE"]
    assert heads.split("  ")[0] == "NAME"
    assert [name for name in names if name not in heads] == []
    status = issued.status(NAME)
    assert [text for text in (NAME, "True", status["keyID"], status["nextRotationTime"], "Issued", "in force") if text not in row] == []


def test_an_event_tells_of_the_issue(issued: Team) -> None:
    event = issued.wait_event(NAME, "Normal/Issued")
    assert event["message"] == f"Version 1 ({issued.secret(NAME).key_id}) is in the Secret [Issued]"
    assert event["reportingComponent"] == "keyturn.dev/operator"
    assert issued.event_reasons(NAME) == ["Normal/Issued"]


def test_the_audit_log_tells_of_every_write_of_the_record(issued: Team) -> None:
    lines = issued.operator.audit_lines(issued.namespace, NAME)
    assert [(line["change"], line["version"], line["keyID"]) for line in lines] == [
        ("Staged", 1, issued.secret(NAME).key_id),
        ("Activated", 1, issued.secret(NAME).key_id),
    ]
    assert {line["uid"] for line in lines} == {issued.apikey(NAME)["metadata"]["uid"]}
    assert lines[0]["serial"] < lines[1]["serial"] == issued.record(NAME).serial


def test_the_plaintext_is_nowhere_but_in_the_secret(issued: Team) -> None:
    secret = issued.secret(NAME)
    said = issued.operator.output().decode() + json.dumps([issued.events(NAME), issued.apikey(NAME), record_json(issued)])
    said += issued.operator.ask("/metrics")[1]
    assert secret.key_id in said
    assert secret.token not in said
    assert base64.b64encode(secret.token.encode()).decode() not in said
    assert secret.token[-49:] not in said


def test_another_secret_name_is_obeyed(team: Team) -> None:
    secret = team.issue("mail", {"secretName": "smtp-key"})
    assert isinstance(secret, SecretView)
    assert secret.labels["keyturn.dev/apikey"] == "mail"
    assert team.status("mail")["secretRef"] == {"name": "smtp-key"}
    assert team.find_secret("mail") is None


def test_restrictions_stand_in_the_record_and_change_at_once(team: Team) -> None:
    team.issue("billing", {"restrictions": {"allowedCIDRs": ["10.0.0.0/8"]}})
    before = team.record("billing")
    assert before.allowed_cidrs == ("10.0.0.0/8",)
    team.apply_apikey("billing", {"restrictions": {"allowedCIDRs": ["10.1.0.0/16"]}})
    team.wait_until(lambda: team.record("billing").allowed_cidrs == ("10.1.0.0/16",), about="billing", what="the record is narrower")
    assert team.record("billing").versions == before.versions
    assert team.record("billing").audience == "default"
