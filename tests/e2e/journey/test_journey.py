"""A client behind a gateway keeps working, whatever happens to its key and to Keyturn."""

from __future__ import annotations

import time
from pathlib import Path

from gen.journey import Journey
from testbed.plane import Plane


def test_no_request_fails_whatever_happens_under_way(journey_plane: Plane, tmp_path: Path) -> None:
    """Each rotation meets an accident; garbage arrives all the time."""
    with Journey.open(journey_plane, folder=tmp_path) as journey:
        with journey.travel(), journey.garbage() as answers:
            journey.rotate()
            rotate_while_a_verifier_is_killed(journey)
            rotate_while_the_operator_is_killed(journey)
            rotate_after_the_api_server_was_away(journey, seconds=5.0)
        journey.judge()
        assert set(answers) == {401}


def rotate_while_a_verifier_is_killed(journey: Journey) -> None:
    old, verifier = journey.begin_rotation(), journey.verifiers[0]
    journey.diary.note("a verifier is killed")
    verifier.kill()
    verifier.restart()
    verifier.wait_ready()
    journey.diary.note("the verifier is ready again")
    journey.end_rotation(old)


def rotate_while_the_operator_is_killed(journey: Journey) -> None:
    old, operator = journey.begin_rotation(), journey.team.operator
    journey.diary.note("the operator is killed")
    operator.kill()
    operator.restart()
    operator.wait_ready()
    journey.diary.note("the operator leads again")
    journey.end_rotation(old)


def rotate_after_the_api_server_was_away(journey: Journey, *, seconds: float) -> None:
    plane = journey.plane
    assert isinstance(plane, Plane)
    journey.diary.note("the API server is killed")
    plane.apiserver.kill()
    time.sleep(seconds)
    plane.restart("kube-apiserver")
    journey.diary.note("the API server is back")
    for verifier in journey.verifiers:
        verifier.wait_until(
            lambda verifier=verifier: verifier.metrics()["keyturn_verifier_heard_age_seconds"] < seconds, what="to watch again"
        )
    journey.rotate()
