"""What Prometheus sees of Keyturn, set up once for all tests of the folder: none of them changes anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.observatory import Observatory, open_observatory


@pytest.fixture(scope="session")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    with open_observatory(tmp_path_factory.mktemp("monitoring")) as opened:
        yield opened
