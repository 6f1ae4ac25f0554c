"""What there is to see is shown: a new metric belongs on the dashboard. That its queries work: tests/monitoring."""

from __future__ import annotations

import re

from gen.observatory import FILES, series_names

NOT_DRAWN = {
    "keyturn_fence_intact": "1 or an alert",
    "keyturn_queue_scheduled": "about as many as there are ApiKeys",
    "keyturn_reconcile_duration_seconds_count": "keyturn_reconcile_total says it by result",
    "keyturn_reconcile_duration_seconds_sum": "percentiles are drawn, from the buckets",
}


def test_every_metric_is_on_a_dashboard_or_has_a_reason_not_to_be() -> None:
    shown = {name for file in (FILES / "dashboards").glob("*.json") for name in re.findall(r"\bkeyturn_\w+", file.read_text())}
    assert series_names() - shown == set(NOT_DRAWN)
