"""What a probe complains about."""

from __future__ import annotations

import pytest

from keyturn.controller.probes import queue_complaint
from keyturn.controller.workqueue import QueueStats


def stats(*, workers: int = 4, stuck_seconds: float = 0.0) -> QueueStats:
    return QueueStats(depth=3, scheduled=0, running=1, failing=0, workers=workers, stuck_seconds=stuck_seconds)


@pytest.mark.parametrize(
    ("seen", "complaint"),
    [
        (stats(), None),
        (stats(stuck_seconds=179), None),
        (stats(stuck_seconds=200), "No reconcile began or ended for 200 s, 3 wait"),
        (stats(workers=3), "Only 3 of 4 workers live"),
    ],
)
def test_a_queue_that_hangs_or_lost_a_worker_is_unhealthy(seen: QueueStats, complaint: str | None) -> None:
    assert queue_complaint(seen, workers=4) == complaint
