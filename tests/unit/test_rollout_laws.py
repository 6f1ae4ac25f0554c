"""Laws of rollouts, for any namespace whatever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gen.workloads import CUTOFF, NEW_KEY, OLD_KEY
from keyturn.api.workloads import Pod, RolloutView, Selector, Strategy, Target, Workload
from keyturn.lifecycle.plan import Annotate
from keyturn.lifecycle.rollout import participants, pending_workloads, pod_is_old, workloads_to_annotate

KINDS = st.sampled_from(["Deployment", "StatefulSet", "DaemonSet", "Rollout"])
NAMES = st.sampled_from(["a", "b", "c"])
KEY_IDS = st.sampled_from([None, OLD_KEY, NEW_KEY])
TARGETS = st.lists(st.builds(Target, KINDS, NAMES), max_size=2, unique=True)


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    kind, owner = draw(st.one_of(KINDS, st.sampled_from(["Job", "ReplicaSet", "CloneSet.apps.kruise.io", None]))), draw(NAMES)
    label = {"Deployment": "pod-template-hash", "Rollout": "rollouts-pod-template-hash"}.get(kind or "")
    return Pod(
        name=f"{owner}-{draw(st.integers(0, 4))}",
        uid="any",
        created=CUTOFF + timedelta(seconds=draw(st.integers(-3, 3))),
        references=draw(st.booleans()),
        annotation=draw(KEY_IDS),
        labels=(("app", owner), *(((label, "x1"),) if label else ())),
        finished=draw(st.booleans()),
        deleting=draw(st.booleans()),
        controller_kind="ReplicaSet" if label else kind,
        controller_name=f"{owner}-x1" if label else owner,
    )


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    kind, name = draw(KINDS), draw(NAMES)
    return Workload(
        kind=kind,
        name=name,
        uid=f"{kind}-{name}",
        references=draw(st.booleans()),
        allows=draw(st.booleans()),
        template_annotation=draw(KEY_IDS),
        template_from=draw(st.none() | NAMES) if kind == "Rollout" else None,
        selector=Selector((("app", name),)),
        strategy=draw(st.sampled_from(Strategy)),
    )


VIEWS = st.builds(
    RolloutView,
    st.lists(workloads(), max_size=3, unique_by=lambda each: each.key).map(tuple),
    st.lists(pods(), max_size=4).map(tuple),
)


def steps_for(view: RolloutView, targets: list[Target]) -> tuple[Annotate, ...]:
    return workloads_to_annotate(view, key_id=NEW_KEY, cutoff=CUTOFF, targets=targets)


@given(VIEWS, TARGETS)
def test_without_old_pods_nothing_is_annotated_and_only_missing_targets_are_pending(view: RolloutView, targets: list[Target]) -> None:
    calm = replace(view, pods=tuple(pod for pod in view.pods if not pod_is_old(pod, key_id=NEW_KEY, cutoff=CUTOFF)))
    missing = {target.key for target in targets} - {each.key for each in view.workloads or ()}
    assert steps_for(calm, targets) == ()
    assert {(each.kind, each.name) for each in pending_workloads(calm, key_id=NEW_KEY, cutoff=CUTOFF, targets=targets)} == missing


@given(VIEWS, TARGETS)
def test_after_its_steps_were_carried_out_there_are_none(view: RolloutView, targets: list[Target]) -> None:
    done = {step.uid for step in steps_for(view, targets)}
    after = tuple(replace(each, template_annotation=NEW_KEY) if each.uid in done else each for each in view.workloads or ())
    assert steps_for(replace(view, workloads=after), targets) == ()


@given(VIEWS, TARGETS)
def test_nothing_is_annotated_but_what_uses_the_secret_or_agrees_as_a_target(view: RolloutView, targets: list[Target]) -> None:
    named = {target.key for target in targets}
    own = {each.uid for each in view.workloads or () if each.references or (each.allows and each.key in named)}
    lent = {f"Deployment-{each.template_from}" for each in view.workloads or () if each.template_from and each.allows and each.key in named}
    assert {step.uid for step in steps_for(view, targets)} <= own | lent


@given(VIEWS, TARGETS)
def test_what_is_annotated_is_never_called_done(view: RolloutView, targets: list[Target]) -> None:
    if steps_for(view, targets):
        assert pending_workloads(view, key_id=NEW_KEY, cutoff=CUTOFF, targets=targets)


@given(VIEWS, TARGETS)
def test_an_old_pod_that_uses_the_secret_always_keeps_the_old_key(view: RolloutView, targets: list[Target]) -> None:
    waits = any(pod.references and pod_is_old(pod, key_id=NEW_KEY, cutoff=CUTOFF) for pod in view.pods)
    for seen in (view, replace(view, workloads=None)):
        pending = pending_workloads(seen, key_id=NEW_KEY, cutoff=CUTOFF, targets=targets)
        assert pending or not waits
        assert len(pending) <= participants(seen, targets=targets)
