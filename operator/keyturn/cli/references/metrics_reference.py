"""docs/reference/metrics.md, made from the metrics themselves. Pure but for the file it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric

from keyturn.base.key_metrics import END_LABELS
from keyturn.base.metrics import REGISTRY
from keyturn.verifier.service.metrics import PARENT_REGISTRY
from keyturn.verifier.service.metrics import REGISTRY as VERIFIERS_REGISTRY

OWN: Final = "keyturn_"
UNBOUNDED: Final[Mapping[str, tuple[str, ...]]] = {
    "keyturn_api_requests": ("verb", "resource", "code"),
    "keyturn_verifier_api_requests": ("verb", "resource", "code"),
    "keyturn_apikey_expiration_timestamp_seconds": END_LABELS,
}
_HEAD: Final = """\
# Metrics

Served in Prometheus' text format at `/metrics` of [`--probe-address`](settings.md), beside `/healthz` and `/readyz`. Every label value
listed here is there from the start, at 0, so an alert on `increase(…)` sees the first event. Names and labels are only ever added.
The usual `process_*` and `python_gc_*` metrics are served too.

Only the replica that leads tells of keys and queue; the others report 0. Alerts and how to scrape:
[Monitor Keyturn with Prometheus](../how-to/monitor-with-prometheus.md).

"""
_VERIFIER: Final = """\

## Of the verifier

At `/metrics` of its own [`--probe-address`](verifier-settings.md). Every replica tells of itself, and all of them know the same
keys: ask for `max`, but for requests, which each counts for itself.

"""
_SEVERAL: Final = """\

With [`--processes`](verifier-settings.md) above 1 every sample, also of `process_*` and `python_gc_*`, has one more label, `process`: the
number of the process that it is of, from 0, or `parent`. A process that is being started again is missing from a scrape. Of the parent:

"""
_TABLE: Final = """\
| metric | type | labels, and the values known beforehand | meaning |
|---|---|---|---|
"""


def write_metrics_reference(folder: Path) -> Path:
    """Write metrics.md into the folder; the same metrics always give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "metrics.md"
    page.write_text(metrics_reference(), encoding="utf-8")
    return page


def metrics_reference() -> str:
    """The page."""
    return _HEAD + _table(REGISTRY) + _VERIFIER + _table(VERIFIERS_REGISTRY) + _SEVERAL + _table(PARENT_REGISTRY)


def _table(registry: CollectorRegistry) -> str:
    own = sorted((metric for metric in registry.collect() if metric.name.startswith(OWN)), key=lambda metric: metric.name)
    return _TABLE + "".join(map(_line, own))


def _line(metric: Metric) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = "; ".join(f"`{label}`: {', '.join(values)}" if values else f"`{label}`" for label, values in _labels(metric))
    return f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |\n"


def _labels(metric: Metric) -> Iterator[tuple[str, list[str]]]:
    """Label names with their values; where those depend on what happened, only the names."""
    names = {label: None for sample in metric.samples for label in sample.labels if label != "le"}
    if metric.name in UNBOUNDED:
        yield from ((label, []) for label in UNBOUNDED[metric.name])
        return
    for label in names:
        yield label, sorted({sample.labels[label] for sample in metric.samples})
