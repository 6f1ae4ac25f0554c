"""The metrics are all there before anything happened."""

from __future__ import annotations

from typing import get_args

from prometheus_client import generate_latest

from keyturn.base import metrics
from keyturn.base.version_state import Cause
from keyturn.lifecycle.plan import Step


def shown() -> str:
    return generate_latest(metrics.REGISTRY).decode()


def test_the_kinds_of_steps_are_those_of_a_plan() -> None:
    assert {kind.__name__ for kind in get_args(Step)} == set(metrics.STEP_KINDS)


def test_every_known_label_value_starts_at_zero() -> None:
    text = shown()
    for cause in Cause:
        assert f'keyturn_rotations_total{{cause="{cause}"}} ' in text
    for result in metrics.RunResult:
        assert f'keyturn_reconcile_total{{result="{result}"}} ' in text
    for kind in metrics.STEP_KINDS:
        assert f'keyturn_steps_total{{kind="{kind}",result="done"}} ' in text


def test_a_request_without_an_answer_has_a_code_of_its_own() -> None:
    metrics.count_request("get", "test-only", 0)
    metrics.count_request("get", "test-only", 200)
    assert 'keyturn_api_requests_total{code="none",resource="test-only",verb="get"} 1.0' in shown()
    assert 'keyturn_api_requests_total{code="200",resource="test-only",verb="get"} 1.0' in shown()


def test_all_names_are_ours_or_the_process() -> None:
    names = {line.split()[2] for line in shown().splitlines() if line.startswith("# TYPE")}
    assert {name for name in names if not name.startswith(("keyturn_", "process_", "python_gc_"))} == set()
