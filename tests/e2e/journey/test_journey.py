"""A client behind a gateway keeps working, whatever happens to its key and to Keyturn."""

from __future__ import annotations

from pathlib import Path

from gen.journey import Journey
from testbed.plane import Plane


def test_no_request_fails_while_the_key_rotates(journey_plane: Plane, tmp_path: Path) -> None:
    with Journey.open(journey_plane, folder=tmp_path) as journey:
        with journey.travel(), journey.garbage() as answers:
            for _ in range(3):
                journey.rotate()
        journey.judge()
        assert set(answers) == {401}
