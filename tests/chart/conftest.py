"""Each file has a Kubernetes of its own: an installation is about the whole cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.chart import Release
from gen.team import Api
from testbed.plane import Plane


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with Plane.start() as plane:
        for name in ("team-a", "team-b"):
            plane.create_namespace(name)
        yield plane


@pytest.fixture(scope="module")
def api(plane: Plane) -> Iterator[Api]:
    api = Api(plane.login)
    yield api
    api.close()


@pytest.fixture(scope="module")
def release(plane: Plane) -> Release:
    """Keyturn as the page installs it; not yet installed."""
    return Release(plane)
