"""Several processes' metrics as one page: every sample once, under its own name, with the process's number."""

from __future__ import annotations

import json

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from keyturn.verifier.service.processes.gathered_metrics import Described, Gathered, described


def process(*, used: int, held: float) -> list[Described]:
    """One process's, as they come out of JSON."""
    registry = CollectorRegistry()
    verdicts = Counter("v_requests", "Requests", ["verdict"], registry=registry)
    verdicts.labels(verdict="accepted").inc(used)
    Gauge("v_records", "Records", registry=registry).set(held)
    found: list[Described] = json.loads(json.dumps(described(registry)))
    return found


def page(gathered: Gathered) -> list[str]:
    registry = CollectorRegistry()
    registry.register(gathered)
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_samples_of_one_name_stand_together_and_are_told_apart() -> None:
    gathered = Gathered()
    gathered.take({"0": process(used=3, held=9), "1": process(used=4, held=8)})
    assert page(gathered) == [
        "# HELP v_requests_total Requests",
        "# TYPE v_requests_total counter",
        'v_requests_total{process="0",verdict="accepted"} 3.0',
        'v_requests_total{process="1",verdict="accepted"} 4.0',
        "# HELP v_records Records",
        "# TYPE v_records gauge",
        'v_records{process="0"} 9.0',
        'v_records{process="1"} 8.0',
    ]


def test_one_that_says_nothing_is_not_there_and_does_not_come_back_as_it_was() -> None:
    gathered = Gathered()
    gathered.take({"0": process(used=3, held=9), "1": process(used=4, held=8)})
    gathered.take({"1": process(used=5, held=8)})
    assert [line for line in page(gathered) if not line.startswith("#")] == [
        'v_requests_total{process="1",verdict="accepted"} 5.0',
        'v_records{process="1"} 8.0',
    ]


def test_a_sample_that_names_its_process_keeps_that_name() -> None:
    registry = CollectorRegistry()
    Counter("v_starts", "Starts", ["process"], registry=registry).labels(process="1").inc()
    gathered = Gathered()
    gathered.take({"parent": described(registry)})
    assert 'v_starts_total{process="1"} 1.0' in page(gathered)
