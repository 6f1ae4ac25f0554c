"""A control plane for journeys: it may be stopped under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.cluster import ApiFailed, wait_until
from testbed.plane import Plane, bare

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def journey_plane() -> Iterator[Plane]:
    with Plane.start(bare()) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(CRDS))
        wait_until(lambda: _serves_apikeys(plane), patience=20.0, what="the CRDs to be served")
        yield plane


def _serves_apikeys(plane: Plane) -> bool:
    try:
        return plane.answers("/apis/keyturn.dev/v1alpha1/apikeys")
    except ApiFailed:  # 429: its storage is being initialised
        return False
