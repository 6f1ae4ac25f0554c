"""What the operator's probes and gauges ask of its work queue. They are served by `base/probe_server.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from keyturn.base import metrics
from keyturn.controller.verifiers import Verifiers
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


def measure_verifiers(verifiers: Verifiers, *, newest_record: Callable[[], int]) -> None:
    """Let the verifiers' gauges read these whenever they are asked; `newest_record`: the resource version of the newest change."""
    metrics.VERIFIERS.set_function(lambda: len(verifiers.live))
    metrics.VERIFIER_LAG.set_function(lambda: verifiers.lag(newest_record()))


def measure_no_term() -> None:
    """The term is over: a standby must not go on telling of the queue it had."""
    queue = (metrics.QUEUE_DEPTH, metrics.QUEUE_SCHEDULED, metrics.QUEUE_RUNNING, metrics.QUEUE_FAILING)
    for gauge in (*queue, metrics.VERIFIERS, metrics.VERIFIER_LAG):
        gauge.set_function(lambda: 0.0)
