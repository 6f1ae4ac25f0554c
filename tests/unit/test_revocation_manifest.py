"""ApiKeyRevocations from the command line: what is meant, how the object is called, what is refused before the cluster is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gen.lifecycle import NOW
from keyturn.api.v1alpha1.apikeyrevocation import RevocationReason
from keyturn.cli.revocations.revocation_manifest import NAME_LENGTH, Order, Target, revocation_manifests, revocation_mistakes
from keyturn.cli.revocations.revocation_order import REASONS

Json = dict[str, Any]
LEAKED = Order(reason="Leaked")


def specs(target: Target, order: Order = LEAKED) -> list[Any]:
    return [manifest["spec"] for manifest in revocation_manifests(target, order, now=NOW)]


def test_the_command_knows_every_reason() -> None:
    assert list(REASONS) == [str(reason) for reason in RevocationReason]


@pytest.mark.parametrize(
    ("target", "which"),
    [
        (Target(names=("billing",), namespace="shop"), {"apiKeyRef": {"namespace": "shop", "name": "billing"}}),
        (Target(key_ids=("Qm8sT2fLx0Za", "upAfAXkTfej4")), {"keyIDs": ["Qm8sT2fLx0Za", "upAfAXkTfej4"]}),
        (Target(namespace="shop"), {"match": {"namespace": "shop"}}),
        (Target(product="apis/invoices"), {"match": {"productRef": {"namespace": "apis", "name": "invoices"}}}),
        (Target(minted_before="2026-03-01T00:00:00Z"), {"match": {"mintedBefore": "2026-03-01T00:00:00Z"}}),
    ],
)
def test_what_is_meant(target: Target, which: Json) -> None:
    assert specs(target) == [{**which, "mode": "Immediate", "reason": "Leaked"}]


def test_each_name_is_a_revocation_of_its_own() -> None:
    manifests = revocation_manifests(Target(names=("a", "b"), namespace="shop"), LEAKED, now=NOW)
    assert [each["metadata"] for each in manifests] == [{"name": f"leaked-shop-{name}-20260302-120000"} for name in ("a", "b")]


DNS_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?([.][a-z0-9]{1,9})?", fullmatch=True)


@example(["customer-portal-api-key-1", "customer-portal-api-key-2"], "team-payments-production", "Leaked")
@example(["a.b", "a-b"], "shop", "Leaked")
@given(st.lists(DNS_NAMES, min_size=2, max_size=5, unique=True), DNS_NAMES, st.sampled_from(REASONS))
def test_no_two_keys_that_are_meant_at_once_share_a_name(names: list[str], namespace: str, reason: str) -> None:
    """The second of two long names was refused as being there already, and its key lived on."""
    made = revocation_manifests(Target(names=tuple(names), namespace=namespace), Order(reason=reason), now=NOW)
    called = [each["metadata"]["name"] for each in made]  # type: ignore[index]  # by its form
    assert len(set(called)) == len(names)
    assert all(len(name) <= NAME_LENGTH and name.endswith("-20260302-120000") for name in called)


def test_several_key_ids_are_all_told_by_the_name() -> None:
    sets = [("Qm8sT2fLx0Za", "upAfAXkTfej4"), ("Qm8sT2fLx0Za", "upAfAXkTfej5"), ("Qm8sT2fLx0Za",), ("Qm8sT2fLx0Za",) * 9]
    names = {revocation_manifests(Target(key_ids=key_ids), LEAKED, now=NOW)[0]["metadata"]["name"] for key_ids in sets}  # type: ignore[index]
    assert len(names) == len(sets)


def test_a_name_is_one_that_kubernetes_takes_however_long_its_parts_are() -> None:
    (manifest,) = revocation_manifests(Target(names=("x" * 63,), namespace="y" * 63), Order(reason="PolicyViolation"), now=NOW)
    assert revocation_mistakes(manifest) == []


def test_a_mistake_is_said_before_the_cluster_is_asked() -> None:
    (manifest,) = revocation_manifests(
        Target(key_ids=("?", "Qm8sT2fLx0Za")), Order(reason="Leaked", mode="Replace", replace_within="1d"), now=NOW
    )
    assert [line.split(":")[0] for line in revocation_mistakes(manifest)] == ["spec.keyIDs[0]", "spec.replaceWithin"]
