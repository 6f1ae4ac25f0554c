"""How a rollout is told to people, and when it is looked at again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.workloads import CUTOFF
from keyturn.api.workloads import Pending, PendingReason
from keyturn.base.clock import MINUTE, SECOND
from keyturn.lifecycle.rollout import is_stalled, next_look_time, rollout_summary

DB = Pending("StatefulSet", "db", PendingReason.ON_DELETE)
JOB = Pending("Job", "import", PendingReason.JOB)


@pytest.mark.parametrize(
    ("pending", "total", "summary"),
    [
        ((), 0, "No workload uses the Secret"),
        ((), 4, "4 of 4 done"),
        ((DB,), 4, "3 of 4 done; waiting for StatefulSet/db (OnDelete)"),
        ((JOB, DB), 2, "0 of 2 done; waiting for Job/import (Job), StatefulSet/db (OnDelete)"),
    ],
)
def test_the_summary_names_what_is_waited_for(pending: tuple[Pending, ...], total: int, summary: str) -> None:
    assert rollout_summary(pending, total=total) == summary


def test_a_summary_that_would_be_too_long_counts_the_rest() -> None:
    pending = [Pending("Deployment", f"service-with-a-long-name-{number}", PendingReason.PROGRESSING) for number in range(9)]
    summary = rollout_summary(pending, total=12)
    assert summary.startswith("3 of 12 done; waiting for Deployment/service-with-a-long-name-0 (Progressing), ")
    assert summary.endswith(" and 5 more")


@given(
    st.lists(st.builds(Pending, st.text(max_size=63), st.text(max_size=253), st.sampled_from(PendingReason)), max_size=10),
    st.integers(0, 9),
)
def test_a_summary_fits_into_status(pending: list[Pending], done: int) -> None:
    assert len(rollout_summary(pending, total=len(pending) + done)) <= 256


@pytest.mark.parametrize(
    ("elapsed", "pause"),
    [(-5 * SECOND, SECOND), (0 * SECOND, SECOND), (4 * SECOND, 2 * SECOND), (MINUTE, 30 * SECOND), (60 * MINUTE, 30 * SECOND)],
)
def test_the_longer_it_takes_the_less_often_it_is_looked_at(elapsed: timedelta, pause: timedelta) -> None:
    now = CUTOFF + elapsed
    assert next_look_time(now=now, started=CUTOFF) == now + pause


@pytest.mark.parametrize(("elapsed", "stalled"), [(9 * MINUTE, False), (10 * MINUTE, True), (11 * MINUTE, True)])
def test_a_rollout_stalls_at_its_timeout(elapsed: timedelta, *, stalled: bool) -> None:
    assert is_stalled(started=CUTOFF, now=CUTOFF + elapsed, stall_timeout=10 * MINUTE) is stalled
