"""Which workloads are restarted after a switch, which are waited for, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gen.workloads import CUTOFF, NEW_KEY, OLD_KEY, new_pod, old_pod, restarted, view_of, workload
from keyturn.api.workloads import Operator, Pending, PendingReason, Pod, Requirement, RolloutView, Selector, Strategy, Target, Workload
from keyturn.base.clock import MILLISECOND, SECOND
from keyturn.lifecycle.plan import Annotate
from keyturn.lifecycle.rollout import new_pod_cutoff, participants, pending_workloads, pod_is_old, workloads_to_annotate

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")


def annotated(view: RolloutView, *targets: Target) -> tuple[str, ...]:
    steps = workloads_to_annotate(view, key_id=NEW_KEY, cutoff=CUTOFF, targets=targets)
    return tuple(f"{step.kind}/{step.name}" for step in steps)


def pending(view: RolloutView, *targets: Target) -> tuple[Pending, ...]:
    return pending_workloads(view, key_id=NEW_KEY, cutoff=CUTOFF, targets=targets)


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_with_an_old_pod_is_annotated(kind: str) -> None:
    view = view_of(workload(kind), old_pod(of=f"{kind}/web"))
    steps = workloads_to_annotate(view, key_id=NEW_KEY, cutoff=CUTOFF)
    assert steps == (Annotate(kind=kind, name="web", uid=f"uid-{kind}-web", key_id=NEW_KEY),)
    assert pending(view) == (Pending(kind, "web", PendingReason.NOT_STARTED),)


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_is_done_when_its_last_old_pod_is_gone(kind: str) -> None:
    assert pending(view_of(restarted(kind), new_pod(of=f"{kind}/web"))) == ()
    assert pending(view_of(restarted(kind), new_pod(of=f"{kind}/web"), old_pod("p", of=f"{kind}/web"))) == (
        Pending(kind, "web", PendingReason.PROGRESSING),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_without_pods_is_done(kind: str) -> None:
    view = view_of(workload(kind))
    assert (annotated(view), pending(view), participants(view)) == ((), (), 1)


def test_steps_come_in_the_same_order_in_every_look() -> None:
    things = [workload(name=name) for name in "cab"] + [old_pod(of=f"Deployment/{name}") for name in "bca"]
    assert annotated(view_of(*things)) == ("Deployment/a", "Deployment/b", "Deployment/c")


def test_git_that_wipes_the_annotation_after_the_rollout_restarts_nothing() -> None:
    """Argo CD's self-heal takes foreign pod-template annotations off, long after the pods were replaced."""
    wiped = view_of(workload(), new_pod(annotation=None))
    assert (annotated(wiped), pending(wiped)) == ((), ())


def test_git_that_wipes_the_annotation_during_the_rollout_is_answered_by_another_annotation() -> None:
    assert annotated(view_of(workload(), new_pod("a"), old_pod("b"))) == ("Deployment/web",)


def test_a_workload_somebody_else_restarts_already_is_not_restarted_again() -> None:
    view = view_of(workload(), old_pod("a", deleting=True), new_pod("b", annotation=None))
    assert (annotated(view), pending(view)) == ((), (Pending("Deployment", "web", PendingReason.OLD_PODS_TERMINATING),))


def test_the_key_id_of_an_earlier_rollout_counts_as_not_annotated() -> None:
    assert annotated(view_of(workload(template_annotation=OLD_KEY), old_pod(annotation=OLD_KEY))) == ("Deployment/web",)


def test_a_workload_that_does_not_use_the_secret_is_left_alone() -> None:
    view = view_of(workload(references=False), old_pod(references=False))
    assert (annotated(view), pending(view), participants(view)) == ((), (), 0)


def test_pods_of_a_workload_that_no_longer_uses_the_secret_are_waited_for_only() -> None:
    view = view_of(workload(references=False), old_pod())
    assert (annotated(view), pending(view)) == ((), (Pending("Deployment", "web", PendingReason.PROGRESSING),))


@pytest.mark.parametrize(
    ("pod", "is_old"),
    [
        (old_pod(), True),
        (old_pod(deleting=True), True),
        (old_pod(finished=True), False),
        (old_pod(annotation=NEW_KEY), False),
        (old_pod(annotation=OLD_KEY), True),
        (old_pod(created=CUTOFF - SECOND), True),
        (old_pod(created=CUTOFF), False),
    ],
)
def test_a_pod_is_new_by_its_annotation_or_by_its_age(pod: Pod, *, is_old: bool) -> None:
    assert pod_is_old(pod, key_id=NEW_KEY, cutoff=CUTOFF) is is_old


@pytest.mark.parametrize(
    ("settle", "cutoff"), [(15 * SECOND, "06:00:15"), (15 * SECOND + MILLISECOND, "06:00:16"), (999 * MILLISECOND, "06:00:01")]
)
def test_the_cutoff_is_rounded_up_since_creation_times_are_cut_off(settle: timedelta, cutoff: str) -> None:
    """A pod created at 06:00:15.2 says 06:00:15; it proves nothing about a switch that settled at 06:00:15.5."""
    switch = datetime(2026, 11, 24, 6, 0, 0, tzinfo=UTC)
    assert new_pod_cutoff(switch_time=switch, settle=settle) == datetime.fromisoformat(f"2026-11-24T{cutoff}Z")


@pytest.mark.parametrize(
    ("held_up", "pods", "reason"),
    [
        (restarted(), [old_pod()], PendingReason.PROGRESSING),
        (restarted(), [old_pod(deleting=True), new_pod()], PendingReason.OLD_PODS_TERMINATING),
        (restarted(strategy=Strategy.RECREATE), [old_pod(deleting=True)], PendingReason.OLD_PODS_TERMINATING),
        (restarted(paused=True), [old_pod()], PendingReason.PAUSED),
        (restarted(paused=True), [old_pod(deleting=True)], PendingReason.OLD_PODS_TERMINATING),
        (restarted(progress_deadline_exceeded=True), [old_pod()], PendingReason.PROGRESS_DEADLINE_EXCEEDED),
        (restarted(progress_deadline_exceeded=True, generation=2), [old_pod()], PendingReason.PROGRESSING),
        (restarted(replica_failure=True, progress_deadline_exceeded=True), [old_pod()], PendingReason.REPLICA_FAILURE),
        (restarted(replica_failure=True, generation=2), [old_pod()], PendingReason.PROGRESSING),
        (restarted(progress_deadline_exceeded=True), [old_pod(), new_pod(unschedulable=True)], PendingReason.UNSCHEDULABLE),
    ],
)
def test_a_deployment_says_what_holds_it_up(held_up: Workload, pods: list[Pod], reason: PendingReason) -> None:
    assert pending(view_of(held_up, *pods)) == (Pending("Deployment", "web", reason),)


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_on_delete_waits_for_a_person_and_is_annotated_once(kind: str) -> None:
    waiting = Pending(kind, "db", PendingReason.ON_DELETE)
    before = view_of(workload(kind, "db", strategy=Strategy.ON_DELETE), old_pod(of=f"{kind}/db"))
    after = view_of(restarted(kind, "db", strategy=Strategy.ON_DELETE), old_pod(of=f"{kind}/db"))
    assert (annotated(before), pending(before)) == ((f"{kind}/db",), (waiting,))
    assert (annotated(after), pending(after)) == ((), (waiting,))


@pytest.mark.parametrize(
    ("old", "reason"),
    [
        (["db-0"], PendingReason.PARTITION),
        (["db-0", "db-1"], PendingReason.PARTITION),
        (["db-1", "db-2"], PendingReason.PROGRESSING),
    ],
)
def test_a_statefulset_says_when_only_its_partition_holds_it_up(old: list[str], reason: PendingReason) -> None:
    pods = [old_pod(name, of="StatefulSet/db") for name in old]
    assert pending(view_of(restarted("StatefulSet", "db", partition=2), *pods)) == (Pending("StatefulSet", "db", reason),)


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("", Pending("Pod", "lonely", PendingReason.BARE_POD)),
        ("Job/import-29", Pending("Job", "import-29", PendingReason.JOB)),
        ("ReplicaSet/by-hand", Pending("ReplicaSet", "by-hand", PendingReason.REPLICA_SET)),
        ("CloneSet.apps.kruise.io/web", Pending("CloneSet.apps.kruise.io", "web", PendingReason.UNKNOWN_CONTROLLER)),
        ("ReplicationController/web", Pending("ReplicationController", "web", PendingReason.UNKNOWN_CONTROLLER)),
    ],
)
def test_what_cannot_be_restarted_is_waited_for(owner: str, expected: Pending) -> None:
    view = view_of(old_pod("lonely", of=owner))
    assert (annotated(view), pending(view), participants(view)) == ((), (expected,), 1)
    assert pending(view_of(old_pod("lonely", of=owner, finished=True))) == ()


def test_many_pods_of_one_job_are_one_line() -> None:
    assert pending(view_of(old_pod("a", of="Job/j"), old_pod("b", of="Job/j"))) == (Pending("Job", "j", PendingReason.JOB),)


def test_pods_of_an_orphaned_replicaset_do_not_hide_behind_a_deployment_that_is_gone() -> None:
    assert pending(view_of(old_pod(labels=(("pod-template-hash", "5d4f8c7b9"),)))) == (
        Pending("ReplicaSet", "web-5d4f8c7b9", PendingReason.REPLICA_SET),
    )


def test_pods_of_an_adopted_replicaset_are_found_by_selector() -> None:
    view = view_of(workload(), old_pod(of="ReplicaSet/by-hand", labels=(("app", "web"),)))
    assert annotated(view) == ("Deployment/web",)


def test_overlapping_selectors_do_not_mix_up_owners() -> None:
    """`app=web` selects the canary's pods too; only the canary has an old one."""
    canary = old_pod(of="Deployment/web-canary", labels=(("app", "web"), ("pod-template-hash", "5d4f8c7b9")))
    view = view_of(workload(name="web"), new_pod(), workload(name="web-canary"), canary)
    assert annotated(view) == ("Deployment/web-canary",)


def test_a_look_at_pods_alone_names_their_workloads_and_annotates_nothing() -> None:
    pods = (old_pod(), old_pod(of="StatefulSet/db"), old_pod(of="Job/j"), old_pod(of="DaemonSet/agent", deleting=True))
    view = RolloutView(None, pods)
    assert annotated(view, Target("Deployment", "gone")) == ()
    assert pending(view, Target("Deployment", "gone")) == (
        Pending("DaemonSet", "agent", PendingReason.OLD_PODS_TERMINATING),
        Pending("Deployment", "web", PendingReason.PROGRESSING),
        Pending("Job", "j", PendingReason.JOB),
        Pending("StatefulSet", "db", PendingReason.PROGRESSING),
    )


TARGET = Target("Deployment", "web")


def test_a_target_that_agrees_is_annotated_though_it_does_not_use_the_secret() -> None:
    view = view_of(workload(references=False, allows=True), old_pod(references=False))
    assert (annotated(view, TARGET), participants(view, targets=[TARGET])) == (("Deployment/web",), 1)


def test_a_target_that_does_not_agree_is_waited_for_until_its_owner_restarts_it() -> None:
    view = view_of(workload(references=False), old_pod(references=False))
    assert (annotated(view, TARGET), pending(view, TARGET)) == ((), (Pending("Deployment", "web", PendingReason.TARGET_NOT_ALLOWED),))
    assert pending(view_of(workload(references=False), new_pod(references=False, annotation=None)), TARGET) == ()


def test_a_workload_that_agrees_but_is_no_target_is_left_alone() -> None:
    assert annotated(view_of(workload(references=False, allows=True), old_pod(references=False))) == ()


def test_a_target_that_uses_the_secret_needs_no_agreement() -> None:
    assert annotated(view_of(workload(), old_pod()), TARGET) == ("Deployment/web",)


def test_a_missing_target_is_pending() -> None:
    assert pending(view_of(), TARGET) == (Pending("Deployment", "web", PendingReason.TARGET_NOT_FOUND),)


def test_a_deleted_target_whose_old_pods_are_still_there_is_pending_once() -> None:
    """Counted twice, a rollout waited for 2 of 1 workloads."""
    orphaned = view_of(old_pod("web-0", of="StatefulSet/web"))
    assert [(each.kind, each.name) for each in pending(orphaned, Target("StatefulSet", "web"))] == [("StatefulSet", "web")]


def test_an_argo_rollout_with_a_workload_ref_is_restarted_by_its_deployment() -> None:
    rollout = workload("Rollout", "web", references=False, template_from="web-template")
    view = view_of(rollout, workload(name="web-template"), old_pod(of="Rollout/web"))
    assert (annotated(view), pending(view)) == (("Deployment/web-template",), (Pending("Rollout", "web", PendingReason.NOT_STARTED),))
    done = view_of(rollout, restarted(name="web-template"), old_pod(of="Rollout/web"))
    assert (annotated(done), pending(done)) == ((), (Pending("Rollout", "web", PendingReason.PROGRESSING),))


def test_an_argo_rollout_whose_deployment_is_missing_is_waited_for() -> None:
    rollout = workload("Rollout", "web", references=False, template_from="gone")
    assert pending(view_of(rollout, old_pod(of="Rollout/web"))) == (Pending("Rollout", "web", PendingReason.PROGRESSING),)


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        (Selector(), False),
        (Selector((("app", "web"),)), True),
        (Selector((("app", "api"),)), False),
        (Selector(match_expressions=(Requirement("app", Operator.IN, ("web", "api")),)), True),
        (Selector(match_expressions=(Requirement("app", Operator.NOT_IN, ("web",)),)), False),
        (Selector(match_expressions=(Requirement("track", Operator.NOT_IN, ("canary",)),)), True),
        (Selector(match_expressions=(Requirement("app", Operator.EXISTS),)), True),
        (Selector(match_expressions=(Requirement("track", Operator.EXISTS),)), False),
        (Selector((("app", "web"),), (Requirement("app", Operator.DOES_NOT_EXIST),)), False),
    ],
)
def test_a_selector_selects_as_kubernetes_does(selector: Selector, *, selects: bool) -> None:
    assert selector.matches({"app": "web"}) is selects


def test_a_finished_pod_of_a_deployment_holds_nothing_up() -> None:
    """Evicted pods stay as Failed for a long time."""
    assert pending(view_of(restarted(), replace(old_pod(), finished=True))) == ()
