"""The ApiKey models: what they read, what they refuse and in which words, what they write."""

from __future__ import annotations

import re
import timeit
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from pydantic import ValidationError

from gen.spec_values import CIDRS, SPECS
from keyturn.api.cidr import is_cidr
from keyturn.api.rules import explain_invalid, to_wire_name
from keyturn.api.secret_rules import is_qualified_name
from keyturn.api.v1alpha1.apikey import (
    ApiKey,
    ApiKeySpec,
    ApiKeyStatus,
    DeletionPolicy,
    RotationSpec,
    VersionStatus,
    check_update,
    status_to_json,
)
from keyturn.api.v1alpha1.condition import Condition, ConditionStatus
from keyturn.base.version_state import VersionState

Json = dict[str, Any]
NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)

TYPICAL: Json = {
    "apiVersion": "keyturn.dev/v1alpha1",
    "kind": "ApiKey",
    "metadata": {
        "name": "billing",
        "namespace": "shop",
        "uid": "1f2e",
        "generation": 3,
        "resourceVersion": "812",
        "creationTimestamp": "2027-01-01T00:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "productRef": {"name": "invoices"},
        "scopes": ["invoices:read"],
        "rotation": {"interval": "720h", "gracePeriod": "24h"},
        "deletionPolicy": "Revoke",
    },
    "status": {
        "observedGeneration": 3,
        "activeVersion": 1,
        "keyID": "4kT9",
        "versions": [{"number": 1, "keyID": "4kT9", "state": "Active", "stagedTime": "2027-01-01T00:00:00Z"}],
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Issued", "message": "", "lastTransitionTime": "2027-01-01T00:00:05Z"}
        ],
    },
}


def apikey(**spec: object) -> ApiKey:
    return ApiKey.model_validate({"metadata": {"name": "billing", "namespace": "shop"}, "spec": spec})


def explain(spec: Json) -> list[str]:
    try:
        ApiKeySpec.model_validate(spec)
    except ValidationError as error:
        return explain_invalid(error)
    return []


def complaints(**spec: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        apikey(**spec)
    return explain_invalid(caught.value)


def test_an_empty_spec_is_a_whole_apikey() -> None:
    assert apikey().spec == ApiKeySpec(deletion_policy=DeletionPolicy.REVOKE)


def test_a_typical_object_is_read_as_it_stands() -> None:
    read = ApiKey.model_validate(TYPICAL)
    assert str(read.key) == "shop/billing"
    assert read.secret_name == "billing"
    assert read.metadata.resource_version == "812"
    assert read.spec.rotation == RotationSpec(interval=timedelta(hours=720), grace_period=timedelta(hours=24))
    assert read.status is not None
    assert read.status.versions[0] == VersionStatus(
        number=1, key_id="4kT9", state=VersionState.ACTIVE, staged_time=datetime(2027, 1, 1, tzinfo=UTC)
    )


def test_reading_a_typical_object_is_fast_enough_for_a_full_list() -> None:
    """10,000 objects are read at each start. The bound is loose: the machine may be busy; alone it takes about 50 µs."""
    best = min(timeit.repeat(lambda: ApiKey.model_validate(TYPICAL), number=100, repeat=5)) / 100
    assert best < 0.000_5


def test_a_version_that_may_be_asked_for_leaves_room_for_those_after_it() -> None:
    """minVersion of a first key may be any; from the last number of an int32 there was no way on."""
    assert apikey(minVersion=1_000_000_000).spec.min_version == 1_000_000_000
    assert complaints(minVersion=1_000_000_001) == ["spec.minVersion: Input should be less than or equal to 1000000000"]


def test_null_counts_as_absent() -> None:
    assert apikey(plan=None, deletionPolicy=None, rotation={"interval": None}, secretTemplate={"labels": {"a": None}}) == apikey(
        rotation={}, secretTemplate={"labels": {}}
    )


def test_unknown_fields_are_dropped() -> None:
    assert apikey(futureField={"a": 1}) == apikey()


def test_a_damaged_status_is_read_as_none() -> None:
    damaged = {**TYPICAL, "status": {"lastUsedTime": "2027-01-31t18:00:00zt and more"}}
    assert ApiKey.model_validate(damaged).status is None


@given(spec=SPECS)
def test_what_was_read_is_written_and_read_again(spec: Json) -> None:
    assume("2999-12-31" not in str(spec))  # the last day of the last year, with an offset: in UTC, as it is written, it is the year 3000
    with suppress(ValidationError):
        once = ApiKeySpec.model_validate(spec)
        written = once.model_dump(mode="json", by_alias=True)
        assume(re.search(r"[0-9]{6}h", str(written)) is None)  # 99999h99m as one number of hours has too many digits to be read again
        assert explain(written) == []
        assert ApiKeySpec.model_validate(written) == once


def test_a_mistake_is_told_with_its_place_and_what_to_write() -> None:
    assert complaints(rotation={"interval": "30d"}) == [
        'spec.rotation.interval: must be a duration in h, m and s, for example 720h or 1h30m ("30d" is none: write 720h)'
    ]
    assert complaints(scopes="read", disabled="yes") == [
        "spec.scopes: must be a list",
        "spec.disabled: must be true or false, without quotes",
    ]
    assert complaints(rotation={"timeZone": "Europe/Berlin"}) == [
        "spec.rotation: timeZone is the zone that schedule is read in, and there is no schedule: add schedule or remove it"
    ]


def test_a_mistake_is_told_without_the_value() -> None:
    """Whoever pastes a key into the wrong field must not find it in a condition."""
    assert "hunter2" not in " ".join(complaints(rotation={"interval": "hunter2"}, scopes=["hunter2!"]))


def test_the_same_item_twice_is_refused() -> None:
    assert complaints(scopes=["a", "a"]) == ["spec.scopes: the same value stands here twice; keep one"]
    target = {"kind": "Deployment", "name": "web"}
    assert complaints(rollout={"targets": [target, target]}) == ["spec.rollout.targets: the same kind and name stands here twice; keep one"]


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.1.2.3/8", "::/0", "2001:DB8::/32", "1:2:3:4:5:6:7::/64", "::1.2.3.4/96"])
def test_networks(text: str) -> None:
    assert is_cidr(text)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "010.0.0.0/8", "10.0.0.0/255.0.0.0", "::ffff:10.0.0.0/104", "fe80::1%eth0/64", "/8", ""],
)
def test_no_networks(text: str) -> None:
    assert not is_cidr(text)


@given(text=CIDRS)
def test_reading_a_network_never_fails(text: str) -> None:
    assert is_cidr(text) in {True, False}


def test_label_keys() -> None:
    assert all(map(is_qualified_name, ["team", "example.com/team", "a" * 63, f"{'a' * 253}/a", "A.b_c-1"]))
    assert not any(map(is_qualified_name, ["", "/a", "a/", "a/b/c", "-a", "a" * 64, f"{'a' * 254}/a", "Example.com/team", "a b", "a\n"]))


def test_what_may_not_change_is_told() -> None:
    old = apikey(productRef={"name": "invoices"}, minVersion=3)
    assert check_update(old, old) == []
    assert check_update(old, apikey(productRef={"name": "invoices"}, minVersion=4, plan="gold")) == []
    assert [line.partition(" ")[0] for line in check_update(old, apikey(secretName="other", minVersion=2))] == [
        "spec.productRef:",
        "spec.secretName:",
        "spec.minVersion:",
    ]


def test_status_is_written_as_the_server_stores_it() -> None:
    status = ApiKeyStatus(
        key_id="4kT9",
        last_rotation_time=NOON.replace(microsecond=999_000),
        next_rotation_time=NOON.astimezone(timezone(timedelta(hours=1))),
        conditions=(
            Condition(type="Ready", status=ConditionStatus.TRUE, reason="Issued", message="", last_transition_time=NOON),
        ),
    )  # fmt: skip
    written = {
        "keyID": "4kT9",
        "lastRotationTime": "2027-01-31T12:00:00Z",
        "nextRotationTime": "2027-01-31T12:00:00Z",
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Issued", "message": "", "lastTransitionTime": "2027-01-31T12:00:00Z"}
        ],
    }
    assert status_to_json(status) == written
    assert status_to_json(ApiKeyStatus.model_validate(written)) == written
    assert status_to_json(ApiKeyStatus()) == {}


def test_a_condition_is_found_by_its_type() -> None:
    status = ApiKey.model_validate(TYPICAL).status
    assert status is not None
    ready = status.condition("Ready")
    assert ready is not None
    assert ready.status is ConditionStatus.TRUE
    assert status.condition("Stalled") is None


@pytest.mark.parametrize(
    ("attribute", "wire"), [("key_id", "keyID"), ("allowed_cidrs", "allowedCIDRs"), ("uid", "uid"), ("product_ref", "productRef")]
)
def test_wire_names(attribute: str, wire: str) -> None:
    assert to_wire_name(attribute) == wire
