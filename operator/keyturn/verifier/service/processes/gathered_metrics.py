"""The metrics of several processes as those of one replica: every sample of each, told apart by the label `process`. Pure.

A worker describes its own (`described`), the supervisor puts them together (`Gathered`) and serves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypedDict

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

LABEL: Final = "process"


class Described(TypedDict):
    """One metric, as JSON."""

    name: str
    documentation: str
    type: str
    samples: list[tuple[str, dict[str, str], float]]


def described(registry: CollectorRegistry) -> list[Described]:
    """Everything of this process."""
    return [
        Described(
            name=metric.name,
            documentation=metric.documentation,
            type=metric.type,
            samples=[(sample.name, dict(sample.labels), sample.value) for sample in metric.samples],
        )
        for metric in registry.collect()
    ]


class Gathered(Collector):
    """What was gathered last. A process that said nothing is not in it, as a replica is not that cannot be scraped."""

    def __init__(self) -> None:
        self._sources: Mapping[str, Iterable[Described]] = {}

    def take(self, sources: Mapping[str, Iterable[Described]]) -> None:
        """By the process's number."""
        self._sources = sources

    def describe(self) -> Iterator[Metric]:
        """Nothing is known beforehand."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """For Prometheus, which wants the samples of one name together."""
        metrics: dict[str, Metric] = {}
        for process, source in self._sources.items():
            for told in source:
                metric = metrics.setdefault(told["name"], Metric(told["name"], told["documentation"], told["type"]))
                for name, labels, value in told["samples"]:
                    metric.add_sample(name, {LABEL: process, **labels}, value)
        yield from metrics.values()
