"""Hypothesis for unit tests: few examples, since the whole run has ten seconds; `--hypothesis-profile=long` searches deeper."""

from __future__ import annotations

from hypothesis import settings

# No deadline: a busy machine is no bug. No database: a run must not depend on the one before.
settings.register_profile("short", max_examples=25, deadline=None, database=None)
settings.register_profile("long", max_examples=5_000, deadline=None, database=None)
settings.load_profile("short")
