"""What the cluster refuses Keyturn is said where the team looks, by whom it was refused, and passes when the refusal does."""

from __future__ import annotations

from pathlib import Path

from gen.admission_webhook import denying_webhook
from gen.team import Team, workload
from testbed.cluster import ApiFailed


def test_an_admission_webhook_that_refuses_the_secret_is_named(own_team: Team, tmp_path: Path) -> None:
    with denying_webhook(own_team.api, own_team.namespace, resource="secrets", scratch=tmp_path) as name:
        own_team.wait_until(lambda: _is_refused(own_team), about="", what="the webhook answers")
        own_team.apply_apikey("billing")
        told = own_team.wait_says("billing", "Stalled", "True", "AdmissionDenied")
        assert f"admission webhook {name}" in told["message"]
        assert own_team.says("billing", "Ready") == ("False", "AdmissionDenied")
        assert own_team.find_secret("billing") is None
    own_team.wait_until(lambda: not _is_refused(own_team), about="", what="the webhook is gone")
    own_team.annotate_apikey("billing", "note", "tried again at once when it is touched, every half minute otherwise")
    own_team.wait_ready("billing")


def test_nothing_is_minted_for_a_namespace_that_is_being_deleted(own_team: Team) -> None:
    """Its Secrets may go before its ApiKeys do; here nobody clears it, so it stays as it is half way."""
    before = own_team.issue("billing")
    own_team.cluster.delete_namespace(own_team.namespace)
    own_team.api.delete(own_team.secret_path("billing"))
    own_team.wait_says("billing", "Ready", "False", "NamespaceTerminating")
    assert own_team.condition("billing", "Stalled") == {}
    assert own_team.states("billing") == {1: "Active"}
    assert own_team.accepted("billing") == {before.key_id}
    own_team.delete_apikey("billing")
    own_team.wait_until(lambda: own_team.states("billing") == {1: "Revoked"}, about="billing", what="its version is revoked")


def _is_refused(team: Team) -> bool:
    """The API server takes a moment to notice a changed configuration."""
    probe = {"metadata": {"name": "probe"}}
    try:
        team.api.ask("POST", f"/api/v1/namespaces/{team.namespace}/secrets?dryRun=All", probe)
    except ApiFailed as failure:
        return "denied the request" in str(failure)
    return False


def test_a_workload_that_refuses_the_annotation_is_named_and_the_others_roll_out(team: Team) -> None:
    """A pod template's annotations may have 256 KiB in all; a few bytes less leave no room for ours."""
    old = team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    full = workload("Deployment", "full")
    full["spec"]["template"]["metadata"]["annotations"] = {"filler": "x" * (256 * 1024 - len("filler"))}
    team.start(full, workload("Deployment", "web"))
    team.request_rotation("billing")
    told = team.wait_says("billing", "Stalled", "True", "WorkloadRefused")
    assert "Deployment full" in told["message"]
    assert "pod-template annotation" in told["message"]
    assert team.says("billing", "Ready") == ("True", "Issued")
    annotation = {"rollout.keyturn.dev/billing": team.secret("billing").key_id}
    assert team.workload("Deployment", "web")["spec"]["template"]["metadata"]["annotations"] == annotation
    assert old.key_id in team.accepted("billing")
    team.change_workload("Deployment", "full", {"spec": {"template": {"metadata": {"annotations": {"filler": None}}}}})
    team.annotate_apikey("billing", "note", "tried again at once when it is touched, every half minute otherwise")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
