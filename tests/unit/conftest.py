"""Hypothesis for unit tests: few examples, since the whole run has ten seconds; `--hypothesis-profile=long` searches deeper."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# No deadline: a busy machine is no bug. No database: a run must not depend on the one before.
settings.register_profile("short", max_examples=25, deadline=None, database=None)
settings.register_profile("long", max_examples=5_000, deadline=None, database=None)
settings.load_profile("short")


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads take turns after every few instructions, so that what one leaves half done another one sees."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
