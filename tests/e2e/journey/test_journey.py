"""A client behind a gateway keeps working, whatever happens to its key and to Keyturn. The long form: `make journey`."""

from __future__ import annotations

from pathlib import Path

from gen.journey import Journey
from gen.journey_accidents import EVERY
from testbed.plane import Plane


def test_no_request_fails_whatever_happens_under_way(journey_plane: Plane, tmp_path: Path) -> None:
    """Each rotation meets an accident; garbage arrives all the time."""
    with Journey.open(journey_plane, folder=tmp_path) as journey:
        with journey.travel(), journey.garbage():
            for accident in EVERY:
                accident(journey)
        journey.judge()
