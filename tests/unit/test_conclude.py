"""What people are told: the table of situations and conditions, row by row, and the rest of the status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gen.lifecycle import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    active,
    apikey,
    key_id,
    observed,
    ours,
    pending,
    record,
    retiring,
    rollout,
    staged,
    tombstone,
)
from keyturn.api.v1alpha1.apikey import ApiKeyStatus, status_to_json
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.lifecycle.announcement import warnings_of
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import ForeignSecret, NoSecret, Observed, UnreadableSecret
from keyturn.lifecycle.plan import SaveRecord, Waiting


def status_of(seen: Observed, outcome: Outcome | None = None) -> ApiKeyStatus:
    return conclude(seen, decide(seen), outcome or Outcome())


def told(status: ApiKeyStatus, kind: ConditionType) -> str:
    """`status/reason`, or absent."""
    condition = status.condition(kind)
    return f"{condition.status}/{condition.reason}" if condition else "absent"


def summary(seen: Observed) -> tuple[str, str, str]:
    """Ready, Reconciling, Stalled."""
    status = status_of(seen)
    return told(status, ConditionType.READY), told(status, ConditionType.RECONCILING), told(status, ConditionType.STALLED)


STALE = apikey({"rotation": {"schedule": "61 0 * * *"}})
DISABLED = apikey({"disabled": True})
EXPIRED = apikey({"expirationTime": "2026-03-02T12:00:00Z"})
FORBIDDEN = Waiting(Reason.PERMISSION_MISSING, "get secrets shop/billing: 403 Forbidden")
OVERLAP = record(retiring(1), active(2, ago=HOUR))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(
            observed(record(staged(1)), held=(1,)),
            ("False/PropagationPending", "True/PropagationPending", "absent"),
            id="first issue under way",
        ),
        pytest.param(observed(record(active(1)), ours(1)), ("True/Issued", "absent", "absent"), id="steady"),
        pytest.param(observed(OVERLAP, ours(2), rollout=rollout()), ("True/Issued", "absent", "absent"), id="grace"),
        pytest.param(observed(OVERLAP, ours(2), rollout=rollout(pending())), ("True/Issued", "absent", "absent"), id="rollout stalled"),
        pytest.param(
            observed(record(staged(1)), ForeignSecret("theirs")), ("False/SecretConflict", "absent", "True/SecretConflict"), id="conflict"
        ),
        pytest.param(
            observed(record(active(1)), ForeignSecret("made immutable", works=True)),
            ("True/Issued", "absent", "True/SecretConflict"),
            id="conflict, but the key works",
        ),
        pytest.param(
            observed(record(active(1)), UnreadableSecret(FORBIDDEN)),
            ("Unknown/PermissionMissing", "absent", "True/PermissionMissing"),
            id="the Secret may not be read",
        ),
        pytest.param(
            observed(OVERLAP, ours(2), rollout_unseen=FORBIDDEN),
            ("True/Issued", "absent", "True/PermissionMissing"),
            id="workloads may not be listed",
        ),
        pytest.param(observed(of=STALE), ("False/InvalidSchedule", "absent", "True/InvalidSchedule"), id="bad schedule, no key"),
        pytest.param(
            observed(record(active(1)), ours(1), of=STALE), ("True/Issued", "absent", "True/InvalidSchedule"), id="bad schedule, key works"
        ),
        pytest.param(
            observed(of=apikey({"productRef": {"name": "p"}})),
            ("False/ProductUnavailable", "absent", "True/ProductUnavailable"),
            id="no product",
        ),
        pytest.param(
            observed(replace(record(active(1)), disabled=True), ours(1), of=DISABLED), ("True/Disabled", "absent", "absent"), id="disabled"
        ),
        pytest.param(
            observed(replace(record(dead=(tombstone(1),)), expiration_time=NOW), ours(1), of=EXPIRED),
            ("False/Expired", "absent", "True/Expired"),
            id="expired",
        ),
        pytest.param(
            observed(record(active(1), staged(2, seconds_ago=1)), NoSecret(), held=(2,)),
            ("False/PropagationPending", "True/PropagationPending", "absent"),
            id="a lost Secret is being replaced",
        ),
    ],
)
def test_the_three_conditions_that_tools_read(seen: Observed, expected: tuple[str, str, str]) -> None:
    assert summary(seen) == expected


PAUSE = {"keyturn.dev/paused": "true"}


def test_a_pause_is_said_and_everything_else_stays_as_it_was_left() -> None:
    before = status_of(observed(record(retiring(1), active(2, ago=HOUR)), ours(2), rollout=rollout()))
    paused = status_of(observed(record(active(2)), NoSecret(), of=apikey(annotations=PAUSE, status=status_to_json(before))))
    assert told(paused, ConditionType.PAUSED) == "True/Paused"
    others = tuple(condition for condition in paused.conditions if condition.type != ConditionType.PAUSED)
    assert status_to_json(paused.model_copy(update={"conditions": others})) == status_to_json(before)
    again = apikey(annotations=PAUSE, status=status_to_json(paused))
    assert status_of(replace(observed(record(active(2)), NoSecret(), of=again), now=NOW + HOUR)) == again.status


def test_nothing_is_in_progress_while_paused() -> None:
    issuing = status_of(observed(record(staged(1)), held=(1,)))
    paused = status_of(observed(record(staged(1)), held=(1,), of=apikey(annotations=PAUSE, status=status_to_json(issuing))))
    assert told(paused, ConditionType.RECONCILING) == "absent"
    assert told(paused, ConditionType.READY) == "False/PropagationPending"


def test_one_that_was_created_paused_is_not_said_to_be_ready_or_not() -> None:
    paused = status_of(observed(of=apikey(annotations=PAUSE)))
    assert [(c.type, c.status, c.reason) for c in paused.conditions] == [("Ready", "Unknown", "Paused"), ("Paused", "True", "Paused")]


def test_a_stalled_rollout_is_said_and_is_no_failure() -> None:
    status = status_of(observed(OVERLAP, ours(2), rollout=rollout(pending())))
    assert told(status, ConditionType.ROLLOUT_COMPLETE) == "False/RolloutStalled"
    assert status.rollout is not None
    assert status.rollout.summary == "0 of 1 done; waiting for Deployment/web (Progressing)"


def test_a_deferred_rotation_is_said() -> None:
    seen = observed(OVERLAP, ours(2), of=apikey({"rotation": {"trigger": "again"}}), rollout=rollout())
    assert told(status_of(seen), ConditionType.PREVIOUS_VERSION_ACTIVE) == "True/RotationDeferred"


def test_the_status_is_a_projection_that_comes_back_the_same() -> None:
    seen = observed(record(retiring(1), active(2, ago=HOUR)), ours(2), rollout=rollout())
    first = status_of(seen)
    again = status_of(replace(seen, apikey=apikey(status=status_to_json(first)), now=NOW + MINUTE))
    assert status_to_json(again) == status_to_json(first)
    assert (first.active_version, first.key_id, [entry.number for entry in first.versions]) == (2, key_id(2), [2, 1])


def test_a_transition_time_moves_with_the_status_of_its_condition_alone() -> None:
    before = status_of(observed(record(active(1)), ours(1)))
    stalled = replace(observed(record(active(1)), NoSecret(), of=apikey(status=status_to_json(before))), now=NOW + MINUTE)
    after = conclude(stalled, replace(decide(stalled), steps=()), Outcome())
    moved = {c.type for c in after.conditions if c.last_transition_time > NOW}
    assert moved == {ConditionType.READY, ConditionType.RECONCILING}


@pytest.mark.parametrize(
    ("seen", "outcome", "generation"),
    [
        (observed(record(active(1)), ours(1)), Outcome(), 3),
        (observed(of=STALE), Outcome(), 3),
        (observed(record(staged(1)), held=(1,)), Outcome(), None),
        (observed(), Outcome(failed=Waiting(Reason.PERMISSION_MISSING, "no"), user_must_act=True), 3),
        (observed(), Outcome(failed=Waiting(Reason.NAMESPACE_TERMINATING, "going")), None),
    ],
    ids=["settled", "a person must act", "under way", "refused for good", "refused for now"],
)
def test_the_observed_generation_moves_when_the_spec_was_acted_on(seen: Observed, outcome: Outcome, generation: int | None) -> None:
    assert status_of(seen, outcome).observed_generation == generation


def test_a_status_names_the_versions_until_a_lost_record_is_written_again() -> None:
    """The write was refused, status forgot, the operator was restarted: nothing was left to restore the record from, and the key died."""
    healthy = status_of(observed(record(active(4)), ours(4)))
    lost = observed(None, ours(4), of=apikey(status=status_to_json(healthy)))
    refused = status_of(lost, Outcome(failed=FORBIDDEN, user_must_act=True))
    assert (refused.active_version, refused.key_id, refused.versions) == (4, key_id(4), healthy.versions)
    plan = decide(observed(None, ours(4), of=apikey(status=status_to_json(refused))))
    assert [type(step) for step in plan.steps] == [SaveRecord]


def test_a_warning_is_told_once_for_each_time_it_begins() -> None:
    bad = status_of(observed(record(staged(1)), ForeignSecret("theirs")))
    assert [text.reason for text in warnings_of(None, bad, occasion="u/1")] == [Reason.SECRET_CONFLICT]
    assert warnings_of(bad, bad, occasion="u/2") == ()


@pytest.mark.parametrize(
    "bad",
    [
        observed(record(staged(1)), ForeignSecret("theirs")),
        observed(OVERLAP, ours(2), rollout=rollout(pending())),
        observed(OVERLAP, ours(2), of=apikey({"rotation": {"trigger": "again"}}), rollout=rollout()),
    ],
    ids=["stalled", "rollout stalled", "rotation deferred"],
)
def test_what_turns_bad_a_second_time_is_another_event_and_a_repeat_after_a_crash_is_not(bad: Observed) -> None:
    """Both had the seed of the first time, so the second Event was taken for its repeat and never seen."""
    status = status_of(bad)
    (first,), (repeated,), (second,) = (warnings_of(None, status, occasion=occasion) for occasion in ("u/1", "u/1", "u/9"))
    assert first == repeated
    assert first.seed != second.seed


def test_no_more_than_the_asked_history_is_shown() -> None:
    dead = tuple(tombstone(number, ago=SECOND) for number in range(1, 30))
    status = status_of(observed(record(active(30), dead=dead), ours(30), of=apikey({"revisionHistoryLimit": 3})))
    assert [entry.number for entry in status.versions] == [30, 29, 28, 27]
