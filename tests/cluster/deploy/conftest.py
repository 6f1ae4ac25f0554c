"""A plane of its own: what deploy/ installs works on every ApiKey of its cluster, and these tests change its roles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.team import Api
from testbed.plane import Plane


@pytest.fixture(scope="session")
def plane() -> Iterator[Plane]:
    with Plane.start() as plane:
        for name in ("team-a", "team-b", "team-c"):
            plane.create_namespace(name)
        yield plane


@pytest.fixture(scope="session")
def api(plane: Plane) -> Iterator[Api]:
    api = Api(plane.login)
    yield api
    api.close()
