"""Every gateway of deploy/gateways, once a run: as people copy it, before an API that tells what it saw."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.echo_api import EchoApi


@pytest.fixture(scope="session")
def api() -> Iterator[EchoApi]:
    with EchoApi() as started:
        yield started
