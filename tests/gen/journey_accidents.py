"""What happens to a journey under way: each accident comes in the middle of a rotation, and the rotation ends all the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gen.journey import Journey
from gen.keyturn_process import KeyturnProcess
from testbed.plane import Plane

Accident = Callable[[Journey], None]


def nothing(journey: Journey) -> None:
    """The world is quiet."""
    journey.rotate()


def a_verifier_is_killed(journey: Journey) -> None:
    old = journey.begin_rotation()
    _kill(journey, journey.verifiers[0])
    journey.end_rotation(old)


def a_verifier_is_restarted(journey: Journey) -> None:
    """As by a rolling update: it is told to end, and drains."""
    old, verifier = journey.begin_rotation(), journey.verifiers[-1]
    journey.diary.note(f"{verifier.name} is told to end")
    assert verifier.stop(patience=60.0) == 0
    verifier.restart()
    _wait_ready(journey, verifier)
    journey.end_rotation(old)


def the_operator_is_killed(journey: Journey) -> None:
    old = journey.begin_rotation()
    _kill(journey, journey.team.operator)
    journey.end_rotation(old)


def the_api_server_is_away(journey: Journey, *, seconds: float = 5.0) -> None:
    plane = journey.plane
    assert isinstance(plane, Plane)
    old = journey.begin_rotation()
    journey.diary.note(f"the API server is killed, for {seconds:.0f} s")
    plane.apiserver.kill()
    began = time.time()
    time.sleep(seconds)
    plane.restart("kube-apiserver")
    journey.outages.append((began, time.time()))
    journey.diary.note("the API server is back")
    journey.end_rotation(old)


EVERY: Final[tuple[Accident, ...]] = (
    nothing,
    a_verifier_is_killed,
    a_verifier_is_restarted,
    the_operator_is_killed,
    the_api_server_is_away,
)


def _kill(journey: Journey, process: KeyturnProcess) -> None:
    journey.diary.note(f"{process.name} is killed")
    process.kill()
    process.restart()
    _wait_ready(journey, process)


def _wait_ready(journey: Journey, process: KeyturnProcess) -> None:
    process.wait_until(lambda: process.ask("/readyz") == (200, "ok"), what="to be ready again")
    journey.diary.note(f"{process.name} is ready again")
