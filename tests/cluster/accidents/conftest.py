"""A plane for accidents: nobody else's operator works on it, and it may be hurt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.scene import Scene
from testbed.cluster import ApiFailed, Cluster, wait_until
from testbed.plane import Plane

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def rough_plane() -> Iterator[Plane]:
    with Plane.start() as plane:
        plane.kubectl("apply", "--server-side", "-f", str(CRDS))
        wait_until(lambda: _serves_apikeys(plane), patience=20.0, what="the CRDs to be served")
        yield plane


def _serves_apikeys(plane: Cluster) -> bool:
    try:
        return plane.answers("/apis/keyturn.dev/v1alpha1/apikeys")
    except ApiFailed:  # 429: its storage is being initialised
        return False


@pytest.fixture
def scene(rough_plane: Plane, tmp_path: Path) -> Iterator[Scene]:
    """A namespace with one operator that is ready."""
    with Scene.open(rough_plane, folder=tmp_path) as scene:
        scene.team.operator.wait_ready()
        yield scene
