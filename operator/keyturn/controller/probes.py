"""What the operator's probes and gauges ask of its work queue. They are served by `base/probe_server.py`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from keyturn.base import metrics
from keyturn.controller.workqueue import QueueStats, WorkQueue

LONGEST_WORK: Final = timedelta(minutes=3)
"""Every request has a deadline of seconds: a reconcile that takes longer hangs."""


def queue_complaint(stats: QueueStats, *, workers: int, limit: timedelta = LONGEST_WORK) -> str | None:
    """What is wrong with a queue that should have so many workers."""
    if stats.workers < workers:
        return f"Only {stats.workers} of {workers} workers live"
    if stats.stuck_seconds > limit.total_seconds():
        return f"No reconcile began or ended for {stats.stuck_seconds:.0f} s, {stats.depth} wait"
    return None


def measure_queue(queue: WorkQueue) -> None:
    """Let the queue's gauges read this queue whenever they are asked."""
    metrics.QUEUE_DEPTH.set_function(lambda: queue.stats.depth)
    metrics.QUEUE_SCHEDULED.set_function(lambda: queue.stats.scheduled)
    metrics.QUEUE_RUNNING.set_function(lambda: queue.stats.running)
    metrics.QUEUE_FAILING.set_function(lambda: queue.stats.failing)


def measure_no_queue() -> None:
    """The term is over: a standby must not go on telling of the queue it had."""
    for gauge in (metrics.QUEUE_DEPTH, metrics.QUEUE_SCHEDULED, metrics.QUEUE_RUNNING, metrics.QUEUE_FAILING):
        gauge.set_function(lambda: 0.0)
