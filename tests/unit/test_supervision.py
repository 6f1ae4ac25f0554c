"""When a process of the verifier is started again, when all are given up, and when the replica is ready."""

from __future__ import annotations

import pytest

from keyturn.verifier.service.processes.supervision import (
    FAILED,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    NOT_ALLOWED,
    SETTLED,
    STOPPED,
    STUCK,
    GiveUp,
    Life,
    Restart,
    Standing,
    after_end,
    complaint_of_all,
    is_stuck,
)
from keyturn.verifier.service.processes.worker import own_settings
from keyturn.verifier.service.processes.worker_process import Assignment
from keyturn.verifier.service.settings import VerifierSettings

KILLED = -9
READY = Standing(was_ready=True, complaint=None)
LOST = Standing(was_ready=True, complaint="It has ended")


def died(status: int = KILLED, *, lived: float = 1.0, is_first: bool = False) -> Life:
    return Life(status, lived, is_first)


def test_pauses_double_up_to_the_longest() -> None:
    pauses, last = [], 0.0
    for _ in range(9):
        answer = after_end(died(), last_pause=last, is_anyone_known_good=True)
        assert isinstance(answer, Restart)
        last = answer.pause
        pauses.append(last)
    assert pauses == [FIRST_PAUSE, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_one_that_lived_long_begins_with_the_first_pause_again() -> None:
    assert after_end(died(lived=SETTLED), last_pause=16.0, is_anyone_known_good=True) == Restart(FIRST_PAUSE)
    assert after_end(died(lived=SETTLED - 1), last_pause=16.0, is_anyone_known_good=True) == Restart(LONGEST_PAUSE)


@pytest.mark.parametrize(
    ("life", "is_anyone_known_good", "answer"),
    [
        (died(KILLED, is_first=True), False, GiveUp(FAILED)),
        (died(FAILED, is_first=True), False, GiveUp(FAILED)),
        (died(NOT_ALLOWED, is_first=True), False, GiveUp(NOT_ALLOWED)),
        (died(NOT_ALLOWED, is_first=False), False, GiveUp(NOT_ALLOWED)),
        (died(NOT_ALLOWED, is_first=True), True, GiveUp(NOT_ALLOWED)),
        (died(NOT_ALLOWED, is_first=False), True, Restart(FIRST_PAUSE)),
        (died(STOPPED, is_first=True), False, Restart(FIRST_PAUSE)),
        (died(FAILED, is_first=True), True, Restart(FIRST_PAUSE)),
        (died(KILLED, is_first=True), True, Restart(FIRST_PAUSE)),
    ],
)
def test_all_end_with_one_only_where_none_of_them_could_do_better(life: Life, is_anyone_known_good: bool, answer: Restart | GiveUp) -> None:
    assert after_end(life, last_pause=0.0, is_anyone_known_good=is_anyone_known_good) == answer


@pytest.mark.parametrize(
    ("standings", "complaint"),
    [
        ([READY, READY], None),
        ([READY, Standing(complaint="The records were not read yet")], "Process 1: The records were not read yet"),
        ([Standing(), LOST], "Process 0: It has not said anything yet"),
        ([READY, LOST], None),
        ([LOST, LOST], "No process is ready. Process 0: It has ended"),
    ],
)
def test_a_replica_is_ready_when_each_process_was_and_one_is(standings: list[Standing], complaint: str | None) -> None:
    assert complaint_of_all(standings) == complaint


def test_silence_is_borne_for_a_minute() -> None:
    assert not is_stuck(silent=STUCK)
    assert is_stuck(silent=STUCK + 1)


def test_what_two_processes_must_not_share_carries_the_process_s_number() -> None:
    settings = VerifierSettings.model_validate({"processes": 2, "snapshot": "/var/lib/records", "lease_duration": "7s"})
    assignment = Assignment(process=1, settings=settings, http=3, grpc=None, board=4)
    told = Assignment.model_validate_json(assignment.model_dump_json())
    assert told == assignment
    wanted = settings.model_copy(update={"identity": "pod-a-1", "snapshot": "/var/lib/records.1"})
    assert own_settings(told, host="pod-a") == wanted


def test_a_process_without_a_snapshot_writes_none() -> None:
    settings = VerifierSettings.model_validate({"processes": 2, "identity": "edge"})
    own = own_settings(Assignment(process=0, settings=settings, http=3, grpc=None, board=4), host="pod-a")
    assert (own.identity, own.snapshot) == ("edge-0", "")
