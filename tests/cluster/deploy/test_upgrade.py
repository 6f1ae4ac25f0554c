"""Upgrades, and the way back: keys go on working at each step, and nothing is rotated by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gen.left_behind import Release
from gen.operator_process import OperatorProcess
from gen.team import Api, SecretView, Team
from testbed.cluster import Cluster, wait_until
from testbed.plane import Plane, bare

CRDS = Path(__file__).parents[3] / "crds"
OLD = Release.of("0.1.0")
RECORDS, SYSTEM = "keyturn-verifiers", "keyturn-system"
PATIENT = {"lease_duration": "15s"}


@pytest.fixture(scope="module")
def old_plane() -> Iterator[Plane]:
    """A cluster as 0.1.0 left it, in which no operator runs."""
    with Plane.start(bare()) as plane:
        install_crds(plane, OLD.crds)
        for name in ("shop", RECORDS, SYSTEM):
            plane.create_namespace(name)
        OLD.restore(plane)
        yield plane


@pytest.fixture(scope="module")
def shop(old_plane: Plane) -> Iterator[Team]:
    """The team whose keys 0.1.0 issued, now served by the operator of today."""
    api = Api(old_plane.login)
    with OperatorProcess.start(old_plane, records_namespace=RECORDS, namespace=SYSTEM, settings=PATIENT) as operator:
        yield Team(old_plane, api, "shop", operator.wait_ready(), records_namespace=RECORDS, system_namespace=SYSTEM)
    api.close()


def install_crds(cluster: Cluster, folder: Path) -> None:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(folder))
    wait_until(lambda: cluster.answers("/apis/keyturn.dev/v1alpha1/apikeys"), patience=30.0, what="the CRDs to be served")


@pytest.fixture
def early() -> Iterator[Team]:
    """The operator of today over the CRDs of 0.1.0: there are no ApiProducts yet."""
    with Plane.start(bare()) as plane:
        install_crds(plane, OLD.crds)
        for name in ("shop", RECORDS, SYSTEM):
            plane.create_namespace(name)
        api = Api(plane.login)
        with OperatorProcess.start(plane, records_namespace=RECORDS, namespace=SYSTEM) as operator:
            yield Team(plane, api, "shop", operator.wait_ready(), records_namespace=RECORDS, system_namespace=SYSTEM)
        api.close()


def assert_only_this_key_is_accepted(team: Team, name: str, secret: SecretView) -> None:
    assert team.secret(name).token == secret.token
    assert team.accepted(name) == {secret.key_id}


def rotate(team: Team, name: str, *, version: int) -> SecretView:
    team.request_rotation(name, f"for version {version}")
    team.wait_ready(name, version=version)
    team.wait_until(lambda: len(team.accepted(name)) == 1, about=name, what="the overlap is over")
    secret = team.secret(name)
    assert_only_this_key_is_accepted(team, name, secret)
    return secret


def test_what_an_older_release_left_works_on_with_its_crds_with_new_ones_and_back(shop: Team, old_plane: Plane) -> None:
    left = OLD.secret("shop", "billing")
    install_crds(old_plane, OLD.crds)
    shop.issue("before-the-upgrade")  # so the operator has had time to touch the others
    assert shop.secret("billing").data == left.data
    assert_only_this_key_is_accepted(shop, "billing", left)
    assert shop.states("billing") == {1: "Retired", 2: "Active"}

    third = rotate(shop, "billing", version=3)
    assert third.data["url"] == f"https://{third.token}@billing.example.com"

    install_crds(old_plane, CRDS)
    shop.issue("after-the-upgrade")
    assert_only_this_key_is_accepted(shop, "billing", third)
    fourth = rotate(shop, "billing", version=4)

    install_crds(old_plane, OLD.crds)
    shop.issue("after-the-way-back")
    assert_only_this_key_is_accepted(shop, "billing", fourth)
    rotate(shop, "billing", version=5)


def test_a_key_of_a_product_waits_for_the_new_resource_and_the_others_do_not(early: Team) -> None:
    early.issue("alone")
    early.apply_apikey("billing", {"productRef": {"name": "invoices"}})
    early.wait_says("billing", "Stalled", "True", "ProductUnavailable")
    told = next(each["message"] for each in early.status("billing")["conditions"] if each["type"] == "Stalled")
    assert "kubectl apply --server-side -f crds/" in told
    install_crds(early.cluster, CRDS)
    wait_until(lambda: early.cluster.answers("/apis/keyturn.dev/v1alpha1/apiproducts"), patience=30.0, what="ApiProducts to be served")
    spec = {"audience": "invoices", "scopes": [{"name": "read"}], "plans": [{"name": "basic"}], "access": {"approval": "Automatic"}}
    metadata = {"name": "invoices", "namespace": "shop"}
    path = "/apis/keyturn.dev/v1alpha1/namespaces/shop/apiproducts/invoices"
    early.api.apply(path, {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiProduct", "metadata": metadata, "spec": spec})
    early.wait_ready("billing")


def test_a_key_that_an_older_release_retained_is_taken_over(shop: Team) -> None:
    left = OLD.secret("shop", "ledger")
    assert shop.accepted("ledger") == {left.key_id}
    shop.apply_apikey("ledger", {"rotation": {"policy": "Manual"}, "deletionPolicy": "Retain"})
    shop.wait_ready("ledger")
    assert_only_this_key_is_accepted(shop, "ledger", left)


def test_the_root_secret_and_the_public_keys_of_an_older_release_stay(shop: Team) -> None:
    shop.issue("fresh")
    root = shop.api.ask("GET", f"/api/v1/namespaces/{SYSTEM}/secrets/keyturn-root")
    assert root["data"] == OLD.secret(SYSTEM, "keyturn-root").raw["data"]
    published = next(each["data"] for each in OLD.objects if each["kind"] == "ConfigMap")
    assert shop.api.ask("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/keyturn-verification-keys")["data"] == published


def crds_of_a_later_release(folder: Path) -> Path:
    """Today's, with a new field in spec that has a default, a new one in status, and one more column."""
    for file in CRDS.glob("keyturn.dev_apikeys.yaml"):
        crd = yaml.safe_load(file.read_text(encoding="utf-8"))
        (version,) = crd["spec"]["versions"]
        fields = version["schema"]["openAPIV3Schema"]["properties"]
        fields["spec"]["properties"]["laterField"] = {"type": "string", "default": "set"}
        fields["status"]["properties"]["laterField"] = {"type": "string"}
        version["additionalPrinterColumns"].append({"name": "Later", "type": "string", "jsonPath": ".spec.laterField"})
        (folder / file.name).write_text(json.dumps(crd))
    return folder


def test_with_the_crds_of_a_later_release_keys_rotate_and_users_lose_no_field(shop: Team, old_plane: Plane, tmp_path: Path) -> None:
    shop.issue("search", {"rotation": {"gracePeriod": "1s"}})
    install_crds(old_plane, crds_of_a_later_release(tmp_path))
    shop.wait_until(lambda: shop.apikey("search")["spec"].get("laterField") == "set", about="search", what="the new CRD is in force")
    shop.api.merge(shop.apikey_path("search"), {"spec": {"laterField": "chosen"}})
    rotate(shop, "search", version=2)
    assert shop.apikey("search")["spec"]["laterField"] == "chosen"
