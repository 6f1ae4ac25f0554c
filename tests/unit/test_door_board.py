"""Whose turn it is to take a connection, and where the processes write how many they hold."""

from __future__ import annotations

import pytest

from keyturn.verifier.service.processes.door_board import AWAY, UNREADY, DoorBoard, Turn, holds_too_many, turn


@pytest.mark.parametrize(
    ("own", "others", "answer"),
    [
        (0, [], Turn.NOW),
        (3, [3, 4], Turn.NOW),
        (3, [2, 9], Turn.SOON),
        (3, [UNREADY, AWAY], Turn.NOW),
        (UNREADY, [5, AWAY], Turn.NOT),
        (UNREADY, [UNREADY, AWAY], Turn.NOW),
        (UNREADY + 2, [UNREADY + 1], Turn.SOON),
        (UNREADY, [AWAY], Turn.NOW),
    ],
)
def test_whoever_holds_the_fewest_goes_first_and_who_is_not_ready_last(own: int, others: list[int], answer: Turn) -> None:
    assert turn(own, others) is answer


@pytest.mark.parametrize(
    ("own", "others", "too_many"),
    [
        (2, [0], True),
        (1, [0], False),
        (3, [1], True),
        (3, [2], False),
        (40, [30], False),
        (40, [28], True),
        (9, [AWAY], False),
        (9, [UNREADY], False),
        (UNREADY + 9, [0], False),
    ],
)
def test_one_that_holds_many_more_than_another_has_too_many(own: int, others: list[int], too_many: bool) -> None:
    assert holds_too_many(own, others) is too_many


def test_connections_that_come_one_by_one_are_shared_out_evenly() -> None:
    held = [0, 0, 0]
    for _ in range(30):
        willing = [each for each in range(3) if turn(held[each], held[:each] + held[each + 1 :]) is Turn.NOW]
        held[willing[-1]] += 1
    assert held == [10, 10, 10]


def test_what_one_process_writes_the_others_read_by_door() -> None:
    board = DoorBoard.create(doors=2, processes=3)
    theirs = DoorBoard(board.descriptor, doors=2, processes=3)
    assert theirs.others(0, 0) == theirs.others(1, 2) == [AWAY, AWAY]
    for door, process, number in ((0, 1, 7), (1, 0, 5), (1, 1, 6)):
        theirs.write(door, process, number)
    assert (board.others(0, 0), board.others(1, 2)) == ([7, AWAY], [5, 6])
    board.clear(1)
    assert (theirs.others(0, 0), theirs.others(1, 2)) == ([AWAY, AWAY], [5, AWAY])
