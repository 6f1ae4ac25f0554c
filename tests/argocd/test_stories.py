"""A team keeps its keys in Git and Argo CD brings them: what it sees, heals, prunes, and leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gen.fence import REVOCATIONS
from gen.gitops import SERVER_SIDE, Site, wanted_deployment, wanted_key, wanted_product, wanted_revocation
from testbed.argocd import ArgoCD

PATCH = Path(__file__).parents[2] / "deploy" / "argocd" / "argocd-cm.yaml"
LONG_GRACE = {"rotation": {"gracePeriod": "1h"}}


def test_the_patch_brings_what_the_kustomize_component_brought(argo: ArgoCD) -> None:
    patch = ("-n", "argocd", "patch", "configmap", "argocd-cm", "--type", "merge", "--patch-file", str(PATCH))
    assert argo.plane.kubectl(*patch).strip() == "configmap/argocd-cm patched (no change)"


def test_a_workload_of_a_later_wave_starts_once_the_key_is_there(site: Site) -> None:
    operator, team = site.team.operator, site.team
    operator.stop(patience=60.0)  # it gives up its lead; after a kill the next one would wait for the end of the lease
    try:
        site.deploy(wanted_key(), wanted_deployment())
        site.argo.wait_operation(site.name, "waiting for healthy state of keyturn.dev/ApiKey/billing")
        assert team.apikey("billing").get("status") is None
        assert team.api.get(f"/apis/apps/v1/namespaces/{team.namespace}/deployments/web") is None
    finally:
        operator.restart()
        operator.wait_ready(patience=120.0)
    site.argo.wait(site.name)
    assert team.accepted("billing") == {site.key_id("billing")}
    assert team.workload("Deployment", "web")["status"]["readyReplicas"] == 1


def test_a_key_waits_in_its_wave_for_the_approval_of_the_apis_owner(site: Site) -> None:
    """Suspended is not failed: the sync goes on by itself once the owner's grant is there."""
    team = site.team
    path = f"/apis/keyturn.dev/v1alpha1/namespaces/{team.namespace}/apiproducts/invoices"
    asked = {"productRef": {"name": "invoices"}}
    site.deploy(wanted_product(of=team.namespace), wanted_key(spec=asked), wanted_deployment())
    site.argo.wait_operation(site.name, "waiting for healthy state of keyturn.dev/ApiKey/billing")
    team.wait_says("billing", "Approved", "False", "PendingApproval")
    assert team.api.get(f"/apis/apps/v1/namespaces/{team.namespace}/deployments/web") is None
    grant = {"namespace": team.namespace, "apiKey": "billing", "plan": "basic"}
    team.api.merge(path, {"spec": {"access": {"grants": [grant]}}})
    site.argo.wait(site.name)
    assert team.accepted("billing") == {site.key_id("billing")}
    site.argo.refresh(site.name, kind="hard")
    assert team.api.ask("GET", path)["spec"]["access"]["grants"] == [grant], "Git says nothing of grants, and leaves them"


def test_a_secret_in_the_way_is_shown_as_degraded_until_it_is_gone(site: Site) -> None:
    team = site.team
    team.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "billing"}, "stringData": {"password": "x"}})
    site.deploy(wanted_key())
    site.argo.wait(site.name, health="Degraded")
    team.api.delete(team.secret_path("billing"))
    team.annotate_apikey("billing", "team.example.com/look", "now")  # Keyturn looks again by itself within a minute
    site.argo.wait(site.name)
    assert team.accepted("billing") == {site.key_id("billing")}


def test_a_rotation_with_its_grace_is_synced_and_healthy_all_the_time(site: Site) -> None:
    commit = site.deploy(wanted_key(spec=LONG_GRACE))
    site.argo.wait(site.name, revision=commit)
    site.team.request_rotation("billing")
    seen = {site.argo.says(site.name)}
    site.team.wait_until(
        lambda: seen.add(site.argo.says(site.name)) or site.team.states("billing") == {1: "Retiring", 2: "Active"},
        about="billing", what="the old key retires",
    )  # fmt: skip
    site.argo.refresh(site.name, kind="hard")
    assert seen | {site.argo.says(site.name)} == {("Synced", "Healthy")}
    assert len(site.team.accepted("billing")) == 2


def test_the_trigger_in_git_rotates_once(site: Site) -> None:
    site.argo.wait(site.name, revision=site.deploy(wanted_key(spec=LONG_GRACE)))
    site.sync(site.push(wanted_key(spec={"rotation": {"gracePeriod": "1h", "trigger": "ticket 17"}})))
    assert site.team.states("billing") == {1: "Retiring", 2: "Active"}


@pytest.mark.parametrize("how", [{}, SERVER_SIDE], ids=["client-side", "server-side"])
def test_the_annotation_of_a_rollout_survives_what_argo_cd_does_to_the_workload(site: Site, how: dict[str, Any]) -> None:
    """Lost, it would restart the workload a second time, and again with every sync."""
    site.argo.wait(site.name, revision=site.deploy(wanted_key(spec=LONG_GRACE), wanted_deployment(), **how))
    site.team.request_rotation("billing")
    site.team.wait_says("billing", "RolloutComplete", "True", "RolloutComplete")
    new = site.key_id("billing")
    assert site.pod_annotation("web", "billing") == new

    site.sync(site.push(wanted_deployment(replicas=2)))
    site.team.change_workload("Deployment", "web", {"spec": {"replicas": 5}})
    site.team.wait_until(lambda: site.team.workload("Deployment", "web")["spec"]["replicas"] == 2, about="", what="Argo CD scales back")
    site.argo.wait(site.name)
    assert site.pod_annotation("web", "billing") == new
    assert site.team.workload("Deployment", "web")["spec"]["template"]["metadata"]["annotations"]["team.example.com/managed"] == "true"
    assert site.team.says("billing", "RolloutComplete") == ("True", "RolloutComplete")


def test_an_edited_and_a_deleted_apikey_are_healed(site: Site) -> None:
    team = site.team
    site.argo.wait(site.name, revision=site.deploy(wanted_key(spec=LONG_GRACE)))
    before = site.key_id("billing")
    team.api.merge(team.apikey_path("billing"), {"spec": {"rotation": {"gracePeriod": "2h"}}})
    team.wait_until(
        lambda: team.apikey("billing")["spec"]["rotation"] == LONG_GRACE["rotation"], about="billing", what="Git's spec is back"
    )
    site.argo.wait(site.name)
    assert site.key_id("billing") == before

    team.delete_apikey("billing")
    team.wait_ready("billing", version=2)
    site.argo.wait(site.name)
    assert team.accepted("billing") == {site.key_id("billing")} != {before}


@pytest.mark.parametrize("how", [{}, SERVER_SIDE], ids=["client-side", "server-side"])
def test_self_heal_does_not_fight_a_revocation(site: Site, how: dict[str, Any]) -> None:
    """Somebody edits every field that Git has, during the revocation and after it: Argo CD puts all of it back, and the key stays dead."""
    team, spec = site.team, {**LONG_GRACE, "secretTemplate": {"labels": {"team": "shop"}}, "contact": "#team-shop"}
    site.argo.wait(site.name, revision=site.deploy(wanted_key(spec=spec), wanted_deployment(), **how))
    leaked, revocation = site.key_id("billing"), f"leak-{site.name}"
    body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "metadata": {"name": revocation}}
    edited = {"rotation": {"gracePeriod": "2h"}, "secretTemplate": {"labels": {"team": "other"}}, "contact": "#other"}

    def is_back() -> bool:
        now = team.apikey("billing")["spec"]
        return {field: now.get(field) for field in spec} == spec

    team.api.merge(team.apikey_path("billing"), {"spec": edited})
    team.api.ask("POST", REVOCATIONS, {**body, "spec": {"keyIDs": [leaked], "reason": "Leaked"}})
    team.wait_until(lambda: leaked not in team.accepted("billing"), about="billing", what="the leaked key is dead")
    site.argo.refresh(site.name, kind="hard")
    team.wait_ready("billing", version=2)
    team.wait_until(is_back, about="billing", what="Git's spec is back", patience=90.0)
    site.argo.wait(site.name)
    team.api.merge(team.apikey_path("billing"), {"spec": edited})
    team.wait_until(is_back, about="billing", what="Git's spec is back again", patience=90.0)
    site.argo.wait(site.name)
    team.wait_says("billing", "RolloutComplete", "True", "RolloutComplete")
    successor = site.key_id("billing")
    assert (team.accepted("billing"), team.states("billing")) == ({successor}, {1: "Revoked", 2: "Active"})
    assert site.pod_annotation("web", "billing") == successor
    marks = team.marks("billing")
    site.argo.refresh(site.name, kind="hard")
    assert site.argo.says(site.name) == ("Synced", "Healthy")
    assert team.marks("billing")[1:] == marks[1:], "there is nothing left to do for anybody"
    team.api.delete(f"{REVOCATIONS}/{revocation}")


def test_a_folder_of_revocations_ends_keys_and_taking_one_out_gives_nothing_back(site: Site) -> None:
    team = site.team
    site.argo.wait(site.name, revision=site.deploy(wanted_key()))
    leaked = site.key_id("billing")
    revocation = wanted_revocation(f"leak-{site.name}", key_id=leaked)
    site.sync(site.push(revocation))
    team.wait_ready("billing", version=2)
    assert leaked not in team.accepted("billing")
    assert site.argo.health_of(site.name, "ApiKeyRevocation", f"leak-{site.name}")["status"] == "Healthy"
    site.sync(site.take_out(revocation))
    assert team.api.get(f"{REVOCATIONS}/{revocation['metadata']['name']}") is None
    assert team.accepted("billing") == {site.key_id("billing")}
    assert team.states("billing") == {1: "Revoked", 2: "Active"}


def test_product_key_and_workload_come_one_after_another(site: Site) -> None:
    """The product's health lets the key's wave begin, the key's health the workload's."""
    team, operator = site.team, site.team.operator
    product = wanted_product(of=team.namespace)
    product["spec"]["access"] = {"approval": "Automatic"}
    operator.stop(patience=60.0)
    try:
        site.deploy(product, wanted_key(spec={"productRef": {"name": "invoices"}}), wanted_deployment())
        site.argo.wait_operation(site.name, "waiting for healthy state of keyturn.dev/ApiProduct/invoices")
        assert team.api.get(team.apikey_path("billing")) is None
    finally:
        operator.restart()
        operator.wait_ready(patience=120.0)
    site.argo.wait(site.name)
    assert team.workload("Deployment", "web")["status"]["readyReplicas"] == 1
    assert team.record("billing").product == f"{team.namespace}/invoices"


def test_what_is_taken_out_of_git_is_revoked(site: Site) -> None:
    keys = [wanted_key("billing"), wanted_key("shipping")]
    site.argo.wait(site.name, revision=site.deploy(*keys))
    site.sync(site.take_out(keys[0]))
    site.team.wait_until(lambda: site.team.find_secret("billing") is None, about="shipping", what="the Secret is gone")
    assert site.team.api.get(site.team.apikey_path("billing")) is None
    assert site.team.accepted("billing") == set()
    assert len(site.team.accepted("shipping")) == 1


def test_a_key_lives_on_under_another_application(site: Site) -> None:
    site.argo.wait(site.name, revision=site.deploy(wanted_key()))
    before = (site.team.apikey("billing")["metadata"]["uid"], site.key_id("billing"))
    site.argo.delete_application(site.name)
    renamed = f"{site.name}-renamed"
    site.argo.create_application(renamed, path=site.name, namespace=site.name)
    site.argo.wait(renamed)
    assert (site.team.apikey("billing")["metadata"]["uid"], site.key_id("billing")) == before
    tracked = site.team.apikey("billing")["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert tracked.startswith(f"{renamed}:")


def test_the_actions_do_what_they_say_and_git_does_not_undo_them(site: Site) -> None:
    site.argo.wait(site.name, revision=site.deploy(wanted_key(spec=LONG_GRACE)))
    apikey = site.team.apikey("billing")
    assert site.argo.actions_on(site.name, apikey) == {"rotate", "disable"}
    site.argo.run_action(site.name, apikey, "rotate")
    site.team.wait_ready("billing", version=2)

    site.argo.run_action(site.name, apikey, "disable")
    site.argo.wait(site.name, health="Suspended")
    assert site.team.accepted("billing") == set()
    assert site.argo.actions_on(site.name, apikey) == {"rotate", "enable"}

    site.argo.run_action(site.name, apikey, "enable")
    site.argo.wait(site.name)
    assert len(site.team.accepted("billing")) == 2


def test_the_secret_is_shown_below_its_apikey_and_belongs_to_no_application(site: Site) -> None:
    """Tracked, it would be pruned: Git does not have it."""
    site.argo.wait(site.name, revision=site.deploy(wanted_key()))
    secret = site.team.secret("billing")
    assert not [name for name in (*secret.labels, *secret.annotations) if "argocd" in name or name == "app.kubernetes.io/instance"]
    tracked = {(each["kind"], each["name"]) for each in site.argo.application(site.name)["status"]["resources"]}
    assert tracked == {("ApiKey", "billing")}


def test_a_field_that_git_writes_is_put_back_whoever_changed_it(site: Site) -> None:
    site.argo.wait(site.name, revision=site.deploy(wanted_key(spec={"disabled": False})))
    before = site.team.apikey("billing")["metadata"]["generation"]
    site.argo.run_action(site.name, site.team.apikey("billing"), "disable")
    site.team.wait_until(
        lambda: (
            (site.team.apikey("billing")["metadata"]["generation"], site.team.apikey("billing")["spec"]["disabled"]) == (before + 2, False)
        ),
        about="billing",
        what="the key is disabled and enabled again",
        patience=60.0,
    )
    site.argo.wait(site.name)
    assert site.team.accepted("billing") == {site.key_id("billing")}
